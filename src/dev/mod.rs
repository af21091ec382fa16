//! The all-in-one role: everything that production runs apart, on one machine and in one process,
//! with a Postgres of its own. The same code paths; nothing is simulated.
//!
//! Owns the data directory and the order of start and stop. Invariant: killed at any moment, the
//! next start on the same directory finds its way.

mod administration;
mod choices;
mod credentials;
mod data_dir;
mod hosts;
mod postgres;
mod progress;
mod shell;
mod summary;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::app::Settings;
use crate::config;
use crate::db;
use crate::model::{Region, broker::SimulatedHosts, parity::Parity};
use crate::reconcilers::{AUDIT_DAYS, MAINTENANCE_RUNNING_MAX};
use crate::roles::{self, Installation, serve, worker};
use crate::secrets::MasterKey;
use crate::workflows::{AbortAt, Faults, NoFaults};
use choices::Choices;
use data_dir::DataDir;
use postgres::Postgres;
use progress::Progress;

/// The authority that brokers' certificates are verified with, in PEM.
const CA: &str = "ca.pem";

const MASTER_KEY: &str = "master.key";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}", path = .path.display())]
    DataDir {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the data directory {path} is in use by process {pid}", path = .path.display())]
    InUse { path: PathBuf, pid: String },
    #[error("{path} is damaged: {cause}", path = .path.display())]
    Choices {
        path: PathBuf,
        cause: serde_json::Error,
    },
    #[error("no port is free on 127.0.0.1: {0}")]
    NoPort(std::io::Error),
    #[error("{0} is not a loopback address: `warren dev` serves this machine alone")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}: {source} (--listen chooses another)")]
    Port {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{0}")]
    Region(String),
    #[error("{0}")]
    Parity(String),
    #[error("{0}")]
    CrashPoint(String),
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    #[error(transparent)]
    EngineKeys(#[from] roles::catalog::Error),
    #[error(transparent)]
    Role(#[from] roles::Error),
    #[error("a part of the installation failed: {0}")]
    Join(#[from] JoinError),
    #[error("cannot tell which program this is: {0}")]
    Executable(std::io::Error),
    #[error("the host's agent ended")]
    AgentEnded,
}

/// Runs until `shutdown`, or until a part fails; then stops what runs, in order.
pub async fn run(config: config::Dev, shutdown: CancellationToken) -> Result<(), Error> {
    let progress = Progress::start();
    let executable = roles::own_executable().map_err(Error::Executable)?;
    let region = config.region.parse::<Region>().map_err(Error::Region)?;
    let parity = config.parity.parity.parse().map_err(Error::Parity)?;
    let faults: Arc<dyn Faults> = match &config.crash_at {
        Some(point) => match point.parse::<AbortAt>() {
            Ok(point) => Arc::new(point),
            Err(invalid) => return Err(Error::CrashPoint(invalid.to_string())),
        },
        None => Arc::new(NoFaults),
    };
    let data_dir = DataDir::open(&config.data_dir)?;
    check_port(config.listen)?;
    progress.step(&format!("data directory {}", data_dir.path().display()));
    let (postgres, url) = match &config.database_url {
        Some(url) if !administration::is_private(&data_dir, url)? => (None, url.clone()),
        Some(_) | None => {
            let postgres = Postgres::start(data_dir.path(), &progress).await?;
            progress.step(&format!("Postgres {} runs", postgres.version));
            let url = postgres.url.clone();
            administration::write(&data_dir, &url)?;
            (Some(postgres), url)
        }
    };
    let start = Start {
        config,
        region,
        parity,
        faults,
        executable,
        data_dir: &data_dir,
        url,
        progress: &progress,
    };
    let outcome = match Box::pin(start.run(&shutdown)).await {
        // A start that is told to stop has done as it was told.
        Err(Error::Role(roles::Error::Stopped)) => Ok(()),
        outcome => outcome,
    };
    if let Some(postgres) = postgres {
        postgres.stop().await;
    }
    if outcome.is_ok() {
        progress.step("stopped");
    }
    outcome
}

/// A taken port is said before anything slow begins.
fn check_port(address: SocketAddr) -> Result<(), Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    TcpListener::bind(address)
        .map(drop)
        .map_err(|source| Error::Port { address, source })
}

/// What stands between a database and a running installation.
struct Start<'a> {
    config: config::Dev,
    region: Region,
    parity: Parity,
    faults: Arc<dyn Faults>,
    executable: PathBuf,
    data_dir: &'a DataDir,
    url: String,
    progress: &'a Progress,
}

impl Start<'_> {
    async fn run(self, shutdown: &CancellationToken) -> Result<(), Error> {
        let installation = self.installation(shutdown).await?;
        let Choices { range, agent_port } =
            Choices::load(self.data_dir, installation.entropy.as_ref())?;
        let authority = Arc::new(installation.authority().await?);
        let ca_pem = authority.certificate_pem().to_owned();
        self.data_dir.write(CA, &ca_pem, 0o644)?;

        let regions = vec![self.region.clone()];
        let options = serve::Options {
            listen: self.config.listen,
            agent_listen: self
                .config
                .agent_listen
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], agent_port))),
            agent_names: Vec::new(),
            tls: None,
            trusted_proxies: Vec::new(),
            regions: regions.clone(),
            parity: self.parity,
            simulated_hosts: SimulatedHosts::when(self.config.parity.simulated_hosts),
            requests: None,
            leave: Duration::ZERO,
        };
        let server = serve::Server::bind(installation.clone(), authority, options).await?;
        let (api, agents_at) = (server.api_address(), server.agent_address());
        let app = installation.app(Settings::new(regions));
        credentials::provide(self.data_dir, &app, api, self.region.as_str()).await?;

        let mut parts = Parts::default();
        let (serve_api, serve_agents) =
            server.split(parts.stop_api.clone(), parts.stop_agents_api.clone());
        parts.api = Some(tokio::spawn(serve_api));
        parts.agents_api = Some(tokio::spawn(serve_agents));
        self.progress.step(&format!("API on http://{api}"));
        let worker_options = worker::Options {
            range,
            faults: self.faults.clone(),
            audit_keep: TimeDelta::days(AUDIT_DAYS.into()),
            maintenance_running_max: MAINTENANCE_RUNNING_MAX,
        };
        parts.worker = Some(tokio::spawn(worker::run(
            installation.clone(),
            worker_options,
            parts.stop_worker.clone(),
        )));
        self.progress.step("worker runs");
        let setting = hosts::Setting {
            agent_port: agents_at.port(),
            ca_pem: &ca_pem,
            executable: &self.executable,
            engine_keys: &roles::catalog::trusted_keys(&self.config.keys.engine_keys)?,
        };
        let outcome = match self
            .hosts(&mut parts, &installation, setting, shutdown)
            .await
        {
            Ok(()) => {
                if !shutdown.is_cancelled() {
                    summary::print(self.data_dir, api);
                }
                parts.wait(shutdown).await
            }
            Err(error) => Err(error),
        };
        self.progress.step("stopping");
        let stopped = parts.stop().await;
        installation.pool.close().await;
        outcome.and(stopped)
    }

    async fn hosts(
        &self,
        parts: &mut Parts,
        installation: &Installation,
        setting: hosts::Setting<'_>,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let started = installation.clock.now();
        let stop = parts.stop_agents.clone();
        hosts::start(
            &mut parts.agents,
            installation,
            self.data_dir,
            setting,
            &stop,
        )
        .await?;
        tokio::select! {
            seen = hosts::seen(installation, started) => seen?,
            () = shutdown.cancelled() => return Ok(()),
        }
        self.progress
            .step(&format!("hosts in zones {} run", hosts::ZONES.join(", ")));
        Ok(())
    }

    async fn installation(&self, shutdown: &CancellationToken) -> Result<Installation, Error> {
        let pool = roles::connect(&self.url, shutdown).await?;
        db::migrate(&pool).await.map_err(roles::Error::from)?;
        self.progress.step("database schema is up to date");
        let path = self.data_dir.join(MASTER_KEY);
        let master_key = if path.exists() {
            MasterKey::from_file(&path)
        } else {
            MasterKey::generate_file(&path)
        };
        Ok(Installation::new(
            pool,
            master_key.map_err(roles::Error::from)?,
        ))
    }
}

/// What runs, and how to stop it.
#[derive(Default)]
struct Parts {
    api: Option<Task>,
    agents_api: Option<Task>,
    worker: Option<JoinHandle<()>>,
    agents: JoinSet<Result<(), roles::Error>>,
    stop_api: CancellationToken,
    stop_agents_api: CancellationToken,
    stop_worker: CancellationToken,
    stop_agents: CancellationToken,
}

impl Parts {
    /// Until `shutdown`, or until a part ends by itself.
    async fn wait(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = ended(&mut self.api) => ended,
            ended = ended(&mut self.agents_api) => ended,
            Some(ended) = self.agents.join_next() => {
                ended??;
                Err(Error::AgentEnded)
            }
        }
    }

    /// No new work, then no work, then no nodes; the agents can report to their end. Goes on after
    /// a failure, and returns the first.
    async fn stop(&mut self) -> Result<(), Error> {
        self.stop_api.cancel();
        let mut outcome = finish(&mut self.api).await;
        self.stop_worker.cancel();
        if let Some(worker) = self.worker.take() {
            outcome = outcome.and(worker.await.map_err(Error::from));
        }
        self.stop_agents.cancel();
        while let Some(ended) = self.agents.join_next().await {
            let ended = flatten(ended);
            outcome = outcome.and(ended);
        }
        self.stop_agents_api.cancel();
        outcome.and(finish(&mut self.agents_api).await)
    }
}

type Task = JoinHandle<Result<(), roles::Error>>;

/// Pending for a part that does not run.
async fn ended(task: &mut Option<Task>) -> Result<(), Error> {
    match task {
        Some(running) => {
            let ended = running.await;
            *task = None;
            flatten(ended)
        }
        None => std::future::pending().await,
    }
}

async fn finish(task: &mut Option<Task>) -> Result<(), Error> {
    match task.take() {
        Some(running) => flatten(running.await),
        None => Ok(()),
    }
}

fn flatten(ended: Result<Result<(), roles::Error>, JoinError>) -> Result<(), Error> {
    Ok(ended??)
}
