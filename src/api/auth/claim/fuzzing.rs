//! Requests in any bytes: whoever has the secret can sign each of them so that it is believed, and nobody else.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::DateTime;

use super::{Claim, Signed, hmac, sha256_hex};
use crate::model::Region;

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const OTHER: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEX";

/// A request as it would be sent: method and target, headers, an empty line, and the body.
pub fn signatures(bytes: &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut lines = head.split('\n');
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = headers(lines);
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let signed = Signed {
        method,
        path,
        query,
        headers: &headers,
        host,
    };
    let Ok(mut claim) = Claim::read(&signed) else {
        return;
    };
    let region = Region::parse("us-east-1").expect("a region");
    // Neither may panic, whatever they come to.
    let _ = claim.check_scope(path, &[region]);
    let _ = claim.check_time(DateTime::from_timestamp(1_800_000_000, 0).expect("a time"));
    assert!(claim.check_signature(&signed, body, SECRET).is_err() || claim.signature.len() == 32);

    let Some(text) = claim.to_sign(&signed, body) else {
        assert!(claim.check_signature(&signed, body, SECRET).is_err());
        return;
    };
    let tag = hmac::sign(&claim.signing_key(SECRET), text.as_bytes());
    claim.signature = tag.as_ref().to_vec();
    let named = signed.header("x-amz-content-sha256");
    let fits = named.is_none_or(|hash| hash == sha256_hex(body));
    assert_eq!(claim.check_signature(&signed, body, SECRET).is_ok(), fits);
    assert!(claim.check_signature(&signed, body, OTHER).is_err());
    let longer = [body, b"x"].concat();
    assert!(claim.check_signature(&signed, &longer, SECRET).is_err());
    let path = format!("{path}/x");
    for other in [
        Signed {
            method: "x",
            ..signed
        },
        Signed {
            path: &path,
            ..signed
        },
        Signed {
            host: Some("x"),
            ..signed
        },
        Signed {
            host: None,
            ..signed
        },
    ] {
        let is_same =
            (other.method, other.host) == (signed.method, signed.host) && other.path == signed.path;
        assert!(is_same || claim.check_signature(&other, body, SECRET).is_err());
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    lines
        .take(100)
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((
                name.parse::<HeaderName>().ok()?,
                HeaderValue::from_str(value.trim()).ok()?,
            ))
        })
        .collect()
}
