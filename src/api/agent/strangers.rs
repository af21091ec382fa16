//! Nodes that hosts report and nobody knows, each told once: after a restore they belong to brokers that
//! were created since the backup. They run on, because what they hold may be wanted.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::host::Host;

/// Beyond so many, nobody reads them one by one.
const TOLD_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<BTreeSet<Uuid>>);

impl Strangers {
    pub(super) fn tell(&self, node: Uuid, host: &Host) {
        let mut told = self.0.lock();
        if told.len() < TOLD_MAX && told.insert(node) {
            tracing::warn!(host = %host.id, name = host.name, %node, "a host runs a node that nobody knows");
        }
    }
}
