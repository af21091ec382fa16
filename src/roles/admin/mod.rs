//! `warren admin`: what an operator does by hand. Results go to stdout, ready for scripts.

mod access_key;
mod audit;
mod job;
mod master_key;
mod policy;
mod principal;
mod quota;

use std::io::Write;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};

use super::{Error, Installation};
use crate::app::{App, Settings};
use crate::db::{self, HostToken};
use crate::model::AccountId;

pub use access_key::{create_access_key, delete_access_key, enable_access_key, list_access_keys};
pub use audit::follow_audit;
pub use job::{cancel_job, list_jobs, retry_job, show_job};
pub use master_key::reseal;
pub use policy::{
    attach_policy, delete_inline_policy, delete_policy, detach_policy, list_policies,
    list_policies_of, put_inline_policy, put_policy, show_inline_policy, show_policy,
    simulate_principal,
};
pub use principal::{
    add_to_group, create_group, create_role, create_user, delete_principal, list_groups,
    list_principals, remove_from_group, tag_principal, untag_principal, update_role,
};
pub use quota::{list_quotas, reset_quota, set_quota};

const TOKEN_BYTES: usize = 32;

/// Prints the new account's id.
pub async fn create_account(installation: &Installation, name: &str) -> Result<(), Error> {
    print(app(installation).create_account(name).await?.as_str())
}

/// Prints a new token.
pub async fn create_host_token(
    installation: &Installation,
    host_name: &str,
    zone: &str,
    valid: Duration,
    provisioner: &str,
) -> Result<(), Error> {
    print(&new_host_token(installation, host_name, zone, valid, provisioner).await?)
}

/// Prints the authority's certificate.
pub async fn show_ca(installation: &Installation) -> Result<(), Error> {
    print(installation.authority().await?.certificate_pem().trim_end())
}

/// A token that enrols the host of this name once, for `provisioner` to place nodes on. Only its
/// hash is kept.
pub async fn new_host_token(
    installation: &Installation,
    host_name: &str,
    zone: &str,
    valid: Duration,
    provisioner: &str,
) -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    installation.entropy.fill(&mut bytes);
    let token = hex::encode(bytes);
    let hash = digest(&SHA256, token.as_bytes());
    let host = HostToken {
        host_name: host_name.to_owned(),
        zone: zone.to_owned(),
        provisioner: provisioner.to_owned(),
    };
    let now = installation.clock.now();
    let mut conn = installation.pool.acquire().await.map_err(db::Error::from)?;
    db::host_token_create(&mut conn, hash.as_ref(), &host, now + valid, now).await?;
    Ok(token)
}

fn app(installation: &Installation) -> App {
    installation.app(Settings::new(Vec::new()))
}

/// The account is found by its name or its id.
async fn open(installation: &Installation, account: &str) -> Result<(App, AccountId), Error> {
    let app = app(installation);
    let account_id = find_account(&app, account).await?;
    Ok((app, account_id))
}

async fn find_account(app: &App, account: &str) -> Result<AccountId, Error> {
    match app.find_account(account).await? {
        Some(id) => Ok(id),
        None => AccountId::parse(account).ok_or_else(|| Error::NoAccount(account.to_owned())),
    }
}

fn last_used(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339())
}

/// Prints rows under a heading, columns aligned: for people, and for `awk`.
pub(super) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), Error> {
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).filter_map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        print(line.trim_end())?;
    }
    Ok(())
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Error::Output)
}
