//! Nodes: where they run, what their agents shall make true, and what these observed.
//!
//! Workflows write placement and intent, the agents' endpoint writes observations; neither
//! touches the other's columns, and an older generation never overwrites a newer one.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Error, INTENT_CHANNEL, Result,
    row::{Place, to_json},
};
use crate::model::{
    BrokerId, HostId, NodeId,
    broker::Broker,
    node::{Node, NodeIntent, NodeObservation, Placement},
};

macro_rules! columns {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " id, broker_id, account_id, region, ordinal, host_id, address, amqps_port,
              management_port, intended, generation, observed, created_at ",
            $tail
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    broker_id: String,
    account_id: String,
    region: String,
    ordinal: i32,
    host_id: Option<Uuid>,
    address: Option<String>,
    amqps_port: Option<i32>,
    management_port: Option<i32>,
    intended: Option<Value>,
    generation: i64,
    observed: Option<Value>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Node {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "nodes",
            row: &row.id.to_string(),
        };
        let placement = match row.host_id {
            None => None,
            Some(host_id) => Some(Placement {
                host_id: HostId(host_id),
                address: place.need("address", row.address.and_then(|text| text.parse().ok()))?,
                amqps_port: place.need("amqps_port", row.amqps_port.and_then(port))?,
                management_port: place
                    .need("management_port", row.management_port.and_then(port))?,
            }),
        };
        Ok(Self {
            id: NodeId(row.id),
            broker_id: place.need("broker_id", BrokerId::parse(&row.broker_id))?,
            scope: place.scope(&row.account_id, &row.region)?,
            ordinal: row.ordinal,
            placement,
            intended: row
                .intended
                .map(|value| place.json("intended", value))
                .transpose()?,
            generation: row.generation,
            observed: row
                .observed
                .map(|value| place.json("observed", value))
                .transpose()?,
            created_at: row.created_at,
        })
    }
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok()
}

/// Adds the node with this ordinal to a broker, or finds the one that has it.
pub async fn node_create(
    conn: &mut PgConnection,
    id: NodeId,
    broker: &Broker,
    ordinal: i32,
    now: DateTime<Utc>,
) -> Result<Node> {
    let row: Row = sqlx::query_as(columns!(
        "insert into nodes (id, broker_id, account_id, region, ordinal, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (broker_id, ordinal) do update set ordinal = excluded.ordinal returning",
        ""
    ))
    .bind(id.0)
    .bind(broker.id.as_str())
    .bind(broker.scope.account_id.as_str())
    .bind(broker.scope.region.as_str())
    .bind(ordinal)
    .bind(now)
    .fetch_one(conn)
    .await?;
    row.try_into()
}

pub async fn node_fetch(conn: &mut PgConnection, id: NodeId) -> Result<Option<Node>> {
    let row: Option<Row> = sqlx::query_as(columns!("select", "from nodes where id = $1"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.map(Node::try_from).transpose()
}

/// The nodes of a broker by ordinal.
pub async fn nodes_of_broker(conn: &mut PgConnection, broker_id: &BrokerId) -> Result<Vec<Node>> {
    let rows: Vec<Row> = sqlx::query_as(columns!(
        "select",
        "from nodes where broker_id = $1 order by ordinal"
    ))
    .bind(broker_id.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Node::try_from).collect()
}

/// What nodes have at any of these addresses: (address, AMQPS port, management port).
pub async fn addresses_taken(
    conn: &mut PgConnection,
    among: &[IpAddr],
) -> Result<Vec<(IpAddr, u16, u16)>> {
    let among: Vec<String> = among.iter().map(ToString::to_string).collect();
    let rows: Vec<(String, i32, i32)> = sqlx::query_as(
        "select address, amqps_port, management_port from nodes where address = any ($1)
         order by address, amqps_port",
    )
    .bind(among)
    .fetch_all(conn)
    .await?;
    let read = |(address, amqps, management): (String, i32, i32)| {
        let place = Place {
            table: "nodes",
            row: &address,
        };
        Ok((
            place.need("address", address.parse().ok())?,
            place.need("amqps_port", port(amqps))?,
            place.need("management_port", port(management))?,
        ))
    };
    rows.into_iter().map(read).collect()
}

/// Where a broker's nodes are, each zone once.
pub async fn zones_of_broker(conn: &mut PgConnection, broker_id: &BrokerId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select distinct h.zone from nodes n join hosts h on h.id = n.host_id
         where n.broker_id = $1 order by h.zone",
    )
    .bind(broker_id.as_str())
    .fetch_all(conn)
    .await?)
}

/// Gives a node its place; `false` when it has one already. `Taken` when another node has the
/// address and port: the transaction is void then, so this wants one of its own.
pub async fn node_place(
    conn: &mut PgConnection,
    id: NodeId,
    placement: &Placement,
) -> Result<bool> {
    let done = sqlx::query(
        "update nodes set host_id = $2, address = $3, amqps_port = $4, management_port = $5
         where id = $1 and host_id is null",
    )
    .bind(id.0)
    .bind(placement.host_id.0)
    .bind(placement.address.to_string())
    .bind(i32::from(placement.amqps_port))
    .bind(i32::from(placement.management_port))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what the node's agent shall make true, and wakes the agent when the transaction
/// commits. `false` when the intent is that already; `Stale` when a later generation is intended.
pub async fn node_intend(conn: &mut PgConnection, intent: &NodeIntent) -> Result<bool> {
    let id = intent.node_id;
    let row: Option<(i64, Option<Value>, Option<Uuid>)> =
        sqlx::query_as("select generation, intended, host_id from nodes where id = $1 for update")
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
    let wanted = to_json(intent)?;
    let Some((generation, intended, host_id)) = row else {
        return Err(Error::Stale);
    };
    if generation > intent.generation {
        return Err(Error::Stale);
    }
    if intended.as_ref() == Some(&wanted) {
        return Ok(false);
    }
    sqlx::query("update nodes set intended = $2, generation = $3 where id = $1")
        .bind(id)
        .bind(wanted)
        .bind(intent.generation)
        .execute(&mut *conn)
        .await?;
    if let Some(host_id) = host_id {
        bump_intent(conn, host_id).await?;
    }
    Ok(true)
}

/// What a report says that is not known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Nodes that were never seen, or of which more than the time differs.
    pub changed: Vec<Uuid>,
    /// Nodes of the host that nobody here knows.
    pub unknown: Vec<Uuid>,
}

/// Compares observations with the last ones of the same host. What tells nothing new need not be
/// written.
pub async fn nodes_news(
    conn: &mut PgConnection,
    host_id: HostId,
    observations: &[NodeObservation],
) -> Result<News> {
    let ids: Vec<Uuid> = observations.iter().map(|seen| seen.node_id).collect();
    let seen: Vec<Value> = observations
        .iter()
        .map(to_json)
        .collect::<Result<Vec<_>>>()?;
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(
        "select report.id, n.id is not null
         from unnest($2::uuid[], $3::jsonb[]) as report (id, observed)
         left join nodes n on n.id = report.id
         where n.id is null
            or (n.host_id = $1
                and (n.observed - 'observed_at') is distinct from (report.observed - 'observed_at'))",
    )
    .bind(host_id.0)
    .bind(ids)
    .bind(seen)
    .fetch_all(conn)
    .await?;
    let mut news = News::default();
    for (id, is_known) in rows {
        if is_known {
            news.changed.push(id);
        } else {
            news.unknown.push(id);
        }
    }
    Ok(news)
}

/// Notes that the host of a node runs a generation that is newer than any that was intended: it was
/// told by a database that has been replaced by an older copy. `false` when it is no newer.
pub async fn node_overtaken(
    conn: &mut PgConnection,
    host_id: HostId,
    observation: &NodeObservation,
) -> Result<bool> {
    let done = sqlx::query(
        "update nodes set overtaken_by = $3
         where id = $1 and host_id = $2 and generation < $3 and coalesce(overtaken_by, 0) < $3",
    )
    .bind(observation.node_id)
    .bind(host_id.0)
    .bind(observation.generation)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What [`node_observe`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub broker_id: BrokerId,
    /// Whether the phase or the generation differs from the last observation.
    pub changed: bool,
}

/// Notes what the agent of `host_id` observed. `None` when the node is not on that host, or the
/// observation speaks of a generation older than the last one, or of one never intended.
pub async fn node_observe(
    conn: &mut PgConnection,
    host_id: HostId,
    observation: &NodeObservation,
    now: DateTime<Utc>,
) -> Result<Option<Observed>> {
    let row: Option<(String, bool)> = sqlx::query_as(
        "with last as (
             select id, observed->>'phase' as phase, observed_generation from nodes
             where id = $1 and host_id = $2 for update
         )
         update nodes n set observed = $3, observed_generation = $4, observed_at = $5
         from last
         where n.id = last.id and n.generation >= $4
           and coalesce(last.observed_generation, 0) <= $4
         returning n.broker_id, (last.phase is distinct from $3->>'phase'
                                 or last.observed_generation is distinct from $4)",
    )
    .bind(observation.node_id)
    .bind(host_id.0)
    .bind(to_json(observation)?)
    .bind(observation.generation)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    let Some((broker_id, changed)) = row else {
        return Ok(None);
    };
    let place = Place {
        table: "nodes",
        row: &observation.node_id.to_string(),
    };
    let broker_id = place.need("broker_id", BrokerId::parse(&broker_id))?;
    Ok(Some(Observed { broker_id, changed }))
}

/// Forgets a node; its process and volume must be gone. `false` when there is none.
pub async fn node_delete(conn: &mut PgConnection, id: NodeId) -> Result<bool> {
    let host: Option<Option<Uuid>> =
        sqlx::query_scalar("delete from nodes where id = $1 returning host_id")
            .bind(id.0)
            .fetch_optional(&mut *conn)
            .await?;
    if let Some(Some(host_id)) = host {
        bump_intent(conn, host_id).await?;
    }
    Ok(host.is_some())
}

async fn bump_intent(conn: &mut PgConnection, host_id: Uuid) -> Result<()> {
    sqlx::query("update hosts set intent_version = intent_version + 1 where id = $1")
        .bind(host_id)
        .execute(&mut *conn)
        .await?;
    sqlx::query("select pg_notify($1, $2)")
        .bind(INTENT_CHANNEL)
        .bind(host_id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}
