//! Joining messages that lie one after the other in a segment to runs.

use super::{
    super::{
        ids::{MessageId, QueueId},
        ops::{FRAME_HEAD_LEN, RUN_BYTES, RUN_MESSAGES},
        run::{Place, Run},
    },
    MESSAGE_HEAD_LEN, QueueRun,
};

/// Runs, the last of which may still grow.
pub(super) struct Joiner {
    file: u32,
    queue: QueueId,
    ids: Vec<MessageId>,
    start: u64,
    len: usize,
    runs: Vec<QueueRun>,
}

impl Joiner {
    pub(super) fn new(file: u32) -> Self {
        Self {
            file,
            queue: QueueId(0),
            ids: Vec::new(),
            start: 0,
            len: 0,
            runs: Vec::new(),
        }
    }

    /// Whether a message cannot be added to the last run.
    pub(super) fn must_start(&self, queue: QueueId, id: MessageId) -> bool {
        let is_full = self.len >= RUN_BYTES || self.ids.len() >= RUN_MESSAGES as usize;
        let follows = self.ids.last().is_some_and(|last| *last < id);
        is_full || queue != self.queue || !follows
    }

    /// As [`Joiner::must_start`], or if messages that lie elsewhere could come between them.
    pub(super) fn may_start(&self, queue: QueueId, id: MessageId) -> bool {
        let is_next = |last: &MessageId| last.0 + 1 == id.0 && last.entry() == id.entry();
        self.must_start(queue, id) || !self.ids.last().is_some_and(is_next)
    }

    /// Adds a message whose head is at `at` of the file. False when that is beyond what a run can say.
    pub(super) fn add(
        &mut self,
        starts: bool,
        (queue, id): (QueueId, MessageId),
        at: u64,
        content_len: u32,
    ) -> bool {
        if starts || queue != self.queue || self.ids.is_empty() {
            self.end_run();
            (self.queue, self.start) = (queue, at);
        }
        self.ids.push(id);
        self.len += MESSAGE_HEAD_LEN + FRAME_HEAD_LEN + content_len as usize;
        u32::try_from(at).is_ok() && u32::try_from(self.len).is_ok()
    }

    /// The next message starts a run.
    pub(super) fn end_run(&mut self) {
        let heads = self.ids.len() * (MESSAGE_HEAD_LEN + FRAME_HEAD_LEN);
        let place = Place {
            file: self.file,
            offset: self.start as u32,
            len: self.len as u32,
            content: (self.len - heads) as u32,
        };
        if let Some(run) = Run::of(&self.ids, place) {
            self.runs.push((self.queue, run));
        }
        self.ids.clear();
        self.len = 0;
    }

    pub(super) fn finish(mut self) -> Vec<QueueRun> {
        self.end_run();
        self.runs
    }
}
