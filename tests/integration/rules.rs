//! Every rule, and every operation with every error that its model has, as boto3 meets them: the
//! tables are in `tests/python/rules`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use agent_api::{NodeConfiguration, NodeObservation};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use test_support::process::Family;
use test_support::python;
use tokio::task::block_in_place;
use warren::db;
use warren::model::broker::SimulatedHosts;
use warren::model::entropy::{Entropy, SystemEntropy};
use warren::model::node::{Alarms, Phase, Placement};
use warren::model::node_intent::{self, Configurations};
use warren::model::parity::Parity;
use warren::model::throttle::Rate;
use warren::model::{AccountId, BrokerId, HostId, NodeId, principal::Name};

use crate::server::Server;

/// Of the longest table on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_holds_and_every_modelled_error_is_met_by_boto3() {
    if !python::is_available() {
        return;
    }
    let (extended, simulated) = (Parity::Extended, SimulatedHosts::Present);
    let rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let worlds = [
        ("extended", Server::start_as(extended, simulated).await),
        ("strict", Server::start_as(Parity::Strict, simulated).await),
        ("real", Server::start().await),
        ("throttled", Server::start_at(rate).await),
    ];
    let mut facts = serde_json::Map::new();
    for (name, server) in &worlds {
        facts.insert((*name).to_owned(), told(server).await);
    }
    let family = Family::new();
    let mut command = python::script("every_rule.py");
    command.env("WARREN_WORLDS", Value::Object(facts).to_string());
    let mut script = block_in_place(|| family.spawn("every_rule.py", &mut command));
    loop {
        let line = block_in_place(|| script.line("", PATIENCE));
        let (event, facts) = line.split_once(' ').expect("an event and its facts");
        let facts: Value = serde_json::from_str(facts).expect("facts are JSON");
        match event {
            "held" => println!("{line}"),
            "done" => break println!("{line}"),
            _ => {
                let named = |(name, _): &&(&str, Server)| facts["world"] == *name;
                let (_, server) = worlds.iter().find(named).expect("a known world");
                answer(server, event, &facts).await;
                script.tell("");
            }
        }
    }
    assert!(block_in_place(|| script.exit(PATIENCE)).success());
}

/// What the script has to know of a server; the first user of its account may do nothing.
async fn told(server: &Server) -> Value {
    let account = AccountId::parse(&server.account).expect("an account id");
    let nobody = Name::parse("nobody").expect("a name");
    let made = server.app.create_user(&account, nobody.clone()).await;
    made.expect("a user can be made");
    let key = server.app.create_access_key(&account, Some(&nobody)).await;
    let key = key.expect("a key can be made");
    json!({
        "endpoint": format!("http://{}", server.host()),
        "account": server.account,
        "keys": {
            "root": [server.key.id, server.key.secret],
            "stranger": [server.stranger.id, server.stranger.secret],
            "nobody": [key.id.to_string(), key.secret],
        },
    })
}

/// Does what the script cannot.
async fn answer(server: &Server, event: &str, facts: &Value) {
    let text = |name: &str| facts[name].as_str().unwrap_or_default();
    match event {
        "settle" => server.settle(text("broker")).await,
        "observe" => observe(server, text("broker"), text("phase"), text("alarm")).await,
        "lose" => rename(server, text("table"), &format!("lost_{}", text("table"))).await,
        "find" => rename(server, &format!("lost_{}", text("table")), text("table")).await,
        "close" => server.pool().close().await,
        other => panic!("nobody knows how to {other}"),
    }
}

async fn rename(server: &Server, from: &str, to: &str) {
    let statement = AssertSqlSafe(format!("alter table {from} rename to {to}"));
    let renamed = sqlx::query(statement).execute(&server.pool()).await;
    renamed.expect("the table can be renamed");
}

/// Says what an agent would of the broker's node, which is made at the first time.
async fn observe(server: &Server, broker_id: &str, phase: &str, alarm: &str) {
    let now = server.now();
    let mut conn = server.pool().acquire().await.expect("a connection");
    let broker_id = BrokerId::parse(broker_id).expect("an id");
    let broker = db::broker_find(&mut conn, &broker_id).await;
    let broker = broker.expect("it can be read").expect("it exists");
    let nodes = db::nodes_of_broker(&mut conn, &broker_id).await;
    let (node_id, host_id) = match nodes.expect("they can be read").first() {
        Some(node) => (node.id, node.placement.expect("it was placed").host_id),
        None => {
            let host_id = HostId(SystemEntropy.uuid());
            let name = host_id.to_string();
            let host = db::host_create(&mut conn, host_id, &name, "a", "local", now).await;
            host.expect("a host can be made");
            let node_id = NodeId(SystemEntropy.uuid());
            let node = db::node_create(&mut conn, node_id, &broker, 0, now).await;
            let node = node.expect("a node can be made");
            let place = Placement {
                host_id,
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                amqps_port: 5671,
                management_port: 15671,
            };
            let placed = db::node_place(&mut conn, node_id, &place).await;
            assert!(placed.expect("it can be placed"));
            let catalogue = db::catalogue_fetch(&mut conn).await.expect("a catalogue");
            let release = catalogue.of_launch(broker.engine_type, &broker.intended);
            let release = release.expect("its version is served");
            let configurations = Configurations {
                intended: NodeConfiguration::default(),
                proven: None,
            };
            let intent =
                node_intent::running(&broker, &node, &place, release, &[], configurations, None);
            let intended = db::node_intend(&mut conn, &intent).await;
            assert!(intended.expect("it can be intended"));
            (node_id, host_id)
        }
    };
    let observation = NodeObservation {
        node_id: node_id.0,
        generation: broker.generation,
        phase: serde_json::from_value::<Phase>(json!(phase)).expect("a phase"),
        process: None,
        restarts: 0,
        detail: None,
        launch: None,
        rejected: None,
        alarms: Alarms {
            memory: alarm == "memory",
            disk: alarm == "disk",
            out_of_memory: alarm == "out_of_memory",
        },
        observed_at: now,
    };
    let observed = db::node_observe(&mut conn, host_id, &observation, now).await;
    assert!(observed.expect("it can be observed").is_some());
}
