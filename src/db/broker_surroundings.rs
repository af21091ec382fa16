//! What belongs to a broker and is told with it: one snapshot of several tables, in one round trip. Nothing is read that
//! is not told: no password's hash, no intent.

use std::net::IpAddr;

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::Result;
use crate::model::{
    HostId,
    broker::{Broker, Surroundings, UserChange, UserSummary},
    node::Placement,
    tag::Tags,
};

#[derive(sqlx::FromRow)]
struct Row {
    places: Json<Vec<(Uuid, IpAddr, u16, u16)>>,
    users: Json<Vec<(String, Option<UserChange>)>>,
    tags: Json<Tags>,
}

/// What belongs to a broker that the caller has already found in its scope.
pub async fn broker_surroundings(conn: &mut PgConnection, broker: &Broker) -> Result<Surroundings> {
    let row: Row = sqlx::query_as(
        "select
             (select coalesce(jsonb_agg(jsonb_build_array(host_id, address, amqps_port,
                                                          management_port) order by ordinal), '[]')
              from nodes where broker_id = $1 and host_id is not null) as places,
             (select coalesce(jsonb_agg(jsonb_build_array(username, pending->>'change')
                                        order by username), '[]')
              from broker_users where broker_id = $1 and removed_at is null) as users,
             (select coalesce(jsonb_object_agg(key, value), '{}')
              from tags
              where account_id = $2 and region = $3 and resource_arn = $4) as tags",
    )
    .bind(broker.id.as_str())
    .bind(broker.scope.account_id.as_str())
    .bind(broker.scope.region.as_str())
    .bind(broker.arn().to_string())
    .fetch_one(conn)
    .await?;
    let place = |(host_id, address, amqps_port, management_port)| Placement {
        host_id: HostId(host_id),
        address,
        amqps_port,
        management_port,
    };
    let user = |(username, staged)| UserSummary { username, staged };
    Ok(Surroundings {
        places: row.places.0.into_iter().map(place).collect(),
        users: row.users.0.into_iter().map(user).collect(),
        tags: row.tags.0,
    })
}
