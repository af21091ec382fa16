//! Hosts, and the tokens they enrol with.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use warren::db::{self, HostToken};
use warren::model::node::{Capacity, Placement};
use warren::model::{HostId, NodeId};

use super::{at, broker, database, uuid};

#[tokio::test]
async fn a_host_that_enrols_again_keeps_its_id() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let first = db::host_create(&mut conn, HostId(uuid()), "one", "a", "local", at(0))
        .await
        .unwrap();
    let again = db::host_create(&mut conn, HostId(uuid()), "one", "b", "local", at(9))
        .await
        .unwrap();
    assert_eq!((again.id, again.created_at), (first.id, at(0)));
    assert_eq!(again.zone, "b");
    let found = db::host_fetch_by_name(&mut conn, "one").await.unwrap();
    assert_eq!(found, Some(again));
    assert_eq!(
        db::host_fetch(&mut conn, HostId(uuid())).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn what_a_host_has_and_shows_is_kept() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut ids = Vec::new();
    for (name, zone) in [("two", "b"), ("one", "a")] {
        let host = db::host_create(&mut conn, HostId(uuid()), name, zone, "local", at(0))
            .await
            .unwrap();
        ids.push(host.id);
    }
    let capacity = Capacity {
        cpus: 2,
        memory_bytes: 4 << 30,
        disk_free_bytes: 9 << 30,
    };
    db::host_touch(&mut conn, ids[0], &capacity, at(5))
        .await
        .unwrap();
    db::host_set_certificate(&mut conn, ids[0], "0a1b")
        .await
        .unwrap();
    let host = db::host_fetch(&mut conn, ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (host.capacity, host.last_seen_at),
        (Some(capacity), Some(at(5)))
    );
    assert_eq!(host.certificate_serial.as_deref(), Some("0a1b"));

    let names = |hosts: Vec<warren::model::host::Host>| -> Vec<String> {
        hosts.into_iter().map(|host| host.name).collect()
    };
    assert_eq!(
        names(db::host_list(&mut conn, None).await.unwrap()),
        ["one", "two"]
    );
    assert_eq!(
        names(db::host_list(&mut conn, Some("b")).await.unwrap()),
        ["two"]
    );
    assert_eq!(
        db::host_intent(&mut conn, ids[1]).await.unwrap(),
        Some((0, Vec::new()))
    );
    assert_eq!(
        db::host_intent(&mut conn, HostId(uuid())).await.unwrap(),
        None
    );
}

/// Where the installation really stands, read row by row.
async fn counted(
    conn: &mut PgConnection,
) -> Vec<(i64, String, Uuid, String, Option<DateTime<Utc>>)> {
    sqlx::query_as(
        "select (select count(*) from nodes n where n.host_id = h.id), zone, id, provisioner, last_seen_at
         from hosts h",
    )
    .fetch_all(conn)
    .await
    .expect("rows can be counted")
}

#[tokio::test]
async fn the_emptiest_host_is_the_one_that_counting_finds() {
    const ROUNDS: usize = 300;
    let seed = std::env::var("WARREN_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = fastrand::Rng::with_seed(seed);
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (mut nodes, mut hosts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let now = at(round.try_into().unwrap());
        match random.u8(0..10) {
            0 => {
                // Zones whose order depends on who compares.
                let zone = random.choice(["a", "B", "c", "é"]).unwrap();
                let provisioner = random.choice(["local", "local", "simulated"]).unwrap();
                let id = HostId(Uuid::from_u128(random.u128(..)));
                let name = format!("host-{round}");
                db::host_create(&mut conn, id, &name, zone, provisioner, now)
                    .await
                    .unwrap();
                hosts.push(id);
            }
            1..=3 if !hosts.is_empty() => {
                let capacity = Capacity {
                    cpus: 2,
                    memory_bytes: 4 << 30,
                    disk_free_bytes: 9 << 30,
                };
                let id = *random.choice(&hosts).unwrap();
                db::host_touch(&mut conn, id, &capacity, now).await.unwrap();
            }
            4 if !nodes.is_empty() => {
                let node = nodes.swap_remove(random.usize(..nodes.len()));
                assert!(db::node_delete(&mut conn, node).await.unwrap());
            }
            _ => {
                let broker = broker(&format!("broker-{round}"));
                db::broker_create(&mut conn, &broker).await.unwrap();
                let node = db::node_create(&mut conn, NodeId(uuid()), &broker, 0, now).await;
                let node = node.unwrap().id;
                nodes.push(node);
                if let Some(&host_id) = random.choice(&hosts) {
                    let placement = Placement {
                        host_id,
                        address: [127, 0, 0, 1].into(),
                        amqps_port: (1_000 + round).try_into().unwrap(),
                        management_port: 15671,
                    };
                    assert!(db::node_place(&mut conn, node, &placement).await.unwrap());
                }
            }
        }
        let avoided: Vec<String> = ["a", "B", "é"]
            .into_iter()
            .filter(|_| random.u8(0..3) == 0)
            .map(str::to_owned)
            .collect();
        let heard_since = now - TimeDelta::seconds(random.i64(0..60));
        let found = db::host_emptiest(&mut conn, "local", &avoided, heard_since).await;
        let counted = counted(&mut conn).await;
        let fitting = counted.iter().filter(|(_, zone, _, provisioner, seen)| {
            let heard = seen.is_some_and(|seen| seen >= heard_since);
            provisioner == "local" && heard && !avoided.contains(zone)
        });
        let expected = fitting.min_by_key(|(nodes, zone, id, ..)| (*nodes, zone.clone(), *id));
        let expected = expected.map(|(_, _, id, ..)| HostId(*id));
        assert_eq!(found.unwrap(), expected, "seed {seed}, round {round}");
        for host in db::host_list(&mut conn, None).await.unwrap() {
            let row = counted.iter().find(|(_, _, id, ..)| *id == host.id.0);
            assert_eq!(i64::from(host.node_count), row.unwrap().0, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn the_emptiest_host_is_found_without_reading_the_others() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    for statement in [
        "insert into hosts (id, name, zone, provisioner, last_seen_at, created_at)
         select gen_random_uuid(), 'host-' || n, 'a', 'local', now(), now()
         from generate_series(1, 2000) as n",
        "analyze hosts",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select id from hosts
         where provisioner = 'local' and zone <> all ('{b}') and last_seen_at >= now() - interval '1 min'
         order by node_count, zone collate \"C\", id limit 1",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(
        plan.contains("hosts_load_idx") && !plan.contains("Sort"),
        "{plan}"
    );
}

fn token() -> HostToken {
    HostToken {
        host_name: "one".to_owned(),
        zone: "a".to_owned(),
        provisioner: "local".to_owned(),
    }
}

#[tokio::test]
async fn a_token_is_redeemed_in_time_and_by_one_key() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    for hash in [b"good", b"late"] {
        db::host_token_create(&mut conn, hash, &token(), at(60), at(0))
            .await
            .unwrap();
    }
    let attempts = [
        (b"else", b"key-1", 1, false),
        (b"late", b"key-1", 60, false),
        (b"good", b"key-1", 58, true),
        (b"good", b"key-2", 59, false),
        // The first answer may have been lost: the same key may ask again, but not for ever.
        (b"good", b"key-1", 59, true),
        (b"good", b"key-1", 60, false),
    ];
    for (hash, key, second, expected) in attempts {
        let redeemed = db::host_token_redeem(&mut conn, hash, key, at(second))
            .await
            .unwrap();
        assert_eq!(redeemed, expected.then(token), "{key:?} at {second}");
    }
}

#[tokio::test]
async fn of_two_redemptions_at_once_one_succeeds() {
    let database = database().await;
    let mut first = db::begin(&database.pool).await.unwrap();
    let mut conn = database.pool.acquire().await.unwrap();
    db::host_token_create(&mut conn, b"once", &token(), at(60), at(0))
        .await
        .unwrap();
    let redeemed = db::host_token_redeem(&mut first, b"once", b"key-1", at(1))
        .await
        .unwrap();
    assert_eq!(redeemed, Some(token()));
    let waiting = tokio::spawn(async move {
        db::host_token_redeem(&mut conn, b"once", b"key-2", at(1))
            .await
            .unwrap()
    });
    first.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), None);
}
