//! Who is connected, as far as connections tell themselves; one that is too busy to answer in time is left out.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use axum::Json;
use serde_json::{Value, json};

use super::auth::User;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use super::{Node, State, operator};
use crate::broker::{ConnectionReport, Origin};

/// How long connections have to describe themselves.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// A request for something about connections.
pub(super) struct Asked {
    user: User,
    pub(super) node: State,
    parameters: Parameters,
    pub(super) windows: Windows,
}

impl Asked {
    pub(super) fn new(user: User, node: State, parameters: Parameters) -> Result<Self, Error> {
        Ok(Self {
            user,
            node,
            windows: Windows::of(&parameters)?,
            parameters,
        })
    }

    /// What the connections that are meant are described by, of those that the user may see.
    pub(super) async fn list(
        self,
        is_meant: impl Fn(&ConnectionReport) -> bool,
        describe: impl Fn(&Self, &ConnectionReport) -> Vec<Value>,
    ) -> Result<Json<Value>, Error> {
        let mut reports = self.reports().await?;
        reports.retain(|report| self.may_see(&report.origin) && is_meant(report));
        let described = reports.iter().flat_map(|report| describe(&self, report));
        Ok(Json(self.parameters.list(described.collect())?))
    }

    /// The same of the connections of one virtual host, which the user may look into.
    pub(super) async fn list_of_vhost(
        self,
        vhost: &str,
        describe: impl Fn(&Self, &ConnectionReport) -> Vec<Value>,
    ) -> Result<Json<Value>, Error> {
        operator::look(&self.user, &self.node, vhost)?;
        self.list(|report| report.vhost == vhost, describe).await
    }

    /// What describes one of them.
    pub(super) fn show(&self, described: Value) -> Json<Value> {
        Json(self.parameters.one(described))
    }

    /// What describes several.
    pub(super) fn show_all(&self, described: Vec<Value>) -> Result<Json<Value>, Error> {
        Ok(Json(self.parameters.list(described)?))
    }

    /// The connection of this name.
    pub(super) async fn find(&self, name: &str) -> Result<ConnectionReport, Error> {
        let reports = self.reports().await?;
        let mut reports = reports.into_iter();
        let found = reports.find(|report| report.origin.name() == name);
        let found = found.ok_or(Error::NotFound)?;
        if !self.may_see(&found.origin) {
            return Err(Error::NotAuthorised("User not authorised to access object"));
        }
        Ok(found)
    }

    /// Whether the user may see what comes from there: its own, or all.
    pub(super) fn may_see(&self, origin: &Origin) -> bool {
        self.user.is_monitor() || *origin.user == *self.user.name()
    }

    async fn reports(&self) -> Result<Vec<ConnectionReport>, Error> {
        let (node, periods) = (Arc::clone(&self.node), self.windows.periods());
        let gathered = tokio::task::spawn_blocking(move || gather(&node, periods));
        gathered
            .await
            .map_err(|cause| Error::Internal(cause.to_string()))
    }
}

fn gather(node: &Node, periods: u32) -> Vec<ConnectionReport> {
    let (sender, receiver) = mpsc::channel();
    node.clients.report(periods, &sender);
    drop(sender);
    let deadline = Instant::now() + REPORT_PATIENCE;
    let rest = || deadline.saturating_duration_since(Instant::now());
    let mut reports: Vec<ConnectionReport> =
        std::iter::from_fn(|| receiver.recv_timeout(rest()).ok()).collect();
    reports.sort_unstable_by_key(|report| (report.connected_at_ms, report.origin.peer));
    reports
}

/// The name of a channel.
pub(super) fn channel_name(origin: &Origin, number: u16) -> String {
    format!("{} ({number})", origin.name())
}

/// The other end of a connection.
pub(super) fn connection_details(origin: &Origin) -> Value {
    json!({
        "name": origin.name(),
        "peer_host": origin.peer.ip().to_string(),
        "peer_port": origin.peer.port(),
    })
}
