//! What a request says of itself: by which key, when, for which region, with which signature.
//!
//! Read from the `Authorization` header or, for presigned URLs, from the query.

#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::api) mod fuzzing;

use aws_lc_rs::hmac;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{
    canonical::{Signed, sha256_hex},
    error::Error,
};
use crate::model::{AccessKeyId, Region};

/// How far a client's clock may be off, either way.
pub(super) const SKEW_MAX: TimeDelta = TimeDelta::minutes(15);
/// Of `X-Amz-Date`.
pub(super) const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "mq";
/// Sessions are another service's, on the same listener; it has one path.
const STS: &str = "sts";
const STS_PATH: &str = "/";
const TERMINATOR: &str = "aws4_request";
/// Longest life of a presigned URL: a week.
const EXPIRES_S_MAX: i64 = 604_800;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) access_key: AccessKeyId,
    /// Of session credentials.
    pub(super) token: Option<String>,
    pub(super) region: Region,
    /// The day in the credential's scope.
    date: String,
    service: String,
    /// `X-Amz-Date` as sent.
    time: String,
    signed_at: DateTime<Utc>,
    /// Of presigned URLs.
    lifetime: Option<TimeDelta>,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

/// The members of a claim before they are understood.
struct Raw {
    credential: String,
    signed_headers: String,
    signature: String,
    time: String,
    expires: Option<String>,
}

impl Claim {
    pub(super) fn read(request: &Signed<'_>) -> Result<Self, Error> {
        let raw = match request.header("authorization") {
            Some(header) => from_header(request, &header)?,
            None if request.parameter("X-Amz-Algorithm").is_some() => from_query(request)?,
            None => return Err(Error::Missing),
        };
        let mut claim = raw.understand()?;
        claim.check_coverage(request)?;
        let token = request.header("x-amz-security-token");
        claim.token = token.or_else(|| request.parameter("X-Amz-Security-Token"));
        Ok(claim)
    }

    /// Whether the credential is for this service, that day, and a region we answer for.
    pub(super) fn check_scope(&self, path: &str, regions: &[Region]) -> Result<(), Error> {
        let service = if path == STS_PATH { STS } else { SERVICE };
        if self.service != service {
            let text = format!("Credential should be scoped to correct service: '{service}'.");
            return Err(Error::Scope(text));
        }
        if !regions.contains(&self.region) {
            let text = format!(
                "Credential should be scoped to a valid region, not '{}'.",
                self.region
            );
            return Err(Error::Scope(text));
        }
        if self.time[..8] != self.date {
            return Err(Error::Scope(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{}' != '{}', from '{}'.",
                self.date,
                &self.time[..8],
                self.time,
            )));
        }
        Ok(())
    }

    pub(super) fn check_time(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let age = now - self.signed_at;
        if age < -SKEW_MAX {
            return Err(Error::NotYetCurrent {
                signed_at: self.signed_at,
                now,
            });
        }
        if age > self.lifetime.unwrap_or(SKEW_MAX) {
            let valid_until = self.signed_at + self.lifetime.unwrap_or_default();
            return Err(Error::Expired { valid_until, now });
        }
        Ok(())
    }

    /// Compares in constant time.
    pub(super) fn check_signature(
        &self,
        request: &Signed<'_>,
        body: &[u8],
        secret: &[u8],
    ) -> Result<(), Error> {
        // A hash that the client names must be the body's; it is signed like any other header.
        if request
            .header("x-amz-content-sha256")
            .is_some_and(|hash| hash != sha256_hex(body))
        {
            return Err(Error::Mismatch);
        }
        let text = self.to_sign(request, body).ok_or(Error::Mismatch)?;
        let key = self.signing_key(secret);
        hmac::verify(&key, text.as_bytes(), &self.signature).map_err(|_| Error::Mismatch)
    }

    /// What the signature is over; `None` when a signed header is not there.
    fn to_sign(&self, request: &Signed<'_>, body: &[u8]) -> Option<String> {
        let canonical = request.canonical(&self.signed_headers, body)?;
        let scope = format!(
            "{}/{}/{}/{TERMINATOR}",
            self.date, self.region, self.service
        );
        Some(format!(
            "{ALGORITHM}\n{}\n{scope}\n{}",
            self.time,
            sha256_hex(canonical.as_bytes())
        ))
    }

    fn signing_key(&self, secret: &[u8]) -> hmac::Key {
        let mut key = sign(&[b"AWS4", secret].concat(), self.date.as_bytes());
        for part in [self.region.as_str(), &self.service, TERMINATOR] {
            key = sign(key.as_ref(), part.as_bytes());
        }
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }

    /// Whether what decides about the request is signed: its host, its time, and every `x-amz-`
    /// header.
    fn check_coverage(&self, request: &Signed<'_>) -> Result<(), Error> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let amz = request.headers.keys().map(|name| name.as_str());
        let mut needed = amz
            .filter(|name| name.starts_with("x-amz-"))
            .chain(["host"]);
        match needed.find(|name| !is_signed(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Incomplete(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            ))),
        }
    }
}

fn from_header(request: &Signed<'_>, header: &str) -> Result<Raw, Error> {
    let Some(rest) = header.strip_prefix(ALGORITHM) else {
        return Err(Error::Incomplete(format!(
            "Authorization header requires the algorithm '{ALGORITHM}'."
        )));
    };
    let member = |name: &str| {
        rest.split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let need = |name: &str| {
        member(name).map(str::to_owned).ok_or_else(|| {
            Error::Incomplete(format!("Authorization header requires '{name}' parameter."))
        })
    };
    Ok(Raw {
        credential: need("Credential")?,
        signed_headers: need("SignedHeaders")?,
        signature: need("Signature")?,
        time: request.header("x-amz-date").ok_or_else(|| {
            Error::Incomplete("Authorization header requires existence of 'X-Amz-Date'.".into())
        })?,
        expires: None,
    })
}

fn from_query(request: &Signed<'_>) -> Result<Raw, Error> {
    let need = |name: &str| {
        request.parameter(name).ok_or_else(|| {
            Error::Incomplete(format!(
                "AWS query-string parameters must include '{name}'."
            ))
        })
    };
    if need("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Error::Incomplete(format!(
            "'X-Amz-Algorithm' must be '{ALGORITHM}'."
        )));
    }
    Ok(Raw {
        credential: need("X-Amz-Credential")?,
        signed_headers: need("X-Amz-SignedHeaders")?,
        signature: need("X-Amz-Signature")?,
        time: need("X-Amz-Date")?,
        expires: Some(need("X-Amz-Expires")?),
    })
}

impl Raw {
    fn understand(self) -> Result<Claim, Error> {
        let parts: Vec<&str> = self.credential.split('/').collect();
        let &[key, date, region, service, TERMINATOR] = parts.as_slice() else {
            return Err(Error::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/{TERMINATOR}."
            )));
        };
        let signed_at = NaiveDateTime::parse_from_str(&self.time, TIME_FORMAT)
            .ok()
            .filter(|_| self.time.len() == 16 && self.time.is_ascii())
            .ok_or_else(|| {
                Error::Incomplete(
                    "Date must be in ISO-8601 'basic format', YYYYMMDDTHHMMSSZ.".into(),
                )
            })?;
        let lifetime = self.expires.map(|text| lifetime(&text)).transpose()?;
        // Ids, regions and signatures of another form than ours cannot be ones of ours.
        Ok(Claim {
            access_key: AccessKeyId::parse(key).ok_or(Error::UnknownKey)?,
            token: None,
            region: Region::parse(region).ok_or_else(|| {
                Error::Scope("Credential should be scoped to a valid region.".to_owned())
            })?,
            date: date.to_owned(),
            service: service.to_owned(),
            time: self.time,
            signed_at: signed_at.and_utc(),
            lifetime,
            signed_headers: self
                .signed_headers
                .split(';')
                .map(str::to_ascii_lowercase)
                .collect(),
            signature: hex::decode(&self.signature).map_err(|_| Error::Mismatch)?,
        })
    }
}

fn lifetime(text: &str) -> Result<TimeDelta, Error> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=EXPIRES_S_MAX).contains(seconds));
    seconds.map(TimeDelta::seconds).ok_or_else(|| {
        Error::Incomplete(format!(
            "X-Amz-Expires must be between 1 and {EXPIRES_S_MAX} seconds."
        ))
    })
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

#[cfg(test)]
mod tests;
