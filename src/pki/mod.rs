//! The installation's own certificate authority: it signs what hosts and nodes ask for.
//!
//! Owns which fields a certificate carries. Does not own where the authority's key is kept (it is
//! sealed in the database) nor who may ask (the agents' endpoint decides).
//!
//! Invariant: nothing but the public key is taken from a signing request. Names, usages and
//! validity are the caller's words, so a host cannot ask itself into another identity.

mod authority;
mod identity;
mod request;

pub use authority::{Authority, Certificate};
pub use identity::{host_id_of, host_uri};
pub use request::{KeyAndRequest, public_key_of};

/// Why a key, request or certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the certificate signing request is not valid")]
    Request(#[source] rcgen::Error),
    #[error("only ECDSA P-256 keys are signed")]
    KeyAlgorithm,
    #[error("{0:?} is not a DNS name that a certificate can carry")]
    Name(String),
    #[error("the certificate authority cannot be read")]
    Authority(#[source] rcgen::Error),
    #[error("signing failed")]
    Sign(#[source] rcgen::Error),
    #[error("the system's random number generator failed")]
    Random,
    #[error("the validity ends outside the calendar")]
    Validity,
}
