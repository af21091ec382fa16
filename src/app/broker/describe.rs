//! DescribeBroker and DescribeSharedResources.

use super::find;
use crate::{
    app::{App, Caller, PageRequest, page::bad_token},
    db,
    error::Error,
    model::{
        authorisation::Action,
        broker::{Broker, Surroundings},
    },
};

/// A broker with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct BrokerDescription {
    pub broker: Broker,
    pub surroundings: Surroundings,
}

impl App {
    pub async fn describe_broker(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<BrokerDescription, Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, Action::DescribeBroker, id).await?;
        Ok(BrokerDescription {
            surroundings: db::broker_surroundings(&mut conn, &broker).await?,
            broker,
        })
    }

    /// Makes sure that the caller may see what is shared with the broker. Nothing can be shared
    /// with any, so there is no more to say, and no token of an earlier page.
    pub async fn describe_shared_resources(
        &self,
        caller: &Caller,
        id: &str,
        request: &PageRequest,
    ) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        find(&mut conn, caller, Action::DescribeSharedResources, id).await?;
        match request.token {
            Some(_) => Err(bad_token().into()),
            None => Ok(()),
        }
    }
}
