//! Everything of the control plane that reads what strangers write, each as a function that takes any bytes: what
//! `fuzz/` and the tests call.
//!
//! A function panics when a promise is broken, whatever the bytes: nothing else panics, overflows or loops, what is
//! accepted is within its limits, and what is read reads the same again.
//!
//! Compiled for tests and with the feature `fuzzing`; not part of the crate's interface.

mod configurations;
#[cfg(test)]
mod corpus;
mod names;
mod policies;
#[cfg(test)]
mod properties;
mod requests;
mod windows;

pub use self::{
    configurations::{activemq, lavinmq, rabbitmq},
    names::{manifests, names},
    policies::{policies, trust},
    requests::{requests, updates},
    windows::windows,
};
pub use crate::{
    api::fuzzing::{forms, parameters, queries, signatures},
    app::fuzzing::tokens,
};

/// A name and what to feed.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("signatures", signatures),
    ("queries", queries),
    ("parameters", parameters),
    ("forms", forms),
    ("tokens", tokens),
    ("names", names),
    ("manifests", manifests),
    ("requests", requests),
    ("updates", updates),
    ("windows", windows),
    ("policies", policies),
    ("trust", trust),
    ("rabbitmq", rabbitmq),
    ("lavinmq", lavinmq),
    ("activemq", activemq),
];
