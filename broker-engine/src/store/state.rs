//! What the log's entries amount to. `apply` is a pure function of the entry, used live and in recovery alike, so that
//! the two cannot drift; it knows no clock, no randomness and no disk.

use std::collections::BTreeMap;

use super::{
    definitions::Change,
    hash::IntMap,
    ids::{MessageId, QueueId},
    ledger::Ledger,
    ops::{Op, Ops},
    run::{Place, Run},
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
    pub(crate) queues: IntMap<QueueId, Ledger>,
    /// Queues that ended, with the index of the entry that says so: what a late publisher still sends them is ignored.
    pub(crate) gone: IntMap<QueueId, u64>,
    /// About how many bytes each file has of messages that queues hold.
    pub(crate) live_bytes: IntMap<u32, u64>,
}

impl State {
    /// Applies an entry of the definitions lane.
    pub(crate) fn define(&mut self, changes: &[Change]) {
        for (key, value) in changes {
            match value {
                Some(value) => self.definitions.insert(key.clone(), value.clone()),
                None => self.definitions.remove(key),
            };
        }
    }

    /// Applies an entry of the message lane.
    pub(crate) fn apply(&mut self, index: u64, location: Location, ops: &Ops) {
        for op in &ops.list {
            match op {
                Op::Publish { queues, run } => {
                    let place = Place {
                        file: location.file,
                        offset: location.offset as u32 + run.offset,
                        len: run.len,
                        content: run.content,
                    };
                    let first = MessageId::new(index, run.place);
                    for queue in &ops.queues[queues.clone()] {
                        self.insert(*queue, Run::consecutive(first, run.count, place));
                    }
                }
                Op::Remove { queue, ids } => {
                    if let Some(ledger) = self.queues.get_mut(queue) {
                        let live_bytes = &mut self.live_bytes;
                        for (first, last) in &ops.ids[ids.clone()] {
                            ledger.remove(*first, *last, |file, less| free(live_bytes, file, less));
                        }
                    }
                }
                Op::Return { queue, ids } => {
                    if let Some(ledger) = self.queues.get_mut(queue) {
                        for (first, last) in &ops.ids[ids.clone()] {
                            ledger.returned(*first, *last);
                        }
                    }
                }
                Op::Out { queue, up_to } => {
                    if !self.gone.contains_key(queue) {
                        self.queues.entry(*queue).or_default().handed_out = *up_to;
                    }
                }
                Op::Gone { queue } => {
                    if let Some(ledger) = self.queues.remove(queue) {
                        for run in ledger.runs() {
                            free(&mut self.live_bytes, run.file, run.live_len());
                        }
                    }
                    self.gone.insert(*queue, index);
                }
            }
        }
    }

    /// Entries are missing, and with them that messages from `first` on were handed out. Queues that have such messages
    /// are taken to have handed out all they have.
    pub(crate) fn doubt_marks(&mut self, first: MessageId) {
        for ledger in self.queues.values_mut() {
            let last = ledger.last().filter(|last| *last >= first);
            ledger.handed_out = ledger.handed_out.max(last.unwrap_or_default());
        }
    }

    /// Adds messages to a queue, unless the queue ended.
    pub(crate) fn insert(&mut self, queue: QueueId, run: Run) {
        if !self.gone.is_empty() && self.gone.contains_key(&queue) {
            return;
        }
        let (file, len) = (run.file, run.live_len());
        if self.queues.entry(queue).or_default().push(run) {
            *self.live_bytes.entry(file).or_default() += len;
        }
    }

    /// Notes that the `old` messages of a queue lie elsewhere now, those that the queue still holds.
    pub(crate) fn relocate(&mut self, queue: QueueId, old: &[Run], new: Vec<Run>) {
        let Some(ledger) = self.queues.get_mut(&queue) else {
            return;
        };
        let live_bytes = &mut self.live_bytes;
        let added = ledger.relocate(old, new, |file, less| free(live_bytes, file, less));
        for (file, more) in added {
            *live_bytes.entry(file).or_default() += more;
        }
    }
}

fn free(live_bytes: &mut IntMap<u32, u64>, file: u32, less: u64) {
    if let Some(bytes) = live_bytes.get_mut(&file) {
        *bytes -= less;
        if *bytes == 0 {
            live_bytes.remove(&file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, State};
    use crate::store::{
        batch::Batch,
        ids::{MessageId, QueueId},
    };

    const AT: Location = Location {
        file: 1,
        offset: 96,
    };

    fn apply(state: &mut State, index: u64, build: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        build(&mut batch);
        let (_, ops, _) = batch.into_parts();
        state.apply(index, AT, &ops);
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
}
