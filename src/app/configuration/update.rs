//! UpdateConfiguration: each update is a new revision, and no revision ever changes.

use serde_json::json;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::Error,
    model::{
        authorisation::Action,
        configuration::{
            Configuration, ConfigurationRevision, RevisionSummary, SanitizationWarning,
            UpdateConfiguration,
        },
        quota::Quota,
    },
};

impl App {
    /// Adds a revision, and tells what of it could not be kept. Brokers get it when they are
    /// updated to it and rebooted.
    pub async fn update_configuration(
        &self,
        caller: &Caller,
        id: &str,
        request: UpdateConfiguration,
    ) -> Result<(Configuration, Vec<SanitizationWarning>), Error> {
        let action = Action::UpdateConfiguration;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let configuration = lock(&mut tx, caller, action, id).await?;
        let content = request.check(
            configuration.engine_type,
            &configuration.engine_version,
            configuration.authentication_strategy,
        )?;
        let quotas = db::quotas_fetch(&mut tx, &configuration.scope.account_id).await?;
        // Revisions have no gaps.
        let there_are = i64::from(configuration.latest.revision);
        quotas.allow_one_more(Quota::RevisionsPerConfiguration, there_are)?;
        let revision = ConfigurationRevision {
            configuration_id: configuration.id.clone(),
            summary: RevisionSummary {
                revision: configuration.latest.revision + 1,
                description: content.description,
                created_at: now,
            },
            data: content.data,
        };
        db::configuration_revision_create(&mut tx, &revision).await?;
        let change = Change {
            action,
            resource: &configuration.arn(),
            response: json!({"id": configuration.id.as_str(), "revision": revision.summary.revision}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        let updated = Configuration {
            latest: revision.summary,
            ..configuration
        };
        Ok((updated, content.warnings))
    }
}
