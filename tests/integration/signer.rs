//! Signature Version 4 from the client's side, written from AWS's description of it and apart from
//! the product's own code, so that one mistake cannot hide another. Every part can be falsified.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use chrono::{DateTime, Utc};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Of a session.
    pub(crate) token: Option<String>,
}

/// What is signed, and what the signature claims.
#[derive(Debug, Clone)]
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a Key,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    /// As sent: percent-encoded once.
    pub(crate) path: &'a str,
    /// As sent, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) at: DateTime<Utc>,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl Signing<'_> {
    /// The `Authorization` and `X-Amz-Date` headers, and a session's token.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut signed = format!("host:{}\nx-amz-date:{}\n", self.host, self.time());
        let mut names = "host;x-amz-date".to_owned();
        if let Some(token) = &self.key.token {
            let _ = writeln!(signed, "x-amz-security-token:{token}");
            names.push_str(";x-amz-security-token");
        }
        let canonical = self.canonical(self.query, &signed, &names);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={}",
            self.key.id,
            self.scope(),
            self.signature(&canonical)
        );
        let token = self.key.token.iter();
        [
            ("authorization", authorization),
            ("x-amz-date", self.time()),
        ]
        .into_iter()
        .chain(token.map(|token| ("x-amz-security-token", token.clone())))
        .collect()
    }

    /// The query of a presigned request.
    pub(crate) fn presigned(&self, expires_s: u32) -> String {
        let credential = encode(&format!("{}/{}", self.key.id, self.scope()), false);
        let mut query = self.query.to_owned();
        if !query.is_empty() {
            query.push('&');
        }
        let _ = write!(
            query,
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={}\
             &X-Amz-Expires={expires_s}&X-Amz-SignedHeaders=host",
            self.time()
        );
        let canonical = self.canonical(&query, &format!("host:{}\n", self.host), "host");
        let _ = write!(query, "&X-Amz-Signature={}", self.signature(&canonical));
        query
    }

    fn canonical(&self, query: &str, headers: &str, names: &str) -> String {
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_by_key(|pair| pair.split_once('=').unwrap_or((pair, "")));
        format!(
            "{}\n{}\n{}\n{headers}\n{names}\n{}",
            self.method,
            encode(self.path, true),
            pairs.join("&"),
            sha256(self.body)
        )
    }

    fn signature(&self, canonical: &str) -> String {
        let text = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.time(),
            self.scope(),
            sha256(canonical.as_bytes())
        );
        let mut key = format!("AWS4{}", self.key.secret).into_bytes();
        for part in [&self.date(), self.region, self.service, "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        hex::encode(mac(&key, text.as_bytes()))
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.date(),
            self.region,
            self.service
        )
    }

    fn date(&self) -> String {
        self.at.format("%Y%m%d").to_string()
    }

    fn time(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }
}

/// Percent-encodes everything but unreserved characters, and slashes where they separate.
pub(crate) fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
        .as_ref()
        .to_vec()
}

fn sha256(data: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, data))
}
