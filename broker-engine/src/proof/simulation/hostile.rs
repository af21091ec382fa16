//! A client that does what no client should: noise, halves, wrong sizes, methods out of turn, on names that are not its.
//!
//! It may use what begins with `h` and must not touch anything else; the server may close on it and must not fall.

use std::sync::Arc;

use super::super::{
    client::Client,
    codec::{Fill, METHODS, plain_method},
    node::fields,
};
use crate::{
    amqp::Server,
    broker::{Table, Value},
};

pub(super) const USER: &str = "mallory";

/// Names that it knows, some of them of others.
const NAMES: [&str; 14] = [
    "",
    "h1",
    "h2",
    "h1",
    "plain",
    "burying",
    "all",
    "amq.topic",
    "amq.fanout",
    "direct",
    "topic",
    "headers",
    "PLAIN",
    "x-delayed-message",
];

/// More than a session may leave unread: the largest frame, and what came after it.
const UNREAD_MAX: usize = 256 * 1024;

pub(super) struct Hostile {
    client: Client,
}

impl Hostile {
    pub(super) fn new(server: &Arc<Server>, random: &mut fastrand::Rng) -> Self {
        let mut client = Client::new(server);
        if random.u8(..) > 60 {
            client.say_hello(USER);
        }
        Self { client }
    }

    /// Says something. False when the server hung up.
    pub(super) fn step(&mut self, random: &mut fastrand::Rng) -> Result<bool, String> {
        for _ in 0..random.usize(1..8) {
            self.add(random);
        }
        self.client.send_in_pieces(random);
        self.client.hear();
        if self.client.wire.unread_len() > UNREAD_MAX {
            return Err("a hostile client fills the memory".to_owned());
        }
        // One that is not answered yet must wait; a patient server would not read on either.
        Ok(!self.client.wire.is_finished() && self.client.wire.unread_len() < UNREAD_MAX / 2)
    }

    fn add(&mut self, random: &mut fastrand::Rng) {
        let out = &mut self.client.outgoing;
        let channel = random.u16(0..4);
        match random.u8(0..20) {
            0 => out.extend((0..random.usize(..64)).map(|_| random.u8(..))),
            1 => out.extend([1, 0, 1, random.u8(..), random.u8(..), 0, 0, 0, 1]),
            2 => frame(out, random.u8(..), channel, b"what is this"),
            3..10 => {
                let method = METHODS[random.usize(..METHODS.len())];
                let mut payload = plain_method(method, &fill(random));
                if random.u8(..) < 20 && !payload.is_empty() {
                    let at = random.usize(..payload.len());
                    payload[at] ^= 1 << random.u8(..8);
                }
                if random.u8(..) < 10 {
                    payload.truncate(random.usize(..=payload.len()));
                }
                frame(out, 1, channel, &payload);
            }
            // Those that matter more often: channel.open, queue.declare, basic.publish, basic.consume.
            10..12 => frame(out, 1, channel, &plain_method((20, 10, "s"), &fill(random))),
            12..14 => frame(
                out,
                1,
                channel,
                &plain_method((50, 10, "hsbbbbbT"), &fill(random)),
            ),
            14..18 => {
                let mut named = fill(random);
                named.number = random.u64(..) & 0xff;
                frame(out, 1, channel, &plain_method((60, 40, "hssbb"), &named));
                let announced = random.u64(..80);
                let head = [&[0, 60, 0, 0][..], &announced.to_be_bytes(), &[0, 0]].concat();
                frame(out, 2, channel, &head);
                let said = if random.u8(..) < 200 {
                    announced
                } else {
                    random.u64(..80)
                };
                frame(out, 3, channel, &vec![b'h'; said as usize]);
            }
            _ => frame(
                out,
                1,
                channel,
                &plain_method((60, 20, "hssbbbbT"), &fill(random)),
            ),
        }
    }
}

fn fill(random: &mut fastrand::Rng) -> Fill {
    let mut name = || NAMES[random.usize(..NAMES.len())];
    let text = name().to_owned();
    let value = Value::String(name().into());
    let arguments = [
        ("x-message-ttl", Value::I32(3)),
        ("x-max-length", Value::I32(2)),
        ("x-dead-letter-exchange", value.clone()),
        ("x-queue-type", Value::String("quorum".into())),
        ("alternate-exchange", value.clone()),
        ("x-match", value),
        ("x-single-active-consumer", Value::Void),
    ];
    let chosen = arguments.into_iter().filter(|_| random.u8(..) < 30);
    let table: Table = chosen
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Fill {
        // Few bits, so that tags, counts and flags are plausible.
        number: random.u64(..) & random.u64(..) & random.u64(..),
        text,
        bytes: b"\0mallory\0mallory".to_vec(),
        table: fields(&table),
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(0xCE);
}
