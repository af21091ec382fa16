//! Messages in a row: a piece of shared bytes, and how far it is used up.
//!
//! A run costs the same however many messages it has: each lies behind its length in the bytes, and taking one moves
//! a cursor. The log's entries are laid out so, and so is what a publisher collects that needs no log; there, what
//! messages have in common may stand once in front of their bodies. Messages of a run have consecutive places in their
//! queue, and consecutive ids in the log if they are there.
//!
//! Invariant: what a run says about its sizes holds for the messages it still has. Without bytes, only the log can tell
//! where a message ends; a run then remembers the lengths of bodies, one for all if they are equal.

use bytes::Bytes;

use super::{
    super::message::{Message, MessageRef, Packed},
    entry::Entry,
    framing::{Extent, Framing},
};
use crate::store::{MessageId, RecoveredRun};

/// Messages in a row.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// `None` while only the log has them.
    bytes: Option<Bytes>,
    /// Where the next message's length lies.
    at: usize,
    framing: Framing,
    extent: Extent,
    /// The lengths of all bodies, where only the log has the messages and the lengths differ.
    body_lens: Vec<u32>,
    pub(super) place: u64,
    pub(super) logged: Option<MessageId>,
    pub(super) returns: u8,
    pub(super) is_redelivered: bool,
}

impl Run {
    /// The messages that `extent` measures, from the one whose length lies at `at`.
    pub(crate) fn new(bytes: Bytes, at: usize, framing: Framing, extent: Extent) -> Self {
        Self {
            bytes: Some(bytes),
            at,
            framing,
            extent,
            body_lens: Vec::new(),
            place: Entry::NEVER_QUEUED,
            logged: None,
            returns: 0,
            is_redelivered: false,
        }
    }

    /// One message.
    pub(crate) fn one(message: Message) -> Self {
        let mut extent = Extent::default();
        extent.add(message.len(), message.body().len());
        Self::new(message.into_bytes(), 0, Framing::WHOLE, extent)
    }

    /// The same messages, known to the log by ids from this one on.
    pub(crate) fn with_log(mut self, first: Option<MessageId>) -> Self {
        self.logged = first;
        self
    }

    /// A message that only the log has.
    pub(super) fn recovered(id: MessageId, len: u32, returns: u8, is_redelivered: bool) -> Self {
        let run = RecoveredRun {
            first: id,
            count: 1,
            bytes: len.into(),
            returns,
        };
        Self::recovered_run(run, is_redelivered, 0)
    }

    /// Messages that recovery found. About `overhead` bytes of each are not its body.
    pub(super) fn recovered_run(run: RecoveredRun, is_redelivered: bool, overhead: u64) -> Self {
        Self {
            bytes: None,
            at: 0,
            framing: Framing::WHOLE,
            extent: Extent {
                messages: run.count,
                content_bytes: run.bytes,
                body_bytes: run.bytes.saturating_sub(overhead * u64::from(run.count)),
            },
            body_lens: Vec::new(),
            place: Entry::NEVER_QUEUED,
            logged: Some(run.first),
            returns: run.returns,
            is_redelivered,
        }
    }

    /// What recovery would find of the messages, if only the log has them.
    pub(super) fn as_recovered(&self) -> Option<RecoveredRun> {
        let first = self.logged.filter(|_| !self.is_cached())?;
        Some(RecoveredRun {
            first,
            count: self.extent.messages,
            bytes: self.extent.content_bytes,
            returns: self.returns,
        })
    }

    /// Says how long a single recovered message is, and how much of it is its body.
    pub(super) fn measure_by(&mut self, message: &Message) {
        self.extent = Extent::default();
        self.extent.add(message.len(), message.body().len());
    }

    /// Takes `next` in, if only the log has the messages of both and they follow each other there.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let end = |run: &Self| Some(run.logged?.0 + u64::from(run.extent.messages));
        let follows = self.bytes.is_none()
            && next.bytes.is_none()
            && end(self).is_some_and(|end| next.logged == Some(MessageId(end)))
            && (self.returns, self.is_redelivered) == (next.returns, next.is_redelivered);
        if follows {
            let is_uniform = self.body_lens.is_empty()
                && next.body_lens.is_empty()
                && self.first_body_len() == next.first_body_len();
            if !is_uniform {
                let lens = self.evicted_body_lens().chain(next.evicted_body_lens());
                self.body_lens = lens.collect();
            }
            self.extent.messages += next.extent.messages;
            self.extent.content_bytes += next.extent.content_bytes;
            self.extent.body_bytes += next.extent.body_bytes;
        }
        follows
    }

    /// The length of the first body of messages that only the log has.
    fn first_body_len(&self) -> u32 {
        match self.body_lens.len() {
            0 => (self.extent.body_bytes / u64::from(self.extent.messages)) as u32,
            all => self.body_lens[all - self.extent.messages as usize],
        }
    }

    fn evicted_body_lens(&self) -> impl Iterator<Item = u32> {
        let messages = self.extent.messages as usize;
        let own = self.body_lens.iter().copied();
        let gone = self.body_lens.len().saturating_sub(messages);
        let same = std::iter::repeat_n(self.first_body_len(), messages);
        own.skip(gone)
            .chain(same.take_while(|_| self.body_lens.is_empty()))
    }

    pub(super) fn of_entry(entry: Entry) -> Self {
        let mut run = match entry.message {
            Some(message) => Self::one(message),
            None => Self::recovered(MessageId(0), entry.len, 0, false),
        };
        run.place = entry.place;
        run.logged = entry.logged;
        run.returns = entry.returns;
        run.is_redelivered = entry.is_redelivered;
        run
    }

    pub(super) fn len(&self) -> usize {
        self.extent.messages as usize
    }

    /// Their ids in the log, if they have any.
    pub(super) fn log_ids(&self) -> impl Iterator<Item = MessageId> + use<> {
        let first = self.logged.map_or(0, |first| first.0);
        let count = self.logged.map_or(0, |_| u64::from(self.extent.messages));
        (first..first + count).map(MessageId)
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    pub(super) fn is_cached(&self) -> bool {
        self.bytes.is_some()
    }

    /// Leaves the messages to the log, which must have them.
    pub(super) fn evict(&mut self) {
        let lens = || self.messages().map(|message| message.body.len());
        let first = lens().next();
        if lens().any(|len| Some(len) != first) {
            self.body_lens = lens().map(|len| len as u32).collect();
        }
        self.bytes = None;
    }

    /// Its messages in order; none while only the log has them.
    pub(super) fn messages(&self) -> Messages<'_> {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        let head = bytes.get(..self.framing.head as usize);
        Messages {
            bytes,
            head: head
                .filter(|head| !head.is_empty())
                .map(|head| Packed::from_parts(head).parts()),
            at: self.at,
            framing: self.framing,
            left: self.bytes.as_ref().map_or(0, |_| self.extent.messages),
            seen: Extent::default(),
        }
    }

    /// When the first message arrived, if it tells, and its properties; `None` when only the log has it.
    pub(super) fn front(&self) -> Option<(Option<u64>, &[u8])> {
        let mut messages = self.messages();
        let (start, end) = messages.next_span()?;
        if let Some(head) = messages.head {
            return Some((None, head.properties));
        }
        let message = Packed::from_parts(&messages.bytes[start..end]);
        Some((message.arrived_ms(), message.parts().properties))
    }

    /// Drops messages from the front: those that the iterator has passed.
    pub(super) fn advance(&mut self, passed: Passed) {
        let Passed { at, seen } = passed;
        self.at = at;
        self.extent.messages -= seen.messages;
        self.extent.content_bytes -= seen.content_bytes;
        self.extent.body_bytes -= seen.body_bytes;
        self.place += u64::from(seen.messages);
        if let Some(id) = &mut self.logged {
            id.0 += u64::from(seen.messages);
        }
    }

    /// The first `count` messages, to be passed.
    pub(super) fn measure(&self, count: usize) -> Passed {
        let mut messages = self.messages();
        messages.by_ref().take(count).for_each(drop);
        messages.passed()
    }

    /// Drops the first `count` messages.
    pub(crate) fn skip(&mut self, count: usize) {
        if count > 0 {
            self.advance(self.measure(count));
        }
    }

    /// The passed messages as a run of their own.
    pub(super) fn head(&self, passed: Passed) -> Self {
        let extent = passed.seen;
        Self {
            extent,
            ..self.clone()
        }
    }

    /// Takes the first message out.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if self.extent.messages == 0 {
            return None;
        }
        let mut entry = Entry {
            place: self.place,
            logged: self.logged,
            message: None,
            len: 0,
            overhead: 0,
            returns: self.returns,
            is_redelivered: self.is_redelivered,
        };
        let mut messages = self.messages();
        let passed = match (&self.bytes, messages.next_span()) {
            (Some(bytes), Some((start, end))) => {
                let message = match bytes.get(..self.framing.head as usize) {
                    None | Some([]) => bytes.slice(start..end),
                    Some(head) => [head, &bytes[start..end]].concat().into(),
                };
                let message = Message::from_parts(message);
                messages.seen.add(message.len(), message.body().len());
                entry.message = Some(message);
                messages.passed()
            }
            _ => Passed {
                at: self.at,
                seen: self.first_of_log(),
            },
        };
        entry.len = u32::try_from(passed.seen.content_bytes).unwrap_or(u32::MAX);
        let body_len = passed.seen.body_bytes;
        entry.overhead = u16::try_from(u64::from(entry.len) - body_len).unwrap_or(u16::MAX);
        self.advance(passed);
        Some(entry)
    }

    /// Its messages one by one.
    pub(super) fn into_entries(mut self) -> impl Iterator<Item = Entry> {
        std::iter::from_fn(move || self.pop())
    }

    /// The first message, of those that only the log has. What is not its body counts as an equal part of the rest.
    fn first_of_log(&self) -> Extent {
        let Extent {
            messages,
            content_bytes,
            body_bytes,
        } = self.extent;
        let around = (content_bytes - body_bytes) / u64::from(messages);
        let body_bytes = u64::from(self.first_body_len());
        Extent {
            messages: 1,
            content_bytes: body_bytes + around,
            body_bytes,
        }
    }

    /// Message number `number`, as it would be popped.
    pub(super) fn entry(&self, number: usize) -> Option<Entry> {
        let mut run = self.clone();
        run.skip(number);
        run.pop()
    }
}

/// How far an iterator went through a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    at: usize,
    pub(super) seen: Extent,
}

/// The messages of a run, one after the other.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    bytes: &'a [u8],
    /// What they have in common, with an empty body.
    head: Option<MessageRef<'a>>,
    at: usize,
    framing: Framing,
    left: u32,
    seen: Extent,
}

impl Messages<'_> {
    /// How far it went.
    pub(super) fn passed(&self) -> Passed {
        Passed {
            at: self.at,
            seen: self.seen,
        }
    }

    /// Where the next message starts and ends.
    fn next_span(&mut self) -> Option<(usize, usize)> {
        self.left = self.left.checked_sub(1)?;
        if self.framing.lead == 0 {
            return Some((0, self.bytes.len()));
        }
        let len = self.bytes.get(self.at..self.at + 4)?;
        let start = self.at + self.framing.lead as usize;
        let end = start + u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
        self.at = end + self.framing.gap as usize;
        Some((start, end))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = MessageRef<'a>;

    fn next(&mut self) -> Option<MessageRef<'a>> {
        let (start, end) = self.next_span()?;
        let bytes = &self.bytes[start..end];
        let message = match self.head {
            None => Packed::from_parts(bytes).parts(),
            Some(head) => MessageRef {
                body: bytes,
                ..head
            },
        };
        let content_len = self.framing.head as usize + bytes.len();
        self.seen.add(content_len, message.body.len());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Framing, Run};
    use crate::{
        broker::{
            message::{Message, Parts, Publish},
            staged::pack_all,
        },
        store::{Batch, MessageId, QueueId},
    };

    fn publish(body: &[u8]) -> Publish<'_> {
        Publish {
            exchange: "",
            routing_key: "key",
            properties: &[0, 0],
            body,
            persistent: true,
            mandatory: false,
            expires: false,
            copies: &[],
        }
    }

    /// Messages with these bodies, as a publisher collects them, if they are alike and if not, and as the log's entry
    /// has them.
    fn runs(bodies: &[&[u8]]) -> [Run; 3] {
        let (mut plain, mut batch, mut extent) = (Vec::new(), Batch::new(), Extent::default());
        let publishes: Vec<_> = bodies.iter().map(|body| publish(body)).collect();
        let alike = pack_all(&publishes, None).unwrap();
        assert_ne!(alike.framing.head, 0);
        let mut first = None;
        for body in bodies {
            let publish = publish(body);
            let parts = Parts::new(&publish, None).unwrap();
            let content = parts.of(&publish).concat();
            plain.extend((content.len() as u32).to_le_bytes());
            plain.extend(&content);
            let range = batch.publish(&[QueueId(1), QueueId(2)], &[&content]);
            first.get_or_insert(range.start);
            extent.add(content.len(), body.len());
        }
        let framing = Framing::of_log(2);
        let at = first.unwrap() - framing.lead();
        assert_eq!(alike.extent, extent);
        [
            alike,
            Run::new(plain.into(), 0, Framing::PLAIN, extent),
            Run::new(batch.into_parts().0.into(), at, framing, extent),
        ]
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let bodies: [&[u8]; 4] = [b"one", b"", b"three", b"4"];
        for run in runs(&bodies) {
            let run = run.with_log(Some(MessageId(70)));
            let seen: Vec<_> = run.messages().map(|message| message.body).collect();
            assert_eq!(seen, bodies);
            for skipped in 0..=bodies.len() {
                let mut rest = run.clone();
                rest.skip(skipped);
                assert_eq!(rest.len(), bodies.len() - skipped);
                for (number, body) in bodies.iter().enumerate().skip(skipped) {
                    let entry = rest.pop().unwrap();
                    assert_eq!(entry.message.as_ref().unwrap().body(), *body);
                    assert_eq!(entry.logged, Some(MessageId(70 + number as u64)));
                    assert_eq!(entry.body_bytes(), body.len() as u64);
                    let same = run.entry(number).unwrap();
                    assert_eq!((same.place, same.message), (entry.place, entry.message));
                }
                assert!(rest.pop().is_none());
                assert_eq!(rest.extent(), Extent::default());
            }
        }
    }

    #[test]
    fn the_head_of_a_run_has_the_messages_that_were_passed() {
        for run in runs(&[b"one", b"two", b"three"]) {
            let head = run.head(run.measure(2));
            let bodies: Vec<_> = head.messages().map(|message| message.body).collect();
            assert_eq!(bodies, [&b"one"[..], b"two"]);
            assert_eq!(head.extent().body_bytes, 6);
        }
    }

    #[test]
    fn sizes_of_messages_that_only_the_log_has_add_up() {
        let [.., mut run] = runs(&[b"1", b"22", b"4444"]);
        let total = run.extent();
        run.evict();
        let popped: Vec<_> = run.into_entries().collect();
        assert!(popped.iter().all(|entry| entry.message.is_none()));
        let bytes: u64 = popped.iter().map(|entry| u64::from(entry.len)).sum();
        assert_eq!(bytes, total.content_bytes);
        let bodies: Vec<_> = popped.iter().map(super::Entry::body_bytes).collect();
        assert_eq!(bodies, [1, 2, 4]);
    }

    #[test]
    fn what_only_the_log_has_is_one_run_while_ids_follow_each_other() {
        let recovered = |id, returns| Run::recovered(MessageId(id), 5, returns, returns > 0);
        let mut run = recovered(7, 0);
        assert!(run.join(&recovered(8, 0)));
        assert!(!run.join(&recovered(8, 0)));
        assert!(!run.join(&recovered(9, 1)));
        assert!(!run.join(&Run::one(Message::from_parts(
            b"\0\0\0\0\0\0".to_vec().into()
        ))));
        assert_eq!((run.len(), run.extent().content_bytes), (2, 10));
        assert!(run.body_lens.is_empty(), "equal lengths take no memory");
        assert!(run.pop().is_some());
        assert!(run.join(&Run::recovered(MessageId(9), 6, 0, false)));
        assert!(run.join(&Run::recovered(MessageId(10), 7, 0, false)));
        let lens: Vec<_> = run.into_entries().map(|entry| entry.len).collect();
        assert_eq!(lens, [5, 6, 7]);
    }
}
