//! Tag operations.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::broker::encode;
use crate::client::{Call, Client};
use crate::error::Error;

#[derive(Serialize, Deserialize)]
struct Tags {
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl Client {
    /// Adds tags, or replaces the values of those that exist.
    pub async fn create_tags(
        &self,
        resource_arn: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let path = ["v1", "tags", resource_arn];
        let mut call = Call::new(Method::POST, &path);
        call.body = Some(encode(&Tags { tags }));
        self.call_empty(call).await
    }

    pub async fn delete_tags(&self, resource_arn: &str, keys: &[String]) -> Result<(), Error> {
        let path = ["v1", "tags", resource_arn];
        let mut call = Call::new(Method::DELETE, &path);
        call.query
            .extend(keys.iter().map(|key| ("tagKeys", key.clone())));
        self.call_empty(call).await
    }

    pub async fn list_tags(&self, resource_arn: &str) -> Result<BTreeMap<String, String>, Error> {
        let path = ["v1", "tags", resource_arn];
        let answer: Tags = self.call(Call::new(Method::GET, &path)).await?;
        Ok(answer.tags)
    }
}
