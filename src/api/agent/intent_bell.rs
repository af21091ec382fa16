//! One listener per process for changed intents, shared by all long polls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::{self, Heard, Pool};
use crate::model::HostId;

/// How often a long poll looks by itself while notifications do not arrive. While they do, the agent's
/// next poll is soon enough for one that should ever be missed.
const POLL_DEAF: Duration = Duration::from_secs(1);

/// A ring wakes the polls of its host and no others, so that its cost does not grow with the fleet.
#[derive(Clone)]
pub(super) struct IntentBell {
    /// Hosts that ever polled here: as many as are enrolled.
    hosts: Arc<Mutex<HashMap<Uuid, watch::Sender<()>>>>,
    listening: Arc<AtomicBool>,
}

impl IntentBell {
    pub(super) fn start(pool: Pool, shutdown: CancellationToken) -> Self {
        let bell = Self {
            hosts: Arc::default(),
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
        match heard {
            // What was sent before may have been meant for any.
            Heard::Open => {
                self.listening.store(true, Ordering::Relaxed);
                self.ring_all();
            }
            Heard::Closed => {
                self.listening.store(false, Ordering::Relaxed);
                self.ring_all();
            }
            Heard::Payload(text) => match text.parse::<Uuid>() {
                Ok(host) => {
                    if let Some(sender) = self.hosts.lock().get(&host) {
                        sender.send_replace(());
                    }
                }
                Err(_) => self.ring_all(),
            },
        }
    }

    fn ring_all(&self) {
        for sender in self.hosts.lock().values() {
            sender.send_replace(());
        }
    }

    /// Subscribe before reading the intent: a change in between still rings.
    pub(super) fn subscribe(&self, host_id: HostId) -> Subscription {
        let mut hosts = self.hosts.lock();
        let sender = hosts
            .entry(host_id.0)
            .or_insert_with(|| watch::channel(()).0);
        Subscription {
            rings: sender.subscribe(),
            listening: Arc::clone(&self.listening),
        }
    }
}

pub(super) struct Subscription {
    rings: watch::Receiver<()>,
    listening: Arc<AtomicBool>,
}

impl Subscription {
    /// Returns when the host's intent may have changed.
    pub(super) async fn rang(&mut self) {
        let ring = async {
            if self.rings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        if self.listening.load(Ordering::Relaxed) {
            ring.await;
        } else {
            // Looking in vain costs one query; the timeout is the polling.
            drop(tokio::time::timeout(POLL_DEAF, ring).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> IntentBell {
        IntentBell {
            hosts: Arc::default(),
            listening: Arc::new(AtomicBool::new(true)),
        }
    }

    async fn rings(subscription: &mut Subscription) -> bool {
        tokio::time::timeout(Duration::ZERO, subscription.rang())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_ring_wakes_its_host_alone_and_a_lost_connection_all() {
        let bell = bell();
        let [one, other] = [1, 2].map(|id| HostId(Uuid::from_u128(id)));
        let (mut first, mut second) = (bell.subscribe(one), bell.subscribe(other));
        bell.heard(Heard::Payload(one.0.to_string()));
        assert!(rings(&mut first).await);
        assert!(!rings(&mut first).await, "one ring, one look");
        assert!(!rings(&mut second).await);
        bell.heard(Heard::Open);
        assert!(rings(&mut first).await && rings(&mut second).await);
    }
}
