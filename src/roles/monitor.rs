//! `--metrics-listen`: what monitoring reads of a process, on an address of its own.
//!
//! Plain HTTP and no signature, because that is what scrapers speak. The answers name brokers, accounts
//! and hosts: whoever reaches the address may read them, so it is bound only where the operator says,
//! and never together with the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, Installation};
use crate::db;
use crate::listener::{Listener, Peer};
use crate::metrics::{self, BrokerStanding, Fleet, HostStanding, JobsStanding, PoolStanding};
use crate::model::broker;

/// The fleet is looked at no more often, however often it is asked for.
const FRESH: Duration = Duration::from_secs(5);

/// A bound address, or nothing when the operator gave none.
pub struct Monitor {
    bound: Option<Listener>,
    observer: Observer,
}

/// When the fleet was looked at, and how it stood.
type Look = Option<(Instant, Arc<Fleet>)>;

#[derive(Clone)]
struct Observer {
    installation: Installation,
    /// The last look at the fleet; none in processes that leave it to others.
    fleet: Option<Arc<Mutex<Look>>>,
}

impl Monitor {
    /// With `with_fleet`, the process also tells how the whole installation stands.
    pub async fn bind(
        address: Option<SocketAddr>,
        installation: Installation,
        with_fleet: bool,
    ) -> Result<Self, Error> {
        let bound = match address {
            Some(address) => Some(Listener::plain(address).await?),
            None => None,
        };
        let fleet = with_fleet.then(Arc::default);
        Ok(Self {
            bound,
            observer: Observer {
                installation,
                fleet,
            },
        })
    }

    /// Answers until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let Some(listener) = self.bound else {
            return;
        };
        tracing::info!(address = %listener.address(), "metrics");
        let router = Router::new()
            .route("/metrics", get(tell))
            .route("/healthz", get(|| async {}))
            .route("/readyz", get(ready))
            .with_state(self.observer);
        let service = router.into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(listener, service).into_future();
        if let Some(Err(error)) = shutdown.run_until_cancelled(serving).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    }
}

impl Observer {
    /// The fleet as it stood lately, if this process tells of it and could look.
    async fn fleet(&self) -> Option<Arc<Fleet>> {
        let mut last = self.fleet.as_ref()?.lock().await;
        if last.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            *last = match look(&self.installation).await {
                Ok(fleet) => Some((Instant::now(), Arc::new(fleet))),
                Err(error) => {
                    tracing::warn!(%error, "monitoring cannot look at the fleet");
                    // An old look would hide that nobody knows; the process' own counters stay.
                    None
                }
            };
        }
        last.as_ref().map(|(_, fleet)| Arc::clone(fleet))
    }
}

async fn ready(State(observer): State<Observer>) -> StatusCode {
    match db::ping(&observer.installation.pool).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn tell(State(observer): State<Observer>) -> Response {
    let pool = &observer.installation.pool;
    let idle = u64::try_from(pool.num_idle()).unwrap_or(u64::MAX);
    let standing = PoolStanding {
        idle,
        used: u64::from(pool.size()).saturating_sub(idle),
        max: u64::from(pool.options().get_max_connections()),
    };
    let metrics = &observer.installation.metrics;
    let text = metrics.render(observer.fleet().await, Some(standing));
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn look(installation: &Installation) -> db::Result<Fleet> {
    let now = installation.clock.now();
    let mut conn = installation.pool.acquire().await?;
    let seconds_since = |at: chrono::DateTime<chrono::Utc>| (now - at).as_seconds_f64().max(0.0);
    let brokers = db::broker_standings(&mut conn).await?.into_iter();
    let brokers = brokers.map(|broker| BrokerStanding {
        id: broker.id.to_string(),
        account_id: broker.scope.account_id.to_string(),
        region: broker.scope.region.to_string(),
        engine_type: broker.engine_type.name(),
        state: broker.state.name(),
        is_healthy: broker.state == broker::State::Running,
    });
    let hosts = db::host_list(&mut conn, None).await?.into_iter();
    let hosts = hosts.map(|host| HostStanding {
        silent_s: host.last_seen_at.map(seconds_since),
        nodes: host.node_count.into(),
        name: host.name,
        zone: host.zone,
    });
    let jobs = db::job_standings(&mut conn).await?.into_iter();
    let jobs = jobs.map(|jobs| JobsStanding {
        kind: jobs.kind,
        state: jobs.state,
        count: jobs.count.unsigned_abs(),
    });
    let due_since = db::job_due_since(&mut conn, now).await?;
    Ok(Fleet {
        brokers: brokers.collect(),
        hosts: hosts.collect(),
        jobs: jobs.collect(),
        oldest_due_s: due_since.map_or(0.0, seconds_since),
    })
}
