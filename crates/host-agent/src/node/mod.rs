//! One node of this host: from its intent to a process that serves, and back to nothing.
//!
//! [`decide`] says what to do next, purely, and [`trial`] how far a changed node has come;
//! [`supervisor`] does it and watches the process. The other modules are one means each: the
//! process, its command line, its control socket, its certificate, its volume, its health, its
//! configuration, its users.

mod certificate;
mod command;
mod configuration;
mod control;
mod decide;
mod due;
mod health;
mod journey;
mod logins;
mod memory;
mod output;
mod process;
mod restarts;
mod secrets;
mod state;
mod supervisor;
mod trial;
mod volume;

#[cfg(test)]
mod tests;

pub(crate) use supervisor::{Context, Supervisor};
