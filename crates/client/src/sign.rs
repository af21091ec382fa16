//! AWS Signature Version 4 of requests to the `mq` service, in the header form.
//!
//! Source: AWS General Reference, "Create a signed AWS API request". As for every service but S3,
//! the canonical path is the wire path encoded once more.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};

use crate::encode;

const SERVICE: &str = "mq";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// An access key. `Debug` shows its id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// What is signed. Paths and queries are in wire form, already percent-encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    /// With the port, unless it is the scheme's own.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// The headers that make the request a signed one, beside `host` and `content-type`.
pub(crate) fn sign(
    request: Unsigned<'_>,
    credentials: &Credentials,
    region: &str,
    now: DateTime<Utc>,
) -> Vec<(&'static str, String)> {
    let timestamp = now.format("%Y%m%dT%H%M%SZ").to_string();
    let date = &timestamp[..8];
    let mut headers = Vec::with_capacity(4);
    if let Some(content_type) = request.content_type {
        headers.push(("content-type", content_type));
    }
    headers.push(("host", request.host));
    headers.push(("x-amz-date", &timestamp));
    if let Some(token) = &credentials.session_token {
        headers.push(("x-amz-security-token", token));
    }
    let names = headers
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let canonical = canonical_request(&request, &headers, &names);
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let to_sign = format!(
        "{ALGORITHM}\n{timestamp}\n{scope}\n{}",
        sha256_hex(canonical.as_bytes())
    );
    let signature = hex::encode(signing_key(
        &credentials.secret_access_key,
        date,
        region,
        &to_sign,
    ));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key_id
    );
    let mut signed = vec![
        ("x-amz-date", timestamp.clone()),
        ("authorization", authorization),
    ];
    if let Some(token) = &credentials.session_token {
        signed.push(("x-amz-security-token", token.clone()));
    }
    signed
}

fn canonical_request(request: &Unsigned<'_>, headers: &[(&str, &str)], names: &str) -> String {
    let mut query: Vec<String> = request
        .query
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    query.sort();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        request.method,
        encode::path(request.path),
        query.join("&"),
        sha256_hex(request.body)
    )
}

fn signing_key(secret: &str, date: &str, region: &str, to_sign: &str) -> hmac::Tag {
    let key = format!("AWS4{secret}");
    [date, region, SERVICE, "aws4_request", to_sign]
        .into_iter()
        .fold(None, |tag: Option<hmac::Tag>, part| {
            let key = tag.as_ref().map_or(key.as_bytes(), AsRef::as_ref);
            Some(hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, key),
                part.as_bytes(),
            ))
        })
        .expect("the fold runs over five parts")
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS_PATH: &str = "/v1/tags/arn%3Aaws%3Amq%3Aus-east-1%3A123456789012%3Abroker%3Ax%3Ab-1";

    /// Signatures of the same requests by botocore 1.44.5.
    #[track_caller]
    fn assert_signature(request: Unsigned<'_>, token: Option<&str>, names: &str, signature: &str) {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: token.map(str::to_owned),
        };
        let now = "2026-03-04T05:06:07Z".parse().unwrap();
        let headers = sign(request, &credentials, "us-east-1", now);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260304/us-east-1/mq/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        assert!(
            headers.contains(&("authorization", expected)),
            "{headers:?}"
        );
        assert!(headers.contains(&("x-amz-date", "20260304T050607Z".to_owned())));
    }

    fn request<'a>(method: &'a str, path: &'a str, query: &'a [(String, String)]) -> Unsigned<'a> {
        Unsigned {
            method,
            host: "127.0.0.1:8080",
            path,
            query,
            content_type: None,
            body: b"",
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| (encode::label(k), encode::label(v)))
            .collect()
    }

    #[test]
    fn a_plain_get_signs_as_botocore_does() {
        assert_signature(
            request("GET", "/v1/brokers", &[]),
            None,
            "host;x-amz-date",
            "a72bf2d1e0c48fc9e85c7e2c4cbc2b40bcb43577da7134831d2e216b26899902",
        );
    }

    #[test]
    fn a_query_that_needs_encoding_signs_as_botocore_does() {
        assert_signature(
            request(
                "GET",
                "/v1/brokers",
                &pairs(&[("maxResults", "5"), ("nextToken", "a b/c==")]),
            ),
            None,
            "host;x-amz-date",
            "11178bca325ced39ae30979a9fb022b2eefcfc6a5c847cbd3db4f48a24d15890",
        );
    }

    #[test]
    fn repeated_query_keys_sign_as_botocore_does() {
        let query = pairs(&[("tagKeys", "b"), ("tagKeys", "a"), ("tagKeys", "ä z")]);
        assert_signature(
            request("DELETE", TAGS_PATH, &query),
            None,
            "host;x-amz-date",
            "a2eb3a06f80a7a3c3f95858acb590d1130cad977f860c7dd99717dff94e32ef5",
        );
    }

    #[test]
    fn a_body_an_arn_in_the_path_and_a_session_token_sign_as_botocore_does() {
        let mut request = request("POST", TAGS_PATH, &[]);
        request.content_type = Some("application/json");
        request.body = br#"{"tags": {"k": "v"}}"#;
        assert_signature(
            request,
            Some("TOKEN/+="),
            "content-type;host;x-amz-date;x-amz-security-token",
            "27be4d17cd3db0520b6c9e23c75522d676fa9afb40606b7ae55b0d9019c2ebdf",
        );
    }

    #[test]
    fn the_default_port_is_not_part_of_the_host() {
        let mut request = request("POST", "/v1/brokers/b-1/reboot", &[]);
        request.host = "mq.example.test";
        assert_signature(
            request,
            None,
            "host;x-amz-date",
            "2854ec0a43e7e35a3ea1641da6ceb67faf39115f98b1343bf190aae06222c05a",
        );
    }

    #[test]
    fn credentials_do_not_print_their_secret() {
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "hidden".to_owned(),
            session_token: Some("hidden".to_owned()),
        };
        assert!(!format!("{credentials:?}").contains("hidden"));
    }
}
