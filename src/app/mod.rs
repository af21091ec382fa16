//! What a caller can ask for, one method of [`App`] for each operation.
//!
//! Every operation authorises, validates, and does its change, its job and its audit event in
//! one transaction. Nothing here waits for a host: work that takes time is a job. Knows nothing
//! of HTTP.

mod access_key;
mod account;
mod broker;
mod caller;
mod catalogue;
mod configuration;
mod credential;
mod page;
mod principal;
mod session;
mod settings;
mod tag;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use access_key::NewAccessKey;
pub use broker::{BrokerDescription, CreateBrokerOutput, UpdateBrokerOutput};
pub use caller::Caller;
pub use catalogue::{EngineVersions, InstanceOption, OptionFilter};
pub use configuration::ConfigurationDescription;
pub use credential::{Credential, CredentialKind, NoCredential};
pub use page::{Page, PageRequest};
pub use session::{AssumeRole, Session};
pub use settings::Settings;

use crate::{
    db,
    error::Error,
    model::{
        arn::ResourceArn, audit::AuditEvent, authorisation::Action, clock::Clock, entropy::Entropy,
    },
    secrets::MasterKey,
};

/// Everything that operations need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub pool: db::Pool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub master_key: MasterKey,
    pub settings: Arc<Settings>,
}

impl App {
    /// Whether the database answers.
    pub async fn health(&self) -> Result<(), Error> {
        Ok(db::ping(&self.pool).await?)
    }

    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
        Ok(self.pool.begin().await?)
    }

    async fn audit(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let event = AuditEvent {
            id: self.entropy.uuid_at(change.now),
            scope: caller.scope(),
            principal_arn: caller.principal.arn(),
            action: change.action,
            resource_arn: Some(change.resource.to_string()),
            request_id: caller.request_id,
            source_address: caller.source_address.map(|address| address.to_string()),
            detail: change.detail,
            created_at: change.now,
        };
        Ok(db::audit_append(conn, &event).await?)
    }
}

/// What the audit log says of a change, beside who made it.
struct Change<'a> {
    action: Action,
    resource: &'a ResourceArn,
    detail: serde_json::Value,
    now: DateTime<Utc>,
}
