//! The audit log: appended to, never changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::{Builder, Uuid};

use super::{Result, row::Place};
use crate::model::{
    Region, RequestId, Scope,
    audit::{AuditError, AuditEvent, AuditFilter},
    page::Cursor,
};

macro_rules! insert {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            "insert into audit_events (id, account_id, region, principal_arn, user_identity, action,
                                       resource_arn, request_id, source_address, user_agent,
                                       read_only, request, response, error_code, error_message,
                                       created_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 ",
            $tail
        )
    };
}

/// Adds an event to the transaction of the change that it tells of.
pub async fn audit_append(conn: &mut PgConnection, event: &AuditEvent) -> Result<()> {
    append(conn, insert!("", ""), event).await
}

/// Adds the event of a call that changed nothing, in a transaction of its own whose commit does not
/// wait for the disk: a machine that fails may take the last fraction of a second with it. One round
/// trip: it is part of every answer.
pub async fn audit_append_quickly(conn: &mut PgConnection, event: &AuditEvent) -> Result<()> {
    let statement = insert!(
        "with quick as (select set_config('synchronous_commit', 'off', true)) ",
        "from quick"
    );
    append(conn, statement, event).await
}

async fn append(
    conn: &mut PgConnection,
    statement: &'static str,
    event: &AuditEvent,
) -> Result<()> {
    let error = event.error.as_ref();
    sqlx::query(statement)
        .bind(event.id)
        .bind(event.scope.account_id.as_str())
        .bind(event.scope.region.as_str())
        .bind(&event.principal_arn)
        .bind(&event.user_identity)
        .bind(&event.action)
        .bind(&event.resource_arn)
        .bind(event.request_id.to_string())
        .bind(&event.source_address)
        .bind(&event.user_agent)
        .bind(event.is_read)
        .bind(&event.request)
        .bind(&event.response)
        .bind(error.map(|error| &error.code))
        .bind(error.map(|error| &error.message))
        .bind(event.created_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The scope's events and those of its account that belong to no region, newest first.
pub async fn audit_list(
    conn: &mut PgConnection,
    scope: &Scope,
    filter: &AuditFilter,
    before: Option<&Cursor>,
    limit: u32,
) -> Result<Vec<AuditEvent>> {
    // Each region's events come from the index in order: neither is sorted as a whole.
    let rows: Vec<Row> = sqlx::query_as(
        "select found.* from (select $2 as name union select $12) as regions
         cross join lateral (
             select * from audit_events
             where account_id = $1 and region = regions.name
               and ($3::text is null or action = $3)
               and ($4::text is null or principal_arn = $4)
               and ($5::text is null or resource_arn = $5)
               and ($6::boolean is null or read_only = $6)
               and ($7::timestamptz is null or created_at >= $7)
               and ($8::timestamptz is null or created_at < $8)
               and ($9::timestamptz is null or (created_at, id) < ($9, $10::uuid))
             order by created_at desc, id desc limit $11
         ) as found
         order by found.created_at desc, found.id desc limit $11",
    )
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .bind(&filter.action)
    .bind(&filter.principal_arn)
    .bind(&filter.resource_arn)
    .bind(filter.read_only)
    .bind(filter.since)
    .bind(filter.until)
    .bind(before.map(|cursor| cursor.created_at))
    .bind(before.and_then(|cursor| Uuid::parse_str(&cursor.id).ok()))
    .bind(i64::from(limit))
    .bind(Region::global().as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// How far somebody has followed the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditPosition {
    pub transaction_id: i64,
    pub id: Uuid,
}

/// The next events of all accounts, in the order of their transactions, each with its position.
/// Those that an open transaction could still come before are left for later.
pub async fn audit_follow(
    conn: &mut PgConnection,
    after: AuditPosition,
    limit: u32,
) -> Result<Vec<(AuditPosition, AuditEvent)>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from audit_events
         where (transaction_id, id) > ($1, $2)
           and transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
         order by transaction_id, id limit $3",
    )
    .bind(after.transaction_id)
    .bind(after.id)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let read = |row: Row| {
        let position = AuditPosition {
            transaction_id: row.transaction_id,
            id: row.id,
        };
        Ok((position, row.read()?))
    };
    rows.into_iter().map(read).collect()
}

/// Where an event stands; `None` when there is none with this id.
pub async fn audit_position(conn: &mut PgConnection, id: Uuid) -> Result<Option<AuditPosition>> {
    let row: Option<i64> =
        sqlx::query_scalar("select transaction_id from audit_events where id = $1")
            .bind(id)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|transaction_id| AuditPosition { transaction_id, id }))
}

/// Forgets events of before `until`; how many, of at most `limit`. Their ids begin with their time, so
/// that the oldest are found without reading the others.
pub async fn audit_prune(conn: &mut PgConnection, until: DateTime<Utc>, limit: u32) -> Result<u64> {
    let millis = u64::try_from(until.timestamp_millis()).unwrap_or(0);
    let first_kept = Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    let done = sqlx::query(
        "delete from audit_events where id in
         (select id from audit_events where id < $1 order by id limit $2)",
    )
    .bind(first_kept)
    .bind(i64::from(limit))
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: String,
    region: String,
    principal_arn: String,
    user_identity: Value,
    action: String,
    resource_arn: Option<String>,
    request_id: String,
    source_address: Option<String>,
    user_agent: Option<String>,
    read_only: bool,
    request: Option<Value>,
    response: Option<Value>,
    error_code: Option<String>,
    error_message: Option<String>,
    created_at: DateTime<Utc>,
    transaction_id: i64,
}

impl Row {
    fn read(self) -> Result<AuditEvent> {
        let id = self.id.to_string();
        let place = Place {
            table: "audit_events",
            row: &id,
        };
        let request_id = Uuid::parse_str(&self.request_id).ok();
        Ok(AuditEvent {
            id: self.id,
            scope: place.scope(&self.account_id, &self.region)?,
            principal_arn: self.principal_arn,
            user_identity: self.user_identity,
            action: self.action,
            resource_arn: self.resource_arn,
            request_id: RequestId(place.need("request_id", request_id)?),
            source_address: self.source_address,
            user_agent: self.user_agent,
            is_read: self.read_only,
            request: self.request,
            response: self.response,
            error: self.error_code.map(|code| AuditError {
                code,
                message: self.error_message.unwrap_or_default(),
            }),
            created_at: self.created_at,
        })
    }
}
