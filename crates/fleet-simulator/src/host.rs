//! One simulated host: its identity, its long poll and its reports.

use std::sync::Arc;
use std::time::Duration;

use agent_api::{Capacity, HostReport};
use chrono::{DateTime, Utc};
use host_agent::{ControlPlane, Error, Identity};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::conduct::Script;
use crate::nodes::Nodes;

/// Delays of a host's loops.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How long the control plane may hold a long poll.
    pub poll_wait: Duration,
    /// Reports go out on every change, and at least this often.
    pub heartbeat: Duration,
    /// Pause after a call that failed.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let agent = host_agent::Timing::default();
        Self {
            poll_wait: agent.poll_wait,
            heartbeat: agent.heartbeat,
            retry: Duration::from_secs(1),
        }
    }
}

/// Room for any number of nodes: limits of the instance type are what counts.
const CAPACITY: Capacity = Capacity {
    cpus: 16,
    memory_bytes: 64 << 30,
    disk_free_bytes: 1 << 40,
};

/// A host that runs nothing.
pub struct Host {
    control: ControlPlane,
    id: Uuid,
    script: Arc<dyn Script>,
    nodes: Mutex<Nodes>,
    news: Notify,
    timing: Timing,
}

impl Host {
    /// Enrols with a one-time token. Nothing is kept: a host of the same name that enrols again
    /// takes over its nodes, as one does that lost its disk.
    pub async fn enrol(
        control_url: &str,
        ca_pem: &str,
        token: &str,
        script: Arc<dyn Script>,
        timing: Timing,
    ) -> Result<Self, Error> {
        // The first to install one wins; every part of Warren installs the same.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let identity = Identity::enrol(control_url, ca_pem, token).await?;
        Ok(Self {
            control: ControlPlane::connect(control_url, &identity)?,
            id: identity.host_id,
            script,
            nodes: Mutex::default(),
            news: Notify::new(),
            timing,
        })
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Asks the script again for every node, because it would answer otherwise now.
    pub fn reconsider(&self) {
        self.nodes.lock().reconsider(&*self.script, now());
        self.news.notify_one();
    }

    /// Follows its intent and reports until `shutdown`. A control plane that is away is waited for.
    pub async fn run(&self, shutdown: CancellationToken) {
        let both = async { tokio::join!(self.follow(), self.report()) };
        shutdown.run_until_cancelled(both).await;
    }

    async fn follow(&self) {
        let mut since = -1;
        loop {
            match self.control.intent(since, self.timing.poll_wait).await {
                Ok(intent) if intent.version != since => {
                    since = intent.version;
                    self.nodes.lock().apply(intent.nodes, &*self.script, now());
                    self.news.notify_one();
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(host = %self.id, %error, "the intent cannot be read");
                    tokio::time::sleep(self.retry()).await;
                }
            }
        }
    }

    async fn report(&self) {
        // Agents of a fleet were not all started in the same instant.
        tokio::time::sleep(self.timing.heartbeat.mul_f64(fastrand::f64() / 10.0)).await;
        loop {
            let (nodes, next) = {
                let (nodes, now) = (self.nodes.lock(), now());
                (nodes.observations(now), nodes.next_change(now))
            };
            let report = HostReport {
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                capacity: CAPACITY,
                nodes,
            };
            if let Err(error) = self.control.report(&report).await {
                tracing::debug!(host = %self.id, %error, "the report was not taken");
                tokio::time::sleep(self.retry()).await;
                continue;
            }
            let pause = next.map_or(self.timing.heartbeat, |next| {
                next.min(self.timing.heartbeat)
            });
            tokio::select! {
                () = self.news.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Up to half of it is taken away, so that a fleet does not come back in one instant.
    fn retry(&self) -> Duration {
        self.timing.retry.mul_f64(1.0 - fastrand::f64() / 2.0)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator is a composition root of its own: this is where its time comes from"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
