//! Who called what: one event for each call, that of a change written in the change's transaction.
//!
//! [`AuditEvent::record`] writes an event as CloudTrail does (AWS CloudTrail User Guide, "Record
//! contents").

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{RequestId, Scope, arn::ResourceArn};

const EVENT_VERSION: &str = "1.08";
/// Who does what nobody called for.
const SERVICE: &str = "mq.amazonaws.com";
/// Who acts by hand: someone with the database and the master key.
const OPERATOR: &str = "operator";
/// What stands for a member that nobody may read.
const HIDDEN: &str = "****";
/// Members of requests that are hidden, whatever they are in.
const SECRETS: [&str; 3] = ["password", "data", "serviceAccountPassword"];

#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    pub id: Uuid,
    pub scope: Scope,
    pub principal_arn: String,
    /// CloudTrail's `userIdentity`.
    pub user_identity: Value,
    /// The action's name in policies, such as `mq:CreateBroker`.
    pub action: String,
    pub resource_arn: Option<String>,
    pub request_id: RequestId,
    pub source_address: Option<String>,
    pub user_agent: Option<String>,
    pub is_read: bool,
    /// What was asked, without its secrets: see [`without_secrets`].
    pub request: Option<Value>,
    /// What a change was answered, or who asked for a session; never what was read.
    pub response: Option<Value>,
    pub error: Option<AuditError>,
    pub created_at: DateTime<Utc>,
}

/// Which events are asked for; `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// The action's name in policies.
    pub action: Option<String>,
    pub principal_arn: Option<String>,
    pub resource_arn: Option<String>,
    pub read_only: Option<bool>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// What a call failed with, as its caller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditError {
    pub code: String,
    pub message: String,
}

impl AuditEvent {
    /// What the service did to a resource by itself.
    pub fn of_service(
        id: Uuid,
        scope: &Scope,
        action: &str,
        resource: &ResourceArn,
        (request, response): (Value, Value),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            scope: scope.clone(),
            principal_arn: SERVICE.to_owned(),
            user_identity: json!({"type": "AWSService", "invokedBy": SERVICE}),
            action: action.to_owned(),
            resource_arn: Some(resource.to_string()),
            request_id: RequestId(id),
            source_address: None,
            user_agent: None,
            is_read: false,
            request: Some(request),
            response: Some(response),
            error: None,
            created_at: now,
        }
    }

    /// What an operator did by hand.
    pub fn of_operator(
        id: Uuid,
        scope: &Scope,
        (action, resource_arn): (&str, Option<String>),
        (request, response): (Value, Option<Value>),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            scope: scope.clone(),
            principal_arn: OPERATOR.to_owned(),
            user_identity: json!({"type": "Operator", "invokedBy": "warren admin"}),
            action: action.to_owned(),
            resource_arn,
            request_id: RequestId(id),
            source_address: None,
            user_agent: None,
            is_read: false,
            request: Some(request),
            response,
            error: None,
            created_at: now,
        }
    }

    /// The event as a CloudTrail record.
    pub fn record(&self) -> Value {
        let (source, name) = match self.action.split_once(':') {
            Some(("sts", name)) => ("sts.amazonaws.com", name),
            Some(("iam", name)) => ("iam.amazonaws.com", name),
            Some((_, name)) => ("amazonmq.amazonaws.com", name),
            None => ("amazonmq.amazonaws.com", &*self.action),
        };
        let mut record = json!({
            "eventVersion": EVENT_VERSION,
            "userIdentity": self.user_identity,
            "eventTime": self.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "eventSource": source,
            "eventName": name,
            "awsRegion": self.scope.region.as_str(),
            "sourceIPAddress": self.source_address,
            "userAgent": self.user_agent,
            "requestParameters": self.request,
            "responseElements": self.response,
            "requestID": self.request_id.to_string(),
            "eventID": self.id.to_string(),
            "readOnly": self.is_read,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": self.scope.account_id.as_str(),
            "eventCategory": "Management",
        });
        if let Some(error) = &self.error {
            record["errorCode"] = json!(error.code);
            record["errorMessage"] = json!(error.message);
        }
        if let Some(arn) = &self.resource_arn {
            record["resources"] =
                json!([{"accountId": self.scope.account_id.as_str(), "ARN": arn}]);
        }
        record
    }
}

/// Text that the database takes: a NUL, which it does not, is replaced.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A request with asterisks for what nobody may read, as far as the database takes it. Anything that is not a string is hidden too:
/// a secret may hide in a list.
pub fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let hide = |(name, value): (String, Value)| {
                let is_secret = SECRETS
                    .iter()
                    .any(|secret| name.eq_ignore_ascii_case(secret));
                let value = match is_secret && !value.is_null() {
                    true => json!(HIDDEN),
                    false => without_secrets(value),
                };
                (storable(&name), value)
            };
            Value::Object(members.into_iter().map(hide).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        Value::String(text) => Value::String(storable(&text)),
        // The database gives a large one back with more digits than a JSON number may have here; no
        // operation takes any fraction.
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_the_database_would_not_give_back_is_told_as_text() {
        let told = without_secrets(json!({"a": [1.797e308, 7, -1]}));
        assert!(told["a"][0].is_string(), "{told}");
        assert_eq!(told["a"][1], json!(7));
    }

    #[test]
    fn passwords_and_data_are_hidden_wherever_they_stand() {
        let request = json!({
            "brokerName": "orders",
            "users": [{"username": "a", "password": "correct-horse"}, {"Password": ["x"]}],
            "data": "PD94",
            "na\0me": "a\0b",
            "ldapServerMetadata": {"serviceAccountPassword": "x", "hosts": ["h"]},
        });
        assert_eq!(
            without_secrets(request),
            json!({
                "brokerName": "orders",
                "users": [{"username": "a", "password": "****"}, {"Password": "****"}],
                "data": "****",
                "na\u{fffd}me": "a\u{fffd}b",
                "ldapServerMetadata": {"serviceAccountPassword": "****", "hosts": ["h"]},
            })
        );
    }
}
