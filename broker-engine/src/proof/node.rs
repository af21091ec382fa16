//! A broker on a disk in memory, with a clock that the test holds.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::{
    amqp::WireProperties,
    broker::{
        Broker, Clock, Consumer, DEFAULT_VHOST, Damage, Delivery, Handed, Handout, Options,
        Session, Sink, Table, Value,
    },
    codec::amqp::{FieldTable, FieldValue},
    store::{self, Drive, disk::FaultyDisk},
};

/// A clock that stands still until it is told.
#[derive(Debug)]
pub(super) struct TestClock(pub(super) AtomicU64);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a node is opened with, again and again.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) clock: Arc<TestClock>,
    pub(super) store: store::Options,
    pub(super) cached_bytes_max: u64,
}

impl Setup {
    /// Small files, so that a short history rolls the log.
    pub(super) fn new(cached_bytes_max: u64) -> Self {
        let store = store::Options {
            drive: Drive::Manual,
            file_bytes: 8192,
            roll_bytes: 16384,
            ..store::Options::default()
        };
        Self {
            clock: Arc::new(TestClock(AtomicU64::new(1_000_000))),
            store,
            cached_bytes_max,
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Opens the node on a disk that has no damage, with the user guest.
    pub(super) fn open(&self, disk: &FaultyDisk) -> Result<Arc<Broker>, String> {
        let (broker, damage) = self.open_as_it_is(disk)?;
        if !damage.is_empty() {
            return Err(format!("a disk without damage: {damage:?}"));
        }
        broker
            .put_user_with_password("guest", "guest", &["administrator"])
            .map_err(|error| error.to_string())?;
        Ok(broker)
    }

    /// Opens the node on a disk that may have lost its definitions.
    pub(super) fn open_as_it_is(
        &self,
        disk: &FaultyDisk,
    ) -> Result<(Arc<Broker>, Vec<Damage>), String> {
        let options = Options {
            store: self.store.clone(),
            cached_bytes_max: self.cached_bytes_max,
            random: fastrand::Rng::with_seed(1),
            clock: Arc::<TestClock>::clone(&self.clock),
            envelope: Arc::new(WireProperties),
            ..Options::default()
        };
        let opened = Broker::open(Arc::new(disk.clone()), options);
        let (broker, opened) = opened.map_err(|error| error.to_string())?;
        Ok((broker, opened.damage))
    }

    /// Lets time pass, and lets expire what is due.
    pub(super) fn pass(&self, broker: &Broker, ms: u64) {
        let now_ms = self.clock.0.fetch_add(ms, Ordering::Relaxed) + ms;
        broker.tick(now_ms);
    }
}

/// A connection of guest.
pub(super) fn connect(broker: &Broker) -> Session {
    let guest = broker.authenticate("guest", b"guest", true);
    let guest = guest.expect("the user was made when the node was opened");
    broker
        .session(&guest, DEFAULT_VHOST)
        .expect("guest may enter")
}

/// Collects what a consumer gets.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) got: Mutex<Vec<Delivery>>,
    pub(super) cancels: AtomicU64,
}

impl Sink for Inbox {
    fn deliver(&self, _: &Arc<Consumer>, handout: Handout<'_>) {
        self.got
            .lock()
            .extend(handout.iter().map(Handed::to_delivery));
    }

    fn cancelled(&self, _: &Arc<Consumer>) {
        self.cancels.fetch_add(1, Ordering::Relaxed);
    }

    fn is_writable(&self) -> bool {
        true
    }
}

pub(super) fn text(value: &str) -> Value {
    Value::String(value.into())
}

/// A table of headers in wire form: strings and 32-bit integers; anything else only is there.
pub(super) fn fields(table: &Table) -> FieldTable {
    let field = |value: &Value| match (value.as_str(), value.as_i64()) {
        (Some(text), _) => FieldValue::from(text),
        (_, Some(number)) => FieldValue::I32(i32::try_from(number).expect("a 32-bit integer")),
        _ => FieldValue::Void,
    };
    let fields = table.0.iter();
    FieldTable(
        fields
            .map(|(name, value)| (name.clone(), field(value)))
            .collect(),
    )
}
