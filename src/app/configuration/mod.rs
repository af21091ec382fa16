//! Operations on configurations, and how brokers come by theirs.

mod create;
mod delete;
mod describe;
mod update;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use describe::ConfigurationDescription;

use super::{App, Caller, caller::RequestTags};
use crate::{
    db,
    error::{Error, Kind},
    model::{
        ConfigurationId, Invalid, Scope,
        authorisation::Action,
        broker::{AuthenticationStrategy, request::ConfigurationChoice},
        configuration::{
            Configuration, ConfigurationRef, RevisionSummary, default_data, default_description,
        },
        engine::{EngineType, EngineVersion},
    },
};

/// What a new configuration is made of.
pub(super) struct Seed<'a> {
    pub(super) name: String,
    /// Whom its first revision is the default for.
    pub(super) default_for: &'a str,
    pub(super) engine_type: EngineType,
    pub(super) engine_version: EngineVersion,
    pub(super) authentication_strategy: AuthenticationStrategy,
}

impl App {
    /// Adds a configuration with the engine's defaults as its first revision.
    pub(super) async fn make_configuration(
        &self,
        conn: &mut PgConnection,
        scope: &Scope,
        seed: Seed<'_>,
        now: DateTime<Utc>,
    ) -> Result<Configuration, Error> {
        let version = seed.engine_version.as_str();
        let configuration = Configuration {
            id: ConfigurationId::from_uuid(self.entropy.uuid()),
            scope: scope.clone(),
            name: seed.name,
            engine_type: seed.engine_type,
            latest: RevisionSummary {
                revision: 1,
                description: default_description(seed.default_for, seed.engine_type, version),
                created_at: now,
            },
            engine_version: seed.engine_version,
            authentication_strategy: seed.authentication_strategy,
            created_at: now,
        };
        db::configuration_create(conn, &configuration, default_data(seed.engine_type)).await?;
        Ok(configuration)
    }
}

/// The caller's configuration named `id`.
async fn find(
    conn: &mut PgConnection,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Configuration, Error> {
    let configuration = match ConfigurationId::parse(id) {
        Some(id) => db::configuration_fetch(conn, &caller.scope(), &id).await?,
        None => None,
    };
    allow(conn, configuration, caller, action, id).await
}

/// Like [`find`], locked until the transaction ends.
async fn lock(
    conn: &mut PgConnection,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Configuration, Error> {
    let configuration = match ConfigurationId::parse(id) {
        Some(id) => db::configuration_lock(conn, &caller.scope(), &id).await?,
        None => None,
    };
    allow(conn, configuration, caller, action, id).await
}

async fn allow(
    conn: &mut PgConnection,
    configuration: Option<Configuration>,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Configuration, Error> {
    let configuration = configuration.ok_or_else(|| Error::not_found(Kind::Configuration, id))?;
    caller
        .may_on(conn, action, &configuration.arn(), RequestTags::None)
        .await?;
    Ok(configuration)
}

/// The revision that a broker shall have, kept from being deleted until the transaction ends. One
/// that does not exist is a bad request: not found is what the operation says of the broker.
pub(super) async fn choose(
    conn: &mut PgConnection,
    scope: &Scope,
    engine: EngineType,
    choice: &ConfigurationChoice,
) -> Result<ConfigurationRef, Error> {
    let refused = |message: String| Invalid::new("configuration", message);
    let configuration = match ConfigurationId::parse(&choice.id) {
        Some(id) => db::configuration_hold(conn, scope, &id).await?,
        None => None,
    };
    let configuration = configuration.ok_or_else(|| {
        refused(Error::not_found(Kind::Configuration, choice.id.as_str()).to_string())
    })?;
    if configuration.engine_type != engine {
        return Err(refused(format!(
            "Configuration [{}] is for engine type [{}], not [{}].",
            choice.id,
            configuration.engine_type.name(),
            engine.name(),
        ))
        .into());
    }
    // Revisions have no gaps.
    let latest = configuration.latest.revision;
    let revision = choice.revision.unwrap_or(latest);
    if !(1..=latest).contains(&revision) {
        return Err(refused(format!(
            "Can't find revision [{revision}] of requested configuration [{}].",
            choice.id
        ))
        .into());
    }
    Ok(ConfigurationRef {
        id: configuration.id,
        revision,
    })
}
