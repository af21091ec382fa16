//! The durable queue: claims jobs from the `jobs` table, runs their handlers, writes how they ended.
//!
//! Knows no kinds of job: the caller registers a [`Handler`] for each. Whoever needs a job adds its
//! row in the transaction of the change that needs it, and rings the worker's bell afterwards.
//!
//! **Invariants**
//! - A claim is a lease with a fencing number. Whoever lost the lease cannot write an outcome; a
//!   worker that dies is taken over when the lease ends.
//! - Jobs with one serial key run one at a time, oldest first. Should a job commit that is older
//!   than one just being claimed, two may overlap for a moment: handlers are idempotent anyway.
//! - Leases run on the database's clock, the only one that all workers share.
//!
//! ```text
//!            claim                    Done
//!   ready ──────────> running ───────────────────> done
//!     ^                 │ │ Fail, or out of attempts
//!     │   Wait, Retry   │ └───────────────────────> failed
//!     └─────────────────┘
//!       (a lease that ended: running is claimed like ready)
//! ```

mod handler;
mod table;
mod worker;

pub use handler::{Claim, Handler, Handlers, Outcome};
pub use worker::{Options, run};
