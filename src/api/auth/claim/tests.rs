//! Requests signed by botocore (`vectors.json`), as they are and tampered with.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    access_key: String,
    secret: String,
    signed_at: DateTime<Utc>,
    region: String,
    requests: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn vector(name: &str) -> Vector {
    vectors()
        .requests
        .into_iter()
        .find(|vector| vector.name == name)
        .unwrap()
}

impl Vector {
    /// Everything that a server checks, `late` after the signing.
    fn verify_after(&self, late: TimeDelta) -> Result<Claim, Error> {
        let Vectors {
            secret,
            signed_at,
            region,
            ..
        } = vectors();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let host = headers
            .get("host")
            .map(|host| host.to_str().unwrap().to_owned());
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let method = self.method.as_str();
        let signed = Signed {
            method,
            path,
            query,
            headers: &headers,
            host: host.as_deref(),
        };
        let claim = Claim::read(&signed)?;
        claim.check_scope("/v1/brokers", &[Region::parse(&region).unwrap()])?;
        claim.check_time(signed_at + late)?;
        claim.check_signature(&signed, self.body.as_bytes(), secret.as_bytes())?;
        Ok(claim)
    }

    fn verify(&self) -> Result<Claim, Error> {
        self.verify_after(TimeDelta::zero())
    }

    fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(held, _)| held != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn replacing(mut self, from: &str, to: &str) -> Self {
        self.target = self.target.replace(from, to);
        for (_, value) in &mut self.headers {
            *value = value.replace(from, to);
        }
        self
    }
}

#[test]
fn what_botocore_signs_is_believed() {
    let Vectors {
        access_key,
        requests,
        ..
    } = vectors();
    for vector in requests {
        let claim = vector.verify();
        assert!(claim.is_ok(), "{}: {claim:?}", vector.name);
        assert_eq!(claim.unwrap().access_key.as_str(), access_key);
    }
}

#[test]
fn any_change_breaks_the_signature() {
    let create = vector("create");
    let delete = "delete tags with a repeated key";
    let arn = "tags by an encoded ARN";
    let changed = [
        Vector {
            body: create.body.replace("false", "true"),
            ..create.clone()
        },
        Vector {
            method: "PUT".into(),
            ..create.clone()
        },
        create.clone().with_header("content-type", "text/plain"),
        create.clone().with_header("host", "127.0.0.1:8081"),
        Vector {
            target: "/v1/brokers/x".into(),
            ..create.clone()
        },
        vector(delete).replacing("tagKeys=a&", ""),
        vector(delete).replacing("tagKeys=a", "tagKeys=d"),
        vector(arn).replacing("orders", "others"),
        vector("a presigned list").replacing("maxResults=5", "maxResults=50"),
        vector("a presigned list").replacing("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        vector("a named body hash").with_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        Vector {
            body: "{}".into(),
            ..vector("a named body hash")
        },
    ];
    for vector in changed {
        assert_eq!(vector.verify(), Err(Error::Mismatch), "{}", vector.name);
    }
}

#[test]
fn another_encoding_of_the_same_path_is_another_path() {
    // The raw path is what is signed: a client that sends colons signs colons.
    let arn = vector("tags by an encoded ARN").replacing("%3A", ":");
    assert_eq!(arn.verify(), Err(Error::Mismatch));
}

#[test]
fn an_unsigned_header_of_a_proxy_does_no_harm() {
    let vector = vector("list")
        .with_header("x-request-id", "7")
        .with_header("via", "1.1 proxy");
    assert!(vector.verify().is_ok());
}

#[test]
fn a_clock_may_be_fifteen_minutes_off_and_no_more() {
    let list = vector("list");
    let seconds = |minutes: i64, more: i64| TimeDelta::seconds(minutes * 60 + more);
    assert!(list.verify_after(seconds(15, 0)).is_ok());
    assert!(list.verify_after(seconds(-15, 0)).is_ok());
    let expired = list.verify_after(seconds(15, 1)).unwrap_err();
    assert_eq!(
        expired.to_string(),
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z \
         (20260102T031906Z - 15 min.)"
    );
    let early = list.verify_after(seconds(-15, -1)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z \
         (20260102T024904Z + 15 min.)"
    );
}

#[test]
fn a_presigned_url_lives_as_long_as_it_says() {
    let presigned = vector("a presigned ARN");
    assert!(presigned.verify_after(TimeDelta::seconds(60)).is_ok());
    let expired = presigned.verify_after(TimeDelta::seconds(61));
    assert!(matches!(expired, Err(Error::Expired { .. })), "{expired:?}");
    for lifetime in ["0", "604801", "-1", "x"] {
        let changed = vector("a presigned ARN")
            .replacing("X-Amz-Expires=60", &format!("X-Amz-Expires={lifetime}"));
        assert!(
            matches!(changed.verify(), Err(Error::Incomplete(_))),
            "{lifetime}"
        );
    }
}

#[test]
fn a_credential_for_elsewhere_is_told_so() {
    for (from, to, text) in [
        (
            "us-east-1",
            "eu-west-1",
            "Credential should be scoped to a valid region, not 'eu-west-1'.",
        ),
        (
            "/mq/",
            "/sqs/",
            "Credential should be scoped to correct service: 'mq'.",
        ),
        (
            "/20260102/",
            "/20260103/",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '20260103' != '20260102', from '20260102T030405Z'.",
        ),
    ] {
        assert_eq!(
            vector("list").replacing(from, to).verify(),
            Err(Error::Scope(text.to_owned()))
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut anonymous = vector("list");
    anonymous
        .headers
        .retain(|(name, _)| name != "authorization");
    assert_eq!(anonymous.verify(), Err(Error::Missing));

    for (member, text) in [
        (
            "Credential=",
            "Authorization header requires 'Credential' parameter.",
        ),
        (
            "SignedHeaders=",
            "Authorization header requires 'SignedHeaders' parameter.",
        ),
        (
            "Signature=",
            "Authorization header requires 'Signature' parameter.",
        ),
    ] {
        let partial = vector("list").replacing(member, "Other=");
        assert_eq!(partial.verify(), Err(Error::Incomplete(text.to_owned())));
    }
    for (from, to) in [
        ("host;x-amz-date", "x-amz-date"),
        ("host;x-amz-date", "host"),
        ("/aws4_request", ""),
        ("20260102T030405Z", "yesterday"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
    ] {
        let partial = vector("list").replacing(from, to).verify();
        assert!(
            matches!(partial, Err(Error::Incomplete(_))),
            "{to}: {partial:?}"
        );
    }
}

#[test]
fn what_cannot_be_ours_is_refused_without_a_search() {
    let odd = vector("list").replacing("AKIDEXAMPLE000000000", "short");
    assert_eq!(odd.verify(), Err(Error::UnknownKey));
    for signature in ["Signature=zz", "Signature=0"] {
        let cut = vector("list").replacing("Signature=", signature).verify();
        assert_eq!(cut, Err(Error::Mismatch));
    }
}
