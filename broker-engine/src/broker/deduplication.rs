//! Recognising messages that came before, by a header that their publisher sets.
//!
//! A queue or exchange remembers a bounded number of header values, the latest ones, each for a limited time if it says
//! so; like LavinMQ, it forgets them when the node stops. A message counts as having come once it was taken: what the
//! log or a full queue refused may come again. Values are kept as fixed-size digests, so that the memory is bounded by
//! their number whatever clients send.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use aws_lc_rs::digest;
use parking_lot::Mutex;

use super::{
    error::Error,
    queue::{Arguments, Queue},
    value::Table,
};
use crate::store::Position;

/// How many values are remembered where nobody says: LavinMQ's number.
const SIZE: u64 = 128;

/// More would take hundreds of megabytes for one queue.
const SIZE_MAX: u64 = 1_000_000;

/// The header that names a message where nobody says another.
const HEADER: &str = "x-deduplication-header";

/// The header, and the argument, that say for how long a value is remembered.
const TTL: &str = "x-cache-ttl";

/// What the arguments of a queue or exchange ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deduplication {
    size: usize,
    ttl_ms: Option<u64>,
    header: String,
}

impl Deduplication {
    /// Reads the arguments; `None` when they do not ask for it.
    pub(crate) fn new(arguments: &Arguments<'_>) -> Result<Option<Self>, Error> {
        let size = arguments.number("x-cache-size", 0, SIZE_MAX)?;
        let ttl_ms = arguments.number(TTL, 0, u64::from(u32::MAX))?;
        let header = arguments.text(HEADER)?.unwrap_or(HEADER).to_owned();
        if !arguments.flag("x-message-deduplication")? {
            return Ok(None);
        }
        Ok(Some(Self {
            size: usize::try_from(size.unwrap_or(SIZE)).unwrap_or(usize::MAX),
            ttl_ms,
            header,
        }))
    }
}

type Key = [u8; 16];

/// What came through one queue or exchange.
#[derive(Debug)]
pub(crate) struct Deduper {
    rule: Deduplication,
    seen: Mutex<Seen>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    entries: HashMap<Key, Entry>,
    /// The keys in the order in which they came.
    order: BTreeMap<u64, Key>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    until_ms: Option<u64>,
    by: Bringer,
    /// Whether the message was taken, and what must be durable for it to be so.
    taken: Option<Option<Position>>,
}

/// Who brings messages: those it brings at once are taken together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bringer(pub(crate) u64);

impl Bringer {
    /// A queue that gives up messages; publishers have small numbers.
    pub(crate) fn of_queue(queue: &Queue) -> Self {
        Self(std::ptr::from_ref(queue).addr() as u64 | 1 << 63)
    }
}

/// What is known about a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It did not come before, or does not say who it is.
    New(Option<Note>),
    /// It was taken before, durably when this position is; or it is taken together with what it is brought with.
    Duplicate(Option<Position>),
    /// Somebody else brings it, and whether it is taken is not decided yet.
    Undecided,
}

/// A message that is on its way for the first time. Forgotten when dropped, unless it was settled.
#[derive(Debug)]
pub(crate) struct Note {
    deduper: Arc<Deduper>,
    key: Key,
    number: u64,
    is_settled: AtomicBool,
}

impl Deduper {
    pub(crate) fn new(rule: Deduplication) -> Arc<Self> {
        Arc::new(Self {
            rule,
            seen: Mutex::default(),
            dropped: AtomicU64::new(0),
        })
    }

    /// How many messages were recognised.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Looks at a message's headers, and notes it if it did not come before.
    pub(crate) fn look(self: &Arc<Self>, headers: &Table, now_ms: u64, by: Bringer) -> Verdict {
        let Some(key) = self.key(headers) else {
            return Verdict::New(None);
        };
        let mut seen = self.seen.lock();
        if let Some(entry) = seen.entries.get(&key) {
            if entry.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                seen.forget(&key);
            } else if entry.taken.is_some() || entry.by == by {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return Verdict::Duplicate(entry.taken.flatten());
            } else {
                return Verdict::Undecided;
            }
        }
        if self.rule.size == 0 {
            return Verdict::New(None);
        }
        while seen.entries.len() >= self.rule.size
            && let Some((_, oldest)) = seen.order.pop_first()
        {
            seen.entries.remove(&oldest);
        }
        let ttl_ms = ttl_ms(headers).or(self.rule.ttl_ms);
        seen.last += 1;
        let number = seen.last;
        let entry = Entry {
            number,
            until_ms: ttl_ms.map(|ttl_ms| now_ms.saturating_add(ttl_ms)),
            by,
            taken: None,
        };
        seen.order.insert(number, key);
        seen.entries.insert(key, entry);
        Verdict::New(Some(Note {
            deduper: Arc::clone(self),
            key,
            number,
            is_settled: AtomicBool::new(false),
        }))
    }

    /// A digest of type and value: a number is not the text that reads the same.
    fn key(&self, headers: &Table) -> Option<Key> {
        let value = headers.get(&self.rule.header)?;
        let bytes = serde_json::to_vec(value).ok()?;
        let digest = digest::digest(&digest::SHA256, &bytes);
        digest.as_ref().first_chunk().copied()
    }
}

/// The time that a message itself says its value is remembered for.
fn ttl_ms(headers: &Table) -> Option<u64> {
    u64::try_from(headers.get(TTL)?.as_i64()?).ok()
}

impl Seen {
    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
        }
    }
}

impl Note {
    /// The message was taken, durably when this position is.
    pub(crate) fn settle(&self, position: Option<Position>) {
        self.is_settled.store(true, Ordering::Relaxed);
        let mut seen = self.deduper.seen.lock();
        if let Some(entry) = seen.entries.get_mut(&self.key)
            && entry.number == self.number
        {
            entry.taken = Some(position);
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.is_settled.load(Ordering::Relaxed) {
            return;
        }
        let mut seen = self.deduper.seen.lock();
        if seen
            .entries
            .get(&self.key)
            .is_some_and(|entry| entry.number == self.number)
        {
            seen.forget(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::value::Value;
    use crate::store::{Durability, Point};

    const ONE: Bringer = Bringer(1);
    const OTHER: Bringer = Bringer(2);

    fn deduper(size: usize, ttl_ms: Option<u64>) -> Arc<Deduper> {
        Deduper::new(Deduplication {
            size,
            ttl_ms,
            header: HEADER.to_owned(),
        })
    }

    fn headers(value: &str) -> Table {
        Table(vec![(HEADER.to_owned(), Value::String(value.into()))])
    }

    fn take(deduper: &Arc<Deduper>, value: &str, now_ms: u64) -> bool {
        match deduper.look(&headers(value), now_ms, ONE) {
            Verdict::New(note) => {
                note.unwrap().settle(None);
                true
            }
            Verdict::Duplicate(_) => false,
            Verdict::Undecided => panic!("everything is decided"),
        }
    }

    #[test]
    fn the_latest_values_are_remembered_and_no_more() {
        let deduper = deduper(2, None);
        assert!(take(&deduper, "a", 0));
        assert!(!take(&deduper, "a", 0));
        assert!(take(&deduper, "b", 0));
        assert!(take(&deduper, "c", 0));
        assert!(take(&deduper, "a", 0), "the oldest gave way");
        assert!(!take(&deduper, "c", 0));
        assert_eq!(deduper.seen.lock().entries.len(), 2);
        assert_eq!(deduper.dropped(), 2);
    }

    #[test]
    fn a_value_is_forgotten_after_its_time_and_a_message_may_say_how_long_that_is() {
        let deduper = deduper(8, Some(100));
        assert!(take(&deduper, "a", 0));
        assert!(!take(&deduper, "a", 99));
        assert!(take(&deduper, "a", 100));
        let mut own = headers("b");
        own.set(TTL, Value::I32(10));
        let Verdict::New(Some(note)) = deduper.look(&own, 0, ONE) else {
            panic!("it is new");
        };
        note.settle(None);
        assert!(!take(&deduper, "b", 9));
        assert!(take(&deduper, "b", 10));
    }

    #[test]
    fn what_was_not_taken_may_come_again_and_what_is_undecided_is_not_confirmed() {
        let deduper = deduper(8, None);
        let Verdict::New(note) = deduper.look(&headers("a"), 0, ONE) else {
            panic!("it is new");
        };
        let again = |by| deduper.look(&headers("a"), 0, by);
        assert!(matches!(again(OTHER), Verdict::Undecided));
        assert!(matches!(again(ONE), Verdict::Duplicate(None)));
        drop(note);
        let Verdict::New(Some(note)) = deduper.look(&headers("a"), 0, ONE) else {
            panic!("it was not taken");
        };
        let position = Position::new(Point(7), Durability::Sync);
        note.settle(Some(position));
        assert!(matches!(
            deduper.look(&headers("a"), 0, ONE),
            Verdict::Duplicate(Some(found)) if found == position
        ));
    }

    #[test]
    fn a_number_is_not_the_text_that_reads_the_same_and_a_message_without_the_header_is_new() {
        let deduper = deduper(8, None);
        assert!(take(&deduper, "1", 0));
        let number = Table(vec![(HEADER.to_owned(), Value::I32(1))]);
        assert!(matches!(
            deduper.look(&number, 0, ONE),
            Verdict::New(Some(_))
        ));
        for _ in 0..2 {
            assert!(matches!(
                deduper.look(&Table::default(), 0, ONE),
                Verdict::New(None)
            ));
        }
    }
}
