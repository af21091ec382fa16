//! Who this host is: a key made here, and the certificate that the control plane gave for it.

use std::sync::Arc;
use std::time::Duration;

use agent_api::{EnrolRequest, EnrolResponse};
use chrono::{DateTime, TimeDelta, Utc};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::control_plane::{self, ControlPlane};
use crate::layout::Layout;
use crate::retry::Backoff;
use crate::{Error, Options, clock, files};

/// Kept in one file, so that key and certificate always belong together.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    pub host_id: Uuid,
    pub(crate) host_name: String,
    pub(crate) zone: String,
    pub(crate) key_pem: String,
    /// Leaf first.
    pub(crate) certificate_pem: String,
    pub(crate) ca_pem: String,
    pub(crate) renew_at: DateTime<Utc>,
}

impl Identity {
    /// Redeems a token for an identity that is kept nowhere: it ends with the process, and the host
    /// needs another token then.
    pub async fn enrol(control_url: &str, ca_pem: &str, token: &str) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let request = enrol_request(token, &key)?;
        let answer = control_plane::enrol(control_url, ca_pem, &request).await?;
        Ok(Self::granted(&key, answer))
    }

    fn granted(key: &KeyPair, answer: EnrolResponse) -> Self {
        Self {
            host_id: answer.host_id,
            host_name: answer.host_name,
            zone: answer.zone,
            key_pem: key.serialize_pem(),
            certificate_pem: answer.certificate_pem,
            ca_pem: answer.ca_pem,
            renew_at: after_seconds(clock::now(), answer.renew_after_s),
        }
    }
}

fn enrol_request(token: &str, key: &KeyPair) -> Result<EnrolRequest, Error> {
    Ok(EnrolRequest {
        token: token.to_owned(),
        csr_pem: request_for(key)?,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The key of an enrolment whose answer has not arrived: the same token can be sent again only
/// with the same key.
#[derive(Serialize, Deserialize)]
struct Enrolment {
    key_pem: String,
}

/// A fresh key and the request for its certificate, PEM.
pub(crate) fn key_and_request() -> Result<(String, String), Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((key.serialize_pem(), request_for(&key)?))
}

fn request_for(key: &KeyPair) -> Result<String, Error> {
    Ok(CertificateParams::default().serialize_request(key)?.pem()?)
}

pub(crate) fn after_seconds(now: DateTime<Utc>, seconds: u64) -> DateTime<Utc> {
    let delta = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
    delta
        .and_then(|delta| now.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Reads the identity, or enrols the host. Waits for a control plane that cannot be reached.
pub(crate) async fn obtain(
    options: &Options,
    layout: &Layout,
    shutdown: &CancellationToken,
) -> Result<Option<Identity>, Error> {
    if let Some(identity) = files::read_json(&layout.identity())? {
        return Ok(Some(identity));
    }
    let token = options.token.clone().ok_or(Error::NoToken)?;
    let key = enrolment_key(layout)?;
    let request = enrol_request(&token, &key)?;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let answer = loop {
        let call = control_plane::enrol(&options.control_url, &options.ca_pem, &request);
        let failure = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            answer = call => match answer {
                Ok(answer) => break answer,
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            },
        };
        tracing::warn!(error = %failure, "enrolment has to wait");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.failed()) => {}
        }
    };
    let identity = Identity::granted(&key, answer);
    files::write_json(&layout.identity(), &identity)?;
    files::remove(&layout.enrolment())?;
    tracing::info!(host = %identity.host_name, zone = %identity.zone, "enrolled");
    Ok(Some(identity))
}

fn enrolment_key(layout: &Layout) -> Result<KeyPair, Error> {
    let path = layout.enrolment();
    if let Some(started) = files::read_json::<Enrolment>(&path)? {
        return Ok(KeyPair::from_pem(&started.key_pem)?);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    files::write_json(
        &path,
        &Enrolment {
            key_pem: key.serialize_pem(),
        },
    )?;
    Ok(key)
}

/// Renews the identity before it expires, for as long as the agent runs. Who needs the authority's
/// certificate reads it from `current`.
pub(crate) async fn keep_fresh(
    control: Arc<ControlPlane>,
    layout: Layout,
    current: watch::Sender<Identity>,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let renew_at = current.borrow().renew_at;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep_until(renew_at) => {}
        }
        match renew(&control, &layout, &current).await {
            Ok(()) => backoff.succeeded(),
            Err(error) => {
                tracing::warn!(%error, "the host's certificate was not renewed");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(backoff.failed()) => {}
                }
            }
        }
    }
}

async fn renew(
    control: &ControlPlane,
    layout: &Layout,
    current: &watch::Sender<Identity>,
) -> Result<(), Error> {
    let (key_pem, csr_pem) = key_and_request()?;
    let answer = control.host_certificate(csr_pem).await?;
    let mut identity = current.borrow().clone();
    identity.key_pem = key_pem;
    identity.certificate_pem = answer.certificate_pem;
    identity.ca_pem = answer.ca_pem;
    identity.renew_at = after_seconds(clock::now(), answer.renew_after_s);
    files::write_json(&layout.identity(), &identity)?;
    control.present(&identity)?;
    tracing::info!(renew_at = %identity.renew_at, "the host's certificate is renewed");
    current.send_replace(identity);
    Ok(())
}

/// Sleeps until a moment of the wall clock, in naps: a machine that was suspended, or whose clock
/// was set, would oversleep.
pub(crate) async fn sleep_until(moment: DateTime<Utc>) {
    const NAP: Duration = Duration::from_secs(60);
    while let Ok(left) = (moment - clock::now()).to_std() {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(NAP)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_that_is_tried_again_uses_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), &[]).unwrap();
        let first = enrolment_key(&layout).unwrap().serialize_pem();
        assert_eq!(enrolment_key(&layout).unwrap().serialize_pem(), first);
    }

    #[test]
    fn absurd_validity_does_not_overflow() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(after_seconds(now, 60), now + TimeDelta::seconds(60));
        assert_eq!(after_seconds(now, u64::MAX), DateTime::<Utc>::MAX_UTC);
    }
}
