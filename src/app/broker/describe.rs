//! DescribeBroker.

use crate::{
    app::{App, Caller},
    db,
    error::{Error, Kind},
    model::{
        BrokerId,
        authorisation::{Action, authorise},
        broker::{Broker, BrokerUser},
        node::Node,
        tag::Tags,
    },
};

/// A broker with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct BrokerDescription {
    pub broker: Broker,
    pub nodes: Vec<Node>,
    pub users: Vec<BrokerUser>,
    pub tags: Tags,
}

impl App {
    pub async fn describe_broker(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<BrokerDescription, Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = match BrokerId::parse(id) {
            Some(id) => db::broker_fetch(&mut conn, &caller.scope(), &id).await?,
            None => None,
        };
        let broker = broker.ok_or_else(|| Error::not_found(Kind::Broker, id))?;
        authorise(&caller.principal, Action::DescribeBroker, &broker.arn())?;
        Ok(BrokerDescription {
            nodes: db::nodes_of_broker(&mut conn, &broker.id).await?,
            users: db::broker_users(&mut conn, &broker.id).await?,
            tags: db::tags_fetch(&mut conn, &broker.arn()).await?,
            broker,
        })
    }
}
