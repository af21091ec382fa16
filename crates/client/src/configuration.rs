//! Configuration operations and their wire shapes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::broker::encode;
use crate::client::{Call, Client};
use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateConfiguration {
    pub name: String,
    pub engine_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationRevision {
    pub revision: i32,
    pub created: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What creating and updating answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationOutput {
    pub arn: String,
    pub id: String,
    pub name: String,
    pub latest_revision: ConfigurationRevision,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    pub arn: String,
    pub created: DateTime<Utc>,
    pub engine_type: String,
    pub engine_version: String,
    pub id: String,
    pub latest_revision: ConfigurationRevision,
    pub name: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeConfigurationRevisionOutput {
    pub configuration_id: String,
    pub created: DateTime<Utc>,
    /// Base64, as it was sent.
    pub data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Serialize)]
struct UpdateConfiguration<'a> {
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationPage {
    configurations: Vec<Configuration>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevisionPage {
    revisions: Vec<ConfigurationRevision>,
    next_token: Option<String>,
}

impl Client {
    pub async fn create_configuration(
        &self,
        configuration: &CreateConfiguration,
    ) -> Result<ConfigurationOutput, Error> {
        let mut call = Call::new(Method::POST, &["v1", "configurations"]);
        call.body = Some(encode(configuration));
        self.call(call).await
    }

    pub async fn describe_configuration(&self, id: &str) -> Result<Configuration, Error> {
        self.call(Call::new(Method::GET, &["v1", "configurations", id]))
            .await
    }

    /// Every configuration of the account in the region, oldest first.
    pub async fn list_all_configurations(&self) -> Result<Vec<Configuration>, Error> {
        let mut configurations = Vec::new();
        let mut next_token = None;
        loop {
            let path = ["v1", "configurations"];
            let page: ConfigurationPage = self.call(Call::page(&path, next_token)).await?;
            configurations.extend(page.configurations);
            next_token = page.next_token.filter(|token| !token.is_empty());
            if next_token.is_none() {
                return Ok(configurations);
            }
        }
    }

    /// Adds a revision; `data` is base64.
    pub async fn update_configuration(
        &self,
        id: &str,
        data: &str,
        description: Option<&str>,
    ) -> Result<ConfigurationOutput, Error> {
        let path = ["v1", "configurations", id];
        let mut call = Call::new(Method::PUT, &path);
        call.body = Some(encode(&UpdateConfiguration { data, description }));
        self.call(call).await
    }

    pub async fn delete_configuration(&self, id: &str) -> Result<(), Error> {
        self.call_empty(Call::new(Method::DELETE, &["v1", "configurations", id]))
            .await
    }

    /// Every revision of a configuration, oldest first.
    pub async fn list_all_configuration_revisions(
        &self,
        id: &str,
    ) -> Result<Vec<ConfigurationRevision>, Error> {
        let mut revisions = Vec::new();
        let mut next_token = None;
        loop {
            let path = ["v1", "configurations", id, "revisions"];
            let page: RevisionPage = self.call(Call::page(&path, next_token)).await?;
            revisions.extend(page.revisions);
            next_token = page.next_token.filter(|token| !token.is_empty());
            if next_token.is_none() {
                return Ok(revisions);
            }
        }
    }

    pub async fn describe_configuration_revision(
        &self,
        id: &str,
        revision: i32,
    ) -> Result<DescribeConfigurationRevisionOutput, Error> {
        let revision = revision.to_string();
        let path = ["v1", "configurations", id, "revisions", &revision];
        self.call(Call::new(Method::GET, &path)).await
    }
}
