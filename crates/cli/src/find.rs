//! Brokers by name or id.

use client::{Client, DescribeBrokerOutput};

use crate::error::Error;

/// The id that `name_or_id` means. Names are unique in an account and region; an id wins over a
/// broker that is named like it.
pub(crate) async fn broker_id(client: &Client, name_or_id: &str) -> Result<String, Error> {
    if name_or_id.starts_with("b-") {
        match client.describe_broker(name_or_id).await {
            Ok(broker) => return Ok(broker.broker_id),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let brokers = client.list_all_brokers().await?;
    brokers
        .into_iter()
        .find(|broker| broker.broker_name == name_or_id)
        .map(|broker| broker.broker_id)
        .ok_or_else(|| Error::NoBroker(name_or_id.to_owned()))
}

pub(crate) async fn broker(
    client: &Client,
    name_or_id: &str,
) -> Result<DescribeBrokerOutput, Error> {
    let id = broker_id(client, name_or_id).await?;
    Ok(client.describe_broker(&id).await?)
}
