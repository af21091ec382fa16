//! Multi-step work on brokers: what makes intent true.
//!
//! One file for each workflow. A step is a fact to make true: it looks first, does what is missing,
//! and can be repeated or broken off anywhere. Nothing is remembered but the facts themselves, so
//! a workflow that is taken over by another worker starts from the top and finds its work done.
//!
//! Workflows never call an agent: they write what shall be, and wait for the observation that it
//! is. A deletion wins over whatever is in progress: the others notice it and end.

mod broker_create;
mod broker_delete;
mod broker_reboot;
mod broker_users;
mod configuration;
mod context;
mod faults;
mod inventory;
mod launch;
mod step;
mod worker;

pub use context::Timing;
pub use faults::{AbortAt, Fault, Faults, NoFaults, When};
pub use worker::{Options, handlers, worker};
