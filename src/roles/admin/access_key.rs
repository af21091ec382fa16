//! `warren admin access-key`.

use super::{app, last_used, open, print, table};
use crate::{
    model::{AccessKeyId, principal::Name},
    roles::{Error, Installation},
};

/// Prints a new key in the form of environment variables. `account` is a name or an id.
pub async fn create_access_key(
    installation: &Installation,
    account: &str,
    user: Option<&Name>,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let key = app.create_access_key(&account_id, user).await?;
    print(&format!(
        "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}",
        key.id, key.secret
    ))
}

/// Prints the account's keys, oldest first.
pub async fn list_access_keys(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let keys = app.list_access_keys(&account_id).await?;
    let rows = keys.into_iter().map(|key| {
        [
            key.id.to_string(),
            key.principal.identity.path(),
            if key.enabled { "enabled" } else { "disabled" }.to_owned(),
            key.created_at.to_rfc3339(),
            last_used(key.last_used_at),
        ]
    });
    table(["KEY", "PRINCIPAL", "STATE", "CREATED", "LAST USED"], rows)
}

pub async fn enable_access_key(
    installation: &Installation,
    id: &AccessKeyId,
    enabled: bool,
) -> Result<(), Error> {
    Ok(app(installation)
        .set_access_key_enabled(id, enabled)
        .await?)
}

pub async fn delete_access_key(installation: &Installation, id: &AccessKeyId) -> Result<(), Error> {
    Ok(app(installation).delete_access_key(id).await?)
}
