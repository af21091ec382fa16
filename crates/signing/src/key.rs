//! Keys, and single signatures by them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Error;

const KEY_BYTES: usize = 32;
/// Ends the names of secret keys, so that none is taken for a public one.
const SECRET: &str = ".secret";

/// A key that signatures are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    bytes: [u8; KEY_BYTES],
}

impl PublicKey {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `signature` is in base64.
    ///
    /// # Errors
    /// [`Error::WrongSignature`] when this key did not sign `message`.
    pub fn verify(&self, message: &[u8], signature: &str) -> Result<(), Error> {
        let wrong = || Error::WrongSignature(self.name.clone());
        let signature = STANDARD.decode(signature).map_err(|_| wrong())?;
        UnparsedPublicKey::new(&ED25519, self.bytes)
            .verify(message, &signature)
            .map_err(|_| wrong())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, STANDARD.encode(self.bytes))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, bytes) = parse(text)?;
        if name.ends_with(SECRET) {
            return Err(Error::SecretKey);
        }
        Ok(Self {
            name: name.to_owned(),
            bytes: *bytes,
        })
    }
}

/// A key that signs. Not printed.
pub struct SecretKey {
    name: String,
    seed: Zeroizing<[u8; KEY_BYTES]>,
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// A new key of this name.
    ///
    /// # Errors
    /// [`Error::KeyName`], and [`Error::Entropy`] when the system has no random numbers.
    pub fn generate(name: &str) -> Result<Self, Error> {
        use aws_lc_rs::rand::SecureRandom as _;
        check_name(name)?;
        if name.ends_with(SECRET) {
            return Err(Error::KeyName);
        }
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(seed.as_mut_slice())
            .map_err(|_| Error::Entropy)?;
        Self::from_seed(name, seed)
    }

    /// The form that [`SecretKey::to_text`] writes.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; the text is not told.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || Error::MalformedKey("the secret key".to_owned());
        let (name, seed) = parse(text).map_err(|_| malformed())?;
        let name = name.strip_suffix(SECRET).ok_or_else(malformed)?;
        Self::from_seed(name, seed)
    }

    /// One line; whoever reads it can sign in this key's name.
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(STANDARD.encode(self.seed.as_slice()));
        Zeroizing::new(format!("{}{SECRET}:{}", self.name, seed.as_str()))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey {
            name: self.name.clone(),
            bytes,
        }
    }

    /// The signature in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message))
    }

    fn from_seed(name: &str, seed: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| Error::MalformedKey("the secret key".to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            seed,
            pair,
        })
    }
}

/// The keys that somebody trusts. None of them: nothing is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self(keys)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a trusted key of this name signed `message`. While a key is replaced two may have
    /// one name.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] and [`Error::WrongSignature`].
    pub fn verify(&self, key_name: &str, message: &[u8], signature: &str) -> Result<(), Error> {
        let mut outcome = Err(Error::UnknownKey(key_name.to_owned()));
        for key in self.0.iter().filter(|key| key.name == key_name) {
            outcome = key.verify(message, signature);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

fn parse(text: &str) -> Result<(&str, Zeroizing<[u8; KEY_BYTES]>), Error> {
    let malformed = || Error::MalformedKey(text.chars().take(40).collect());
    let (name, encoded) = text.trim().split_once(':').ok_or_else(malformed)?;
    check_name(name)?;
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| malformed())?);
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if decoded.len() != KEY_BYTES {
        return Err(malformed());
    }
    bytes.copy_from_slice(&decoded);
    Ok((name, bytes))
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        return Err(Error::KeyName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_a_secret_one_is_never_taken_for_a_public_one() {
        let secret = SecretKey::generate("releases-1").unwrap();
        let again = SecretKey::parse(&secret.to_text()).unwrap();
        assert_eq!(again.public(), secret.public());
        let public: PublicKey = secret.public().to_string().parse().unwrap();
        assert_eq!(public, secret.public());
        assert_eq!(secret.to_text().parse::<PublicKey>(), Err(Error::SecretKey));
        assert!(SecretKey::parse(&public.to_string()).is_err());
        for text in ["", "a", "a:", ":AAAA", "a b:AAAA", "a:AAAA"] {
            assert!(text.parse::<PublicKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_first_vector_of_rfc_8032_verifies() {
        let key = format!(
            "rfc:{}",
            STANDARD.encode([
                0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
                0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
                0xf7, 0x07, 0x51, 0x1a,
            ])
        );
        let key: PublicKey = key.parse().unwrap();
        let signature = [
            0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e,
            0x82, 0x8a, 0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65,
            0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e,
            0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2, 0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24,
            0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b,
        ];
        key.verify(b"", &STANDARD.encode(signature)).unwrap();
        assert!(key.verify(b"x", &STANDARD.encode(signature)).is_err());
    }

    #[test]
    fn only_the_trusted_key_of_that_name_counts() {
        let ours = SecretKey::generate("a").unwrap();
        let impostor = SecretKey::generate("a").unwrap();
        let trusted = TrustedKeys::new(vec![ours.public()]);
        trusted.verify("a", b"m", &ours.sign(b"m")).unwrap();
        assert_eq!(
            trusted.verify("a", b"m", &impostor.sign(b"m")),
            Err(Error::WrongSignature("a".to_owned()))
        );
        assert_eq!(
            trusted.verify("b", b"m", &ours.sign(b"m")),
            Err(Error::UnknownKey("b".to_owned()))
        );
        assert!(trusted.verify("a", b"n", &ours.sign(b"m")).is_err());
        assert!(trusted.verify("a", b"m", "?").is_err());
        let both = TrustedKeys::new(vec![ours.public(), impostor.public()]);
        both.verify("a", b"m", &impostor.sign(b"m")).unwrap();
    }
}
