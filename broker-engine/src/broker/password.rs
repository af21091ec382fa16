//! Password hashes in RabbitMQ's form: base64 of a salt of four bytes followed by the hash of salt and password.
//!
//! New passwords are hashed with SHA-256; the other algorithms are for users that come from elsewhere.

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};

use super::error::Error;

/// The name of the algorithm of new passwords.
pub(crate) const SHA256: &str = "rabbit_password_hashing_sha256";

const SHA512: &str = "rabbit_password_hashing_sha512";

const MD5: &str = "rabbit_password_hashing_md5";

const SALT_LEN: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
    Md5,
}

impl Algorithm {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            SHA256 => Self::Sha256,
            SHA512 => Self::Sha512,
            MD5 => Self::Md5,
            _ => return None,
        })
    }

    fn hash(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        let sha = |algorithm| {
            let mut context = digest::Context::new(algorithm);
            context.update(salt);
            context.update(password);
            context.finish().as_ref().to_vec()
        };
        match self {
            Self::Sha256 => sha(&digest::SHA256),
            Self::Sha512 => sha(&digest::SHA512),
            Self::Md5 => {
                let digest = Md5::new().chain_update(salt).chain_update(password);
                digest.finalize().to_vec()
            }
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Md5 => 16,
        }
    }
}

/// A salted hash, or none: then no password is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordHash {
    algorithm: Algorithm,
    salted: Option<([u8; SALT_LEN], Vec<u8>)>,
}

impl PasswordHash {
    /// Hashes a password with a fresh salt.
    pub(crate) fn new(password: &[u8]) -> Self {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).expect("the system's random generator works once the process runs");
        let algorithm = Algorithm::Sha256;
        let hash = algorithm.hash(&salt, password);
        Self {
            algorithm,
            salted: Some((salt, hash)),
        }
    }

    /// Reads the form in definitions.
    pub(crate) fn parse(text: &str, algorithm: &str) -> Result<Self, Error> {
        let algorithm = Algorithm::from_name(algorithm).ok_or_else(|| {
            Error::PreconditionFailed(format!(
                "password hashing algorithm '{algorithm}' is not supported"
            ))
        })?;
        if text.is_empty() {
            return Ok(Self {
                algorithm,
                salted: None,
            });
        }
        let invalid = || Error::PreconditionFailed("the password hash is malformed".to_owned());
        let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
        let (salt, hash) = bytes.split_first_chunk().ok_or_else(invalid)?;
        if hash.len() != algorithm.len() {
            return Err(invalid());
        }
        Ok(Self {
            algorithm,
            salted: Some((*salt, hash.to_vec())),
        })
    }

    /// Whether the password is the one. Takes the same time for every wrong one. The empty one never is.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        self.salted.as_ref().is_some_and(|(salt, hash)| {
            let own = self.algorithm.hash(salt, password);
            constant_time::verify_slices_are_equal(&own, hash).is_ok() && !password.is_empty()
        })
    }

    /// The name of its algorithm in definitions.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Sha256 => SHA256,
            Algorithm::Sha512 => SHA512,
            Algorithm::Md5 => MD5,
        }
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.salted {
            Some((salt, hash)) => f.write_str(&STANDARD.encode([&salt[..], hash].concat())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::{Algorithm, MD5, PasswordHash, SHA256, SHA512};

    #[test]
    fn the_documented_example_verifies() {
        // From RabbitMQ's documentation on credentials and passwords.
        let hash = PasswordHash::parse("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", SHA256)
            .unwrap();
        assert!(hash.verify(b"test12"));
        assert!(!hash.verify(b"test13"));
    }

    #[test]
    fn a_fresh_hash_verifies_and_survives_its_text_form() {
        let hash = PasswordHash::new(b"secret");
        assert!(hash.verify(b"secret") && !hash.verify(b""));
        assert_eq!(
            PasswordHash::parse(&hash.to_string(), hash.algorithm()).unwrap(),
            hash
        );
        assert_ne!(PasswordHash::new(b"secret"), hash, "salts differ");
        assert!(PasswordHash::parse("AAAA", SHA256).is_err());
    }

    #[test]
    fn hashes_of_other_algorithms_verify() {
        for (name, algorithm) in [(SHA512, Algorithm::Sha512), (MD5, Algorithm::Md5)] {
            let hash = algorithm.hash(b"salt", b"secret");
            let text = STANDARD.encode([&b"salt"[..], &hash].concat());
            let hash = PasswordHash::parse(&text, name).unwrap();
            assert!(hash.verify(b"secret") && !hash.verify(b"other"));
            assert_eq!((hash.to_string(), hash.algorithm()), (text, name));
        }
        // RFC 1321, A.5: the digest of "message digest".
        let digest = Algorithm::Md5.hash(b"mess", b"age digest");
        assert_eq!(digest[..4], [0xf9, 0x6b, 0x69, 0x7d]);
    }

    #[test]
    fn nobody_logs_in_without_a_password() {
        let none = PasswordHash::parse("", SHA256).unwrap();
        assert!(!none.verify(b"") && !none.verify(b"x"));
        assert_eq!(none.to_string(), "");
        assert!(!PasswordHash::new(b"").verify(b""));
    }
}
