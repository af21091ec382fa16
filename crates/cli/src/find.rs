//! Brokers and configurations by name or id.

use client::{Client, Configuration, DescribeBrokerOutput};

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

/// The configuration that `name_or_id` means. Names of brokers' defaults may be shared.
pub(crate) async fn configuration(
    client: &Client,
    name_or_id: &str,
) -> Result<Configuration, Error> {
    if name_or_id.starts_with("c-") {
        match client.describe_configuration(name_or_id).await {
            Ok(found) => return Ok(found),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let all = client.list_all_configurations().await?;
    let mut named = all.into_iter().filter(|found| found.name == name_or_id);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(Error::AmbiguousConfiguration(name_or_id.to_owned())),
        (None, _) => Err(Error::NoConfiguration(name_or_id.to_owned())),
    }
}
