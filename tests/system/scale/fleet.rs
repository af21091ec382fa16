//! The fleet under test: one API, one worker, accounts, simulated hosts, and brokers on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use client::{Client, Config, CreateBroker, Credentials, User};
use fleet_simulator::{Conduct, Host, Timing};
use futures_util::StreamExt;
use sqlx::PgPool;
use test_support::network;
use test_support::process::{Family, Process};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use warren::db::{self, HostToken};
use warren::model::clock::{Clock, SystemClock};

use super::cost::{self, Cpu};
use super::load::Ask;
use crate::installation::Setting;
use crate::patience::PATIENCE;

/// As many as a machine of 16 cores and 64 GiB carries of the smallest brokers.
const NODES_A_HOST: usize = 20;
/// The quota of an account.
const BROKERS_AN_ACCOUNT: usize = 200;
/// Requests under way while the fleet grows.
const CONCURRENCY: usize = 16;
/// Enrolments under way: each is a handshake and a signature.
const ENROLMENTS: usize = 8;
/// A node of a real host is ready after about as long.
const START: Duration = Duration::from_millis(500);
/// Longest time for one broker more, on a busy machine and without optimisation.
const PATIENCE_A_BROKER: Duration = Duration::from_secs(2);

pub(super) struct Fleet {
    runtime: Runtime,
    pub(super) pool: PgPool,
    setting: Setting,
    // Dropped before the setting's directory, which they use.
    api: Process,
    worker: Process,
    _family: Family,
    endpoint: String,
    control_url: String,
    metrics: SocketAddr,
    ca_pem: String,
    accounts: Vec<Client>,
    /// Broker ids, with the index of their account.
    pub(super) brokers: Vec<(usize, String)>,
    hosts: usize,
    stop: CancellationToken,
}

/// What it took to make some brokers more.
pub(super) struct Created {
    pub(super) brokers: f64,
    pub(super) took: Duration,
    pub(super) api: Cpu,
    pub(super) worker: Cpu,
    pub(super) postgres: Cpu,
}

/// What the fleet costs while nobody asks for anything.
pub(super) struct Idle {
    pub(super) api: Cpu,
    pub(super) worker: Cpu,
    pub(super) postgres: Cpu,
    /// Mean time of one sweep of all reconcilers.
    pub(super) sweep_s: f64,
}

impl Fleet {
    /// No host and no broker yet.
    pub(super) fn start(maintenance_max: usize) -> Self {
        let setting = Setting::new();
        let ca_pem = setting.succeed(&["admin", "ca", "show"]);
        let family = Family::new();
        let [public, agents, metrics] = std::array::from_fn(|_| network::free_port());
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut command = setting.warren(&["serve", "--requests-per-second", "0"]);
        command.args(["--listen", &local(public), "--agent-listen", &local(agents)]);
        command.env("RUST_LOG", "warn");
        let api = family.spawn("warren serve", &mut command);
        let mut command = setting.warren(&["worker", "--loopback-range", "127.200.0.0/16"]);
        command.args(["--metrics-listen", &local(metrics)]);
        command.args(["--maintenance-max", &maintenance_max.to_string()]);
        command.env("RUST_LOG", "warn");
        let worker = family.spawn("warren worker", &mut command);
        network::eventually("the API is healthy", PATIENCE, || {
            let address = SocketAddr::from(([127, 0, 0, 1], public));
            network::get(address, "/health").filter(|(status, _)| *status == 200)
        });
        let runtime = Runtime::new().expect("a runtime can be built");
        let pool = runtime
            .block_on(PgPool::connect(&setting.database_url))
            .expect("the database answers");
        Self {
            runtime,
            pool,
            setting,
            api,
            worker,
            _family: family,
            endpoint: format!("http://{}", local(public)),
            control_url: format!("https://{}", local(agents)),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
            ca_pem,
            accounts: Vec::new(),
            brokers: Vec::new(),
            hosts: 0,
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.brokers.len()
    }

    pub(super) fn hosts(&self) -> usize {
        self.hosts
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(super) fn client(&self, account: usize) -> Client {
        self.accounts[account].clone()
    }

    /// Adds hosts, accounts and brokers until there are `size`, all of them running.
    pub(super) fn grow(&mut self, size: usize) -> Created {
        self.add_hosts(size.div_ceil(NODES_A_HOST));
        while self.accounts.len() * BROKERS_AN_ACCOUNT < size {
            self.add_account();
        }
        let (begin, cpu) = (Instant::now(), self.cpu());
        let before = self.brokers.len();
        let added = self.block_on(self.create(before..size));
        self.brokers.extend(added);
        self.await_running(size - before);
        let took = begin.elapsed();
        let [api, worker, postgres] = self.cpu_since(cpu, took);
        Created {
            brokers: f64::from(u32::try_from(size - before).expect("fleets are small")),
            took,
            api,
            worker,
            postgres,
        }
    }

    /// Waits until nothing is going on but heartbeats.
    pub(super) fn rest(&self) {
        let unfinished = "select count(*) from jobs where state in ('ready', 'running')";
        network::eventually("no job is left", PATIENCE, || {
            (self.count(unfinished) == 0).then_some(())
        });
    }

    /// Asks the tables: the worker's metrics would cost it what is measured here.
    fn count(&self, statement: &'static str) -> i64 {
        let counted = self.block_on(sqlx::query_scalar(statement).fetch_one(&self.pool));
        counted.expect("rows can be counted")
    }

    pub(super) fn idle(&self, over: Duration) -> Idle {
        let (cpu, swept) = (self.cpu(), self.sweeps());
        std::thread::sleep(over);
        let [api, worker, postgres] = self.cpu_since(cpu, over);
        let now = self.sweeps();
        Idle {
            api,
            worker,
            postgres,
            sweep_s: (now.0 - swept.0) / (now.1 - swept.1).max(1.0),
        }
    }

    pub(super) fn describes(&self) -> Ask {
        let (clients, brokers) = (self.accounts.clone(), self.brokers.clone());
        let count = brokers.len();
        let brokers = Arc::new(brokers);
        Arc::new(move |turn| {
            // A stride that shares no factor with the count visits them all, in no order of creation.
            let (account, id) = brokers[turn.wrapping_mul(7_919) % count].clone();
            let client = clients[account].clone();
            Box::pin(async move {
                let described = client.describe_broker(&id).await;
                described.is_ok_and(|broker| broker.broker_id == id)
            })
        })
    }

    /// The first page of an account's brokers, as large as pages get.
    pub(super) fn lists(&self) -> Ask {
        let clients = self.accounts.clone();
        let expected = self.size().min(100);
        Arc::new(move |turn| {
            // The last account may be filled only in part.
            let full = clients.len().saturating_sub(1).max(1);
            let client = clients[turn % full].clone();
            Box::pin(async move {
                let page = client.list_brokers(Some(100), None).await;
                page.is_ok_and(|page| page.broker_summaries.len() == expected)
            })
        })
    }

    /// The sum of the worker's series that begin like this.
    pub(super) fn gauge(&self, series: &str) -> f64 {
        let (_, text) = network::get(self.metrics, "/metrics").expect("the worker tells metrics");
        let lines = text.lines().filter(|line| line.starts_with(series));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum()
    }

    /// Seconds in sweeps so far, and how many of them there were.
    fn sweeps(&self) -> (f64, f64) {
        let one = r#"warren_reconciler_sweep_seconds_count{reconciler="job_watcher"}"#;
        (
            self.gauge("warren_reconciler_sweep_seconds_sum"),
            self.gauge(one),
        )
    }

    fn cpu(&self) -> [f64; 3] {
        [
            cost::of(self.api.pid()),
            cost::of(self.worker.pid()),
            cost::of_postgres(),
        ]
    }

    fn cpu_since(&self, before: [f64; 3], over: Duration) -> [Cpu; 3] {
        let now = self.cpu();
        std::array::from_fn(|index| Cpu {
            used_s: now[index] - before[index],
            over,
        })
    }

    fn add_account(&mut self) {
        let key = self
            .setting
            .account(&format!("fleet-{}", self.accounts.len()));
        let config = Config {
            credentials: Credentials {
                access_key_id: key.id,
                secret_access_key: key.secret,
                session_token: None,
            },
            region: "us-east-1".to_owned(),
            endpoint: self.endpoint.parse().expect("an endpoint is a URL"),
            ca_bundle: None,
        };
        let client = Client::new(config).expect("a client can be built");
        self.accounts.push(client);
    }

    fn add_hosts(&mut self, wanted: usize) {
        let numbers = self.hosts..wanted.max(self.hosts);
        self.hosts = numbers.end;
        self.block_on(async {
            let enrolled = futures_util::stream::iter(numbers)
                .map(|number| self.enrol(number))
                .buffer_unordered(ENROLMENTS)
                .collect::<Vec<_>>();
            for host in enrolled.await {
                let stop = self.stop.clone();
                tokio::spawn(async move { host.run(stop).await });
            }
        });
    }

    async fn enrol(&self, number: usize) -> Host {
        let token = format!("simulated-{number}");
        let host = HostToken {
            host_name: format!("host-{number:05}"),
            zone: ["a", "b", "c"][number % 3].to_owned(),
            provisioner: "local".to_owned(),
        };
        let (now, hash) = (SystemClock.now(), digest(&SHA256, token.as_bytes()));
        let until = now + TimeDelta::hours(1);
        let mut conn = self.pool.acquire().await.expect("the database answers");
        db::host_token_create(&mut conn, hash.as_ref(), &host, until, now)
            .await
            .expect("a token of its own");
        drop(conn);
        let script = Arc::new(Conduct::Willing { after: START });
        Host::enrol(
            &self.control_url,
            &self.ca_pem,
            &token,
            script,
            Timing::default(),
        )
        .await
        .expect("the token is good")
    }

    async fn create(&self, numbers: std::ops::Range<usize>) -> Vec<(usize, String)> {
        let create = async |number: usize| {
            let account = number / BROKERS_AN_ACCOUNT;
            let broker = CreateBroker {
                broker_name: format!("broker-{number}"),
                creator_request_id: format!("request-{number}"),
                engine_type: "RABBITMQ".to_owned(),
                engine_version: Some("4.2".to_owned()),
                deployment_mode: "SINGLE_INSTANCE".to_owned(),
                host_instance_type: "mq.m7g.medium".to_owned(),
                publicly_accessible: false,
                auto_minor_version_upgrade: Some(true),
                subnet_ids: Vec::new(),
                users: vec![User {
                    username: "operator".to_owned(),
                    password: "correct-horse-battery".to_owned(),
                }],
                tags: [("fleet".to_owned(), "simulated".to_owned())].into(),
            };
            let created = self.accounts[account].create_broker(&broker).await;
            (account, created.expect("a broker is accepted").broker_id)
        };
        futures_util::stream::iter(numbers)
            .map(create)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    fn await_running(&self, added: usize) {
        let patience =
            PATIENCE + PATIENCE_A_BROKER * u32::try_from(added).expect("fleets are small");
        let size = i64::try_from(self.size()).expect("fleets are small");
        network::eventually("every broker runs", patience, || {
            let running =
                self.count("select count(*) from brokers where applied_generation = generation");
            if std::env::var_os("WARREN_FLEET").is_some() {
                eprintln!("{running} of {size} brokers run");
            }
            std::thread::sleep(Duration::from_secs(1));
            (running >= size).then_some(())
        });
        let running = self.gauge(r#"warren_brokers{engine_type="RABBITMQ",state="RUNNING"}"#);
        assert!(running >= f64::from(u32::try_from(size).expect("fleets are small")));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
