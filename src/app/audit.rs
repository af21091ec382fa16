//! The audit log: every call of somebody known, told once.
//!
//! A change is told of in its own transaction ([`App::audit`], and [`App::audit_access`] of what an
//! operator changes); reads, and calls that failed, when they were answered ([`App::audit_call`]).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{App, Caller, Page, PageRequest, caller::RequestTags};
use crate::{
    db,
    error::Error,
    model::{
        AccountId, Region, Scope,
        arn::ResourceArn,
        audit::{AuditError, AuditEvent, AuditFilter},
        authorisation::Action,
        page::Cursor,
        principal::Identity,
    },
};

/// What the log will say of a call beside who made it.
#[derive(Debug, Clone, Default)]
pub struct CallNote {
    /// What was asked, without its secrets.
    pub request: Option<Value>,
    is_told: Arc<AtomicBool>,
}

impl CallNote {
    /// Of a call that asks this.
    pub fn new(request: Option<Value>) -> Self {
        Self {
            request,
            is_told: Arc::default(),
        }
    }

    /// Whether the transaction of a change told of the call.
    pub fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Relaxed)
    }
}

/// What the audit log says of a change, beside who made it.
pub(super) struct Change<'a> {
    pub(super) action: Action,
    pub(super) resource: &'a ResourceArn,
    /// What the caller is answered.
    pub(super) response: Value,
    pub(super) now: DateTime<Utc>,
}

/// What an operator changed of who may do what in an account.
pub(super) struct AccessChange<'a> {
    pub(super) account_id: &'a AccountId,
    /// As IAM calls it, such as `iam:CreateUser`.
    pub(super) action: String,
    pub(super) resource_arn: String,
    pub(super) request: Value,
}

/// A call as it ended.
#[derive(Debug, Clone)]
pub struct EndedCall {
    /// The action's name in policies.
    pub action: String,
    pub is_read: bool,
    pub resource_arn: Option<String>,
    /// What the caller was answered, where that is worth telling.
    pub response: Option<Value>,
    pub error: Option<AuditError>,
}

impl App {
    /// Tells of a change in its transaction.
    pub(super) async fn audit(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let event = AuditEvent {
            resource_arn: Some(change.resource.to_string()),
            response: Some(change.response),
            ..self.event(caller, change.action.name().to_owned(), change.now)
        };
        db::audit_append(conn, &event).await?;
        caller.note.is_told.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Tells of a change of who may do what, in its transaction. It belongs to no region.
    pub(super) async fn audit_access(
        &self,
        conn: &mut PgConnection,
        change: AccessChange<'_>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let scope = Scope {
            account_id: change.account_id.clone(),
            region: Region::global(),
        };
        let event = AuditEvent::of_operator(
            self.entropy.uuid_at(now),
            &scope,
            (&change.action, Some(change.resource_arn)),
            (change.request, None),
            now,
        );
        Ok(db::audit_append(conn, &event).await?)
    }

    /// Tells of a call that changed nothing.
    pub async fn audit_call(&self, caller: &Caller, call: EndedCall) -> Result<(), Error> {
        let event = AuditEvent {
            is_read: call.is_read,
            resource_arn: call.resource_arn,
            response: call.response,
            error: call.error,
            ..self.event(caller, call.action, self.clock.now())
        };
        let mut conn = self.pool.acquire().await?;
        Ok(db::audit_append_quickly(&mut conn, &event).await?)
    }

    fn event(&self, caller: &Caller, action: String, now: DateTime<Utc>) -> AuditEvent {
        AuditEvent {
            id: self.entropy.uuid_at(now),
            scope: caller.scope(),
            principal_arn: caller.principal.arn(),
            user_identity: identity(caller),
            action,
            resource_arn: None,
            request_id: caller.request_id,
            source_address: caller.source_address.map(|address| address.to_string()),
            user_agent: caller.user_agent.clone(),
            is_read: false,
            request: caller.note.request.clone(),
            response: None,
            error: None,
            created_at: now,
        }
    }

    /// The events of the caller's account in the region and in none, newest first.
    pub async fn list_audit_events(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<AuditEvent>, Error> {
        let scope = caller.scope();
        let action = Action::ListAuditEvents;
        caller.may(action, RequestTags::None)?;
        let before: Option<Cursor> = self.position(caller, action, request)?;
        let mut conn = self.pool.acquire().await?;
        let limit = request.limit();
        let rows = db::audit_list(&mut conn, &scope, filter, before.as_ref(), limit).await?;
        self.page(caller, action, request, rows, |last| {
            Cursor::new(last.created_at, last.id)
        })
    }
}

/// CloudTrail's `userIdentity` element.
fn identity(caller: &Caller) -> Value {
    let account_id = caller.principal.account_id.as_str();
    let mut identity = json!({
        "principalId": caller.unique_id,
        "arn": caller.principal.arn(),
        "accountId": account_id,
        "accessKeyId": caller.access_key_id.as_str(),
    });
    match &caller.principal.identity {
        Identity::Root => identity["type"] = json!("Root"),
        Identity::User(name) => {
            identity["type"] = json!("IAMUser");
            identity["userName"] = json!(name.as_str());
        }
        Identity::Session { role, .. } => {
            let role_id = caller.unique_id.split(':').next();
            let session = caller.session.as_ref();
            let issued_at = session.map(|session| session.issued_at);
            let issued_at = issued_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
            identity["type"] = json!("AssumedRole");
            identity["sessionContext"] = json!({
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role_id,
                    "arn": caller.subject_arn(),
                    "accountId": account_id,
                    "userName": role.as_str(),
                },
                "attributes": {"creationDate": issued_at, "mfaAuthenticated": "false"},
            });
            let inherited = session.map(|session| &session.inherited);
            if let Some(name) = inherited.and_then(|one| one.source_identity.as_deref()) {
                identity["sessionContext"]["sourceIdentity"] = json!(name);
            }
        }
    }
    identity
}
