//! A password on its way from a request to its hash.
//!
//! **Invariant:** it cannot be printed, logged or stored by accident: `Debug` and `Serialize`
//! show a fixed word.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, Serializer};

use super::entropy::Entropy;

const REDACTED: &str = "[redacted]";
const SALT_BYTES: usize = 4;

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    pub fn new(clear: impl Into<String>) -> Self {
        Self(clear.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// RabbitMQ's stored form, `base64(salt ++ sha256(salt ++ password))` with a salt of four
    /// bytes (its `rabbit_password_hashing_sha256`), so that definitions files can carry it.
    pub fn hash(&self, entropy: &dyn Entropy) -> String {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        STANDARD.encode(self.salted(&salt))
    }

    /// Whether `hash`, as made by [`Self::hash`], is of this password.
    pub fn matches(&self, hash: &str) -> bool {
        STANDARD.decode(hash).is_ok_and(|stored| {
            stored.len() > SALT_BYTES
                && constant_time::verify_slices_are_equal(
                    &stored,
                    &self.salted(&stored[..SALT_BYTES]),
                )
                .is_ok()
        })
    }

    fn salted(&self, salt: &[u8]) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(salt);
        context.update(self.0.as_bytes());
        [salt, context.finish().as_ref()].concat()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed([u8; 4]);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0);
        }
    }

    #[test]
    fn hash_is_the_one_rabbitmq_documents() {
        // The worked example of RabbitMQ's password guide: salt 908DC60A, password test12.
        let hash = Password::new("test12").hash(&Fixed([0x90, 0x8d, 0xc6, 0x0a]));
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
        assert!(Password::new("test12").matches(&hash));
        assert!(!Password::new("test13").matches(&hash));
        assert!(!Password::new("").matches(""));
    }

    #[test]
    fn it_never_shows() {
        let password = Password::new("correct horse battery");
        assert_eq!(format!("{password:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&password).unwrap(), "\"[redacted]\"");
    }
}
