//! HTTP to [`crate::app`] and back: restJson1 as Amazon MQ's clients speak it.
//!
//! Owns routes, authentication, and the spelling of requests, responses and errors. Decides
//! nothing about brokers. Every answer carries a request id; every error is JSON.

pub mod agent;
mod audit;
mod auth;
mod body;
mod broker;
mod catalogue;
mod configuration;
mod envelope;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod health;
mod origin;
mod query;
mod router;
mod sts;
mod tag;
mod throttle;
mod timestamp;
mod user;

pub use router::{ApiState, ROUTES, router};
