//! Where nodes go: hosts, addresses and ports.
//!
//! A [`Provisioner`] is asynchronous, because a cloud is: the first call under a token starts the
//! work, later calls tell how far it is. It keeps no state of ours; what it needs to know of the
//! installation it asks the caller's [`Inventory`], and the caller records the placement.

mod error;
pub mod fake;
mod inventory;
pub mod local;
mod range;
mod search;
pub mod simulated;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use error::Error;
pub use inventory::{Inventory, Place};
pub use range::{Range, probe_range};

use crate::model::NodeId;
use crate::model::node::Placement;

/// Makes places for nodes, and takes them back.
pub trait Provisioner: Send + Sync {
    /// Asks for a place. The token makes it idempotent: asking again never makes a second place.
    fn place<'a>(
        &'a self,
        token: NodeId,
        request: PlacementRequest,
        inventory: &'a dyn Inventory,
    ) -> BoxFuture<'a, Result<Progress<Placement>, Error>>;

    /// Gives a place back; giving back what is gone, or was never given, succeeds.
    fn release(&self, token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>>;
}

/// How far the work under a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<T> {
    /// Not there yet: ask again after this time.
    Pending {
        ask_again: Duration,
        reason: String,
    },
    Ready(T),
    /// It will never be: the reason is for the operator.
    Failed(String),
}

/// What a node needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementRequest {
    pub instance_type: String,
    /// Whether only a host that simulates its nodes can have it.
    pub is_simulated: bool,
    /// Where the broker has a node already.
    pub zones_taken: Vec<String>,
}
