//! Operations on the users of a broker that a server knows.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::broker::UserSummary;
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

    pub async fn describe_user(
        &self,
        broker_id: &str,
        username: &str,
    ) -> Result<DescribeUserOutput, Error> {
        let path = ["v1", "brokers", broker_id, "users", username];
        self.call(Call::new(Method::GET, &path)).await
    }
}
