//! Broker operations and their wire shapes. Optional members that the caller leaves out stay out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Call, Client};
use crate::error::Error;

/// States of a broker. What a newer server adds is kept as [`BrokerState::Other`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum BrokerState {
    CreationInProgress,
    CreationFailed,
    DeletionInProgress,
    Running,
    RebootInProgress,
    CriticalActionRequired,
    Replica,
    Other(String),
}

impl BrokerState {
    pub fn as_str(&self) -> &str {
        match self {
            BrokerState::CreationInProgress => "CREATION_IN_PROGRESS",
            BrokerState::CreationFailed => "CREATION_FAILED",
            BrokerState::DeletionInProgress => "DELETION_IN_PROGRESS",
            BrokerState::Running => "RUNNING",
            BrokerState::RebootInProgress => "REBOOT_IN_PROGRESS",
            BrokerState::CriticalActionRequired => "CRITICAL_ACTION_REQUIRED",
            BrokerState::Replica => "REPLICA",
            BrokerState::Other(text) => text,
        }
    }
}

impl From<String> for BrokerState {
    fn from(text: String) -> BrokerState {
        let known = [
            BrokerState::CreationInProgress,
            BrokerState::CreationFailed,
            BrokerState::DeletionInProgress,
            BrokerState::Running,
            BrokerState::RebootInProgress,
            BrokerState::CriticalActionRequired,
            BrokerState::Replica,
        ];
        known
            .into_iter()
            .find(|state| state.as_str() == text)
            .unwrap_or(BrokerState::Other(text))
    }
}

impl From<BrokerState> for String {
    fn from(state: BrokerState) -> String {
        state.as_str().to_owned()
    }
}

impl std::fmt::Display for BrokerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Through `pad`, so that widths work.
        f.pad(self.as_str())
    }
}

/// `Debug` leaves the password out.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateBroker {
    pub broker_name: String,
    /// Makes the call safe to repeat: one token, one broker.
    pub creator_request_id: String,
    pub engine_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    pub deployment_mode: String,
    pub host_instance_type: String,
    pub publicly_accessible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnet_ids: Vec<String>,
    pub users: Vec<User>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A revision of a configuration; the latest without a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationRef {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    pub general: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeeklyStartTime {
    pub day_of_week: String,
    pub time_of_day: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Changes of a broker, and what the server makes of them; members left out stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateBroker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window_start_time: Option<WeeklyStartTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateBrokerOutput {
    pub broker_arn: String,
    pub broker_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteBrokerOutput {
    pub broker_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSummary {
    pub broker_arn: String,
    pub broker_id: String,
    pub broker_name: String,
    pub broker_state: BrokerState,
    pub created: DateTime<Utc>,
    pub deployment_mode: String,
    pub engine_type: String,
    pub host_instance_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBrokersOutput {
    pub broker_summaries: Vec<BrokerSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerInstance {
    #[serde(rename = "consoleURL", skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    #[serde(default)]
    pub endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSummary {
    pub username: String,
}

/// What a broker runs with, did before, and will after a reboot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configurations {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<ConfigurationRef>,
    #[serde(default)]
    pub history: Vec<ConfigurationRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<ConfigurationRef>,
}

/// The members that people and scripts of this client look at; servers send more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeBrokerOutput {
    pub broker_arn: String,
    pub broker_id: String,
    pub broker_name: String,
    pub broker_state: BrokerState,
    pub created: DateTime<Utc>,
    pub deployment_mode: String,
    pub engine_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_instance_type: Option<String>,
    #[serde(default)]
    pub configurations: Configurations,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_host_instance_type: Option<String>,
    #[serde(default)]
    pub publicly_accessible: bool,
    #[serde(default)]
    pub broker_instances: Vec<BrokerInstance>,
    #[serde(default)]
    pub users: Vec<UserSummary>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Client {
    pub async fn create_broker(&self, broker: &CreateBroker) -> Result<CreateBrokerOutput, Error> {
        let mut call = Call::new(Method::POST, &["v1", "brokers"]);
        call.body = Some(encode(broker));
        self.call(call).await
    }

    pub async fn describe_broker(&self, id: &str) -> Result<DescribeBrokerOutput, Error> {
        self.call(Call::new(Method::GET, &["v1", "brokers", id]))
            .await
    }

    /// One page. `max_results` is 1 to 100; without it the server's default, 20.
    pub async fn list_brokers(
        &self,
        max_results: Option<u32>,
        next_token: Option<&str>,
    ) -> Result<ListBrokersOutput, Error> {
        let mut call = Call::new(Method::GET, &["v1", "brokers"]);
        call.query
            .extend(max_results.map(|max| ("maxResults", max.to_string())));
        call.query
            .extend(next_token.map(|token| ("nextToken", token.to_owned())));
        self.call(call).await
    }

    /// Every page of [`Client::list_brokers`].
    pub async fn list_all_brokers(&self) -> Result<Vec<BrokerSummary>, Error> {
        let mut brokers = Vec::new();
        let mut next_token = None;
        loop {
            let page = self.list_brokers(Some(100), next_token.as_deref()).await?;
            brokers.extend(page.broker_summaries);
            // An empty token means the first page again to a server: it must end the loop.
            match page.next_token.filter(|token| !token.is_empty()) {
                Some(token) => next_token = Some(token),
                None => return Ok(brokers),
            }
        }
    }

    /// Changes a broker; most of it waits for a reboot.
    pub async fn update_broker(
        &self,
        id: &str,
        changes: &UpdateBroker,
    ) -> Result<UpdateBroker, Error> {
        let path = ["v1", "brokers", id];
        let mut call = Call::new(Method::PUT, &path);
        call.body = Some(encode(changes));
        self.call(call).await
    }

    pub async fn reboot_broker(&self, id: &str) -> Result<(), Error> {
        self.call_empty(Call::new(Method::POST, &["v1", "brokers", id, "reboot"]))
            .await
    }

    pub async fn delete_broker(&self, id: &str) -> Result<DeleteBrokerOutput, Error> {
        self.call(Call::new(Method::DELETE, &["v1", "brokers", id]))
            .await
    }
}

pub(crate) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("maps with string keys and plain members always encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_this_client_does_not_know_is_kept() {
        for text in ["RUNNING", "DELETION_IN_PROGRESS", "SOMETHING_NEW"] {
            let state: BrokerState = serde_json::from_value(text.into()).unwrap();
            assert_eq!(state.to_string(), text);
            assert_eq!(
                matches!(state, BrokerState::Other(_)),
                text == "SOMETHING_NEW"
            );
        }
    }

    #[test]
    fn members_left_out_stay_out_and_the_console_address_keeps_its_spelling() {
        let create = CreateBroker {
            broker_name: "b".to_owned(),
            creator_request_id: "t".to_owned(),
            engine_type: "RABBITMQ".to_owned(),
            engine_version: None,
            deployment_mode: "SINGLE_INSTANCE".to_owned(),
            host_instance_type: "mq.m7g.medium".to_owned(),
            publicly_accessible: false,
            auto_minor_version_upgrade: None,
            subnet_ids: Vec::new(),
            users: Vec::new(),
            tags: BTreeMap::new(),
        };
        let text = String::from_utf8(encode(&create)).unwrap();
        assert!(
            !text.contains("engineVersion") && !text.contains("tags"),
            "{text}"
        );
        let instance: BrokerInstance =
            serde_json::from_str(r#"{"consoleURL":"https://x","endpoints":["amqps://x:5671"]}"#)
                .unwrap();
        assert_eq!(instance.console_url.as_deref(), Some("https://x"));
    }
}
