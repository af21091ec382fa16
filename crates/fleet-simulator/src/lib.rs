//! Hosts that speak the agents' protocol and run nothing, by the thousand in one process.
//!
//! A [`Host`] enrols with a token and talks mutual TLS through the agent's own client: to the control
//! plane it is a host like any other. It long-polls its intent, and reports what a [`Script`] says
//! becomes of each node. There is no process, no volume and no port behind it: what a simulated node
//! is asked to serve is not served.
//!
//! **Invariant:** an observation speaks of an intent that was read, with its generation; nothing is
//! reported of a node that was never asked for.

mod conduct;
mod host;
mod nodes;

pub use conduct::{Conduct, Script};
pub use host::{Host, Timing};
pub use host_agent::Error;
