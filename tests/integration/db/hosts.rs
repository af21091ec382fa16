//! Hosts, and the tokens they enrol with.

use warren::db::{self, HostToken};
use warren::model::HostId;
use warren::model::node::Capacity;

use super::{at, database, uuid};

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
