//! What operators see of a connection, gathered by the connection itself.

use super::super::channel::table;
use super::session::{Session, Stage};
use crate::broker::{ConnectionReport, Table};
use crate::codec::amqp::FieldTable;

const PROTOCOL: &str = "AMQP 0-9-1";

impl Session {
    /// A snapshot; none unless the connection is open.
    pub(super) fn report(&self) -> Option<ConnectionReport> {
        let context = self.context.as_ref()?;
        if self.stage != Stage::Running {
            return None;
        }
        let properties = FieldTable::decode(&self.client.properties);
        Some(ConnectionReport {
            peer: self.peer,
            local: self.local,
            user: context.user().to_owned(),
            vhost: context.vhost_name().to_owned(),
            protocol: PROTOCOL,
            is_secure: self.is_secure,
            mechanism: self.client.mechanism.to_string(),
            properties: properties.map_or_else(|_| Table::default(), |fields| table(&fields)),
            channels_max: self.channel_max,
            frame_size_max: self.outbox().frame_max(),
            heartbeat_s: self.heartbeat_s,
            connected_at_ms: self.connected_at_ms,
            is_blocked: self.is_blocked(),
            received_bytes: self.traffic.0,
            sent_bytes: self.traffic.1,
            channels: self
                .channels
                .values()
                .filter(|channel| !channel.is_closing)
                .map(|channel| channel.report())
                .collect(),
        })
    }
}
