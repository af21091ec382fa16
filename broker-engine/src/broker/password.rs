//! Password hashes in RabbitMQ's form: base64 of a salt of four bytes followed by SHA-256 of salt and password.

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::error::Error;

/// The name of the algorithm in definitions.
pub(crate) const SHA256: &str = "rabbit_password_hashing_sha256";

const SALT_LEN: usize = 4;

/// A salted hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordHash {
    salt: [u8; SALT_LEN],
    hash: [u8; digest::SHA256_OUTPUT_LEN],
}

impl PasswordHash {
    /// Hashes a password with a fresh salt.
    pub(crate) fn new(password: &[u8]) -> Self {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).expect("the system's random generator works once the process runs");
        Self {
            salt,
            hash: hash(&salt, password),
        }
    }

    /// Reads the form in definitions.
    pub(crate) fn parse(text: &str, algorithm: &str) -> Result<Self, Error> {
        if algorithm != SHA256 {
            return Err(Error::CommandInvalid(format!(
                "password hashing algorithm '{algorithm}' is not supported"
            )));
        }
        let invalid = || Error::CommandInvalid("the password hash is malformed".to_owned());
        let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
        let (salt, hash) = bytes.split_first_chunk().ok_or_else(invalid)?;
        Ok(Self {
            salt: *salt,
            hash: hash.try_into().map_err(|_| invalid())?,
        })
    }

    /// Whether the password is the one. Takes the same time for every wrong one.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&hash(&self.salt, password), &self.hash).is_ok()
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode([&self.salt[..], &self.hash].concat()))
    }
}

fn hash(salt: &[u8], password: &[u8]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(password);
    let mut output = [0; digest::SHA256_OUTPUT_LEN];
    output.copy_from_slice(context.finish().as_ref());
    output
}

#[cfg(test)]
mod tests {
    use super::{PasswordHash, SHA256};

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
            PasswordHash::parse(&hash.to_string(), SHA256).unwrap(),
            hash
        );
        assert_ne!(PasswordHash::new(b"secret"), hash, "salts differ");
        assert!(PasswordHash::parse("AAAA", SHA256).is_err());
    }
}
