//! Messages handed to the consumers of one channel, and what it still owes an answer for.
//!
//! Invariant: a delivery tag is given and the delivery noted under one lock, in the order of the
//! wire. Lock order: queue, then channel, then outbox; nothing of the broker is called under them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::channel::Acked;
use super::outbox::Outbox;
use super::owed::{Owed, Unsettled};
use crate::broker::{
    ChannelMeter, Consumer, Delivery, DeliveryId, DeliveryRun, Handout, MessageRef, OfChannel,
    Origin, Queue, Sink, Table,
};
use crate::codec::amqp::{
    BasicCancel, BasicGetOk, Deliver, DeliverEncoder, encode_content, encode_method,
};

/// The deliveries of one channel.
#[derive(Debug)]
pub(crate) struct Deliveries {
    outbox: Arc<Outbox>,
    channel: u16,
    /// The client asked for a pause.
    is_paused: AtomicBool,
    /// Added to with the state locked.
    meter: Arc<ChannelMeter>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_tag: u64,
    owed: Owed,
    /// Cancellations in wire form that follow the answer to the channel's own deletion.
    held_cancels: Option<Vec<u8>>,
}

impl Deliveries {
    pub(crate) fn new(outbox: Arc<Outbox>, channel: u16, meter: Arc<ChannelMeter>) -> Self {
        Self {
            outbox,
            channel,
            is_paused: AtomicBool::new(false),
            meter,
            state: Mutex::default(),
        }
    }

    /// Stops handing out, or goes on. Pump the queues after going on.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// How many wait for an answer.
    pub(crate) fn unsettled_len(&self) -> u64 {
        self.state.lock().owed.len()
    }

    /// Keeps the news that consumers of this channel are gone until [`Deliveries::release_cancels`].
    pub(crate) fn hold_cancels(&self) {
        self.state.lock().held_cancels = Some(Vec::new());
    }

    /// The cancellations since [`Deliveries::hold_cancels`], in wire form.
    pub(crate) fn release_cancels(&self) -> Vec<u8> {
        self.state.lock().held_cancels.take().unwrap_or_default()
    }

    fn send_cancel(&self, consumer: &Consumer) {
        let cancel = BasicCancel {
            consumer_tag: consumer.tag(),
            no_wait: true,
        };
        match &mut self.state.lock().held_cancels {
            Some(held) => encode_method(held, self.channel, &cancel),
            None => self.outbox.send(self.channel, &cancel),
        }
    }

    /// Sends a message that was asked for by `basic.get`; `ready` messages are left in the queue.
    pub(crate) fn send_got(
        &self,
        queue: &Arc<Queue>,
        delivery: &Delivery,
        ready: usize,
        no_ack: bool,
    ) {
        let mut state = self.state.lock();
        let tag = state.give(queue, std::iter::once(delivery.id), no_ack);
        let counter = if no_ack {
            OfChannel::GetNoAck
        } else {
            OfChannel::Get
        };
        self.meter.add(counter, 1);
        if delivery.redelivered {
            self.meter.add(OfChannel::Redeliver, 1);
        }
        let method = BasicGetOk {
            delivery_tag: tag,
            redelivered: delivery.redelivered,
            exchange: delivery.message.exchange(),
            routing_key: delivery.message.routing_key(),
            message_count: u32::try_from(ready).unwrap_or(u32::MAX),
        };
        self.outbox.append(|buffer| {
            encode_method(buffer, self.channel, &method);
            let frame_max = self.outbox.frame_max();
            let MessageRef {
                properties, body, ..
            } = delivery.message.parts();
            encode_content(buffer, self.channel, properties, body, frame_max);
        });
    }

    /// Takes the deliveries that clients name, in order: one after the other, or with `multiple` all up to a tag, where
    /// 0 is all there are.
    ///
    /// The error is the first tag that names no delivery; what comes before it is taken.
    pub(crate) fn take_acked(&self, acked: &[Acked]) -> (Vec<Unsettled>, Result<(), u64>) {
        let mut taken = Vec::new();
        let owed = &mut self.state.lock().owed;
        for Acked {
            first,
            last,
            multiple,
        } in acked
        {
            let outcome = match (multiple, last) {
                (true, 0) => {
                    taken.extend(owed.take_all());
                    Ok(())
                }
                (true, last) => owed.take_up_to(*last, &mut taken),
                (false, last) => owed.take(*first, *last, &mut taken),
            };
            if outcome.is_err() {
                return (taken, outcome);
            }
        }
        (taken, Ok(()))
    }

    /// The latest tag that was given.
    pub(crate) fn last_tag(&self) -> u64 {
        self.state.lock().last_tag
    }

    /// Shows what waits, oldest first, until `look` has seen enough; of neighbours from the same queue only the first.
    /// `look` must not settle anything.
    pub(crate) fn find<T>(&self, mut look: impl FnMut(u64, &Queue) -> Option<T>) -> Option<T> {
        let state = self.state.lock();
        state.owed.runs().find_map(|(tag, queue)| look(tag, queue))
    }

    /// Takes everything that waits, oldest first.
    pub(crate) fn take_all(&self) -> Vec<Unsettled> {
        self.state.lock().owed.take_all()
    }

    /// Has deliveries wait again that were taken.
    pub(crate) fn restore(&self, unsettled: Vec<Unsettled>) {
        self.state.lock().owed.restore(unsettled);
    }
}

impl State {
    /// Gives deliveries of one queue their tags. Returns the first; the others follow.
    fn give(
        &mut self,
        queue: &Arc<Queue>,
        ids: impl Iterator<Item = DeliveryId>,
        no_ack: bool,
    ) -> u64 {
        let first_tag = self.last_tag + 1;
        if no_ack {
            self.last_tag += ids.count() as u64;
            return first_tag;
        }
        let mut runs = ids.map(DeliveryRun::of);
        let mut next = runs.next();
        while let Some(mut run) = next {
            next = runs.find(|following| !run.join(*following));
            self.owed.add(self.last_tag + 1, queue, run);
            self.last_tag += run.len;
        }
        first_tag
    }
}

/// The way from one queue to one consumer of a channel.
pub(crate) struct ConsumerSink {
    deliveries: Arc<Deliveries>,
    /// Set when the client knows its consumer tag: nothing is delivered before.
    queue: OnceLock<Arc<Queue>>,
    /// Whether the client wants to hear that its queue is gone.
    is_cancel_notified: bool,
    origin: Arc<Origin>,
    /// What the client asked with.
    arguments: Table,
    /// Whether deliveries take no tag of their own, as answers in RabbitMQ: they bear the one that is next.
    is_tagless: bool,
    encoder: Mutex<DeliverEncoder>,
}

fn deliver<'a>(message: &MessageRef<'a>) -> Deliver<'a> {
    Deliver {
        exchange: message.exchange,
        routing_key: message.routing_key,
        properties: message.properties,
    }
}

impl ConsumerSink {
    pub(crate) fn new(
        deliveries: Arc<Deliveries>,
        is_cancel_notified: bool,
        origin: &Arc<Origin>,
        arguments: Table,
    ) -> Self {
        Self {
            origin: Arc::clone(origin),
            arguments,
            deliveries,
            queue: OnceLock::new(),
            is_cancel_notified,
            is_tagless: false,
            encoder: Mutex::default(),
        }
    }

    /// The same way for deliveries that take no tag of their own.
    pub(crate) fn without_tags(self) -> Self {
        let is_tagless = true;
        Self { is_tagless, ..self }
    }

    /// `basic.consume-ok` is on its way: deliveries from `queue` may follow.
    pub(crate) fn announce(&self, queue: &Arc<Queue>) {
        self.queue.get_or_init(|| Arc::clone(queue));
    }
}

impl Sink for ConsumerSink {
    fn deliver(&self, consumer: &Arc<Consumer>, handout: Handout<'_>) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        let Deliveries {
            outbox,
            channel,
            meter,
            state,
            ..
        } = &*self.deliveries;
        let mut state = state.lock();
        let before = state.last_tag;
        let ids = handout.iter().map(|handed| handed.id);
        let (first_tag, step, count) = if self.is_tagless {
            (before + 1, 0, ids.count() as u64)
        } else {
            let first_tag = state.give(queue, ids, consumer.no_ack());
            (first_tag, 1, state.last_tag - before)
        };
        let encoder = &mut *self.encoder.lock();
        let (whose, frame_max) = ((*channel, &**consumer.tag()), outbox.frame_max());
        outbox.append(|buffer| {
            let lens = handout.iter().map(|handed| handed.message.body.len());
            buffer.reserve(lens.map(|len| encoder.expected_len(len)).sum());
            let (mut again, mut latest) = (0, None::<&MessageRef<'_>>);
            let mut next_tag = first_tag;
            for handed in handout.iter() {
                let tag = next_tag;
                next_tag += step;
                let message = &handed.message;
                if !latest.is_some_and(|latest| latest.shares_head(message)) {
                    encoder.prepare(whose, &deliver(message));
                }
                latest = Some(message);
                again += u64::from(handed.redelivered);
                let tag = (tag, handed.redelivered);
                encoder.encode(buffer, tag, message.body, frame_max);
            }
            encoder.trim();
            let counter = if consumer.no_ack() {
                OfChannel::DeliverNoAck
            } else {
                OfChannel::Deliver
            };
            meter.add(counter, count);
            if again > 0 {
                meter.add(OfChannel::Redeliver, again);
            }
        });
    }

    fn channel(&self) -> Option<(&Arc<Origin>, u16)> {
        Some((&self.origin, self.deliveries.channel))
    }

    fn arguments(&self) -> Table {
        self.arguments.clone()
    }

    fn cancelled(&self, consumer: &Arc<Consumer>) {
        if self.is_cancel_notified {
            self.deliveries.send_cancel(consumer);
        }
    }

    fn is_writable(&self) -> bool {
        self.queue.get().is_some()
            && !self.deliveries.is_paused.load(Ordering::Relaxed)
            && self.deliveries.outbox.is_writable()
    }
}
