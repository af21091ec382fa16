//! What provisioners ask, answered by the database.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::context::Context;
use crate::db::{self, Pool};
use crate::model::HostId;
use crate::provision::{Error, Inventory, Place};

/// The installation in the eyes of one workflow. Holds no connection between two questions.
pub(super) struct Look<'a> {
    pool: &'a Pool,
    /// Hosts that were not heard of since get no new nodes.
    heard_since: DateTime<Utc>,
}

impl<'a> Look<'a> {
    pub(super) fn at(context: &'a Context) -> Self {
        Self {
            pool: &context.pool,
            heard_since: context.clock.now() - context.timing.host_silent_after,
        }
    }
}

impl Inventory for Look<'_> {
    fn emptiest_host<'a>(
        &'a self,
        provisioner: &'a str,
        zones_avoided: &'a [String],
    ) -> BoxFuture<'a, Result<Option<HostId>, Error>> {
        Box::pin(async move {
            let mut conn = self.pool.acquire().await.map_err(unanswered)?;
            db::host_emptiest(&mut conn, provisioner, zones_avoided, self.heard_since)
                .await
                .map_err(unanswered)
        })
    }

    fn taken<'a>(&'a self, addresses: &'a [IpAddr]) -> BoxFuture<'a, Result<Vec<Place>, Error>> {
        Box::pin(async move {
            let mut conn = self.pool.acquire().await.map_err(unanswered)?;
            db::addresses_taken(&mut conn, addresses)
                .await
                .map_err(unanswered)
        })
    }
}

fn unanswered(error: impl Into<db::Error>) -> Error {
    let error = error.into();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    Error(format!("{error}{}", cause.unwrap_or_default()))
}
