//! A connection without a socket: bytes in, bytes out, in the caller's thread. For tests and fuzzing.
//!
//! Does what `io` does between reads and writes, with no task, no timer and no limit on patience.

use std::sync::Arc;

use super::super::server::Server;
use super::peer::Peer;
use super::session::Session;

/// One connection that nobody drives but its owner.
pub(crate) struct DryConnection {
    session: Session,
    unread: Vec<u8>,
}

impl DryConnection {
    /// A connection of a client that has not said anything.
    pub(crate) fn new(server: &Arc<Server>, peer: Peer) -> Self {
        Self {
            session: Session::new(Arc::clone(server), peer),
            unread: Vec::new(),
        }
    }

    /// Bytes from the client.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.session.is_finished() {
            return;
        }
        self.unread.extend_from_slice(bytes);
        self.poll();
    }

    /// Acts on what other threads announced, and on what was received meanwhile.
    pub(crate) fn poll(&mut self) {
        loop {
            self.session.on_news();
            if self.session.outbox().take_throttled() {
                self.session.on_drained();
            }
            let is_heard = self.session.wants_input() && !self.session.outbox().is_flooded();
            if !is_heard || self.unread.is_empty() {
                return;
            }
            let consumed = self.session.on_data(&self.unread);
            self.unread.drain(..consumed);
            if consumed == 0 {
                return;
            }
        }
    }

    /// Takes everything that waits for the client.
    pub(crate) fn take(&self) -> Vec<u8> {
        let outbox = self.session.outbox();
        let batch = outbox.take();
        outbox.sent(batch.len());
        batch
    }

    /// Whether the server has said its last word.
    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        self.session.is_finished()
    }

    /// Whether it would act at once on what it received.
    #[cfg(test)]
    pub(crate) fn is_listening(&self) -> bool {
        self.unread.is_empty() && self.session.wants_input() && !self.session.outbox().is_flooded()
    }

    /// How many received bytes the server could not act on yet.
    pub(crate) fn unread_len(&self) -> usize {
        self.unread.len()
    }
}

impl Drop for DryConnection {
    /// The client is gone: what it held goes back.
    fn drop(&mut self) {
        self.session.release();
    }
}
