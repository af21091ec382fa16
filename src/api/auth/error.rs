//! Why a request is not believed. The texts are AWS's own; SDKs and people look for them.

use chrono::{DateTime, TimeDelta, Utc};

use super::claim::{SKEW_MAX, TIME_FORMAT};
use crate::app::NoCredential;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum Error {
    #[error("Missing Authentication Token")]
    Missing,
    #[error("{0}")]
    Incomplete(String),
    /// Unknown and disabled keys are not told apart.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    )]
    Mismatch,
    #[error(
        "Signature expired: {} is now earlier than {} ({} - {} min.)",
        text(.valid_until), text(&earliest(.now)), text(.now), SKEW_MAX.num_minutes()
    )]
    Expired {
        valid_until: DateTime<Utc>,
        now: DateTime<Utc>,
    },
    #[error(
        "Signature not yet current: {} is still later than {} ({} + {} min.)",
        text(.signed_at), text(&latest(.now)), text(.now), SKEW_MAX.num_minutes()
    )]
    NotYetCurrent {
        signed_at: DateTime<Utc>,
        now: DateTime<Utc>,
    },
    #[error("{0}")]
    Scope(String),
}

impl From<NoCredential> for Error {
    fn from(reason: NoCredential) -> Self {
        match reason {
            NoCredential::Unknown => Self::UnknownKey,
            NoCredential::Expired => Self::ExpiredToken,
        }
    }
}

fn text(time: &DateTime<Utc>) -> String {
    time.format(TIME_FORMAT).to_string()
}

fn earliest(now: &DateTime<Utc>) -> DateTime<Utc> {
    add(now, -SKEW_MAX)
}

fn latest(now: &DateTime<Utc>) -> DateTime<Utc> {
    add(now, SKEW_MAX)
}

fn add(now: &DateTime<Utc>, delta: TimeDelta) -> DateTime<Utc> {
    now.checked_add_signed(delta).unwrap_or(*now)
}
