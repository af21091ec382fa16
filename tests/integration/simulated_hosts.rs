//! Simulated hosts over mutual TLS: to the control plane they are hosts like any other.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use agent_api::NodeIntent;
use chrono::TimeDelta;
use fleet_simulator::{Conduct, Host, Timing};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use warren::api::agent::Lifetimes;
use warren::model::broker::State;

use crate::endpoint::Endpoint;

#[tokio::test]
async fn brokers_live_through_their_life_on_a_simulated_host() {
    let mut endpoint = Endpoint::start(Lifetimes::default()).await;
    let slow = Conduct::Willing {
        after: Duration::from_millis(200),
    };
    let host = simulated(&endpoint, slow).await;
    assert_eq!(host.id(), endpoint.fleet.host_id.0, "the host of that name");
    let stop = CancellationToken::new();
    let life = async {
        endpoint.fleet.work();
        Box::pin(endpoint.fleet.live_through("simulated")).await;
        stop.cancel();
    };
    tokio::join!(host.run(stop.clone()), life);
}

#[tokio::test]
async fn a_node_that_stays_away_comes_when_its_script_lets_it() {
    let mut endpoint = Endpoint::start(Lifetimes::default()).await;
    let conduct = Arc::new(Mutex::new(Conduct::Stuck));
    let script = {
        let conduct = Arc::clone(&conduct);
        move |_: &NodeIntent| *conduct.lock()
    };
    let host = simulated(&endpoint, script).await;
    let stop = CancellationToken::new();
    let life = async {
        endpoint.fleet.work();
        let id = endpoint.fleet.create("late").await;
        let seen = endpoint.node_of(&id, |node| node.observed.is_some()).await;
        assert!(!seen.is_ready_at(1));
        *conduct.lock() = Conduct::AT_ONCE;
        host.reconsider();
        endpoint.fleet.reaches(&id, Some(State::Running)).await;
        stop.cancel();
    };
    tokio::join!(host.run(stop.clone()), life);
}

pub(crate) async fn simulated(endpoint: &Endpoint, script: impl fleet_simulator::Script) -> Host {
    let token = "simulated";
    endpoint.token(token, "host", TimeDelta::hours(1)).await;
    let url = format!("https://{}", endpoint.listen().await);
    let authority = endpoint.authority.certificate_pem();
    Host::enrol(&url, authority, token, Arc::new(script), Timing::default())
        .await
        .unwrap()
}
