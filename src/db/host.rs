//! Hosts and what their agents shall make true.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Error, Result,
    row::{Place, to_json},
};
use crate::model::{
    HostId,
    host::Host,
    node::{Capacity, NodeIntent},
};

macro_rules! columns {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " id, name, zone, provisioner, intent_version, certificate_serial, capacity,
              node_count, last_seen_at, created_at ",
            $tail
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    zone: String,
    provisioner: String,
    intent_version: i64,
    certificate_serial: Option<String>,
    capacity: Option<Value>,
    node_count: i32,
    last_seen_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Host {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "hosts",
            row: &row.id.to_string(),
        };
        Ok(Self {
            id: HostId(row.id),
            name: row.name,
            zone: row.zone,
            provisioner: row.provisioner,
            intent_version: row.intent_version,
            certificate_serial: row.certificate_serial,
            capacity: row
                .capacity
                .map(|value| place.json("capacity", value))
                .transpose()?,
            node_count: place.need("node_count", u32::try_from(row.node_count).ok())?,
            last_seen_at: row.last_seen_at,
            created_at: row.created_at,
        })
    }
}

/// Adds a host, or finds the one of that name: a host that enrols again keeps its id and nodes.
pub async fn host_create(
    conn: &mut PgConnection,
    id: HostId,
    name: &str,
    zone: &str,
    provisioner: &str,
    now: DateTime<Utc>,
) -> Result<Host> {
    let row: Row = sqlx::query_as(columns!(
        "insert into hosts (id, name, zone, provisioner, created_at) values ($1, $2, $3, $4, $5)
         on conflict (name) do update set zone = excluded.zone, provisioner = excluded.provisioner
         returning",
        ""
    ))
    .bind(id.0)
    .bind(name)
    .bind(zone)
    .bind(provisioner)
    .bind(now)
    .fetch_one(conn)
    .await?;
    row.try_into()
}

pub async fn host_fetch(conn: &mut PgConnection, id: HostId) -> Result<Option<Host>> {
    let row: Option<Row> = sqlx::query_as(columns!("select", "from hosts where id = $1"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.map(Host::try_from).transpose()
}

pub async fn host_fetch_by_name(conn: &mut PgConnection, name: &str) -> Result<Option<Host>> {
    let row: Option<Row> = sqlx::query_as(columns!("select", "from hosts where name = $1"))
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.map(Host::try_from).transpose()
}

/// The hosts of a zone, or all of them, by name.
pub async fn host_list(conn: &mut PgConnection, zone: Option<&str>) -> Result<Vec<Host>> {
    let rows: Vec<Row> = sqlx::query_as(columns!(
        "select",
        "from hosts where $1::text is null or zone = $1 order by name"
    ))
    .bind(zone)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Host::try_from).collect()
}

/// The host of `provisioner` with the fewest nodes, of those that were heard of since `heard_since` and
/// stand in none of `zones_avoided`; of equal ones the first by zone, then by id. Two that ask in the
/// same instant are told the same.
pub async fn host_emptiest(
    conn: &mut PgConnection,
    provisioner: &str,
    zones_avoided: &[String],
    heard_since: DateTime<Utc>,
) -> Result<Option<HostId>> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "select id from hosts
         where provisioner = $1 and zone <> all ($2) and last_seen_at >= $3
         order by node_count, zone collate \"C\", id limit 1",
    )
    .bind(provisioner)
    .bind(zones_avoided)
    .bind(heard_since)
    .fetch_optional(conn)
    .await?;
    Ok(id.map(HostId))
}

/// Notes that the agent was heard, and what its host has.
pub async fn host_touch(
    conn: &mut PgConnection,
    id: HostId,
    capacity: &Capacity,
    now: DateTime<Utc>,
) -> Result<()> {
    // A heartbeat that is lost with the machine is followed by the next one: its commit waits for no
    // disk. The setting ends with the statement's own transaction.
    sqlx::query(
        "with quick as (select set_config('synchronous_commit', 'off', true))
         update hosts set capacity = $2, last_seen_at = $3 from quick where id = $1",
    )
    .bind(id.0)
    .bind(to_json(capacity)?)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the agent's newest certificate.
pub async fn host_set_certificate(
    conn: &mut PgConnection,
    id: HostId,
    serial_hex: &str,
) -> Result<()> {
    sqlx::query("update hosts set certificate_serial = $2 where id = $1")
        .bind(id.0)
        .bind(serial_hex)
        .execute(conn)
        .await?;
    Ok(())
}

/// The version of a host's intent; `None` for no such host.
pub async fn host_intent_version(conn: &mut PgConnection, id: HostId) -> Result<Option<i64>> {
    Ok(
        sqlx::query_scalar("select intent_version from hosts where id = $1")
            .bind(id.0)
            .fetch_optional(conn)
            .await?,
    )
}

/// Hosts that were heard of once, but not since `heard_since`: id and name, by name.
pub async fn hosts_silent(
    conn: &mut PgConnection,
    heard_since: DateTime<Utc>,
) -> Result<Vec<(HostId, String)>> {
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select id, name from hosts where last_seen_at < $1 order by name")
            .bind(heard_since)
            .fetch_all(conn)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name)| (HostId(id), name))
        .collect())
}

/// The whole intent of a host with its version, both of one instant; `None` for no such host.
pub async fn host_intent(
    conn: &mut PgConnection,
    id: HostId,
) -> Result<Option<(i64, Vec<NodeIntent>)>> {
    let row: Option<(i64, Value)> = sqlx::query_as(
        "select h.intent_version,
                coalesce(jsonb_agg(n.intended order by n.id)
                         filter (where n.intended is not null), '[]')
         from hosts h left join nodes n on n.host_id = h.id
         where h.id = $1 group by h.id",
    )
    .bind(id.0)
    .fetch_optional(conn)
    .await?;
    let Some((version, nodes)) = row else {
        return Ok(None);
    };
    let place = Place {
        table: "nodes",
        row: &format!("of host {id}"),
    };
    Ok(Some((version, place.json("intended", nodes)?)))
}
