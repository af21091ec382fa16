//! What a supervisor's commands do to the engine.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio_util::sync::CancellationToken;

use super::{logins, secrets};
use crate::RELEASE;
use crate::broker::{Alarm, Broker};
use crate::listener::{Commands, Gate, Status, Tls};
use crate::options::Options;

pub(super) struct Supervised {
    pub(super) broker: Arc<Broker>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) gate: Arc<Gate>,
    pub(super) damages: usize,
    pub(super) shutdown: CancellationToken,
    pub(super) started_at: DateTime<Utc>,
    pub(super) options: Options,
}

impl Commands for Supervised {
    fn status(&self) -> Status {
        let gate = self.gate.address();
        Status {
            pid: std::process::id(),
            node_name: self.options.node_name.clone(),
            generation: self.options.generation,
            started_at: self.started_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            release: RELEASE,
            version: self.options.profile.version(),
            damages: self.damages,
            ready: gate.is_none(),
            gate,
            memory_alarm: self.broker.alarms().is_on(Alarm::Memory),
            disk_alarm: self.broker.alarms().is_on(Alarm::Disk),
        }
    }

    fn reload(&self) -> Result<(), String> {
        if let Some(tls) = &self.tls {
            tls.reload().map_err(|error| error.to_string())?;
        }
        let file = self.options.monitoring_user_file.as_deref();
        secrets::load_monitoring_user(&self.broker, file)
            .and_then(|()| logins::apply(&self.broker, self.options.logins.as_deref()))
            .map_err(|error| error.to_string())
    }

    fn open(&self) -> Result<(), String> {
        self.broker.set_closed(false);
        self.gate.open().map_err(|error| {
            // Half open is of no use: the supervisor starts another process.
            self.shutdown.cancel();
            error.to_string()
        })
    }
}
