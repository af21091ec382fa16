//! What a publisher collects before it goes to the log and into the queues.
//!
//! Messages are copied once, in their stored form: into the log's entry, or, if no queue needs the log, behind each
//! other into memory that the queues share. Those in a row that go the same way become one run.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    error::Error,
    message::{Parts, Publish},
    queue::{Extent, Framing, Queue, Run},
    route::Route,
};
use crate::store::{Batch, Durability, MessageId, Position};

/// How many stretches memory is kept for between batches.
const KEPT_MAX: usize = 16;

/// Messages in a row that go the same way.
struct Stretch {
    route: Arc<Route>,
    persistent: bool,
    /// The number of the first in the log's entry, if they go there.
    place: Option<u16>,
    /// Where the first one's length lies.
    at: usize,
    framing: Framing,
    extent: Extent,
}

/// Messages on their way.
#[derive(Default)]
pub(super) struct Staged {
    /// The log's entry.
    pub(super) batch: Batch,
    unlogged: Vec<u8>,
    stretches: Vec<Stretch>,
    /// About how many bytes the messages of the call take in memory.
    expected_bytes: usize,
    expected_messages: usize,
    fits_one_entry: bool,
    /// How many messages of the call came before these.
    pub(super) first: usize,
    /// The time, if one of them may expire.
    pub(super) now_ms: Option<u64>,
    /// What makes the log's entry durable: the strictest level of the queues that it is for.
    pub(super) durability: Option<Durability>,
}

impl Staged {
    /// Prepares for the messages of a call; there are none yet.
    pub(super) fn expect(&mut self, messages: &[Publish<'_>]) {
        let lens = messages.iter().map(Publish::stored_len_max);
        let bytes = lens.sum::<usize>() + messages.len() * Framing::PLAIN.lead();
        self.expected_bytes = bytes.min(Batch::BYTES_TARGET);
        self.expected_messages = messages.len();
        self.fits_one_entry =
            bytes <= Batch::BYTES_TARGET && messages.len() <= MessageId::PER_ENTRY_MAX;
        self.first = 0;
    }

    /// Whether all messages of the call may stand in one entry of the log, about as long as one should be: so they may
    /// be gathered without looking how many they are.
    pub(super) fn fits_one_entry(&self) -> bool {
        self.fits_one_entry
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.is_full() || self.unlogged.len() >= Batch::BYTES_TARGET
    }

    /// Copies a message to where the queues of its route will share it.
    pub(super) fn add(
        &mut self,
        message: &Publish<'_>,
        route: &Arc<Route>,
        stamp: Option<u64>,
    ) -> Result<(), Error> {
        let logged = route.logged(message.persistent);
        let (place, at, framing, len) = if logged.is_empty() {
            if self.unlogged.is_empty() {
                self.unlogged.reserve(self.expected_bytes);
            }
            let at = self.unlogged.len();
            let len = pack(&mut self.unlogged, message, stamp)?;
            (None, at, Framing::PLAIN, len)
        } else {
            if self.batch.is_empty() {
                let around = self.expected_messages * Batch::PUBLISH_LEN;
                self.batch = Batch::with_capacity(self.expected_bytes + around);
            }
            let place = self.batch.messages() as u16;
            let parts = Parts::new(message, stamp).ok_or_else(too_long)?;
            let content = self.batch.publish(logged, &parts.of(message));
            let framing = Framing::of_log(logged.len());
            let at = content.start - framing.lead();
            (Some(place), at, framing, content.len())
        };
        match self.stretches.last_mut() {
            Some(last)
                if Arc::ptr_eq(&last.route, route) && route.logged(last.persistent) == logged =>
            {
                last.extent.add(len, message.body.len());
            }
            _ => {
                let mut extent = Extent::default();
                extent.add(len, message.body.len());
                if place.is_some() {
                    self.expect_durability(route.durability(message.persistent));
                }
                self.stretches.push(Stretch {
                    route: Arc::clone(route),
                    persistent: message.persistent,
                    place,
                    at,
                    framing,
                    extent,
                });
            }
        }
        Ok(())
    }

    /// The log's entry is for a queue of this level as well.
    pub(super) fn expect_durability(&mut self, level: Durability) {
        let others = self.durability.unwrap_or(level);
        self.durability = Some(others.stricter(level));
    }

    /// Tells for each queue what it gets, in order. Where the log has the batch: its bytes and its first id. All of it is
    /// durable when that position is.
    pub(super) fn distribute(
        &mut self,
        logged: Option<(Bytes, MessageId)>,
        durable: Option<Position>,
        mut give: impl FnMut(&Arc<Queue>, Run),
    ) {
        let unlogged = Bytes::from(std::mem::take(&mut self.unlogged));
        for stretch in self.stretches.drain(..) {
            let Stretch {
                route,
                persistent,
                place,
                at,
                framing,
                extent,
            } = stretch;
            let (bytes, first) = match (&logged, place) {
                (Some((bytes, first)), Some(place)) => {
                    (bytes, Some(MessageId(first.0 + u64::from(place))))
                }
                _ => (&unlogged, None),
            };
            route.settle(durable);
            let run = Run::new(bytes.clone(), at, framing, extent);
            for queue in route.queues() {
                let first = first.filter(|_| queue.is_logging(persistent));
                give(queue, run.clone().with_log(first));
            }
        }
        self.stretches.shrink_to(KEPT_MAX);
    }

    /// Forgets the messages, and gives back the room that queues kept for them.
    pub(super) fn unreserve(&mut self) {
        self.batch = Batch::new();
        self.unlogged = Vec::new();
        (self.now_ms, self.durability) = (None, None);
        for stretch in self.stretches.drain(..) {
            stretch.route.unreserve(stretch.extent);
        }
    }
}

/// Copies messages behind each other, for queues to share; what is the same in all of them once.
pub(super) fn pack_all(messages: &[Publish<'_>], stamp: Option<u64>) -> Result<Run, Error> {
    let mut extent = Extent::default();
    if let (None, Some(first)) = (stamp, messages.first())
        && messages.iter().all(|message| message.has_head_of(first))
    {
        let parts = Parts::new(first, None).ok_or_else(too_long)?;
        let head = parts.head(first);
        let head_len = head.iter().map(|part| part.len()).sum::<usize>();
        let framing = Framing::bodies_behind(head_len);
        let lens = messages.iter().map(|message| message.body.len());
        let bodies_len = lens.sum::<usize>() + messages.len() * framing.lead();
        let mut bytes = Vec::with_capacity(head_len + bodies_len);
        head.iter().for_each(|part| bytes.extend_from_slice(part));
        for message in messages {
            let len = u32::try_from(message.body.len()).map_err(|_| too_long())?;
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(message.body);
            extent.add(head_len + message.body.len(), message.body.len());
        }
        return Ok(Run::new(bytes.into(), head_len, framing, extent));
    }
    let lens = messages.iter().map(Publish::stored_len_max);
    let around = messages.len() * Framing::PLAIN.lead();
    let mut bytes = Vec::with_capacity(lens.sum::<usize>() + around);
    for message in messages {
        let len = pack(&mut bytes, message, stamp)?;
        extent.add(len, message.body.len());
    }
    Ok(Run::new(bytes.into(), 0, Framing::PLAIN, extent))
}

/// Appends a message in its stored form behind its length. Returns that length.
fn pack(bytes: &mut Vec<u8>, message: &Publish<'_>, stamp: Option<u64>) -> Result<usize, Error> {
    let parts = Parts::new(message, stamp).ok_or_else(too_long)?;
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    for part in parts.of(message) {
        bytes.extend_from_slice(part);
    }
    let len = bytes.len() - at - 4;
    let field = u32::try_from(len).map_err(|_| too_long())?;
    bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
    Ok(len)
}

pub(super) fn too_long() -> Error {
    Error::CommandInvalid("a name is longer than 255 bytes".to_owned())
}
