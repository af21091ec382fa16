//! Engine releases from their publisher to the nodes: upgrades, and what becomes of bad ones. Real
//! agents, real processes, real files; nothing confirmed is ever lost.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_api::{Alarms, LaunchObservation, NodeObservation, Phase};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use signing::TrustedKeys;
use tempfile::TempDir;
use warren::api::agent::Lifetimes;
use warren::app::MaintenanceDescription;
use warren::db;
use warren::model::broker::{Broker, State};
use warren::model::clock::SystemClock;
use warren::model::engine::UpgradeReason;
use warren::model::entropy::{Entropy as _, SystemEntropy};
use warren::model::maintenance::MaintenanceOutcome;
use warren::model::{BrokerId, NodeId};
use warren::reconcilers::plan_upgrades;
use warren::roles::catalog;
use warren::workflows::{NoFaults, Options, Timing};

use crate::agents::RunningAgent;
use crate::endpoint::Endpoint;
use crate::fleet::{Agents, Fleet};

const OPERATOR: (&str, &str) = ("operator", "correct-horse-battery");
/// What the built-in engine calls itself, and what the copy of it does.
const BUILTIN: [&str; 2] = ["0.1.0", "4.2.1"];
const COPY: [&str; 2] = ["0.2.0", "4.2.2"];

/// One host with an agent, one broker of version 4.2.1, and a publisher of releases.
struct World {
    endpoint: Endpoint,
    agent: RunningAgent,
    dir: TempDir,
    id: BrokerId,
}

impl World {
    async fn start(name: &str) -> Self {
        Self::start_with_gate(name, Timing::default().gate_max).await
    }

    async fn start_with_gate(name: &str, gate_max: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let public = catalog::keygen("releases", &dir.path().join("secret")).unwrap();
        Self::start_trusting(name, dir, &[public.to_string()], gate_max).await
    }

    async fn start_trusting(name: &str, dir: TempDir, keys: &[String], gate_max: Duration) -> Self {
        let mut endpoint = Endpoint::start(Lifetimes::default()).await;
        let executable = Path::new(env!("CARGO_BIN_EXE_warren"));
        let keys = catalog::trusted_keys(keys).unwrap();
        let data_dir = dir.path().join("agent");
        let agent = RunningAgent::start_trusting(&endpoint, &data_dir, executable, keys).await;
        let options = Fleet::options(Arc::new(NoFaults));
        endpoint.fleet.work_with(Options {
            timing: Timing {
                gate_max,
                ..options.timing
            },
            ..options
        });
        let request = json!({
            "brokerName": name,
            "engineType": "RABBITMQ",
            "engineVersion": "4.2.1",
            "deploymentMode": "SINGLE_INSTANCE",
            "hostInstanceType": "mq.m7g.medium",
            "publiclyAccessible": false,
            "autoMinorVersionUpgrade": true,
            "users": [{"username": OPERATOR.0, "password": OPERATOR.1}],
        });
        let request = serde_json::from_value(request).unwrap();
        let fleet = &endpoint.fleet;
        let created = fleet.app.create_broker(&fleet.caller, request).await;
        let id = created.unwrap().broker_id;
        fleet.reaches(&id, Some(State::Running)).await;
        Self {
            endpoint,
            agent,
            dir,
            id,
        }
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("secret")
    }

    /// An executable file beside the key.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// Signs release 0.2.0 of version 4.2.2 as it lies in a file.
    fn sign(&self, serial: i64, file: &Path, writes: u32) -> PathBuf {
        let reads: Vec<u32> = (1..=writes).collect();
        let draft = json!({"serial": serial, "releases": [{
            "engine_type": "RABBITMQ", "engine_version": COPY[1], "release": COPY[0],
            "released": "2026-11-20", "formats": {"reads": reads, "writes": writes},
            "file": file,
        }]});
        let draft = self.file("draft.json", draft.to_string().as_bytes());
        let signed = catalog::sign(&draft, &self.key(), now()).unwrap();
        self.file("signed.json", &signed)
    }

    async fn import(&self, signed: &Path) -> Result<usize, catalog::Error> {
        let secret = std::fs::read_to_string(self.key()).unwrap();
        let key = signing::SecretKey::parse(&secret).unwrap().public();
        let trusted = TrustedKeys::new(vec![key]);
        let pool = &self.endpoint.fleet.database.pool;
        catalog::import(pool, &SystemClock, signed, &trusted).await
    }

    async fn publish(&self, file: &Path, writes: u32) {
        self.import(&self.sign(1, file, writes)).await.unwrap();
    }

    async fn plan(&self) -> usize {
        let pool = &self.endpoint.fleet.database.pool;
        let planned = plan_upgrades(pool, &SystemClock, &SystemEntropy).await;
        planned.unwrap()
    }

    /// Has the broker upgraded by its owner, and waits until that ended, well or not.
    async fn upgrade(&self) -> Broker {
        let fleet = &self.endpoint.fleet;
        let change = serde_json::from_value(json!({"engineVersion": COPY[1]})).unwrap();
        let id = self.id.as_str();
        fleet
            .app
            .update_broker(&fleet.caller, id, change)
            .await
            .unwrap();
        fleet.reboot(&self.id).await;
        self.running().await
    }

    async fn running(&self) -> Broker {
        let fleet = &self.endpoint.fleet;
        fleet.reaches(&self.id, Some(State::Running)).await.unwrap()
    }

    async fn maintenance(&self) -> MaintenanceDescription {
        let fleet = &self.endpoint.fleet;
        let described = fleet
            .app
            .describe_maintenance(&fleet.caller, self.id.as_str())
            .await;
        described.unwrap()
    }

    async fn channel(&self) -> (Connection, Channel) {
        let node = self.endpoint.node_of(&self.id, |_| true).await;
        let place = node.placement.unwrap();
        let (name, password) = OPERATOR;
        let uri = format!(
            "amqps://{name}:{password}@{}:{}/%2f",
            place.address, place.amqps_port
        );
        let config = OwnedTLSConfig {
            identity: None,
            cert_chain: Some(self.endpoint.authority.certificate_pem().to_owned()),
        };
        let runtime = lapin::runtime::default_runtime().unwrap();
        let properties = ConnectionProperties::default();
        let connected = Connection::connect_with_config(&uri, properties, config, runtime).await;
        let connection = connected.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Publishes persistent messages, each of them confirmed.
    async fn confirm(&self, count: u32) {
        let (_connection, channel) = self.channel().await;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare("letters".into(), durable, FieldTable::default())
            .await
            .unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        let mut confirms = Vec::new();
        for number in 0..count {
            let confirm = channel
                .basic_publish(
                    "".into(),
                    "letters".into(),
                    BasicPublishOptions::default(),
                    &number.to_be_bytes(),
                    BasicProperties::default().with_delivery_mode(2),
                )
                .await
                .unwrap();
            confirms.push(confirm);
        }
        for confirm in confirms {
            assert!(confirm.await.unwrap().is_ack());
        }
    }

    /// How many messages there are; none after that.
    async fn drain(&self) -> u32 {
        let (_connection, channel) = self.channel().await;
        channel
            .queue_purge("letters".into(), QueuePurgeOptions::default())
            .await
            .unwrap()
    }

    /// The version that management tells.
    async fn version(&self) -> String {
        let node = self.endpoint.node_of(&self.id, |_| true).await;
        let place = node.placement.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        let authority = self.endpoint.authority.certificate_pem().as_bytes();
        roots
            .add(CertificateDer::from_pem_slice(authority).unwrap())
            .unwrap();
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .build()
            .unwrap();
        let url = format!(
            "https://{}:{}/api/overview",
            place.address, place.management_port
        );
        let answer = client
            .get(url)
            .basic_auth(OPERATOR.0, Some(OPERATOR.1))
            .send()
            .await
            .unwrap();
        let overview: Value = answer.json().await.unwrap();
        overview["rabbitmq_version"].as_str().unwrap().to_owned()
    }

    /// The upgrade failed before clients were let in: all is as it was, and that is told.
    async fn is_rolled_back(&self, reason: &str) {
        let broker = self.running().await;
        assert_eq!(broker.current().engine_version.as_str(), BUILTIN[1]);
        assert_eq!(broker.current().engine_release.as_deref(), Some(BUILTIN[0]));
        assert_eq!(broker.intended, *broker.current());
        assert_eq!(self.version().await, BUILTIN[1]);
        let maintenance = self.maintenance().await;
        let run = &maintenance.runs[0];
        assert_eq!(run.outcome, MaintenanceOutcome::RolledBack);
        let told = run.reason.as_deref().unwrap();
        assert!(told.contains(reason), "{told}");
        assert_eq!(maintenance.rollback, None);
        assert_eq!(self.plan().await, 0, "it does not come again by itself");
    }

    async fn end(self) {
        self.endpoint.fleet.delete(&self.id).await;
        self.endpoint.fleet.reaches(&self.id, None).await;
        self.agent.stop().await;
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    use warren::model::clock::Clock as _;
    SystemClock.now()
}

/// Another release: the same program under another name, which it tells wherever it is asked.
fn another_release() -> Vec<u8> {
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_warren")).unwrap();
    for (is, shall) in BUILTIN.into_iter().zip(COPY) {
        let finder = is.as_bytes();
        let mut at = 0;
        let mut found = 0;
        while let Some(next) = program[at..]
            .windows(finder.len())
            .position(|window| window == finder)
        {
            at += next;
            program[at..at + finder.len()].copy_from_slice(shall.as_bytes());
            found += 1;
        }
        assert!(found > 0, "the program does not name {is}");
    }
    program
}

#[tokio::test]
async fn an_upgrade_comes_by_itself_and_neither_it_nor_going_back_loses_a_message() {
    let world = World::start("upgraded").await;
    let file = world.file("engine", &another_release());
    assert_eq!(world.version().await, BUILTIN[1]);
    assert_eq!(world.plan().await, 0, "there is nothing newer");
    world.confirm(300).await;

    world.publish(&file, 2).await;
    assert_eq!((world.plan().await, world.plan().await), (1, 0));
    let staged = world.maintenance().await.broker.staged;
    assert_eq!(staged.engine_version.unwrap().as_str(), COPY[1]);
    assert_eq!(staged.engine_release.as_deref(), Some(COPY[0]));
    assert_eq!(staged.upgrade, Some(UpgradeReason::LatestPatch));

    let fleet = &world.endpoint.fleet;
    let id = world.id.as_str();
    fleet
        .app
        .apply_maintenance(&fleet.caller, id)
        .await
        .unwrap();
    let upgraded = world.running().await;
    let runs = world.maintenance().await.runs;
    assert_eq!(runs[0].reason, None);
    assert_eq!(upgraded.current().engine_version.as_str(), COPY[1]);
    assert_eq!(world.version().await, COPY[1]);
    let maintenance = world.maintenance().await;
    let run = &maintenance.runs[0];
    assert_eq!(run.outcome, MaintenanceOutcome::Completed);
    assert_eq!(run.nodes.len(), 1, "{run:?}");
    assert_eq!(maintenance.engine.unwrap().release, COPY[0]);
    assert_eq!(maintenance.rollback.unwrap().release, BUILTIN[0]);
    let node = world.endpoint.node_of(&world.id, |_| true).await;
    assert_eq!(
        node.intended.unwrap().fallback,
        None,
        "there is no way back by itself"
    );

    world.confirm(200).await;
    fleet
        .app
        .rollback_maintenance(&fleet.caller, id)
        .await
        .unwrap();
    let back = world.running().await;
    assert_eq!(back.current().engine_version.as_str(), BUILTIN[1]);
    assert_eq!(world.version().await, BUILTIN[1]);
    assert_eq!(world.plan().await, 0, "its owner left that release");
    assert_eq!(world.drain().await, 500);
    world.end().await;
}

#[tokio::test]
async fn a_release_that_never_becomes_healthy_is_left_by_itself() {
    let world = World::start_with_gate("stuck", Duration::from_secs(3)).await;
    world.confirm(50).await;
    let file = world.file("engine", b"#!/bin/sh\nexec sleep 600\n");
    world.publish(&file, 2).await;
    world.upgrade().await;
    world.is_rolled_back("did not prove itself in time").await;
    assert_eq!(world.drain().await, 50);
    world.end().await;
}

#[tokio::test]
async fn a_release_of_another_data_format_that_ruins_the_volume_costs_no_message() {
    let world = World::start("ruined").await;
    world.confirm(50).await;
    let ruin = "#!/bin/sh\nfor file in \"$3\"/*; do echo ruined > \"$file\"; done\n\
                echo 'cannot go on' >&2\nexit 3\n";
    let file = world.file("engine", ruin.as_bytes());
    world.publish(&file, 3).await;
    world.upgrade().await;
    world.is_rolled_back("cannot go on").await;
    assert_eq!(world.drain().await, 50);
    let volumes = world.dir.path().join("agent/volumes");
    let left = std::fs::read_dir(volumes).unwrap().count();
    assert_eq!(left, 1, "no copy is left");
    world.end().await;
}

#[tokio::test]
async fn a_file_that_is_not_what_was_signed_is_never_started() {
    let world = World::start("swapped").await;
    world.confirm(50).await;
    let marker = world.dir.path().join("started");
    let file = world.file("engine", b"#!/bin/sh\nexit 0\n");
    let signed = world.sign(1, &file, 2);
    world.import(&signed).await.unwrap();
    let evil = format!("#!/bin/sh\ntouch {}\n", marker.display());
    world.file("engine", evil.as_bytes());
    world.upgrade().await;
    world.is_rolled_back("signed").await;
    assert!(!marker.exists());
    assert_eq!(world.drain().await, 50);
    world.end().await;
}

#[tokio::test]
async fn a_host_runs_no_release_by_a_key_that_it_does_not_trust() {
    let dir = tempfile::tempdir().unwrap();
    catalog::keygen("releases", &dir.path().join("secret")).unwrap();
    let other = catalog::keygen("releases", &dir.path().join("other")).unwrap();
    let gate_max = Timing::default().gate_max;
    let world = World::start_trusting("distrusted", dir, &[other.to_string()], gate_max).await;
    world.confirm(50).await;
    let file = world.file("engine", b"#!/bin/sh\nexec sleep 600\n");
    world.publish(&file, 2).await;
    world.upgrade().await;
    world.is_rolled_back("is not trusted").await;
    assert_eq!(world.drain().await, 50);
    world.end().await;
}

#[tokio::test]
async fn only_newer_manifests_by_trusted_keys_get_into_the_catalogue() {
    let world = World::start("guarded").await;
    let file = world.file("engine", b"one");
    let first = std::fs::read(world.sign(1, &file, 2)).unwrap();
    let second = std::fs::read(world.sign(2, &file, 2)).unwrap();
    let stranger = {
        let dir = tempfile::tempdir().unwrap();
        catalog::keygen("releases", &dir.path().join("secret")).unwrap();
        catalog::sign(
            &world.dir.path().join("draft.json"),
            &dir.path().join("secret"),
            now(),
        )
        .unwrap()
    };
    let refused = world.import(&world.file("signed.json", &stranger)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("signature by key releases is wrong"),
        "{refused}"
    );

    let mut tampered: Value = serde_json::from_slice(&second).unwrap();
    let payload = tampered["payload"].as_str().unwrap().replacen('A', "B", 1);
    tampered["payload"] = json!(payload);
    let tampered = tampered.to_string();
    let refused = world
        .import(&world.file("signed.json", tampered.as_bytes()))
        .await;
    refused.unwrap_err();

    world
        .import(&world.file("signed.json", &second))
        .await
        .unwrap();
    world
        .import(&world.file("signed.json", &second))
        .await
        .unwrap();
    let refused = world.import(&world.file("signed.json", &first)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is not newer than 2"), "{refused}");

    let another = world.file("engine", b"two");
    let third = world.sign(3, &another, 2);
    let refused = world.import(&third).await.unwrap_err().to_string();
    assert!(refused.contains("known as another program"), "{refused}");
    world.end().await;
}

/// Two nodes of one broker, whose agents say what the test has them say.
struct Pair {
    fleet: Fleet,
    id: BrokerId,
}

impl Pair {
    async fn running(name: &str) -> Self {
        let mut fleet = Fleet::start(Agents::Silent, 2).await;
        let id = fleet.create(name).await;
        let broker = fleet.broker(&id).await.unwrap();
        let mut conn = fleet.database.pool.acquire().await.unwrap();
        for ordinal in 0..2 {
            let node = NodeId(SystemEntropy.uuid());
            db::node_create(&mut conn, node, &broker, ordinal, now())
                .await
                .unwrap();
        }
        drop(conn);
        fleet.work();
        let pair = Self { fleet, id };
        for ordinal in 0..2 {
            pair.says(ordinal, 1, None).await;
        }
        pair.fleet.reaches(&pair.id, Some(State::Running)).await;
        pair.fleet.reboot(&pair.id).await;
        pair
    }

    async fn generations(&self) -> Vec<i64> {
        let mut conn = self.fleet.database.pool.acquire().await.unwrap();
        let nodes = db::nodes_of_broker(&mut conn, &self.id).await.unwrap();
        nodes.iter().map(|node| node.generation).collect()
    }

    /// Reports a node as ready once this generation is asked of it.
    async fn says(&self, ordinal: usize, generation: i64, rolled_back: Option<&str>) {
        let asked = async {
            while self.generations().await[ordinal] < generation {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked)
            .await
            .expect("never asked");
        let mut transaction = db::begin(&self.fleet.database.pool).await.unwrap();
        let nodes = db::nodes_of_broker(&mut transaction, &self.id).await;
        let observation = NodeObservation {
            node_id: nodes.unwrap()[ordinal].id.0,
            generation,
            phase: Phase::Ready,
            process: None,
            restarts: 0,
            detail: None,
            launch: Some(LaunchObservation {
                release: BUILTIN[0].to_owned(),
                rolled_back: rolled_back.map(str::to_owned),
                away_ms: Some(5),
            }),
            rejected: None,
            alarms: Alarms::default(),
            observed_at: now(),
        };
        db::node_observe(&mut transaction, self.fleet.host_id, &observation, now())
            .await
            .unwrap();
        db::job_wake(&mut transaction, self.id.as_str(), now())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn nodes_are_restarted_one_at_a_time() {
    let pair = Pair::running("rolling").await;
    pair.says(0, 2, None).await;
    pair.says(1, 2, None).await;
    let broker = pair.fleet.reaches(&pair.id, Some(State::Running)).await;
    assert_eq!(broker.unwrap().applied_generation, 2);
    // Had both been asked at once, the second would have been before the first was ready.
    let second = Pair::running("held").await;
    while second.generations().await[0] < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(second.generations().await, [2, 1]);
    second.says(0, 2, Some("it would not start")).await;
    let broker = second.fleet.reaches(&second.id, Some(State::Running)).await;
    assert_eq!(broker.unwrap().applied_generation, 2);
    assert_eq!(
        second.generations().await,
        [2, 1],
        "the other one is left alone"
    );
    pair.fleet.stop().await;
    second.fleet.stop().await;
}
