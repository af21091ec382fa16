//! Everything together: real processes, real clients, real crashes.
