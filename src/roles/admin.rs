//! `warren admin`: what an operator does by hand. Results go to stdout, ready for scripts.

use std::io::Write;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Error, Installation};
use crate::app::{App, Settings};
use crate::db::{self, HostToken};
use crate::model::AccountId;

/// What provides the hosts that enrol with a token made here.
const PROVISIONER: &str = "local";
const TOKEN_BYTES: usize = 32;

/// Prints the new account's id.
pub async fn create_account(installation: &Installation, name: &str) -> Result<(), Error> {
    print(app(installation).create_account(name).await?.as_str())
}

/// Prints a new key in the form of environment variables. `account` is a name or an id.
pub async fn create_access_key(installation: &Installation, account: &str) -> Result<(), Error> {
    let app = app(installation);
    let account_id = match app.find_account(account).await? {
        Some(id) => id,
        None => AccountId::parse(account).ok_or_else(|| Error::NoAccount(account.to_owned()))?,
    };
    let key = app.create_access_key(&account_id).await?;
    print(&format!(
        "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}",
        key.id, key.secret
    ))
}

/// Prints a new token.
pub async fn create_host_token(
    installation: &Installation,
    host_name: &str,
    zone: &str,
    valid: Duration,
) -> Result<(), Error> {
    print(&new_host_token(installation, host_name, zone, valid).await?)
}

/// Prints the authority's certificate.
pub async fn show_ca(installation: &Installation) -> Result<(), Error> {
    print(installation.authority().await?.certificate_pem().trim_end())
}

/// A token that enrols the host of this name once. Only its hash is kept.
pub async fn new_host_token(
    installation: &Installation,
    host_name: &str,
    zone: &str,
    valid: Duration,
) -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    installation.entropy.fill(&mut bytes);
    let token = hex::encode(bytes);
    let hash = digest(&SHA256, token.as_bytes());
    let host = HostToken {
        host_name: host_name.to_owned(),
        zone: zone.to_owned(),
        provisioner: PROVISIONER.to_owned(),
    };
    let now = installation.clock.now();
    let mut conn = installation.pool.acquire().await.map_err(db::Error::from)?;
    db::host_token_create(&mut conn, hash.as_ref(), &host, now + valid, now).await?;
    Ok(token)
}

fn app(installation: &Installation) -> App {
    installation.app(Settings::new(Vec::new()))
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Error::Output)
}
