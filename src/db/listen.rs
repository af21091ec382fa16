//! Notifications from the database. They only hurry things up: who listens also polls.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::{Pool, Result};

const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// What [`listen`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The channel is open from now on; what was sent before was missed.
    Open,
    Payload(String),
    /// The channel is closed until the next [`Heard::Open`].
    Closed,
}

/// Listens on `channel` for ever, connecting again whenever the connection is lost.
pub async fn listen(pool: &Pool, channel: &str, mut heard: impl FnMut(Heard)) {
    loop {
        if let Err(error) = until_lost(pool, channel, &mut heard).await {
            tracing::debug!(channel, %error, "notifications are not heard for now");
        }
        heard(Heard::Closed);
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

async fn until_lost(pool: &Pool, channel: &str, heard: &mut impl FnMut(Heard)) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    heard(Heard::Open);
    while let Some(notification) = listener.try_recv().await? {
        heard(Heard::Payload(notification.payload().to_owned()));
    }
    Ok(())
}
