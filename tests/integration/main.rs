//! The control plane over HTTP with a real Postgres: one file per resource or property.
