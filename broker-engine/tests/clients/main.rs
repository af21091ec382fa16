//! Real clients in small programs, and the suites that clients' authors publish, each against a
//! `brokerd` of its own.
//!
//! A program tells on its standard output when the broker shall be restarted, and goes on when it
//! reads that it was; `done` is its last word. Clients come from their registries by name and
//! pinned version, and are kept in cargo's target directory.

#[cfg(test)]
mod administration;
#[cfg(test)]
mod brokerd;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod lapin;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod python;
#[cfg(test)]
mod suites;
#[cfg(test)]
mod toolchains;
