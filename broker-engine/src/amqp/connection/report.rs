//! What operators see of a connection, gathered by the connection itself.

use std::sync::Arc;

use super::super::channel::table;
use super::session::{Session, Stage};
use crate::broker::{ConnectionReport, OfConnection, Table};
use crate::codec::amqp::FieldTable;

const PROTOCOL: &str = "AMQP 0-9-1";

impl Session {
    /// A snapshot; none unless the connection is open.
    pub(super) fn report(&self, periods: u32) -> Option<ConnectionReport> {
        let context = self.context.as_ref()?;
        if self.stage != Stage::Running {
            return None;
        }
        let properties = FieldTable::decode(&self.client.properties);
        Some(ConnectionReport {
            origin: Arc::clone(context.origin()),
            vhost: context.vhost_name().to_string(),
            protocol: PROTOCOL,
            is_secure: self.is_secure,
            mechanism: self.client.mechanism.to_string(),
            properties: properties.map_or_else(|_| Table::default(), |fields| table(&fields)),
            channels_max: self.channel_max,
            frame_size_max: self.outbox().frame_max(),
            heartbeat_s: self.heartbeat_s,
            connected_at_ms: self.connected_at_ms,
            is_blocked: self.is_blocked(),
            traffic: self.traffic.as_ref()?.history(periods),
            channels: self
                .channels
                .values()
                .filter(|channel| !channel.is_closing)
                .map(|channel| channel.report(periods))
                .collect(),
        })
    }

    /// What came before the connection was open counts for nothing.
    pub(super) fn count_bytes(&self, counter: OfConnection, count: usize) {
        if let Some(meter) = &self.traffic {
            meter.add(counter, count as u64);
        }
    }
}
