//! The audit log: an operation of Warren's own.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Call, Client};
use crate::error::Error;

/// Which calls are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// An operation, such as `CreateBroker`.
    pub event_name: Option<String>,
    pub principal_arn: Option<String>,
    pub resource_arn: Option<String>,
    /// Calls that only look, or those that change.
    pub read_only: Option<bool>,
    /// ISO 8601.
    pub start_time: Option<String>,
    /// ISO 8601; not of that very time.
    pub end_time: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListAuditEventsOutput {
    /// CloudTrail records, newest first.
    pub events: Vec<Value>,
    /// `None` on the last page.
    pub next_token: Option<String>,
}

impl Client {
    /// A page of the audit log, newest first; `max_results` from 1 to 100.
    pub async fn list_audit_events(
        &self,
        filter: &AuditFilter,
        max_results: Option<u32>,
        next_token: Option<&str>,
    ) -> Result<ListAuditEventsOutput, Error> {
        let mut call = Call::new(Method::GET, &["v1", "audit-events"]);
        let texts = [
            ("eventName", filter.event_name.clone()),
            ("principalArn", filter.principal_arn.clone()),
            ("resourceArn", filter.resource_arn.clone()),
            ("readOnly", filter.read_only.map(|only| only.to_string())),
            ("startTime", filter.start_time.clone()),
            ("endTime", filter.end_time.clone()),
            ("maxResults", max_results.map(|count| count.to_string())),
            ("nextToken", next_token.map(str::to_owned)),
        ];
        let given = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        call.query.extend(given);
        self.call(call).await
    }
}
