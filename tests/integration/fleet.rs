//! A control plane without HTTP: the app, a database, places, and agents that do as they are told.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_api::{Alarms, Capacity, NodeIntent, NodeObservation, Phase, RejectedConfiguration, Run};
use serde_json::json;
use sqlx::PgPool;
use test_support::network::free_port;
use test_support::postgres::{self, Database};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warren::app::{App, CallNote, Caller, Settings};
use warren::model::broker::{Broker, State};
use warren::model::clock::{Clock, SystemClock};
use warren::model::entropy::{Entropy, SystemEntropy};
use warren::model::node::Placement;
use warren::model::policy::Grants;
use warren::model::principal::Principal;
use warren::model::principal_tag::PrincipalTags;
use warren::model::{AccessKeyId, BrokerId, HostId, Region, RequestId};
use warren::provision::fake::Fake;
use warren::provision::simulated::{self, Simulated};
use warren::secrets::MasterKey;
use warren::workflows::{self, Faults, NoFaults};
use warren::{db, jobs};

/// Long enough for a slow machine; nothing waits for it unless a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Fleet {
    pub(crate) database: Database,
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) provisioner: Fake,
    pub(crate) host_id: HostId,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

/// What the fleet's agents say of a node that shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agents {
    Willing,
    /// They report nothing at all.
    Silent,
    /// Every node exits again and again.
    Looping,
    /// No node takes another configuration than the one it has.
    Conservative,
}

impl Fleet {
    /// A fleet with one host, room for `places` nodes, and no worker yet.
    pub(crate) async fn start(agents: Agents, places: u16) -> Self {
        let database = postgres::database().await;
        let region = Region::parse("us-east-1").unwrap();
        let app = App {
            pool: database.pool.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            master_key: MasterKey::from_bytes([7; 32]),
            settings: Arc::new(Settings::new(vec![region.clone()])),
        };
        let account_id = app.create_account("fleet").await.unwrap();
        let caller = Caller {
            unique_id: account_id.to_string(),
            principal: Principal::root(account_id),
            grants: Grants::All,
            tags: PrincipalTags::default(),
            session: None,
            region,
            request_id: RequestId(Uuid::nil()),
            source_address: None,
            is_secure: false,
            user_agent: None,
            received_at: SystemClock.now(),
            access_key_id: AccessKeyId::parse("AKIDEXAMPLE000000000").unwrap(),
            trace: None,
            note: CallNote::default(),
        };
        let host_id = HostId(SystemEntropy.uuid());
        let (mut conn, now) = (database.pool.acquire().await.unwrap(), SystemClock.now());
        db::host_create(&mut conn, host_id, "host", "a", "fake", now)
            .await
            .unwrap();
        let capacity = Capacity {
            cpus: 2,
            memory_bytes: 1 << 33,
            disk_free_bytes: 1 << 36,
        };
        db::host_touch(&mut conn, host_id, &capacity, now)
            .await
            .unwrap();
        let provisioner = Fake::new((0..places).map(|_| Placement {
            host_id,
            address: "127.0.0.1".parse().unwrap(),
            amqps_port: free_port(),
            management_port: free_port(),
        }));
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if agents != Agents::Silent {
            let agent = act(database.pool.clone(), host_id, agents);
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                shutdown.run_until_cancelled(agent).await;
            });
        }
        Self {
            database,
            app,
            caller,
            provisioner,
            host_id,
            shutdown,
            tasks,
        }
    }

    /// Quick leases, so that a worker that died is replaced soon.
    pub(crate) fn options(faults: Arc<dyn Faults>) -> workflows::Options {
        workflows::Options {
            jobs: jobs::Options {
                lease: Duration::from_millis(400),
                heartbeat: Duration::from_millis(100),
                poll: Duration::from_millis(50),
                retry_delay: Duration::from_millis(10),
                ..jobs::Options::default()
            },
            timing: workflows::Timing {
                check_after: Duration::from_millis(200),
                ..workflows::Timing::default()
            },
            faults,
        }
    }

    pub(crate) fn work(&mut self) {
        self.work_with(Self::options(Arc::new(NoFaults)));
    }

    /// Adds a worker.
    pub(crate) fn work_with(&mut self, options: workflows::Options) {
        let worker = workflows::worker(
            self.database.pool.clone(),
            Arc::new(self.provisioner.clone()),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            options,
            self.shutdown.clone(),
        );
        self.tasks.spawn(worker);
    }

    pub(crate) async fn create(&self, name: &str) -> BrokerId {
        let request = json!({
            "brokerName": name,
            "engineType": "RABBITMQ",
            "engineVersion": "4.2",
            "deploymentMode": "SINGLE_INSTANCE",
            "hostInstanceType": "mq.m7g.medium",
            "publiclyAccessible": false,
            "autoMinorVersionUpgrade": true,
            "users": [{"username": "operator", "password": "correct-horse-battery"}],
        });
        let request = serde_json::from_value(request).unwrap();
        self.app
            .create_broker(&self.caller, request)
            .await
            .unwrap()
            .broker_id
    }

    pub(crate) async fn reboot(&self, id: &BrokerId) {
        self.app
            .reboot_broker(&self.caller, id.as_str())
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, id: &BrokerId) {
        self.app
            .delete_broker(&self.caller, id.as_str())
            .await
            .unwrap();
    }

    pub(crate) async fn broker(&self, id: &BrokerId) -> Option<Broker> {
        let mut conn = self.database.pool.acquire().await.unwrap();
        db::broker_find(&mut conn, id).await.unwrap()
    }

    /// Waits until the broker is in this state, or gone.
    pub(crate) async fn reaches(&self, id: &BrokerId, wanted: Option<State>) -> Option<Broker> {
        let search = async {
            loop {
                let broker = self.broker(id).await;
                if broker.as_ref().map(Broker::state) == wanted {
                    return broker;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        match found {
            Ok(broker) => broker,
            Err(_) => panic!(
                "{id} never was {wanted:?}, but is {:?}",
                self.broker(id).await
            ),
        }
    }

    /// Waits for a node to be asked for something.
    pub(crate) async fn told(&self, wanted: impl Fn(&NodeIntent) -> bool) -> NodeIntent {
        let search = async {
            loop {
                let mut conn = self.database.pool.acquire().await.unwrap();
                let intents = db::host_intent(&mut conn, self.host_id).await.unwrap();
                let (_, intents) = intents.expect("the host exists");
                if let Some(found) = intents.into_iter().find(&wanted) {
                    return found;
                }
                drop(conn);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.expect("no node was asked for it")
    }

    /// Create, add a user, reboot and delete, each to its end; nothing may be left.
    pub(crate) async fn live_through(&self, name: &str) {
        let id = self.create(name).await;
        let created = self.reaches(&id, Some(State::Running)).await.unwrap();
        assert_eq!(created.applied_generation, 1);
        let request = json!({"password": "correct-horse-battery"});
        let request = serde_json::from_value(request).unwrap();
        self.app
            .create_broker_user(&self.caller, id.as_str(), "second", request)
            .await
            .unwrap();
        self.told(|intent| intent.users.len() == 2).await;
        self.reboot(&id).await;
        let rebooted = self.reaches(&id, Some(State::Running)).await.unwrap();
        assert_eq!(rebooted.applied_generation, 2);
        self.delete(&id).await;
        self.reaches(&id, None).await;
        self.is_empty().await;
    }

    /// Addresses and AMQPS ports of all nodes that have a place.
    pub(crate) async fn places(&self) -> Vec<(String, i32)> {
        sqlx::query_as(
            "select address, amqps_port from nodes where host_id is not null order by 1, 2",
        )
        .fetch_all(&self.database.pool)
        .await
        .unwrap()
    }

    /// Nothing is left of any broker, here or at the provisioner.
    pub(crate) async fn is_empty(&self) {
        assert_eq!(self.places().await, []);
        let mut conn = self.database.pool.acquire().await.unwrap();
        let (_, intents) = db::host_intent(&mut conn, self.host_id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(intents, []);
        assert_eq!(self.provisioner.given().await, BTreeMap::new());
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// A worker, and a simulated host in each of three zones; they end with what is returned.
pub(crate) async fn simulate(pool: PgPool) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for zone in ["a", "b", "c"] {
        let host_id = HostId(SystemEntropy.uuid());
        let mut conn = pool.acquire().await.unwrap();
        let now = SystemClock.now();
        let name = format!("simulated-{zone}");
        db::host_create(&mut conn, host_id, &name, zone, simulated::NAME, now)
            .await
            .unwrap();
        let capacity = Capacity {
            cpus: 2,
            memory_bytes: 1 << 33,
            disk_free_bytes: 1 << 36,
        };
        db::host_touch(&mut conn, host_id, &capacity, now)
            .await
            .unwrap();
        tasks.spawn(act(pool.clone(), host_id, Agents::Willing));
    }
    let no_places = Fake::new(std::iter::empty());
    tasks.spawn(workflows::worker(
        pool,
        Arc::new(Simulated::beside(no_places)),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        Fleet::options(Arc::new(NoFaults)),
        CancellationToken::new(),
    ));
    tasks
}

/// Reports every intent as true, as an agent would some time later.
async fn act(pool: PgPool, host_id: HostId, agents: Agents) {
    loop {
        let mut conn = pool.acquire().await.unwrap();
        let intents = db::host_intent(&mut conn, host_id).await.unwrap();
        let (_, intents) = intents.expect("the host exists");
        drop(conn);
        for intent in intents {
            let phase = match (intent.run, agents) {
                (Run::Absent, _) => Phase::Absent,
                (Run::Running, Agents::Looping) => Phase::CrashLooping,
                (Run::Running, Agents::Willing | Agents::Silent | Agents::Conservative) => {
                    Phase::Ready
                }
            };
            let now = SystemClock.now();
            let observation = NodeObservation {
                node_id: intent.node_id,
                generation: intent.generation,
                phase,
                process: None,
                restarts: 0,
                detail: (phase == Phase::CrashLooping).then(|| "no such profile".to_owned()),
                launch: None,
                rejected: rejected(&intent, agents),
                alarms: Alarms::default(),
                observed_at: now,
            };
            let mut transaction = db::begin(&pool).await.unwrap();
            let observed = db::node_observe(&mut transaction, host_id, &observation, now)
                .await
                .unwrap();
            if let Some(observed) = observed.filter(|observed| observed.changed) {
                let broker_id = observed.broker_id;
                db::job_wake(&mut transaction, broker_id.as_str(), now)
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn rejected(intent: &NodeIntent, agents: Agents) -> Option<RejectedConfiguration> {
    let proven = intent.proven_configuration.as_ref()?;
    let is_other = agents == Agents::Conservative && *proven != intent.configuration;
    is_other.then(|| RejectedConfiguration {
        id: intent.configuration.id.clone(),
        revision: intent.configuration.revision,
        reason: "the node did not come up with it".to_owned(),
    })
}
