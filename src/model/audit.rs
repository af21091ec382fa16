//! Who changed what: one event for each change, written in the change's transaction.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{RequestId, Scope, authorisation::Action};

/// `detail` is the request as the caller sent it. Passwords cannot reach it: they serialise to a
/// fixed word ([`super::password::Password`]).
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    pub id: Uuid,
    pub scope: Scope,
    pub principal_arn: String,
    pub action: Action,
    pub resource_arn: Option<String>,
    pub request_id: RequestId,
    pub source_address: Option<String>,
    pub detail: serde_json::Value,
    pub created_at: DateTime<Utc>,
}
