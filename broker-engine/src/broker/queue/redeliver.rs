//! Handing messages out once more to whoever has them.

use std::sync::Arc;

use super::{Queue, held::Out};
use crate::broker::{
    delivery::Handout,
    message::{Delivery, DeliveryRun},
    stats::OfQueue,
};

impl Queue {
    /// Hands messages that are out to the same consumers again, with the redelivered flag. Returns those that no
    /// consumer has any more. All of them are out as before.
    pub fn redeliver(&self, run: DeliveryRun) -> Vec<DeliveryRun> {
        let state = self.lock();
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        for Out {
            id,
            entry,
            consumer,
        } in state.backlog.held.list(run)
        {
            let consumer = consumer.filter(|consumer| !consumer.is_cancelled());
            match (consumer, self.message_of(&entry)) {
                (Some(consumer), Some(message)) => {
                    let delivery = Delivery {
                        id,
                        redelivered: true,
                        returns: entry.returns,
                        message: self.presented(&message, entry.returns, false),
                    };
                    again.push((consumer, delivery));
                }
                (None, _) | (_, None) => lost.push(DeliveryRun::of(id)),
            }
        }
        self.meter.add(OfQueue::Deliver, again.len() as u64);
        self.meter.add(OfQueue::Redeliver, again.len() as u64);
        for part in again.chunk_by(|(left, _), (right, _)| Arc::ptr_eq(left, right)) {
            let list: Vec<_> = part.iter().map(|(_, delivery)| delivery.handed()).collect();
            let (consumer, _) = &part[0];
            consumer.sink.deliver(consumer, Handout::all(&list));
        }
        lost
    }

    /// Whether a consumer could take a message now.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state.lock();
        state.consumers.iter().any(|consumer| consumer.is_ready())
    }
}
