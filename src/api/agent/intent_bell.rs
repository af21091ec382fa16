//! One listener per process for changed intents, shared by all long polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::{self, Heard, Pool};
use crate::model::HostId;

/// How often a long poll looks by itself: while notifications arrive, and while they do not.
const POLL_LISTENING: Duration = Duration::from_secs(5);
const POLL_DEAF: Duration = Duration::from_secs(1);

const BACKLOG: usize = 1024;

#[derive(Clone)]
pub(super) struct IntentBell {
    /// The host whose intent changed, or `None` when it may have been any.
    rings: Sender<Option<Uuid>>,
    listening: Arc<AtomicBool>,
}

impl IntentBell {
    pub(super) fn start(pool: Pool, shutdown: CancellationToken) -> Self {
        let bell = Self {
            rings: broadcast::channel(BACKLOG).0,
            listening: Arc::new(AtomicBool::new(false)),
        };
        let task = bell.clone();
        tokio::spawn(async move {
            let listening = db::listen(&pool, db::INTENT_CHANNEL, |heard| task.heard(heard));
            shutdown.run_until_cancelled(listening).await;
        });
        bell
    }

    fn heard(&self, heard: Heard) {
        let host = match heard {
            Heard::Open => {
                self.listening.store(true, Ordering::Relaxed);
                None
            }
            Heard::Closed => {
                self.listening.store(false, Ordering::Relaxed);
                None
            }
            Heard::Payload(text) => text.parse().ok(),
        };
        // Nobody may be polling just now.
        drop(self.rings.send(host));
    }

    /// Subscribe before reading the intent: a change in between still rings.
    pub(super) fn subscribe(&self) -> Subscription {
        Subscription {
            rings: self.rings.subscribe(),
            listening: Arc::clone(&self.listening),
        }
    }
}

pub(super) struct Subscription {
    rings: Receiver<Option<Uuid>>,
    listening: Arc<AtomicBool>,
}

impl Subscription {
    /// Returns when the host's intent may have changed.
    pub(super) async fn rang_for(&mut self, host_id: HostId) {
        let poll = if self.listening.load(Ordering::Relaxed) {
            POLL_LISTENING
        } else {
            POLL_DEAF
        };
        let ring = async {
            loop {
                match self.rings.recv().await {
                    Ok(Some(host)) if host != host_id.0 => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Looking in vain costs one query; the timeout is the polling.
        drop(tokio::time::timeout(poll, ring).await);
    }
}
