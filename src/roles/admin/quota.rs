//! `warren admin quota`.

use super::{open, table};
use crate::{
    model::quota::Quota,
    roles::{Error, Installation},
};

/// Prints an account's quotas.
pub async fn list_quotas(installation: &Installation, account: &str) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    let quotas = app.quotas(&account_id).await?;
    let rows = Quota::ALL.into_iter().map(|quota| {
        let adjusted = quotas.adjusted(quota).is_some();
        [
            quota.name().to_owned(),
            quotas.max(quota).to_string(),
            quota.standard().to_string(),
            if adjusted { "yes" } else { "no" }.to_owned(),
        ]
    });
    table(["NAME", "VALUE", "STANDARD", "ADJUSTED"], rows)
}

pub async fn set_quota(
    installation: &Installation,
    account: &str,
    quota: Quota,
    value: i64,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.set_quota(&account_id, quota, value).await?)
}

pub async fn reset_quota(
    installation: &Installation,
    account: &str,
    quota: Quota,
) -> Result<(), Error> {
    let (app, account_id) = open(installation, account).await?;
    Ok(app.reset_quota(&account_id, quota).await?)
}
