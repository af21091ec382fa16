//! The three hosts of this machine, each with its agent in this process.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use host_agent::OnStop;
use signing::TrustedKeys;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::data_dir::DataDir;
use crate::db;
use crate::provision::local;
use crate::roles::{self, Installation, admin, agent};

pub(super) const ZONES: [&str; 3] = ["a", "b", "c"];
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// Written by an agent once it is enrolled.
const IDENTITY: &str = "identity.json";
const POLL: Duration = Duration::from_millis(25);
/// A start goes on without hosts that are not there by then: they come when they come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every agent is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) agent_port: u16,
    pub(super) ca_pem: &'a str,
    pub(super) executable: &'a Path,
    pub(super) engine_keys: &'a TrustedKeys,
}

/// Adds agents that run until `shutdown`, and then stop their nodes.
pub(super) async fn start(
    agents: &mut JoinSet<Result<(), roles::Error>>,
    installation: &Installation,
    data_dir: &DataDir,
    setting: Setting<'_>,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    for zone in ZONES {
        let home = data_dir.join("hosts").join(zone);
        let token = if home.join(IDENTITY).exists() {
            None
        } else {
            Some(
                admin::new_host_token(installation, &name(zone), zone, TOKEN_TTL, local::NAME)
                    .await?,
            )
        };
        let options = agent::Options {
            control_url: format!("https://127.0.0.1:{}", setting.agent_port),
            ca_pem: setting.ca_pem.to_owned(),
            token,
            data_dir: home,
            executable: setting.executable.to_owned(),
            engine_keys: setting.engine_keys.clone(),
        };
        agents.spawn(agent::run(options, OnStop::StopNodes, shutdown.clone()));
    }
    Ok(())
}

/// Waits until every agent has reported since `started`.
pub(super) async fn seen(installation: &Installation, started: DateTime<Utc>) -> Result<(), Error> {
    let all = async {
        loop {
            let mut conn = installation.pool.acquire().await.map_err(db::Error::from)?;
            let hosts = db::host_list(&mut conn, None).await?;
            drop(conn);
            let seen = |zone: &&str| {
                hosts.iter().any(|host| {
                    host.name == name(zone) && host.last_seen_at.is_some_and(|at| at >= started)
                })
            };
            if ZONES.iter().all(seen) {
                return Ok::<(), db::Error>(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(seen) => Ok(seen.map_err(roles::Error::Database)?),
        Err(_) => {
            tracing::warn!("not every host has reported yet");
            Ok(())
        }
    }
}

fn name(zone: &str) -> String {
    format!("local-{zone}")
}
