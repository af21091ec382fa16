//! Promote: makes a replica the primary of a replicated pair. No broker is part of one yet.

use super::find;
use crate::{
    app::{App, Caller},
    error::Error,
    model::{Invalid, authorisation::Action},
};

const MODES: [&str; 2] = ["SWITCHOVER", "FAILOVER"];

impl App {
    /// Refuses: data replication is for ActiveMQ brokers alone, which are not served yet.
    pub async fn promote(
        &self,
        caller: &Caller,
        id: &str,
        mode: Option<&str>,
    ) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, Action::Promote, id).await?;
        let mode = mode.ok_or_else(|| Invalid::missing("mode"))?;
        if !MODES.iter().any(|known| known.eq_ignore_ascii_case(mode)) {
            let text = format!(
                "Promote mode [{mode}] is invalid. Valid values are: [{}].",
                MODES.join(", ")
            );
            return Err(Invalid::new("mode", text).into());
        }
        let text = format!(
            "Broker [{}] can't be promoted. Data replication mode [CRDR] is not supported for \
             engine type [{}].",
            broker.id,
            broker.engine_type.name(),
        );
        Err(Invalid::new("broker-id", text).into())
    }
}
