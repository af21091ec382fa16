//! Documents with their signatures in one file: DSSE, the envelope of in-toto.
//!
//! Source: <https://github.com/secure-systems-lab/dsse>, protocol and envelope 1.0. The bytes that
//! are signed are the bytes that are read, so that no two readings of one JSON text can differ.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Error, SecretKey, TrustedKeys};

/// A payload of a named type, with who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    payload_type: String,
    /// Base64.
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

/// A payload that a trusted key vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub payload: Vec<u8>,
    /// The name of that key.
    pub signed_by: String,
}

impl Document {
    pub fn sign(payload_type: &str, payload: &[u8], key: &SecretKey) -> Self {
        Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signature {
                keyid: key.name().to_owned(),
                sig: key.sign(&pre_authentication(payload_type, payload)),
            }],
        }
    }

    /// # Errors
    /// [`Error::MalformedDocument`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|error| Error::MalformedDocument(error.to_string()))
    }

    /// The payload, when a trusted key signed it as a document of this type. Signatures of
    /// strangers neither help nor harm.
    ///
    /// # Errors
    /// What keeps the first signature from counting, when none does.
    pub fn open(&self, payload_type: &str, trusted: &TrustedKeys) -> Result<Opened, Error> {
        if self.payload_type != payload_type {
            return Err(Error::OtherType(self.payload_type.clone()));
        }
        let payload = STANDARD
            .decode(&self.payload)
            .map_err(|error| Error::MalformedDocument(error.to_string()))?;
        let message = pre_authentication(payload_type, &payload);
        let mut first = None;
        for signature in &self.signatures {
            match trusted.verify(&signature.keyid, &message, &signature.sig) {
                Ok(()) => {
                    return Ok(Opened {
                        payload,
                        signed_by: signature.keyid.clone(),
                    });
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Error::Unsigned))
    }
}

/// What is signed: type and payload with their lengths, so that neither runs into the other.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_protocol_says() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_document_opens_for_its_type_key_and_bytes_only() {
        let key = SecretKey::generate("releases").unwrap();
        let trusted = TrustedKeys::new(vec![key.public()]);
        let document = Document::sign("a/b", b"payload", &key);
        let text = serde_json::to_vec(&document).unwrap();
        let opened = Document::parse(&text).unwrap().open("a/b", &trusted);
        let opened = opened.unwrap();
        assert_eq!(
            (opened.payload.as_slice(), opened.signed_by.as_str()),
            (b"payload".as_slice(), "releases")
        );
        assert_eq!(
            document.open("a/c", &trusted),
            Err(Error::OtherType("a/b".to_owned()))
        );
        let nobody = TrustedKeys::default();
        assert_eq!(
            document.open("a/b", &nobody),
            Err(Error::UnknownKey("releases".to_owned()))
        );
        let forged = Document {
            payload: STANDARD.encode("pay load"),
            ..document.clone()
        };
        assert_eq!(
            forged.open("a/b", &trusted),
            Err(Error::WrongSignature("releases".to_owned()))
        );
        let unsigned = Document {
            signatures: Vec::new(),
            ..document.clone()
        };
        assert_eq!(unsigned.open("a/b", &trusted), Err(Error::Unsigned));

        let stranger = SecretKey::generate("stranger").unwrap();
        let mut by_both = Document::sign("a/b", b"payload", &stranger);
        by_both.signatures.extend(document.signatures);
        by_both.open("a/b", &trusted).unwrap();
    }
}
