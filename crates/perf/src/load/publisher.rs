//! One publishing connection: writes messages made ahead, stamped just before.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::confirms::Confirms;
use super::options::Options;
use super::progress::Progress;
use super::topology::Route;
use crate::Error;
use crate::body::{Shape, Stamp};
use crate::connection::{Connection, refuse_unexpected};
use crate::latency::Histogram;
use crate::wire::{self, next_frame};

/// Bytes of one write, about: enough that its cost is shared, little enough to stay in the cache.
const WRITE_SIZE: usize = 64 * 1024;

/// How often a publisher without confirms looks whether the broker has something to say.
const LOOK_INTERVAL_NS: u64 = 50_000_000;

/// How long publishers that are too far ahead of consumers wait before they look again.
const AHEAD_PAUSE: Duration = Duration::from_micros(50);

/// Without a confirm for so long, the rest counts as never confirmed.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(60);

/// What a publisher knows in the end.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Messages by flow.
    pub(super) flows: Vec<(u16, u64)>,
    pub(super) refused: u64,
    pub(super) returned: u64,
    pub(super) unconfirmed: u64,
    pub(super) confirm_latency: Histogram,
}

/// Messages in wire form, over and over.
struct Ring {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// Where the next message is.
    at: usize,
}

struct Slot {
    start: usize,
    body: usize,
    /// Index in the publisher's flows.
    flow: usize,
}

impl Ring {
    fn new(
        routes: &[Route],
        flows: &[(u16, u64)],
        shape: &Shape,
        is_persistent: bool,
        frame_max: usize,
    ) -> Self {
        let (mut bytes, mut slots) = (Vec::new(), Vec::new());
        while bytes.len() < WRITE_SIZE {
            for route in routes {
                let start = bytes.len();
                let names = (route.exchange.as_str(), route.key.as_str());
                let body = wire::publish(
                    &mut bytes,
                    names,
                    shape.template(),
                    is_persistent,
                    frame_max,
                );
                let flow = flows.iter().position(|(flow, _)| *flow == route.flow);
                slots.push(Slot {
                    start,
                    body,
                    flow: flow.unwrap_or_default(),
                });
            }
        }
        Self {
            bytes,
            slots,
            at: 0,
        }
    }

    /// Stamps the next messages, at most `count` and no more than one write takes, and returns
    /// their bytes and number.
    fn next(
        &mut self,
        count: u64,
        flows: &mut [(u16, u64)],
        shape: &Shape,
        sent_ns: u64,
    ) -> (&[u8], u64) {
        let first = self.at;
        let start = self.slots[first].start;
        while ((self.at - first) as u64) < count
            && let Some(slot) = self.slots.get(self.at)
            && slot.start - start < WRITE_SIZE
        {
            let (flow, sequence) = &mut flows[slot.flow];
            let stamp = Stamp {
                flow: *flow,
                sequence: *sequence,
                sent_ns,
            };
            shape.stamp(&mut self.bytes, slot.body, stamp);
            *sequence += 1;
            self.at += 1;
        }
        let stamped = (self.at - first) as u64;
        let end = match self.slots.get(self.at) {
            Some(slot) => slot.start,
            None => {
                self.at = 0;
                self.bytes.len()
            }
        };
        (&self.bytes[start..end], stamped)
    }
}

struct Publisher<'a> {
    connection: &'a mut Connection,
    progress: &'a Progress,
    confirms: Option<Confirms>,
    is_blocked: bool,
    /// Frames of a returned message that are to be skipped.
    returned: u64,
}

/// Publishes until `end_ns`, or `messages` of them, and waits for what is to be confirmed.
pub(super) fn run(
    connection: &mut Connection,
    routes: &[Route],
    options: &Options,
    shape: &Shape,
    progress: &Progress,
    number: usize,
    is_relay: bool,
) -> Result<Published, Error> {
    let mut flows: Vec<(u16, u64)> = routes.iter().map(|route| (route.flow, 0)).collect();
    flows.sort_unstable();
    flows.dedup();
    let mut ring = Ring::new(
        routes,
        &flows,
        shape,
        options.persistent,
        connection.frame_max(),
    );
    let window = options.confirm.filter(|_| !is_relay).map(u64::from);
    let mut publisher = Publisher {
        connection,
        progress,
        confirms: window.map(|_| Confirms::default()),
        is_blocked: false,
        returned: 0,
    };
    let start_ns = progress.now_ns();
    let end_ns = match options.messages {
        Some(_) => u64::MAX,
        None => start_ns + (options.duration * 1e9) as u64,
    };
    let publishers = f64::from(options.publishers);
    let interval_ns = options.rate.map(|rate| publishers / rate * 1e9);
    // Publishers take turns instead of all publishing at the same moment.
    let offset_ns = interval_ns.unwrap_or(0.0) * number as f64 / publishers;
    let mut count = 0u64;
    let mut looked_ns = start_ns;
    loop {
        let mut now_ns = progress.now_ns();
        let left = options
            .messages
            .map_or(u64::MAX, |messages| messages - count);
        if now_ns >= end_ns || left == 0 || progress.is_stopping() {
            break;
        }
        let mut burst = left;
        let mut sent_ns = now_ns;
        if let Some(interval_ns) = interval_ns {
            // From when it should be sent, so that a broker that makes others wait is charged.
            sent_ns = start_ns + (offset_ns + count as f64 * interval_ns) as u64;
            if sent_ns >= end_ns {
                break;
            }
            if sent_ns > now_ns {
                std::thread::sleep(Duration::from_nanos(sent_ns - now_ns));
            }
            burst = 1;
        }
        if let Some(most) = options.backlog_max {
            while progress.published_total() * options.copies()
                > progress.received_total().saturating_add(most)
                && !progress.is_stopping()
            {
                std::thread::sleep(AHEAD_PAUSE);
            }
        }
        if let (Some(window), Some(confirms)) = (window, &publisher.confirms) {
            burst = burst.min(window.saturating_sub(confirms.unconfirmed()));
            if burst == 0 {
                publisher.wait()?;
                continue;
            }
        }
        if publisher.is_blocked {
            publisher.wait()?;
            continue;
        }
        let (bytes, stamped) = ring.next(burst, &mut flows, shape, sent_ns);
        publisher.connection.write(bytes)?;
        count += stamped;
        progress.published[number].store(count, Ordering::Relaxed);
        now_ns = now_ns.max(sent_ns);
        if let Some(confirms) = &mut publisher.confirms {
            confirms.published(stamped, now_ns);
        }
        let is_look_due = now_ns - looked_ns > LOOK_INTERVAL_NS;
        if (publisher.confirms.is_some() && interval_ns.is_some()) || is_look_due {
            looked_ns = now_ns;
            if publisher.connection.is_readable()? {
                publisher.wait()?;
            }
        }
    }
    publisher.finish(flows)
}

impl Publisher<'_> {
    /// Reads what the broker says, or waits a moment for it.
    fn wait(&mut self) -> Result<(), Error> {
        self.connection.receive()?;
        let now_ns = self.progress.now_ns();
        let mut used = 0;
        while let Some((frame, len)) = next_frame(&self.connection.unread()[used..])? {
            used += len;
            if frame.kind != wire::METHOD {
                continue;
            }
            let id = frame.method_id()?;
            match (id, &mut self.confirms) {
                (wire::BASIC_ACK | wire::BASIC_NACK, Some(confirms)) => {
                    let mut arguments = frame.arguments();
                    let (tag, flags) = (arguments.u64()?, arguments.u8()?);
                    confirms.settle(tag, flags & 1 != 0, id == wire::BASIC_NACK, now_ns);
                }
                (wire::CONNECTION_BLOCKED, _) => self.is_blocked = true,
                (wire::CONNECTION_UNBLOCKED, _) => self.is_blocked = false,
                (wire::BASIC_RETURN, _) => self.returned += 1,
                _ => refuse_unexpected(frame)?,
            }
        }
        self.connection.consume(used);
        Ok(())
    }

    fn finish(mut self, flows: Vec<(u16, u64)>) -> Result<Published, Error> {
        let unconfirmed = |publisher: &Self| {
            let confirms = publisher.confirms.as_ref();
            confirms.map_or(0, Confirms::unconfirmed)
        };
        let mut last = (unconfirmed(&self), Instant::now());
        while last.0 > 0 && last.1.elapsed() < CONFIRM_TIMEOUT {
            self.wait()?;
            let now = unconfirmed(&self);
            if now < last.0 {
                last = (now, Instant::now());
            }
        }
        let confirms = self.confirms.unwrap_or_default();
        Ok(Published {
            flows,
            refused: confirms.refused,
            returned: self.returned,
            unconfirmed: confirms.unconfirmed(),
            confirm_latency: confirms.latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_goes_round_with_sequences_that_go_on() {
        let shape = Shape::new(20_000);
        let route = |flow| Route {
            exchange: String::new(),
            key: format!("q{flow}"),
            flow,
        };
        let mut flows = vec![(4, 0), (9, 0)];
        let mut ring = Ring::new(&[route(9), route(4)], &flows, &shape, false, 131_072);
        assert_eq!(ring.slots.len(), 4);
        let mut total = 0;
        while total < 10 {
            let (bytes, count) = ring.next(3, &mut flows, &shape, 5);
            let (mut rest, mut bodies) = (bytes, 0);
            while let Some((frame, used)) = next_frame(rest).unwrap() {
                if frame.kind == wire::BODY {
                    let stamp = shape.read(frame.payload).unwrap();
                    let at = total + bodies;
                    let flow = if at % 2 == 0 { 9 } else { 4 };
                    assert_eq!(
                        (stamp.flow, stamp.sequence, stamp.sent_ns),
                        (flow, at / 2, 5)
                    );
                    bodies += 1;
                }
                rest = &rest[used..];
            }
            assert_eq!(bodies, count);
            total += count;
        }
    }
}
