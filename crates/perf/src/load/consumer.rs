//! One consuming connection: reads, verifies, acknowledges in one write for each read.

use std::sync::atomic::Ordering;

use super::options::{Ack, Options};
use super::progress::Progress;
use super::verifier::Received;
use crate::Error;
use crate::body::Shape;
use crate::connection::{Connection, refuse_unexpected};
use crate::latency::Histogram;
use crate::wire::{self, Frame, ack, next_frame};

/// What a consumer knows in the end.
#[derive(Debug, Default)]
pub(super) struct Consumed {
    pub(super) received: Received,
    pub(super) latency: Histogram,
}

/// A message between its first and its last frame.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Method,
    Header {
        tag: u64,
        is_redelivered: bool,
    },
    Body {
        tag: u64,
        is_redelivered: bool,
        size: usize,
    },
}

/// Puts frames together to messages.
struct Assembler<'a> {
    shape: &'a Shape,
    stage: Stage,
    /// Of a body in several frames.
    body: Vec<u8>,
    count: u64,
    last_tag: u64,
    /// Of one read, for single acks.
    acks: Vec<u8>,
    is_acked_each: bool,
    measures_latency: bool,
    arrived_ns: u64,
    consumed: Consumed,
}

impl Assembler<'_> {
    #[inline]
    fn on_frame(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        match (frame.kind, self.stage) {
            (wire::METHOD, Stage::Method) => self.on_method(frame),
            (
                wire::HEADER,
                Stage::Header {
                    tag,
                    is_redelivered,
                },
            ) => {
                self.stage = Stage::Body {
                    tag,
                    is_redelivered,
                    size: frame.body_size()?,
                };
                Ok(())
            }
            (
                wire::BODY,
                Stage::Body {
                    tag,
                    is_redelivered,
                    size,
                },
            ) => {
                if self.body.is_empty() && frame.payload.len() == size {
                    self.on_message(tag, is_redelivered, frame.payload);
                } else {
                    self.body.extend_from_slice(frame.payload);
                    if self.body.len() < size {
                        return Ok(());
                    }
                    let body = std::mem::take(&mut self.body);
                    self.on_message(tag, is_redelivered, &body);
                    self.body = body;
                    self.body.clear();
                }
                self.stage = Stage::Method;
                Ok(())
            }
            (8, _) => Ok(()),
            (kind, stage) => Err(Error::protocol(format!("frame {kind} at {stage:?}"))),
        }
    }

    #[inline]
    fn on_method(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        match frame.method_id()? {
            wire::BASIC_DELIVER => {
                let mut arguments = frame.arguments();
                arguments.short()?;
                self.stage = Stage::Header {
                    tag: arguments.u64()?,
                    is_redelivered: arguments.u8()? & 1 != 0,
                };
                Ok(())
            }
            // Through a relay, messages come as they were published.
            wire::BASIC_PUBLISH => {
                self.stage = Stage::Header {
                    tag: self.last_tag + 1,
                    is_redelivered: false,
                };
                Ok(())
            }
            _ => refuse_unexpected(frame),
        }
    }

    #[inline]
    fn on_message(&mut self, tag: u64, is_redelivered: bool, body: &[u8]) {
        self.count += 1;
        self.last_tag = tag;
        if self.is_acked_each {
            ack(&mut self.acks, tag, false);
        }
        let Some(stamp) = self.shape.read(body) else {
            self.consumed.received.bad_bodies += 1;
            return;
        };
        self.consumed.received.add(stamp, is_redelivered);
        if self.measures_latency {
            self.consumed
                .latency
                .record(self.arrived_ns.saturating_sub(stamp.sent_ns));
        }
    }
}

/// Consumes until told to stop. The connection has its consumers already.
pub(super) fn run(
    connection: &mut Connection,
    options: &Options,
    shape: &Shape,
    progress: &Progress,
    number: usize,
    is_relay: bool,
) -> Result<Consumed, Error> {
    let ack_mode = if is_relay { Ack::Auto } else { options.ack };
    let mut assembler = Assembler {
        shape,
        stage: Stage::Method,
        body: Vec::new(),
        count: 0,
        last_tag: 0,
        acks: Vec::new(),
        is_acked_each: ack_mode == Ack::Each,
        measures_latency: options.rate.is_some(),
        arrived_ns: 0,
        consumed: Consumed::default(),
    };
    let mut acked = (0, 0);
    loop {
        let mut used = 0;
        if assembler.measures_latency {
            assembler.arrived_ns = progress.now_ns();
        }
        while let Some((frame, len)) = next_frame(&connection.unread()[used..])? {
            assembler.on_frame(frame)?;
            used += len;
        }
        connection.consume(used);
        let is_stopping = progress.is_stopping();
        if let Ack::Multiple(every) = ack_mode {
            let due = assembler.count - acked.0 >= u64::from(every);
            // One that waits would wait for ever when no message follows.
            if due || ((used == 0 || is_stopping) && acked.1 < assembler.last_tag) {
                ack(&mut assembler.acks, assembler.last_tag, true);
                acked = (assembler.count, assembler.last_tag);
            }
        }
        if !assembler.acks.is_empty() {
            connection.write(&assembler.acks)?;
            assembler.acks.clear();
        }
        progress.received[number].store(assembler.count, Ordering::Relaxed);
        if is_stopping {
            return Ok(assembler.consumed);
        }
        match connection.receive() {
            // A relay ends when the first side of a pair goes.
            Err(_) if is_relay && progress.is_stopping() => {}
            received => {
                received?;
            }
        }
    }
}
