//! Nodes: places, intents and observations, each with its own writer.

use std::net::{IpAddr, Ipv4Addr};

use agent_api::NodeConfiguration;
use sqlx::PgConnection;
use sqlx::postgres::PgListener;
use warren::db::{self, Error, Unique};
use warren::model::broker::{ActionRequired, Broker, State};
use warren::model::engine::EngineType;
use warren::model::node::{Alarms, Node, NodeIntent, NodeObservation, Phase, Placement};
use warren::model::node_intent::{self, Configurations};
use warren::model::{HostId, NodeId};

use super::{at, broker, database, uuid};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 1));

async fn host(conn: &mut PgConnection, name: &str) -> HostId {
    let host = db::host_create(conn, HostId(uuid()), name, "a", "local", at(0)).await;
    host.expect("a host can be made").id
}

fn place(host_id: HostId) -> Placement {
    Placement {
        host_id,
        address: ADDRESS,
        amqps_port: 5671,
        management_port: 15671,
    }
}

/// A stored broker with one node on one host.
async fn placed(conn: &mut PgConnection) -> (Broker, Node, HostId) {
    let broker = broker("orders");
    db::broker_create(conn, &broker)
        .await
        .expect("a broker can be made");
    let node = db::node_create(conn, NodeId(uuid()), &broker, 0, at(0))
        .await
        .expect("a node");
    let host = host(conn, "one").await;
    assert!(
        db::node_place(conn, node.id, &place(host))
            .await
            .expect("a place")
    );
    (broker, node, host)
}

async fn intent(conn: &mut PgConnection, broker: &Broker, node: &Node, host: HostId) -> NodeIntent {
    let catalogue = db::catalogue_fetch(conn).await.expect("a catalogue");
    let version = &broker.intended.engine_version;
    let release = catalogue
        .find(EngineType::RabbitMq, version)
        .expect("a release");
    let configurations = Configurations {
        intended: NodeConfiguration::default(),
        proven: None,
    };
    let place = place(host);
    node_intent::running(broker, node, &place, release, &[], configurations, None)
}

fn observation(node: &Node, generation: i64, phase: Phase) -> NodeObservation {
    NodeObservation {
        node_id: node.id.0,
        generation,
        phase,
        process: None,
        restarts: 0,
        detail: None,
        launch: None,
        rejected: None,
        alarms: Alarms::default(),
        observed_at: at(1),
    }
}

#[tokio::test]
async fn an_ordinal_is_one_node_however_often_it_is_made() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let broker = broker("orders");
    db::broker_create(&mut conn, &broker).await.unwrap();
    let first = db::node_create(&mut conn, NodeId(uuid()), &broker, 0, at(0))
        .await
        .unwrap();
    let again = db::node_create(&mut conn, NodeId(uuid()), &broker, 0, at(9))
        .await
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(
        db::nodes_of_broker(&mut conn, &broker.id).await.unwrap(),
        std::slice::from_ref(&first)
    );
    assert_eq!(
        db::node_fetch(&mut conn, first.id).await.unwrap(),
        Some(first)
    );
    assert_eq!(
        db::node_fetch(&mut conn, NodeId(uuid())).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn an_address_has_one_node_and_a_node_keeps_its_place() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (broker, node, host) = placed(&mut conn).await;
    let free = "127.0.0.99".parse().unwrap();
    for (among, taken) in [
        (&[free, ADDRESS][..], &[(ADDRESS, 5671, 15671)][..]),
        (&[free], &[]),
    ] {
        assert_eq!(db::addresses_taken(&mut conn, among).await.unwrap(), taken);
    }
    let zones = db::zones_of_broker(&mut conn, &broker.id).await.unwrap();
    assert_eq!(zones, ["a"]);
    let elsewhere = Placement {
        amqps_port: 5672,
        ..place(host)
    };
    assert!(
        !db::node_place(&mut conn, node.id, &elsewhere)
            .await
            .unwrap()
    );
    let kept = db::node_fetch(&mut conn, node.id).await.unwrap().unwrap();
    assert_eq!(kept.placement, Some(place(host)));

    let rival = db::node_create(&mut conn, NodeId(uuid()), &broker, 1, at(0))
        .await
        .unwrap();
    let lost = db::node_place(&mut conn, rival.id, &place(host)).await;
    assert!(
        matches!(lost, Err(Error::Taken(Unique::NodeAddress))),
        "{lost:?}"
    );
}

#[tokio::test]
async fn a_changed_intent_wakes_its_host_and_an_equal_one_does_not() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (broker, node, host) = placed(&mut conn).await;
    let mut listener = PgListener::connect_with(&database.pool).await.unwrap();
    listener.listen(db::INTENT_CHANNEL).await.unwrap();

    let wanted = intent(&mut conn, &broker, &node, host).await;
    assert!(db::node_intend(&mut conn, &wanted).await.unwrap());
    assert_eq!(listener.recv().await.unwrap().payload(), host.to_string());
    assert!(!db::node_intend(&mut conn, &wanted).await.unwrap());
    let seen = db::host_intent(&mut conn, host).await.unwrap();
    assert_eq!(seen, Some((1, vec![wanted.clone()])));

    let absent = node_intent::absent(&wanted);
    assert!(absent.generation > wanted.generation);
    assert_eq!(node_intent::absent(&absent), absent);
    assert!(db::node_intend(&mut conn, &absent).await.unwrap());
    let stale = db::node_intend(&mut conn, &wanted).await;
    assert!(matches!(stale, Err(Error::Stale)), "{stale:?}");
    assert_eq!(
        db::host_intent(&mut conn, host).await.unwrap(),
        Some((2, vec![absent]))
    );

    assert!(db::node_delete(&mut conn, node.id).await.unwrap());
    assert!(!db::node_delete(&mut conn, node.id).await.unwrap());
    assert_eq!(
        db::host_intent(&mut conn, host).await.unwrap(),
        Some((3, Vec::new()))
    );
}

#[tokio::test]
async fn only_the_nodes_own_host_is_believed_and_only_about_now() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (broker, node, here) = placed(&mut conn).await;
    let elsewhere = host(&mut conn, "two").await;
    let mut wanted = intent(&mut conn, &broker, &node, here).await;
    wanted.generation = 2;
    db::node_intend(&mut conn, &wanted).await.unwrap();

    let ready = observation(&node, 2, Phase::Ready);
    let forged = db::node_observe(&mut conn, elsewhere, &ready, at(1))
        .await
        .unwrap();
    assert_eq!(forged, None);
    let future = observation(&node, 3, Phase::Ready);
    assert_eq!(
        db::node_observe(&mut conn, here, &future, at(1))
            .await
            .unwrap(),
        None
    );

    let changes = [
        (observation(&node, 1, Phase::Ready), Some(true)),
        (observation(&node, 2, Phase::Starting), Some(true)),
        (observation(&node, 2, Phase::Starting), Some(false)),
        (observation(&node, 1, Phase::Ready), None),
        (ready, Some(true)),
    ];
    for (seen, expected) in changes {
        let observed = db::node_observe(&mut conn, here, &seen, at(1))
            .await
            .unwrap();
        assert_eq!(
            observed.as_ref().map(|observed| observed.changed),
            expected,
            "{seen:?}"
        );
        assert!(observed.is_none_or(|observed| observed.broker_id == broker.id));
    }
    let node = db::node_fetch(&mut conn, node.id).await.unwrap().unwrap();
    assert!(node.is_ready_at(2) && !node.is_ready_at(3));
}

#[tokio::test]
async fn a_node_that_stops_again_and_again_makes_its_broker_critical() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (broker, node, host) = placed(&mut conn).await;
    let wanted = intent(&mut conn, &broker, &node, host).await;
    db::node_intend(&mut conn, &wanted).await.unwrap();
    db::broker_mark_applied(&mut conn, &broker.id, 1, at(1))
        .await
        .unwrap();
    for (phase, state) in [
        (Phase::Ready, State::Running),
        (Phase::CrashLooping, State::CriticalActionRequired),
        (Phase::Ready, State::Running),
    ] {
        let seen = observation(&node, 1, phase);
        db::node_observe(&mut conn, host, &seen, at(2))
            .await
            .unwrap();
        let found = db::broker_find(&mut conn, &broker.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state(), state);
    }
}

#[tokio::test]
async fn an_alarm_is_its_brokers_critical_action_while_it_lasts() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (broker, node, host) = placed(&mut conn).await;
    let wanted = intent(&mut conn, &broker, &node, host).await;
    db::node_intend(&mut conn, &wanted).await.unwrap();
    db::broker_mark_applied(&mut conn, &broker.id, 1, at(1))
        .await
        .unwrap();
    let memory = Alarms {
        memory: true,
        ..Alarms::default()
    };
    let both = Alarms {
        disk: true,
        ..memory
    };
    let (memory_alarm, disk_alarm) = (ActionRequired::MemoryAlarm, ActionRequired::DiskAlarm);
    for (alarms, state, actions) in [
        (Alarms::default(), State::Running, vec![]),
        (memory, State::CriticalActionRequired, vec![memory_alarm]),
        (
            both,
            State::CriticalActionRequired,
            vec![memory_alarm, disk_alarm],
        ),
        (Alarms::default(), State::Running, vec![]),
    ] {
        let seen = NodeObservation {
            alarms,
            ..observation(&node, 1, Phase::Ready)
        };
        db::node_observe(&mut conn, host, &seen, at(2))
            .await
            .unwrap();
        let found = db::broker_find(&mut conn, &broker.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.state(), &found.actions_required), (state, &actions));
        assert_eq!(found.check_alarms().is_ok(), actions.is_empty());
        let mut healed = found;
        healed.staged.host_instance_type = Some("mq.m7g.large".to_owned());
        assert!(healed.check_alarms().is_ok(), "more memory is the way out");
    }
}
