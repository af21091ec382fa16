//! Configurations and their revisions. Data goes in and out byte for byte.
//!
//! A configuration has at least one revision, and its revisions are numbered from 1 without gaps:
//! who adds one holds [`configuration_lock`].

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    Error, Result,
    row::{Place, page},
};
use crate::model::{
    BrokerId, ConfigurationId, Scope,
    broker::AuthenticationStrategy,
    configuration::{Configuration, ConfigurationRevision, RevisionSummary},
    engine::{EngineType, EngineVersion},
    page::Cursor,
};

/// Adds a configuration with its latest, and only, revision.
pub async fn configuration_create(
    conn: &mut PgConnection,
    configuration: &Configuration,
    data: String,
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
    .bind(configuration.authentication_strategy.name())
    .bind(configuration.created_at)
    .execute(&mut *conn)
    .await?;
    let revision = ConfigurationRevision {
        configuration_id: configuration.id.clone(),
        summary: configuration.latest.clone(),
        data,
    };
    configuration_revision_create(conn, &revision).await
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
    .bind(revision.summary.revision)
    .bind(&revision.summary.description)
    .bind(&revision.data)
    .bind(revision.summary.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select c.id, c.account_id, c.region, c.name, c.engine_type, c.engine_version,
                    c.authentication_strategy, c.created_at, r.revision, r.description,
                    r.created_at as revised_at
             from configurations c
             join lateral (select revision, description, created_at
                           from configuration_revisions
                           where configuration_id = c.id order by revision desc limit 1) r on true ",
            $tail
        )
    };
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
    created_at: DateTime<Utc>,
    revision: i32,
    description: String,
    revised_at: DateTime<Utc>,
}

impl TryFrom<Row> for Configuration {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "configurations",
            row: &row.id,
        };
        let strategy = AuthenticationStrategy::parse(&row.authentication_strategy);
        Ok(Self {
            id: place.need("id", ConfigurationId::parse(&row.id))?,
            scope: place.scope(&row.account_id, &row.region)?,
            name: row.name,
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            engine_version: place
                .need("engine_version", EngineVersion::parse(&row.engine_version))?,
            authentication_strategy: place.need("authentication_strategy", strategy)?,
            latest: RevisionSummary {
                revision: row.revision,
                description: row.description,
                created_at: row.revised_at,
            },
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
    let row: Option<Row> = sqlx::query_as(select!(
        "where c.id = $1 and c.account_id = $2 and c.region = $3"
    ))
    .bind(id.as_str())
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .fetch_optional(conn)
    .await?;
    row.map(Configuration::try_from).transpose()
}

/// Like [`configuration_fetch`], and until the transaction ends nobody else adds a revision,
/// starts to use it, or deletes it.
pub async fn configuration_lock(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &ConfigurationId,
) -> Result<Option<Configuration>> {
    sqlx::query("select from configurations where id = $1 for update")
        .bind(id.as_str())
        .execute(&mut *conn)
        .await?;
    // A statement of its own: one that waited for the lock would not see what was added meanwhile.
    configuration_fetch(conn, scope, id).await
}

/// Like [`configuration_fetch`], and until the transaction ends nobody deletes it.
pub async fn configuration_hold(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &ConfigurationId,
) -> Result<Option<Configuration>> {
    sqlx::query("select from configurations where id = $1 for share")
        .bind(id.as_str())
        .execute(&mut *conn)
        .await?;
    configuration_fetch(conn, scope, id).await
}

/// Whether a configuration of the scope has this name. Transactions that ask for the same name
/// wait for each other, so that one that then takes it is alone.
pub async fn configuration_name_taken(
    conn: &mut PgConnection,
    scope: &Scope,
    name: &str,
) -> Result<bool> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!(
            "configuration:{}:{}:{name}",
            scope.account_id, scope.region
        ))
        .execute(&mut *conn)
        .await?;
    let taken = sqlx::query_scalar(
        "select exists (select from configurations
                        where account_id = $1 and region = $2 and name = $3)",
    )
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .bind(name)
    .fetch_one(conn)
    .await?;
    Ok(taken)
}

/// How many configurations a scope has.
pub async fn configuration_count(conn: &mut PgConnection, scope: &Scope) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*) from configurations where account_id = $1 and region = $2",
    )
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// The configurations of a scope after `after`, oldest first, at most `limit` of them.
pub async fn configuration_list(
    conn: &mut PgConnection,
    scope: &Scope,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Vec<Configuration>> {
    let statement = select!(
        "where c.account_id = $1 and c.region = $2
           and ($3::timestamptz is null or (c.created_at, c.id) > ($3, $4))
         order by c.created_at, c.id limit $5"
    );
    let rows: Vec<Row> = page(conn, statement, scope, (after, limit)).await?;
    rows.into_iter().map(Configuration::try_from).collect()
}

/// The revisions of a configuration after `after`, oldest first, at most `limit` of them.
pub async fn configuration_revisions(
    conn: &mut PgConnection,
    id: &ConfigurationId,
    after: i32,
    limit: u32,
) -> Result<Vec<RevisionSummary>> {
    let rows: Vec<(i32, String, DateTime<Utc>)> = sqlx::query_as(
        "select revision, description, created_at from configuration_revisions
         where configuration_id = $1 and revision > $2 order by revision limit $3",
    )
    .bind(id.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let summary = |(revision, description, created_at)| RevisionSummary {
        revision,
        description,
        created_at,
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// A revision of a configuration that the caller has already found in its scope.
pub async fn configuration_revision_fetch(
    conn: &mut PgConnection,
    id: &ConfigurationId,
    revision: i32,
) -> Result<Option<ConfigurationRevision>> {
    let row: Option<(String, String, DateTime<Utc>)> = sqlx::query_as(
        "select description, data, created_at from configuration_revisions
         where configuration_id = $1 and revision = $2",
    )
    .bind(id.as_str())
    .bind(revision)
    .fetch_optional(conn)
    .await?;
    let found = |(description, data, created_at)| ConfigurationRevision {
        configuration_id: id.clone(),
        summary: RevisionSummary {
            revision,
            description,
            created_at,
        },
        data,
    };
    Ok(row.map(found))
}

/// The oldest broker that runs with a revision of the configuration, or will after a reboot.
pub async fn configuration_used_by(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &ConfigurationId,
) -> Result<Option<BrokerId>> {
    let broker: Option<String> = sqlx::query_scalar(
        "select id from brokers
         where account_id = $1 and region = $2
           and $3 in (intended->'configuration'->>'id', applied->'configuration'->>'id',
                      staged->'configuration'->>'id')
         order by created_at, id limit 1",
    )
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?;
    let Some(broker) = broker else {
        return Ok(None);
    };
    let place = Place {
        table: "brokers",
        row: &broker,
    };
    Ok(Some(place.need("id", BrokerId::parse(&broker))?))
}

/// Removes a configuration with its revisions and tags.
pub async fn configuration_delete(
    conn: &mut PgConnection,
    configuration: &Configuration,
) -> Result<()> {
    sqlx::query("delete from tags where account_id = $1 and region = $2 and resource_arn = $3")
        .bind(configuration.scope.account_id.as_str())
        .bind(configuration.scope.region.as_str())
        .bind(configuration.arn().to_string())
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from configurations where id = $1")
        .bind(configuration.id.as_str())
        .execute(conn)
        .await?;
    Ok(())
}
