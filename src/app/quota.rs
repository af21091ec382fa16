//! Quotas of accounts, which their operator adjusts; what uses them up looks at them itself.

use super::App;
use crate::{
    db,
    error::Error,
    model::{
        AccountId,
        quota::{Quota, Quotas},
    },
};

impl App {
    pub async fn quotas(&self, account_id: &AccountId) -> Result<Quotas, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::quotas_fetch(&mut conn, account_id).await?)
    }

    /// Adjusts a quota for one account. What the account has already, it keeps.
    pub async fn set_quota(
        &self,
        account_id: &AccountId,
        quota: Quota,
        value: i64,
    ) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::quota_put(&mut conn, account_id, quota, value, self.clock.now()).await?)
    }

    /// Gives an account the standard quota again.
    pub async fn reset_quota(&self, account_id: &AccountId, quota: Quota) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::quota_delete(&mut conn, account_id, quota).await?)
    }
}
