//! What comes in a row for one channel and is acted on together: publishes, or acks.
//!
//! Invariant: whatever else happens on the connection, what came before it was acted on.

use super::super::channel::{Acks, Publishes};
use super::super::refusal::Refusal;
use super::super::server::CHANNEL_ZERO;
use super::session::{Session, Stage};
use crate::broker::Alarm;
use crate::codec::amqp::Frame;

/// Publishes or acks, not both, that nothing was done about yet.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    publishes: Publishes<'a>,
    acks: Acks,
}

impl Session {
    pub(super) fn on_publish<'a>(
        &mut self,
        frame: Frame<'a>,
        rest: &'a [u8],
        gathered: &mut Gathered<'a>,
    ) -> usize {
        if gathered.publishes.channel != frame.channel || !gathered.acks.is_empty() {
            self.flush(gathered);
            gathered.publishes.channel = frame.channel;
        }
        let frame_max = self.outbox().frame_max();
        let is_running = self.stage == Stage::Running;
        let alarms = self.server.broker().alarms();
        let is_refused = self.server.is_lavinmq() && alarms.is_on(Alarm::Disk);
        if is_running && !is_refused && alarms.is_any_on() {
            self.block();
        }
        let parsed = match (self.channels.get_mut(&frame.channel), &self.context) {
            (Some(channel), Some(_)) if is_running && channel.is_closing => Ok(0),
            // LavinMQ does not have publishers wait until there is room.
            (Some(_), Some(_)) if is_running && is_refused => {
                Err(self.server.refuse(&Refusal::NoRoomForMessage))
            }
            (Some(channel), Some(context)) if is_running => {
                channel.on_publish(context, frame, rest, frame_max, &mut gathered.publishes)
            }
            _ if is_running && frame.channel == CHANNEL_ZERO => {
                Err(self.server.refuse(&Refusal::OutOfPlace("running")))
            }
            // LavinMQ takes it for a publish that crossed the channel's end.
            _ if is_running && self.server.is_lavinmq() => Ok(0),
            _ if is_running => Err(self.server.refuse(&Refusal::NotOpen(frame.channel))),
            _ if self.stage == Stage::Closing => Ok(0),
            _ => Err(self.server.refuse(&Refusal::OutOfPlace("opening"))),
        };
        parsed.unwrap_or_else(|error| {
            self.flush(gathered);
            self.fail(frame.channel, &error, (60, 40));
            0
        })
    }

    /// Collects acks of one channel, if it takes any. Returns how many bytes of `rest` are such acks too.
    pub(super) fn on_ack(
        &mut self,
        frame: &Frame<'_>,
        rest: &[u8],
        gathered: &mut Gathered<'_>,
    ) -> Option<usize> {
        let is_in_row = gathered.publishes.is_empty() && gathered.acks.channel == frame.channel;
        if !is_in_row || gathered.acks.is_empty() {
            self.flush(gathered);
            let channel = self.channels.get(&frame.channel);
            let is_heard = channel.is_some_and(|channel| channel.takes_acks());
            if !is_heard || self.stage != Stage::Running {
                return None;
            }
        }
        gathered.acks.channel = frame.channel;
        gathered
            .acks
            .add(frame.payload)
            .then(|| gathered.acks.read(rest))
    }

    /// Acts on what was collected.
    pub(super) fn flush(&mut self, gathered: &mut Gathered<'_>) {
        self.flush_publishes(&mut gathered.publishes);
        self.flush_acks(&mut gathered.acks);
    }

    fn flush_publishes(&mut self, publishes: &mut Publishes<'_>) {
        if publishes.is_empty() {
            return;
        }
        let number = publishes.channel;
        let outcome = match (self.channels.get_mut(&number), &self.context) {
            (Some(channel), Some(context)) => channel.publish(context, publishes),
            _ => Ok(()),
        };
        publishes.clear();
        if let Err(error) = outcome {
            self.fail(number, &error, (60, 40));
        }
    }

    fn flush_acks(&mut self, acks: &mut Acks) {
        if acks.is_empty() {
            return;
        }
        let outcome = match self.channels.get_mut(&acks.channel) {
            Some(channel) => channel.ack(acks.list()),
            None => Ok(()),
        };
        acks.clear();
        if let Err(error) = outcome {
            self.fail(acks.channel, &error, (60, 80));
        }
    }
}
