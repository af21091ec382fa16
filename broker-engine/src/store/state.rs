//! What the log's entries amount to. `apply` is a pure function of the entry, used live and in recovery alike, so that
//! the two cannot drift; it knows no clock, no randomness and no disk.

use std::collections::{BTreeMap, HashMap};

use super::{
    batch::{FRAME_HEAD_LEN, Op, read_definition, read_op},
    ids::{Lane, MessageId, QueueId},
    ledger::{Ledger, Stored},
    wire::{Malformed, Reader},
};

/// Where an entry's body lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location {
    pub(crate) file: u32,
    pub(crate) offset: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) queues: HashMap<QueueId, Ledger>,
    /// Queues that ended, with the index of the entry that says so: what a late publisher still sends them is ignored.
    pub(crate) gone: HashMap<QueueId, u64>,
    /// How many bytes of frames that queues hold each file has.
    pub(crate) live_bytes: HashMap<u32, u64>,
}

impl State {
    /// Applies an entry: all of it, or with an error nothing.
    pub(crate) fn apply(
        &mut self,
        lane: Lane,
        index: u64,
        location: Location,
        body: &[u8],
    ) -> Result<(), Malformed> {
        match lane {
            Lane::Definitions => self.apply_definitions(body),
            Lane::Messages => self.apply_messages(index, location, body),
        }
    }

    fn apply_definitions(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(body);
        let mut changes = Vec::new();
        while !reader.is_empty() {
            changes.push(read_definition(&mut reader)?);
        }
        for (key, value) in changes {
            match value {
                Some(value) => self.definitions.insert(key.to_vec(), value.to_vec()),
                None => self.definitions.remove(key),
            };
        }
        Ok(())
    }

    fn apply_messages(
        &mut self,
        index: u64,
        location: Location,
        body: &[u8],
    ) -> Result<(), Malformed> {
        let mut check = Reader::new(body);
        while !check.is_empty() {
            read_op(&mut check)?;
        }
        let mut reader = Reader::new(body);
        let mut place = 0;
        while !reader.is_empty() {
            match read_op(&mut reader)? {
                Op::Publish { queues, frame } => {
                    let id = MessageId::new(index, place);
                    place = place.wrapping_add(1);
                    let offset = location.offset + frame.start as u64;
                    let len = frame.len() - FRAME_HEAD_LEN;
                    let stored = Stored::new(id, location.file, offset as u32, len as u32, 0);
                    for queue in queues.iter() {
                        self.insert(queue, stored);
                    }
                }
                Op::Ack { queue, ids } | Op::Drop { queue, ids } => {
                    if let Some(ledger) = self.queues.get_mut(&queue) {
                        let live_bytes = &mut self.live_bytes;
                        for (first, last) in ids {
                            ledger.remove(first, last, |stored| free(live_bytes, stored));
                        }
                    }
                }
                Op::Return { queue, ids } => {
                    if let Some(ledger) = self.queues.get_mut(&queue) {
                        ids.into_iter()
                            .for_each(|(first, last)| ledger.returned(first, last));
                    }
                }
                Op::Out { queue, up_to } => {
                    if !self.gone.contains_key(&queue) {
                        self.queues.entry(queue).or_default().handed_out = up_to;
                    }
                }
                Op::Gone { queue } => {
                    if let Some(ledger) = self.queues.remove(&queue) {
                        ledger
                            .iter()
                            .for_each(|stored| free(&mut self.live_bytes, stored));
                    }
                    self.gone.insert(queue, index);
                }
            }
        }
        Ok(())
    }

    /// Adds a message to a queue, unless the queue ended.
    pub(crate) fn insert(&mut self, queue: QueueId, stored: Stored) {
        if !self.gone.contains_key(&queue) && self.queues.entry(queue).or_default().push(stored) {
            *self.live_bytes.entry(stored.file).or_default() += frame_bytes(&stored);
        }
    }

    /// Notes that a message lies elsewhere now, if the queue still holds it where it was.
    pub(crate) fn moved(&mut self, queue: QueueId, old: &Stored, file: u32, offset: u32) {
        let Some(stored) = self
            .queues
            .get_mut(&queue)
            .and_then(|ledger| ledger.get_mut(old.id))
        else {
            return;
        };
        if stored.file == old.file {
            free(&mut self.live_bytes, stored);
            (stored.file, stored.offset) = (file, offset);
            *self.live_bytes.entry(file).or_default() += frame_bytes(stored);
        }
    }
}

/// The bytes that a message takes in a file.
pub(crate) fn frame_bytes(stored: &Stored) -> u64 {
    FRAME_HEAD_LEN as u64 + u64::from(stored.len)
}

fn free(live_bytes: &mut HashMap<u32, u64>, stored: &Stored) {
    if let Some(bytes) = live_bytes.get_mut(&stored.file) {
        *bytes -= frame_bytes(stored);
        if *bytes == 0 {
            live_bytes.remove(&stored.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, State};
    use crate::store::{
        batch::Batch,
        ids::{Lane, MessageId, QueueId},
    };

    const AT: Location = Location {
        file: 1,
        offset: 96,
    };

    fn apply(state: &mut State, index: u64, build: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        build(&mut batch);
        state
            .apply(Lane::Messages, index, AT, &batch.into_bytes())
            .unwrap();
    }

    #[test]
    fn a_body_is_live_until_its_last_queue_lets_go() {
        let mut state = State::default();
        let (a, b) = (QueueId(1), QueueId(2));
        apply(&mut state, 1, |batch| {
            batch.publish(&[a, b], &[b"body"]);
        });
        let id = MessageId::new(1, 0);
        apply(&mut state, 2, |batch| batch.ack(a, &[id]));
        assert!(state.live_bytes.contains_key(&1));
        apply(&mut state, 3, |batch| batch.gone(b));
        assert!(state.live_bytes.is_empty());
        apply(&mut state, 4, |batch| {
            batch.publish(&[b], &[b"late"]);
        });
        assert!(
            !state.queues.contains_key(&b),
            "a queue that ended does not come back"
        );
    }

    #[test]
    fn a_malformed_entry_changes_nothing() {
        let mut state = State::default();
        let mut batch = Batch::new();
        batch.publish(&[QueueId(1)], &[b"body"]);
        let mut bytes = batch.into_bytes();
        bytes.push(99);
        assert!(state.apply(Lane::Messages, 1, AT, &bytes).is_err());
        assert!(state.queues.is_empty());
    }
}
