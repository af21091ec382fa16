//! Messages handed to the consumers of one channel, and what it still owes an answer for.
//!
//! Invariant: a delivery tag is given and the delivery noted under one lock, in the order of the
//! wire. Lock order: queue, then channel, then outbox; nothing of the broker is called under them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::error::Error;
use super::outbox::Outbox;
use crate::broker::{Consumer, Delivery, DeliveryId, Queue, Sink};
use crate::codec::amqp::{BasicCancel, BasicDeliver, BasicGetOk, encode_content, encode_method};

/// A delivery that waits for ack, nack or reject.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    tag: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) id: DeliveryId,
}

/// The deliveries of one channel.
#[derive(Debug)]
pub(crate) struct Deliveries {
    outbox: Arc<Outbox>,
    channel: u16,
    /// The client asked for a pause.
    is_paused: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_tag: u64,
    unsettled: VecDeque<Unsettled>,
}

impl Deliveries {
    pub(crate) fn new(outbox: Arc<Outbox>, channel: u16) -> Self {
        Self {
            outbox,
            channel,
            is_paused: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Stops handing out, or goes on. Pump the queues after going on.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
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
        let tag = state.next(queue, delivery, no_ack);
        let method = BasicGetOk {
            delivery_tag: tag,
            redelivered: delivery.redelivered,
            exchange: delivery.message.exchange(),
            routing_key: delivery.message.routing_key(),
            message_count: u32::try_from(ready).unwrap_or(u32::MAX),
        };
        self.outbox.append(|buffer| {
            encode_method(buffer, self.channel, &method);
            self.encode_message(buffer, delivery);
        });
    }

    /// Takes the deliveries that a tag names; with `multiple` all up to it, and 0 is all there are.
    ///
    /// # Errors
    /// 406 when no delivery with this tag waits.
    pub(crate) fn take(&self, tag: u64, multiple: bool) -> Result<Vec<Unsettled>, Error> {
        let unsettled = &mut self.state.lock().unsettled;
        if multiple && tag == 0 {
            return Ok(unsettled.drain(..).collect());
        }
        match unsettled.binary_search_by_key(&tag, |entry| entry.tag) {
            Ok(at) if multiple => Ok(unsettled.drain(..=at).collect()),
            Ok(at) => Ok(unsettled.remove(at).into_iter().collect()),
            Err(_) => Err(Error::precondition(format!("unknown delivery tag {tag}"))),
        }
    }

    /// Takes everything that waits, oldest first.
    pub(crate) fn take_all(&self) -> Vec<Unsettled> {
        self.state.lock().unsettled.drain(..).collect()
    }

    /// Has deliveries wait again that were taken.
    pub(crate) fn restore(&self, unsettled: Vec<Unsettled>) {
        let waiting = &mut self.state.lock().unsettled;
        waiting.extend(unsettled);
        waiting
            .make_contiguous()
            .sort_unstable_by_key(|entry| entry.tag);
    }

    fn encode_message(&self, buffer: &mut Vec<u8>, delivery: &Delivery) {
        let message = &delivery.message;
        let frame_max = self.outbox.frame_max();
        encode_content(
            buffer,
            self.channel,
            message.properties(),
            message.body(),
            frame_max,
        );
    }
}

impl State {
    fn next(&mut self, queue: &Arc<Queue>, delivery: &Delivery, no_ack: bool) -> u64 {
        self.last_tag += 1;
        let tag = self.last_tag;
        if !no_ack {
            self.unsettled.push_back(Unsettled {
                tag,
                queue: Arc::clone(queue),
                id: delivery.id,
            });
        }
        tag
    }
}

/// The way from one queue to one consumer of a channel.
pub(crate) struct ConsumerSink {
    deliveries: Arc<Deliveries>,
    /// Set when the client knows its consumer tag: nothing is delivered before.
    queue: OnceLock<Arc<Queue>>,
    /// Whether the client wants to hear that its queue is gone.
    is_cancel_notified: bool,
}

impl ConsumerSink {
    pub(crate) fn new(deliveries: Arc<Deliveries>, is_cancel_notified: bool) -> Self {
        Self {
            deliveries,
            queue: OnceLock::new(),
            is_cancel_notified,
        }
    }

    /// `basic.consume-ok` is on its way: deliveries from `queue` may follow.
    pub(crate) fn announce(&self, queue: &Arc<Queue>) {
        self.queue.get_or_init(|| Arc::clone(queue));
    }
}

impl Sink for ConsumerSink {
    fn deliver(&self, consumer: &Arc<Consumer>, deliveries: &mut Vec<Delivery>) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        let Deliveries {
            outbox,
            channel,
            state,
            ..
        } = &*self.deliveries;
        let mut state = state.lock();
        let mut tag = state.last_tag;
        for delivery in &*deliveries {
            state.next(queue, delivery, consumer.no_ack());
        }
        outbox.append(|buffer| {
            for delivery in &*deliveries {
                tag += 1;
                let method = BasicDeliver {
                    consumer_tag: consumer.tag(),
                    delivery_tag: tag,
                    redelivered: delivery.redelivered,
                    exchange: delivery.message.exchange(),
                    routing_key: delivery.message.routing_key(),
                };
                encode_method(buffer, *channel, &method);
                self.deliveries.encode_message(buffer, delivery);
            }
        });
        deliveries.clear();
    }

    fn cancelled(&self, consumer: &Arc<Consumer>) {
        if self.is_cancel_notified {
            let cancel = BasicCancel {
                consumer_tag: consumer.tag(),
                no_wait: true,
            };
            self.deliveries
                .outbox
                .send(self.deliveries.channel, &cancel);
        }
    }

    fn is_writable(&self) -> bool {
        self.queue.get().is_some()
            && !self.deliveries.is_paused.load(Ordering::Relaxed)
            && self.deliveries.outbox.is_writable()
    }
}
