//! Operations on the users of a broker that a server knows.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::broker::{UserSummary, encode};
use crate::client::{Call, Client};
use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeUserOutput {
    pub broker_id: String,
    pub username: String,
    #[serde(default)]
    pub console_access: bool,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub replication_user: bool,
}

/// What a user shall have; what is left out stays, or is the default of a new one.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_access: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserPage {
    users: Vec<UserSummary>,
    next_token: Option<String>,
}

impl Client {
    /// Every user of a broker, by name.
    pub async fn list_all_users(&self, broker_id: &str) -> Result<Vec<UserSummary>, Error> {
        let mut users = Vec::new();
        let mut next_token = None;
        loop {
            let path = ["v1", "brokers", broker_id, "users"];
            let page: UserPage = self.call(Call::page(&path, next_token)).await?;
            users.extend(page.users);
            next_token = page.next_token.filter(|token| !token.is_empty());
            if next_token.is_none() {
                return Ok(users);
            }
        }
    }

    pub async fn create_user(
        &self,
        broker_id: &str,
        username: &str,
        input: &UserInput,
    ) -> Result<(), Error> {
        self.put_user(Method::POST, broker_id, username, input)
            .await
    }

    pub async fn update_user(
        &self,
        broker_id: &str,
        username: &str,
        input: &UserInput,
    ) -> Result<(), Error> {
        self.put_user(Method::PUT, broker_id, username, input).await
    }

    async fn put_user(
        &self,
        method: Method,
        broker_id: &str,
        username: &str,
        input: &UserInput,
    ) -> Result<(), Error> {
        let path = ["v1", "brokers", broker_id, "users", username];
        let mut call = Call::new(method, &path);
        call.body = Some(encode(input));
        self.call_empty(call).await
    }

    pub async fn delete_user(&self, broker_id: &str, username: &str) -> Result<(), Error> {
        let path = ["v1", "brokers", broker_id, "users", username];
        self.call_empty(Call::new(Method::DELETE, &path)).await
    }

    pub async fn describe_user(
        &self,
        broker_id: &str,
        username: &str,
    ) -> Result<DescribeUserOutput, Error> {
        let path = ["v1", "brokers", broker_id, "users", username];
        self.call(Call::new(Method::GET, &path)).await
    }
}
