//! Accounts: made by the installation's operator, not through the API.

use super::App;
use crate::{
    db::{self, Unique},
    error::{Error, Kind},
    model::AccountId,
};

impl App {
    /// Makes an account with a new id of twelve digits.
    pub async fn create_account(&self, name: &str) -> Result<AccountId, Error> {
        let mut conn = self.pool.acquire().await?;
        loop {
            let id = self.account_id();
            match db::account_create(&mut conn, &id, name, self.clock.now()).await {
                Ok(()) => return Ok(id),
                Err(db::Error::Taken(Unique::AccountId)) => {}
                Err(db::Error::Taken(Unique::AccountName)) => {
                    return Err(Error::AlreadyExists {
                        kind: Kind::Account,
                        name: name.to_owned(),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub async fn find_account(&self, name: &str) -> Result<Option<AccountId>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(db::account_fetch_by_name(&mut conn, name).await?)
    }

    fn account_id(&self) -> AccountId {
        let number = self.entropy.uuid().as_u128() % 1_000_000_000_000;
        AccountId::parse(&format!("{number:012}")).expect("twelve digits are an account id")
    }
}
