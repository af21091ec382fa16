//! CreateConfiguration.

use serde_json::json;

use super::Seed;
use crate::{
    app::{App, Caller, audit::Change, caller::RequestTags},
    db,
    error::{Error, Kind},
    model::{
        authorisation::Action,
        configuration::{Configuration, CreateConfiguration},
        quota::Quota,
    },
};

impl App {
    /// Makes a configuration whose first revision is the engine's defaults.
    pub async fn create_configuration(
        &self,
        caller: &Caller,
        request: CreateConfiguration,
    ) -> Result<Configuration, Error> {
        let scope = caller.scope();
        let action = Action::CreateConfiguration;
        let tags = request.tags.clone().unwrap_or_default();
        caller.may(action, RequestTags::Set(&tags))?;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let catalogue = self.catalogue(&mut tx).await?;
        let draft = request.draft(&catalogue, self.settings.parity)?;
        let quota = Quota::ConfigurationsPerRegion;
        db::quota_lock(&mut tx, &scope, quota).await?;
        let there_are = db::configuration_count(&mut tx, &scope).await?;
        let quotas = db::quotas_fetch(&mut tx, &scope.account_id).await?;
        quotas.allow_one_more(quota, there_are)?;
        quotas.allow(Quota::TagsPerResource, draft.tags.len())?;
        if db::configuration_name_taken(&mut tx, &scope, &draft.name).await? {
            return Err(Error::AlreadyExists {
                kind: Kind::Configuration,
                name: draft.name,
            });
        }
        let seed = Seed {
            name: draft.name.clone(),
            default_for: &draft.name,
            engine_type: draft.engine_type,
            engine_version: draft.engine_version,
            authentication_strategy: draft.authentication_strategy,
        };
        let configuration = self.make_configuration(&mut tx, &scope, seed, now).await?;
        let arn = configuration.arn();
        db::tags_put(&mut tx, &arn, &draft.tags).await?;
        let change = Change {
            action,
            resource: &arn,
            response: json!({"arn": arn.to_string(), "id": configuration.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(configuration)
    }
}
