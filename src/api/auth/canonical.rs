//! What a signature is computed over: the canonical request of Signature Version 4.
//!
//! Unlike S3, this service's clients encode the path twice: the canonical path is the path on
//! the wire with every byte outside the unreserved set, percent signs included, encoded again.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use axum::http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but `A-Z a-z 0-9 - . _ ~` is encoded.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const SEGMENTS: &AsciiSet = &STRICT.remove(b'/');

/// The parts of a request that a signature covers, as they came over the wire.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Percent-encoded, never decoded.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The host that the client addressed.
    pub(super) host: Option<&'a str>,
}

impl Signed<'_> {
    /// A header's values as they are signed: trimmed, inner spaces collapsed, joined by commas.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        if name == "host" {
            return self.host.map(collapse);
        }
        let values: Vec<_> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| collapse(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// The decoded value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        pairs(self.query).find_map(|(key, value)| (decode(key) == name).then(|| decode(value)))
    }

    /// The canonical request; `None` when a signed header is not there.
    pub(super) fn canonical(&self, signed_headers: &[String], body: &[u8]) -> Option<String> {
        let mut text = format!("{}\n{}\n{}\n", self.method, self.path(), self.query());
        for name in signed_headers {
            let _ = writeln!(text, "{name}:{}", self.header(name)?);
        }
        let _ = write!(text, "\n{}\n{}", signed_headers.join(";"), sha256_hex(body));
        Some(text)
    }

    fn path(&self) -> String {
        let mut segments: Vec<&str> = Vec::new();
        for segment in self.path.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                segment => segments.push(segment),
            }
        }
        let mut path = format!("/{}", segments.join("/"));
        if self.path.ends_with('/') && !segments.is_empty() {
            path.push('/');
        }
        utf8_percent_encode(&path, SEGMENTS).to_string()
    }

    fn query(&self) -> String {
        let encode = |text: &str| {
            let bytes: Vec<u8> = percent_decode_str(text).collect();
            percent_encoding::percent_encode(&bytes, STRICT).to_string()
        };
        let mut pairs: Vec<(String, String)> = pairs(self.query)
            .filter(|(key, _)| decode(key) != "X-Amz-Signature")
            .map(|(key, value)| (encode(key), encode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join("&")
    }
}

/// Lower-case hex of the SHA-256 of `bytes`.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn collapse(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
