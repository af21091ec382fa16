//! Access keys: making, rotating and ending them.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{App, audit::AccessChange};
use crate::{
    db,
    error::{Error, Kind},
    model::{
        AccessKeyId, AccountId,
        access_key::AccessKey,
        principal::{Name, Principal, Subject},
    },
};

/// Of keys without end, as AWS has it.
const KEY_PREFIX: &str = "AKIA";
const KEYS_PER_USER_MAX: usize = 2;
const ID_SYMBOLS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_BYTES: usize = 30;

/// A key as it is shown once, to whom it is made for.
pub struct NewAccessKey {
    pub id: AccessKeyId,
    pub secret: String,
}

impl App {
    /// Makes an access key for an account's root, or for a user of it. The secret is shown here
    /// and never again.
    pub async fn create_access_key(
        &self,
        account_id: &AccountId,
        user: Option<&Name>,
    ) -> Result<NewAccessKey, Error> {
        let id = self.access_key_id(KEY_PREFIX);
        let secret = self.secret();
        let sealed = self
            .master_key
            .seal(&AccessKey::purpose(&id), secret.as_bytes())
            .map_err(Error::internal)?;
        let mut tx = self.begin().await?;
        let principal = match user {
            None => Principal::root(account_id.clone()),
            Some(name) => {
                let subject = Subject::User(name.clone());
                self.lock_principal(&mut tx, account_id, &subject).await?;
                self.check_key_count(&mut tx, account_id, &subject).await?;
                Principal::user(account_id.clone(), name.clone())
            }
        };
        db::access_key_create(&mut tx, &id, &principal, &sealed, self.clock.now()).await?;
        self.tell_key(&mut tx, "Create", (&id, &principal), json!({}))
            .await?;
        tx.commit().await?;
        Ok(NewAccessKey { id, secret })
    }

    /// Two keys are what rotation needs; more are forgotten ones.
    async fn check_key_count(
        &self,
        conn: &mut PgConnection,
        account_id: &AccountId,
        subject: &Subject,
    ) -> Result<(), Error> {
        let keys = db::access_key_list(conn, account_id).await?;
        let path = subject.path();
        let count = keys
            .iter()
            .filter(|key| key.principal.identity.path() == path)
            .count();
        if count < KEYS_PER_USER_MAX {
            return Ok(());
        }
        Err(Error::QuotaExceeded {
            attribute: "accessKey",
            public: format!("A user can have at most {KEYS_PER_USER_MAX} access keys."),
        })
    }

    /// The account's keys, oldest first.
    pub async fn list_access_keys(&self, account_id: &AccountId) -> Result<Vec<AccessKey>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::access_key_list(&mut conn, account_id).await?)
    }

    /// Lets a key verify signatures, or no more.
    pub async fn set_access_key_enabled(
        &self,
        id: &AccessKeyId,
        enabled: bool,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let key = key_of(&mut tx, id).await?;
        if !db::access_key_set_enabled(&mut tx, id, enabled).await? {
            return Err(unknown(id));
        }
        let status = if enabled { "Active" } else { "Inactive" };
        let more = json!({"status": status});
        self.tell_key(&mut tx, "Update", (id, &key.principal), more)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn delete_access_key(&self, id: &AccessKeyId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let key = key_of(&mut tx, id).await?;
        if !db::access_key_delete(&mut tx, id).await? {
            return Err(unknown(id));
        }
        self.tell_key(&mut tx, "Delete", (id, &key.principal), json!({}))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Tells of a change to a key. Its secret is no part of that.
    async fn tell_key(
        &self,
        conn: &mut PgConnection,
        verb: &str,
        (id, principal): (&AccessKeyId, &Principal),
        mut request: Value,
    ) -> Result<(), Error> {
        request["accessKeyId"] = json!(id.as_str());
        if let Some(subject) = principal.subject() {
            request["userName"] = json!(subject.name().as_str());
        }
        let change = AccessChange {
            account_id: &principal.account_id,
            action: format!("iam:{verb}AccessKey"),
            resource_arn: principal.arn(),
            request,
        };
        self.audit_access(conn, change).await
    }

    pub(super) fn access_key_id(&self, prefix: &str) -> AccessKeyId {
        let text = self.identifier(prefix);
        AccessKeyId::parse(&text).expect("twenty letters and digits are an access key id")
    }

    /// An id in the form that AWS gives keys and principals.
    pub(super) fn identifier(&self, prefix: &str) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        let symbol = |byte: u8| char::from(ID_SYMBOLS[usize::from(byte % 32)]);
        prefix
            .chars()
            .chain(bytes.into_iter().map(symbol))
            .collect()
    }

    pub(super) fn secret(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut bytes = [0; SECRET_BYTES];
        self.entropy.fill(&mut bytes);
        STANDARD.encode(bytes)
    }
}

async fn key_of(conn: &mut PgConnection, id: &AccessKeyId) -> Result<AccessKey, Error> {
    db::access_key_fetch(conn, id)
        .await?
        .ok_or_else(|| unknown(id))
}

fn unknown(id: &AccessKeyId) -> Error {
    Error::not_found(Kind::AccessKey, id.as_str())
}
