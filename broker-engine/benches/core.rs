//! Micro-benchmarks of the fast path without sockets: what a message costs in the codec, and in
//! the core from publish to a consumer's buffer. The least of many rounds, in nanoseconds.
//!
//! `cargo bench -p broker-engine --bench core`; `warren-perf suite` measures the whole broker.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_engine::broker::{
    Broker, Consumer, DEFAULT_VHOST, DeliveryRun, Handout, Options, Publish, Publisher, Queue,
    QueueDeclare, Session, Settlement, Settlements, Sink, Subscription, Table, Verdict,
};
use broker_engine::codec::amqp::{
    BasicPublish, ContentHeader, Deliver, DeliverEncoder, FrameParse, Method, Properties,
    encode_content, encode_method, parse_frame,
};
use broker_engine::store::disk::FaultyDisk;
use parking_lot::Mutex;

const ROUNDS: usize = 200;
const BATCH: usize = 1000;
const FRAME_MAX: u32 = 131_072;
const NO_PROPERTIES: &[u8] = &[0, 0];
const QUEUE: &str = "queue";

/// What a connection does with deliveries: encodes them, and remembers what it must settle.
#[derive(Default)]
struct Encoder {
    buffer: Mutex<(Vec<u8>, Vec<DeliveryRun>, DeliverEncoder)>,
}

impl Sink for Encoder {
    fn deliver(&self, consumer: &Arc<Consumer>, handout: Handout<'_>) {
        let (buffer, runs, encoder) = &mut *self.buffer.lock();
        for handed in handout.iter() {
            let message = &handed.message;
            let head = Deliver {
                exchange: message.exchange,
                routing_key: message.routing_key,
                properties: message.properties,
            };
            encoder.prepare((1, consumer.tag()), &head);
            let tag = (handed.id.0, handed.redelivered);
            encoder.encode(buffer, tag, message.body, FRAME_MAX);
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

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        1
    };
    parse(rounds);
    for size in [16, 1024] {
        for no_ack in [true, false] {
            publish_to_consumer(rounds, size, no_ack);
        }
    }
}

/// Runs `work` on a batch, again and again, and prints the least time for a message.
fn report(name: &str, rounds: usize, mut work: impl FnMut()) {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let least = (0..rounds).map(|_| time(&mut work)).min();
    let each = least.unwrap_or(Duration::MAX).as_nanos() as f64 / BATCH as f64;
    println!("{name:<56} {each:>8.1} ns");
}

fn parse(rounds: usize) {
    let mut bytes = Vec::new();
    for _ in 0..BATCH {
        let publish = BasicPublish {
            reserved_1: 0,
            exchange: "",
            routing_key: QUEUE,
            mandatory: false,
            immediate: false,
        };
        encode_method(&mut bytes, 1, &publish);
        encode_content(&mut bytes, 1, NO_PROPERTIES, &[7; 16], FRAME_MAX);
    }
    report(
        "codec: parse a publish of 16 B, three frames",
        rounds,
        || {
            let mut rest = black_box(bytes.as_slice());
            let mut frames = 0;
            while let Ok(FrameParse::Complete { frame, consumed }) = parse_frame(rest, FRAME_MAX) {
                match frames % 3 {
                    0 => drop(black_box(Method::decode(frame.payload))),
                    1 => {
                        let header =
                            ContentHeader::decode(frame.payload).expect("it was encoded so");
                        drop(black_box(Properties::decode(header.properties)));
                    }
                    _ => {
                        black_box(frame.payload);
                    }
                }
                frames += 1;
                rest = &rest[consumed..];
            }
            assert_eq!(frames, 3 * BATCH);
        },
    );
}

struct Flow {
    _broker: Arc<Broker>,
    _session: Session,
    queue: Arc<Queue>,
    publisher: Publisher,
    encoder: Arc<Encoder>,
}

/// A queue with one consumer, in memory.
fn flow(no_ack: bool) -> Flow {
    let disk = Arc::new(FaultyDisk::new());
    let (broker, _) = Broker::open(disk, Options::default()).expect("an empty disk opens");
    broker
        .put_user_with_password("guest", "guest", &["administrator"])
        .expect("a user is taken");
    let guest = broker
        .authenticate("guest", b"guest", true)
        .expect("the user was made");
    let session = broker
        .session(&guest, DEFAULT_VHOST)
        .expect("an administrator may enter");
    let declare = QueueDeclare {
        name: QUEUE.to_owned(),
        ..QueueDeclare::default()
    };
    session.queue_declare(declare).expect("a queue is taken");
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
    let (queue, _) = session
        .subscribe(QUEUE, subscription)
        .expect("the queue was declared");
    Flow {
        publisher: session.publisher(|_| Table::default()),
        _broker: broker,
        _session: session,
        queue,
        encoder,
    }
}

fn publish_to_consumer(rounds: usize, size: usize, no_ack: bool) {
    let mut flow = flow(no_ack);
    let body = vec![7; size];
    let batch: Vec<Publish<'_>> = (0..BATCH)
        .map(|_| Publish {
            exchange: "",
            routing_key: QUEUE,
            properties: NO_PROPERTIES,
            body: &body,
            persistent: false,
            mandatory: false,
            expires: false,
            copies: &[],
        })
        .collect();
    let acks = if no_ack { "auto-ack" } else { "acks" };
    report(
        &format!("core: publish and deliver {size} B, {acks}"),
        rounds,
        || {
            let outcome = flow.publisher.publish(black_box(&batch));
            assert_eq!(outcome.accepted, BATCH);
            let runs = {
                let (buffer, runs, _) = &mut *flow.encoder.buffer.lock();
                assert!(!buffer.is_empty(), "everything is delivered at once");
                buffer.clear();
                std::mem::take(runs)
            };
            let mut settlements = Settlements::default();
            for run in runs {
                settlements.add(Settlement {
                    verdict: Verdict::Ack,
                    queue: Arc::clone(&flow.queue),
                    run,
                });
            }
            settlements.apply();
        },
    );
}
