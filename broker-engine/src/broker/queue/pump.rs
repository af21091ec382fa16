//! Handing out: whose turn it is, what the log must know first, and reading back what memory does not hold.

use std::sync::Arc;

use super::{Dead, Queue, State};
use crate::{
    broker::{
        consumer::Consumer,
        dead_letter::Reason,
        error::Error,
        message::{Delivery, Message},
    },
    store::{self, Batch, MessageId},
};

/// How much is selected before the consumers' buffers are asked again whether they take more.
const ROUND_MESSAGES_MAX: usize = 256;
const ROUND_BYTES_MAX: usize = 256 * 1024;

/// How far ahead, in ids, the log is told what may be handed out. Each logged statement covers this many entries, so
/// that a busy queue states it rarely; after a crash at most this many fresh messages carry the redelivered flag.
const OUT_AHEAD: u64 = 4096 << 16;

impl Queue {
    /// Hands out what consumers can take. To be called when a sink became writable or a bound was raised.
    pub fn pump(&self) {
        let mut state = self.state.lock();
        self.note_time(&mut state);
        self.pump_locked(&mut state);
        self.unlock(state);
    }

    /// Hands out what consumers can take, then sees that the queue's limits hold.
    pub(super) fn pump_locked(&self, state: &mut State) {
        if state.is_deleted {
            return;
        }
        if !state.consumers.is_empty() {
            self.hand_out(state);
        }
        if state.may_expire || self.rules().is_limited() {
            self.enforce(state);
        }
    }

    fn hand_out(&self, state: &mut State) {
        loop {
            let auto_acked = match self.select(state) {
                Ok((0, _)) => return,
                Ok((_, auto_acked)) => auto_acked,
                Err(error) => {
                    tracing::error!(queue = %self.name, vhost = %self.vhost, %error, "the queue stopped delivering");
                    self.hand_over(state);
                    return;
                }
            };
            self.hand_over(state);
            self.log_settled(&auto_acked);
        }
    }

    /// Fills the consumers' lists, one message at a time in turn. Returns how many were selected, and the log ids of
    /// those that need no acknowledgement.
    fn select(&self, state: &mut State) -> Result<(usize, Vec<MessageId>), Error> {
        let consumers = state.consumers.len();
        state.lists.resize_with(consumers, Vec::new);
        let (mut selected, mut bytes, mut auto_acked) = (0, 0, Vec::new());
        while selected < ROUND_MESSAGES_MAX
            && bytes < ROUND_BYTES_MAX
            && state.backlog.front().is_some()
        {
            let Some(at) = next_in_turn(state) else { break };
            let consumer = Arc::clone(&state.consumers[at]);
            if !consumer.acquire() {
                // Another queue of the channel took the last credit in between; that consumer is not ready any more.
                continue;
            }
            let no_ack = consumer.no_ack();
            let taken = self.take_one(state, Some(Arc::clone(&consumer)), no_ack);
            if !no_ack && !matches!(taken, Ok(Some(_))) {
                consumer.release(1);
            }
            let Some((delivery, logged)) = taken? else {
                break;
            };
            auto_acked.extend(logged);
            selected += 1;
            bytes += delivery.message.len();
            state.lists[at].push(delivery);
            state.turn = at + 1;
        }
        Ok((selected, auto_acked))
    }

    /// Gives each consumer its list. At most one connection is locked at a time.
    fn hand_over(&self, state: &mut State) {
        let State {
            consumers, lists, ..
        } = state;
        for (consumer, list) in consumers.iter().zip(lists) {
            if !list.is_empty() {
                consumer.sink.deliver(consumer, list);
                list.clear();
            }
        }
    }

    /// Takes the next message out of the backlog and counts it. A message whose stored bytes are damaged is set aside:
    /// it stays in the log for whoever repairs it, and the queue goes on. Returns the log id of one that is settled by
    /// being handed out.
    pub(super) fn take_one(
        &self,
        state: &mut State,
        consumer: Option<Arc<Consumer>>,
        no_ack: bool,
    ) -> Result<Option<(Delivery, Option<MessageId>)>, Error> {
        loop {
            let Some(front) = state.backlog.front() else {
                return Ok(None);
            };
            let logged = front.logged;
            if let Some(id) = logged {
                self.state_handed_out(state, id)?;
            }
            let Some(mut entry) = state.backlog.pop() else {
                return Ok(None);
            };
            let message = match entry.message.take() {
                Some(message) => message,
                None => match self.read_back(logged) {
                    Ok(message) => message,
                    Err(error @ (store::Error::Damaged(_) | store::Error::NoMessage)) => {
                        tracing::error!(queue = %self.name, vhost = %self.vhost, %error, "a message was set aside");
                        continue;
                    }
                    Err(error) => {
                        state.backlog.put_back(entry);
                        return Err(error.into());
                    }
                },
            };
            if state.may_expire && self.expiry(&message).is_some_and(|at| at < state.now_ms) {
                entry.message = Some(message);
                let reason = Reason::Expired;
                state.dead.push(Dead { entry, reason });
                continue;
            }
            let delivery = Delivery {
                id: entry.id,
                redelivered: entry.is_redelivered,
                returns: entry.returns,
                message: self.presented(&message, entry.returns),
            };
            state.totals.delivered += 1;
            state.totals.redelivered += u64::from(entry.is_redelivered);
            if no_ack {
                state.totals.acked += 1;
                return Ok(Some((delivery, entry.logged)));
            }
            entry.message = Some(message);
            state.backlog.hold(entry, consumer);
            return Ok(Some((delivery, None)));
        }
    }

    pub(super) fn read_back(&self, logged: Option<MessageId>) -> Result<Message, store::Error> {
        let id = logged.ok_or(store::Error::NoMessage)?;
        let bytes = self.core.store.read(self.id, id)?;
        Message::from_bytes(bytes)
            .ok_or_else(|| store::Error::Damaged("its parts do not fit its length".into()))
    }

    /// Makes sure that the log will call this message handed out before it is.
    fn state_handed_out(&self, state: &mut State, id: MessageId) -> Result<(), Error> {
        state.out_actual = state.out_actual.max(id);
        if id.0 + OUT_AHEAD / 2 <= state.out_logged.0 {
            return Ok(());
        }
        let is_late = id > state.out_logged;
        let position = self.log_handed_out(state, id)?;
        if is_late {
            self.core.store.wait(position)?;
        }
        Ok(())
    }

    fn log_handed_out(&self, state: &mut State, id: MessageId) -> Result<store::Position, Error> {
        let ahead = MessageId(id.0.saturating_add(OUT_AHEAD));
        let mut batch = Batch::new();
        batch.handed_out(self.id, ahead);
        let position = self.core.store.append(batch)?.position;
        state.out_logged = ahead;
        Ok(position)
    }

    /// States ahead of time that messages to come will be handed out, so that the first ones need not wait for the log.
    pub(super) fn foresee_deliveries(&self, state: &mut State) {
        let next = self.core.store.last_message();
        if self.is_logged()
            && state.backlog.front().is_none()
            && next > state.out_logged
            && let Err(error) = self.log_handed_out(state, next)
        {
            tracing::warn!(queue = %self.name, vhost = %self.vhost, %error, "the log did not take a mark");
        }
    }
}

/// The consumer whose turn it is among those that can take a message now, the highest priority first.
fn next_in_turn(state: &State) -> Option<usize> {
    let consumers = &state.consumers;
    if let Some(active) = &state.active {
        let is_active = |consumer: &Arc<Consumer>| Arc::ptr_eq(consumer, active);
        return consumers
            .iter()
            .position(is_active)
            .filter(|at| consumers[*at].is_ready());
    }
    let mut start = 0;
    while let Some(first) = consumers.get(start) {
        let end = start
            + consumers[start..]
                .partition_point(|consumer| consumer.priority() == first.priority());
        let turn = if (start..end).contains(&state.turn) {
            state.turn
        } else {
            start
        };
        if let Some(at) = (turn..end)
            .chain(start..turn)
            .find(|at| consumers[*at].is_ready())
        {
            return Some(at);
        }
        start = end;
    }
    None
}
