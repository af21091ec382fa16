//! Access keys: making them, and finding the secret that verifies a signature.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::App;
use crate::{
    db,
    error::Error,
    model::{AccessKeyId, AccountId, access_key::AccessKey, principal::Principal},
};

/// `last_used_at` is good to this granularity, so that requests need not write.
const USE_GRANULARITY: TimeDelta = TimeDelta::minutes(1);
const ID_SYMBOLS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_BYTES: usize = 30;

/// A key as it is shown once, to whom it is made for.
pub struct NewAccessKey {
    pub id: AccessKeyId,
    pub secret: String,
}

/// What verifies a signature, and for whom it then speaks.
#[derive(Clone)]
pub struct SigningKey {
    pub principal: Principal,
    pub secret: Vec<u8>,
    pub enabled: bool,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("principal", &self.principal)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Makes an access key for an account's root. The secret is shown here and never again.
    pub async fn create_access_key(&self, account_id: &AccountId) -> Result<NewAccessKey, Error> {
        let principal = Principal {
            account_id: account_id.clone(),
            path: "root".to_owned(),
        };
        let id = self.access_key_id();
        let secret = self.secret();
        let sealed = self
            .master_key
            .seal(&AccessKey::purpose(&id), secret.as_bytes())
            .map_err(Error::internal)?;
        let mut conn = self.pool.acquire().await?;
        db::access_key_create(&mut conn, &id, &principal, &sealed, self.clock.now()).await?;
        Ok(NewAccessKey { id, secret })
    }

    /// The key with this id, disabled ones included; `None` when there is none.
    pub async fn signing_key(&self, id: &AccessKeyId) -> Result<Option<SigningKey>, Error> {
        let mut conn = self.pool.acquire().await?;
        let Some(key) = db::access_key_fetch(&mut conn, id).await? else {
            return Ok(None);
        };
        let secret = self
            .master_key
            .open(&AccessKey::purpose(id), &key.secret_sealed)
            .map_err(Error::internal)?;
        Ok(Some(SigningKey {
            principal: key.principal,
            secret,
            enabled: key.enabled,
            last_used_at: key.last_used_at,
        }))
    }

    /// Notes that a key, as read before, verified a request; to the minute, so that most requests
    /// write nothing.
    pub async fn note_key_use(&self, id: &AccessKeyId, key: &SigningKey) -> Result<(), Error> {
        let now = self.clock.now();
        if key
            .last_used_at
            .is_some_and(|last| now - last < USE_GRANULARITY)
        {
            return Ok(());
        }
        let mut conn = self.pool.acquire().await?;
        Ok(db::access_key_touch(&mut conn, id, USE_GRANULARITY, now).await?)
    }

    fn access_key_id(&self) -> AccessKeyId {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        let symbol = |byte: u8| char::from(ID_SYMBOLS[usize::from(byte % 32)]);
        let text: String = "AKIA"
            .chars()
            .chain(bytes.into_iter().map(symbol))
            .collect();
        AccessKeyId::parse(&text).expect("twenty letters and digits are an access key id")
    }

    fn secret(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut bytes = [0; SECRET_BYTES];
        self.entropy.fill(&mut bytes);
        STANDARD.encode(bytes)
    }
}
