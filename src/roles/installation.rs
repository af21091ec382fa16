//! What the processes of one installation share: the database, the master key, the certificate
//! authority.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Error;
use crate::app::{App, Settings};
use crate::db::{self, Pool, StoredAuthority};
use crate::metrics::Metrics;
use crate::model::clock::{Clock, SystemClock};
use crate::model::entropy::{Entropy, SystemEntropy};
use crate::pki::Authority;
use crate::secrets::MasterKey;

/// What the authority's key is sealed for.
pub(super) const AUTHORITY_PURPOSE: &str = "certificate-authority";
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Attempts between two lines in the log.
const RETRIES_A_LINE: u32 = 6;

/// Cheap to clone.
#[derive(Clone)]
pub struct Installation {
    pub pool: Pool,
    pub master_key: MasterKey,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub metrics: Metrics,
}

impl Installation {
    pub fn new(pool: Pool, master_key: MasterKey) -> Installation {
        Installation {
            pool,
            master_key,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            metrics: Metrics::default(),
        }
    }

    pub fn app(&self, settings: Settings) -> App {
        App {
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            master_key: self.master_key.clone(),
            settings: Arc::new(settings),
        }
    }

    /// The installation's authority. Made by whoever asks first; of several at once, all get the
    /// one that is stored.
    pub async fn authority(&self) -> Result<Authority, Error> {
        let mut conn = self.pool.acquire().await.map_err(db::Error::from)?;
        let stored = match db::certificate_authority_fetch(&mut conn)
            .await
            .map_err(Error::Schema)?
        {
            Some(stored) => stored,
            None => {
                let now = self.clock.now();
                let made = Authority::generate(now)?;
                let key_sealed = self
                    .master_key
                    .seal(AUTHORITY_PURPOSE, made.key_pem().as_bytes())?;
                let certificate_pem = made.certificate_pem().to_owned();
                let made = StoredAuthority {
                    certificate_pem,
                    key_sealed,
                };
                db::certificate_authority_create(&mut conn, &made, now).await?
            }
        };
        let key_pem = self
            .master_key
            .open(AUTHORITY_PURPOSE, &stored.key_sealed)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(Error::OtherMasterKey)?;
        Ok(Authority::from_pem(&stored.certificate_pem, &key_pem)?)
    }
}

/// Opens the database, and waits for it as long as it does not answer.
pub async fn connect(url: &str, shutdown: &CancellationToken) -> Result<Pool, Error> {
    let mut attempts = 0;
    loop {
        let error = tokio::select! {
            () = shutdown.cancelled() => return Err(Error::Stopped),
            connected = db::connect(url) => match connected {
                Ok(pool) => return Ok(pool),
                Err(error) => error,
            },
        };
        if attempts % RETRIES_A_LINE == 0 {
            tracing::warn!(%error, "waiting for the database");
        }
        attempts += 1;
        tokio::select! {
            () = shutdown.cancelled() => return Err(Error::Stopped),
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}
