//! What brokers need in clear and no caller is told.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    app::App,
    db,
    error::Error,
    model::{
        BrokerId,
        broker::{Directory, DraftDirectory},
        password::Password,
    },
    secrets::broker_purpose,
};

impl App {
    /// Keeps a broker's secret under its id.
    pub(super) async fn seal_secret(
        &self,
        conn: &mut PgConnection,
        broker_id: &BrokerId,
        (id, password): (Uuid, &Password),
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let clear = password.expose().as_bytes();
        let sealed = self.master_key.seal(&broker_purpose(id), clear);
        let sealed = sealed.map_err(Error::internal)?;
        Ok(db::broker_secret_create(conn, id, broker_id, &sealed, now).await?)
    }

    /// Whether the broker's secret of this id is the password.
    pub(super) async fn is_secret(
        &self,
        conn: &mut PgConnection,
        id: Uuid,
        password: &Password,
    ) -> Result<bool, Error> {
        let Some(sealed) = db::broker_secret_fetch(conn, id).await? else {
            return Ok(false);
        };
        let clear = self.master_key.open(&broker_purpose(id), &sealed);
        let clear = Zeroizing::new(clear.map_err(Error::internal)?);
        // Both are the caller's own.
        Ok(*clear == password.expose().as_bytes())
    }

    /// The directory that an update leads to: the one there is when nothing about it differs.
    pub(super) async fn directory(
        &self,
        conn: &mut PgConnection,
        (broker_id, now_there): (&BrokerId, Option<&Directory>),
        draft: &DraftDirectory,
        now: DateTime<Utc>,
    ) -> Result<Directory, Error> {
        if let Some(there) = now_there {
            let secret = there.service_account_secret;
            if there.is_same(&draft.directory)
                && self.is_secret(conn, secret, &draft.password).await?
            {
                return Ok(there.clone());
            }
        }
        let id = self.entropy.uuid();
        self.seal_secret(conn, broker_id, (id, &draft.password), now)
            .await?;
        Ok(Directory {
            service_account_secret: id,
            ..draft.directory.clone()
        })
    }
}
