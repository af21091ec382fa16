//! Named Ed25519 keys as one line of text each, and what they vouch for.
//!
//! Owns the form of keys, signatures and signed documents; knows nothing of what is signed.
//! Invariant: nothing counts as signed unless a key that the caller trusts by name and bytes
//! verified it, and what is signed in one place is good for no other: every statement says in
//! itself what it is.
//!
//! Keys are written `NAME:BASE64`, in the manner of Nix: the public one holds 32 bytes (RFC 8032),
//! the secret one the seed of the pair, marked by a name that ends in `.secret`.

mod document;
mod key;

pub use document::{Document, Opened};
pub use key::{PublicKey, SecretKey, TrustedKeys};

/// Why a key cannot be used, or a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is no key: expected NAME:BASE64")]
    MalformedKey(String),
    #[error("a secret key was given where a public one belongs")]
    SecretKey,
    #[error("the name of a key has letters, digits, dots, hyphens and underscores only")]
    KeyName,
    #[error("no trusted key is named {0}")]
    UnknownKey(String),
    #[error("the signature by key {0} is wrong")]
    WrongSignature(String),
    #[error("it is no signed document: {0}")]
    MalformedDocument(String),
    #[error("it is a document of type {0}")]
    OtherType(String),
    #[error("it is signed by nobody")]
    Unsigned,
    #[error("the random number generator failed")]
    Entropy,
}
