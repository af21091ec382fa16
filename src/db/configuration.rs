//! Configurations and their revisions. Data goes in and out byte for byte.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Error, Result, row::Place};
use crate::model::{
    ConfigurationId, Scope,
    configuration::{Configuration, ConfigurationRevision},
    engine::{EngineType, EngineVersion},
};

/// Adds a configuration without revisions.
pub async fn configuration_create(
    conn: &mut PgConnection,
    configuration: &Configuration,
) -> Result<()> {
    sqlx::query(
        "insert into configurations (id, account_id, region, name, engine_type, engine_version,
                                     authentication_strategy, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(configuration.id.as_str())
    .bind(configuration.scope.account_id.as_str())
    .bind(configuration.scope.region.as_str())
    .bind(&configuration.name)
    .bind(configuration.engine_type.name())
    .bind(configuration.engine_version.as_str())
    .bind(&configuration.authentication_strategy)
    .bind(configuration.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn configuration_revision_create(
    conn: &mut PgConnection,
    revision: &ConfigurationRevision,
) -> Result<()> {
    sqlx::query(
        "insert into configuration_revisions (configuration_id, revision, description, data,
                                              created_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(revision.configuration_id.as_str())
    .bind(revision.revision)
    .bind(&revision.description)
    .bind(&revision.data)
    .bind(revision.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    region: String,
    name: String,
    engine_type: String,
    engine_version: String,
    authentication_strategy: String,
    latest_revision: i32,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Configuration {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "configurations",
            row: &row.id,
        };
        Ok(Self {
            id: place.need("id", ConfigurationId::parse(&row.id))?,
            scope: place.scope(&row.account_id, &row.region)?,
            name: row.name,
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            engine_version: place
                .need("engine_version", EngineVersion::parse(&row.engine_version))?,
            authentication_strategy: row.authentication_strategy,
            latest_revision: row.latest_revision,
            created_at: row.created_at,
        })
    }
}

/// A configuration of one scope.
pub async fn configuration_fetch(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &ConfigurationId,
) -> Result<Option<Configuration>> {
    let row: Option<Row> = sqlx::query_as(
        "select c.id, c.account_id, c.region, c.name, c.engine_type, c.engine_version,
                c.authentication_strategy, c.created_at,
                (select coalesce(max(r.revision), 0) from configuration_revisions r
                 where r.configuration_id = c.id) as latest_revision
         from configurations c where c.id = $1 and c.account_id = $2 and c.region = $3",
    )
    .bind(id.as_str())
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .fetch_optional(conn)
    .await?;
    row.map(Configuration::try_from).transpose()
}

#[derive(sqlx::FromRow)]
struct RevisionRow {
    revision: i32,
    description: String,
    data: String,
    created_at: DateTime<Utc>,
}

/// A revision of a configuration that the caller has already found in its scope.
pub async fn configuration_revision_fetch(
    conn: &mut PgConnection,
    id: &ConfigurationId,
    revision: i32,
) -> Result<Option<ConfigurationRevision>> {
    let row: Option<RevisionRow> = sqlx::query_as(
        "select revision, description, data, created_at from configuration_revisions
         where configuration_id = $1 and revision = $2",
    )
    .bind(id.as_str())
    .bind(revision)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ConfigurationRevision {
        configuration_id: id.clone(),
        revision: row.revision,
        description: row.description,
        data: row.data,
        created_at: row.created_at,
    }))
}
