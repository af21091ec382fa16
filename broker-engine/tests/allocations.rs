//! No memory is allocated per message on the fast path: from a publisher's batch to the consumers' buffers, and back
//! with their acknowledgements. What is allocated is per batch, and does not grow with its messages.
//!
//! A program of its own: its allocator counts.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test, as the tests do"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use broker_engine::{
    broker::{
        Broker, Consumer, DEFAULT_VHOST, DeliveryRun, Handout, Options, Publish, Publisher, Queue,
        QueueDeclare, Session, Settlement, Settlements, Sink, Subscription, Table, Verdict,
    },
    codec::amqp::{Deliver, DeliverEncoder},
    store::disk::FaultyDisk,
};
use parking_lot::Mutex;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts and hands on"
)]
// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that ends has no counter any more, and nobody asks for it.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

/// What a connection does with deliveries: encodes them, and remembers what it must settle.
#[derive(Default)]
struct Encoder(Mutex<(Vec<u8>, Vec<DeliveryRun>, DeliverEncoder)>);

impl Sink for Encoder {
    fn deliver(&self, consumer: &Arc<Consumer>, handout: Handout<'_>) {
        let (buffer, runs, encoder) = &mut *self.0.lock();
        for handed in handout.iter() {
            let message = &handed.message;
            let head = Deliver {
                exchange: message.exchange,
                routing_key: message.routing_key,
                properties: message.properties,
            };
            encoder.prepare((1, consumer.tag()), &head);
            let tag = (handed.id.0, handed.redelivered);
            encoder.encode(buffer, tag, message.body, 131_072);
            let run = DeliveryRun::of(handed.id);
            if !consumer.no_ack() && !runs.last_mut().is_some_and(|last| last.join(run)) {
                runs.push(run);
            }
        }
    }

    fn cancelled(&self, _: &Arc<Consumer>) {}

    fn is_writable(&self) -> bool {
        true
    }
}

struct Flow {
    _broker: Arc<Broker>,
    publisher: Publisher,
    exchange: &'static str,
    consumers: Vec<(Arc<Queue>, Arc<Encoder>)>,
    settlements: Settlements,
}

impl Flow {
    /// An exchange and as many queues, each with a consumer.
    fn new(queues: usize, no_ack: bool) -> Self {
        let (broker, _) = Broker::open(Arc::new(FaultyDisk::new()), Options::default()).unwrap();
        broker
            .put_user_with_password("guest", "guest", &["administrator"])
            .unwrap();
        let guest = broker.authenticate("guest", b"guest", true).unwrap();
        let session = broker.session(&guest, DEFAULT_VHOST).unwrap();
        let consumers = (0..queues)
            .map(|number| consumer(&session, &format!("queue-{number}"), no_ack))
            .collect();
        Self {
            publisher: session.publisher(|_| Table::default()),
            _broker: broker,
            exchange: "amq.fanout",
            consumers,
            settlements: Settlements::default(),
        }
    }

    /// Allocations for one batch of so many messages, from publish to settled.
    fn allocations(&mut self, messages: usize) -> usize {
        let publish = Publish {
            exchange: self.exchange,
            routing_key: "",
            properties: &[0, 0],
            body: &[7; 16],
            persistent: false,
            mandatory: false,
            expires: false,
            copies: &[],
        };
        let batch = vec![publish; messages];
        let before = ALLOCATIONS.get();
        let outcome = self.publisher.publish(&batch);
        assert_eq!(outcome.accepted, messages);
        for (queue, encoder) in &self.consumers {
            let (buffer, runs, _) = &mut *encoder.0.lock();
            assert!(
                buffer.len() > 16 * messages,
                "all of it is delivered at once"
            );
            buffer.clear();
            for run in runs.drain(..) {
                self.settlements.add(Settlement {
                    verdict: Verdict::Ack,
                    queue: Arc::clone(queue),
                    run,
                });
            }
        }
        self.settlements.apply();
        ALLOCATIONS.get() - before
    }
}

fn consumer(session: &Session, name: &str, no_ack: bool) -> (Arc<Queue>, Arc<Encoder>) {
    let declare = QueueDeclare {
        name: name.to_owned(),
        ..QueueDeclare::default()
    };
    session.queue_declare(declare).unwrap();
    session
        .queue_bind(name, "amq.fanout", "", &Table::default())
        .unwrap();
    let encoder = Arc::new(Encoder::default());
    let subscription = Subscription {
        sink: Arc::clone(&encoder) as Arc<dyn Sink>,
        tag: "consumer".into(),
        no_ack,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        channel_credit: Arc::default(),
    };
    let (queue, _) = session.subscribe(name, subscription).unwrap();
    (queue, encoder)
}

/// Rounds have 64 messages: a batch of so many more costs so few allocations per round, and none per message.
fn assert_none_per_message(queues: usize, no_ack: bool, per_round_max: usize) {
    const ROUND: usize = 64;
    let mut flow = Flow::new(queues, no_ack);
    for _ in 0..20 {
        flow.allocations(16 * ROUND);
    }
    let one = flow.allocations(ROUND);
    let fewer = flow.allocations(ROUND / 4);
    assert_eq!(one, fewer, "what a round costs depends on its messages");
    let many = flow.allocations(16 * ROUND);
    let rounds = 16 * queues;
    assert!(
        many <= one + rounds * per_round_max,
        "{many} allocations in {rounds} rounds, {one} in {queues}"
    );
}

#[test]
fn messages_to_consumers_that_need_not_acknowledge_cost_no_allocation_each() {
    assert_none_per_message(1, true, 1);
}

#[test]
fn messages_that_are_acknowledged_cost_no_allocation_each() {
    assert_none_per_message(1, false, 4);
}

#[test]
fn messages_of_a_fanout_cost_no_allocation_each() {
    assert_none_per_message(4, true, 1);
    assert_none_per_message(4, false, 4);
}
