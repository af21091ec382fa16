//! Warren: the open, self-hosted managed message-broker service.
//!
//! The control plane, one library behind one multi-role binary. A request flows
//! [`api`] → [`app`] → [`db`]; what it asks for becomes true through [`jobs`],
//! [`workflows`] and [`reconcilers`], which place nodes with [`provision`] and hear from the
//! host agents through [`api::agent`]. [`model`] is the pure domain that all of them share.
//! Who may import whom is held by a test.

pub mod api;
pub mod app;
pub mod config;
pub mod db;
pub mod dev;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod jobs;
pub mod listener;
pub mod metrics;
pub mod model;
pub mod pki;
pub mod provision;
pub mod reconcilers;
pub mod roles;
pub mod secrets;
pub mod telemetry;
pub mod workflows;
