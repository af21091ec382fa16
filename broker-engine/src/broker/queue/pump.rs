//! Handing out, one round after the other: whose turn it is, and what the log must know first.
//!
//! A round is what consumers of one rank get at once: it asks each whether it takes messages, gives them out in turn
//! under the consumers' bounds, and hands every consumer its part. There are three ways to make one up:
//!
//! - messages lie in runs and need no second look: `hand_out_runs` reads them where they lie;
//! - nothing is ready and nobody acknowledges: [`Queue::pass`] reads them where the publisher has them;
//! - anything else (what came back, may expire, has a rank or is not in memory): `hand_out_each` takes one by one.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    Dead, Queue, State,
    backlog::{Backlog, Front},
    held::SLICE_MAX,
    marks::Marks,
    rotation::Rotation,
    run::{Passed, Run},
};
use crate::{
    broker::{
        consumer::Consumer,
        dead_letter::Reason,
        delivery::Handed,
        error::Error,
        message::{Delivery, Message, Publish},
        stats::OfQueue,
    },
    lists,
    store::{self, Batch, MessageId},
};

/// How much goes out before the consumers' buffers are asked again whether they take more.
const ROUND_MESSAGES_MAX: usize = SLICE_MAX;
const ROUND_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    static LIST: Cell<Vec<Handed<'static>>> = const { Cell::new(Vec::new()) };
}

impl Queue {
    /// Hands out what consumers can take. To be called when a sink became writable or a bound was raised.
    pub fn pump(&self) {
        let mut state = self.lock();
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
        let mut rotation = std::mem::take(&mut state.rotation);
        while state.backlog.ready_len() > 0
            && rotation.start(&state.consumers, state.active.as_ref(), state.turn)
        {
            let no_ack = rotation.no_ack(&state.consumers);
            let is_plain = !state.may_expire && self.plain_runs(&state.backlog).next().is_some();
            let round = match no_ack {
                Some(no_ack) if is_plain => self.hand_out_runs(state, &mut rotation, no_ack),
                _ => self.hand_out_each(state, &mut rotation),
            };
            state.turn = rotation.turn();
            if let Err(error) = round {
                tracing::error!(queue = %self.name, vhost = %self.vhost, %error, "the queue stopped delivering");
                break;
            }
        }
        rotation.clear();
        state.rotation = rotation;
    }

    /// The messages that may go out as they lie in memory.
    fn plain_runs<'a>(&self, backlog: &'a Backlog) -> impl Iterator<Item = &'a Run> {
        let tells_returns = self.rules().counts_returns;
        backlog
            .ready_runs()
            .take_while(move |run| run.returns == 0 || !tells_returns)
    }

    /// One round of messages as they lie in memory.
    fn hand_out_runs(
        &self,
        state: &mut State,
        rotation: &mut Rotation,
        no_ack: bool,
    ) -> Result<(), Error> {
        let State {
            backlog,
            consumers,
            marks,
            ..
        } = state;
        let wanted = rotation.available(consumers).min(ROUND_MESSAGES_MAX);
        let mut list = lists::take(&LIST);
        let mut parts: Vec<Passed> = Vec::new();
        let mut bytes = 0;
        // Publishers that come together may have changed places since the log took what they brought.
        let mut logged: Option<(MessageId, MessageId)> = None;
        let mut id = backlog.held.next_id();
        for run in self.plain_runs(backlog) {
            let mut messages = run.messages();
            while list.len() < wanted
                && bytes < ROUND_BYTES_MAX
                && let Some(message) = messages.next()
            {
                bytes += message.body.len();
                list.push(Handed {
                    id,
                    redelivered: run.is_redelivered,
                    returns: run.returns,
                    message,
                });
                id.0 += 1;
            }
            let passed = messages.passed();
            let count = passed.seen.messages;
            if count == 0 {
                break;
            }
            if let Some(first) = run.logged {
                let last = MessageId(first.0 + u64::from(count) - 1);
                let (lowest, highest) = logged.unwrap_or((first, last));
                logged = Some((lowest.min(first), highest.max(last)));
            }
            parts.push(passed);
        }
        if let Some((first, last)) = logged {
            self.state_handed_out(marks, first..=last)?;
        }
        let dealt = rotation.deal(consumers, list.len());
        rotation.hand_over(consumers, &list[..dealt]);
        let again = list[..dealt].iter().filter(|handed| handed.redelivered);
        self.count_delivered(no_ack, dealt, again.count());
        lists::give(&LIST, list);
        let mut start = 0;
        let mut settled = Vec::new();
        for passed in parts {
            let count = (passed.seen.messages as usize).min(dealt - start);
            let Some(taken) = backlog.take_front(count, passed) else {
                break;
            };
            if let Some(last) = taken.log_ids().last() {
                marks.actual = marks.actual.max(last);
            }
            if no_ack {
                settled.extend(taken.log_ids());
            } else {
                let holders = rotation.holders(consumers, (start, count));
                backlog.held.hold(taken, holders);
            }
            start += count;
        }
        if no_ack {
            self.log_settled(&settled);
        }
        Ok(())
    }

    /// One round of messages taken one by one.
    fn hand_out_each(&self, state: &mut State, rotation: &mut Rotation) -> Result<(), Error> {
        let (mut taken, mut settled) = (Vec::new(), Vec::new());
        let (mut bytes, mut outcome) = (0, Ok(()));
        while taken.len() < ROUND_MESSAGES_MAX
            && bytes < ROUND_BYTES_MAX
            && let Some(at) = rotation.deal_one(&state.consumers)
        {
            let consumer = Arc::clone(&state.consumers[at]);
            match self.take_one(state, Some(&consumer), consumer.no_ack()) {
                Ok(Some((delivery, logged))) => {
                    bytes += delivery.message.len();
                    settled.extend(logged);
                    taken.push(delivery);
                }
                nothing => {
                    rotation.undo_one(&state.consumers);
                    outcome = nothing.map(|_| ());
                    break;
                }
            }
        }
        let list: Vec<_> = taken.iter().map(Delivery::handed).collect();
        rotation.hand_over(&state.consumers, &list);
        self.log_settled(&settled);
        outcome
    }

    /// Hands messages on as they come in, while nothing is ready and everyone whose turn it is takes them without
    /// acknowledging: they are never stored. Returns how many of them, from the first, are done with.
    pub(in crate::broker) fn pass(&self, messages: &[Publish<'_>]) -> usize {
        let mut state = self.lock();
        let State {
            backlog,
            consumers,
            active,
            rotation,
            turn,
            ..
        } = &mut *state;
        let is_caught_up = backlog.ready_len() == 0 && self.rules().delays.is_none();
        if !is_caught_up || consumers.is_empty() {
            return 0;
        }
        let mut passed = 0;
        while passed < messages.len()
            && rotation.start(consumers, active.as_ref(), *turn)
            && rotation.no_ack(consumers) == Some(true)
        {
            let rest = &messages[passed..];
            let mut list = lists::take(&LIST);
            let mut bytes = 0;
            for message in rest.iter().take(ROUND_MESSAGES_MAX) {
                list.push(Handed {
                    id: backlog.held.next_id(),
                    redelivered: false,
                    returns: 0,
                    message: message.parts(),
                });
                bytes += message.body.len();
                if bytes >= ROUND_BYTES_MAX {
                    break;
                }
            }
            rotation.deal(consumers, list.len());
            rotation.hand_over(consumers, &list);
            *turn = rotation.turn();
            passed += list.len();
            lists::give(&LIST, list);
        }
        rotation.clear();
        if passed > 0 {
            self.meter.add(OfQueue::Publish, passed as u64);
            self.count_delivered(true, passed, 0);
        }
        passed
    }

    /// Counts a message that was fetched.
    fn count_got(&self, no_ack: bool, is_again: bool) {
        let counter = if no_ack {
            OfQueue::GetNoAck
        } else {
            OfQueue::Get
        };
        self.meter.add(counter, 1);
        if is_again {
            self.meter.add(OfQueue::Redeliver, 1);
        }
    }

    /// Counts what went to consumers, and how much of it again.
    fn count_delivered(&self, no_ack: bool, messages: usize, again: usize) {
        let counter = if no_ack {
            OfQueue::DeliverNoAck
        } else {
            OfQueue::Deliver
        };
        self.meter.add(counter, messages as u64);
        if again > 0 {
            self.meter.add(OfQueue::Redeliver, again as u64);
        }
    }

    /// Takes the next message out of the backlog and counts it. A message whose stored bytes are damaged is set aside:
    /// it stays in the log for whoever repairs it, and the queue goes on. Returns also the log id of one that is
    /// settled by being handed out.
    pub(super) fn take_one(
        &self,
        state: &mut State,
        consumer: Option<&Arc<Consumer>>,
        no_ack: bool,
    ) -> Result<Option<(Delivery, Option<MessageId>)>, Error> {
        loop {
            let next_logged = match state.backlog.front() {
                None => return Ok(None),
                Some(Front::Entry(entry)) => entry.logged,
                Some(Front::Run(run)) => run.logged,
            };
            if let Some(id) = next_logged {
                self.state_handed_out(&mut state.marks, id..=id)?;
            }
            let Some(mut entry) = state.backlog.pop() else {
                return Ok(None);
            };
            let message = match entry.message.take() {
                Some(message) => message,
                None => match self.read_back(entry.logged) {
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
            if let Some(id) = entry.logged {
                state.marks.actual = state.marks.actual.max(id);
            }
            let expiry = || self.expiry(message.arrived_ms(), message.properties());
            if state.may_expire && expiry().is_some_and(|at| at < state.now_ms) {
                entry.message = Some(message);
                let reason = Reason::Expired;
                state.dead.push(Dead { entry, reason });
                continue;
            }
            let (returns, redelivered) = (entry.returns, entry.is_redelivered);
            let presented = self.presented(&message, returns, consumer.is_none());
            match (consumer, no_ack) {
                (Some(_), no_ack) => self.count_delivered(no_ack, 1, usize::from(redelivered)),
                (None, no_ack) => self.count_got(no_ack, redelivered),
            }
            let mut settled = None;
            let id = if no_ack {
                settled = entry.logged;
                state.backlog.held.next_id()
            } else {
                entry.message = Some(message);
                state.backlog.hold(entry, consumer)
            };
            let delivery = Delivery {
                id,
                redelivered,
                returns,
                message: presented,
            };
            return Ok(Some((delivery, settled)));
        }
    }

    pub(super) fn read_back(&self, logged: Option<MessageId>) -> Result<Message, store::Error> {
        let id = logged.ok_or(store::Error::NoMessage)?;
        stored_message(self.core.store.read(self.id, id)?)
    }

    /// Makes sure that the log will call these messages handed out before they are.
    fn state_handed_out(
        &self,
        marks: &mut Marks,
        ids: RangeInclusive<MessageId>,
    ) -> Result<(), Error> {
        if let Some(up_to) = marks.due(*ids.end()) {
            self.log_handed_out(marks, up_to)?;
        }
        if let Some(position) = marks.awaited(ids) {
            if !self.core.store.progress().covers(position) {
                self.core.store.wait(position)?;
            }
            marks.reached(self.core.store.progress());
        }
        Ok(())
    }

    fn log_handed_out(&self, marks: &mut Marks, up_to: MessageId) -> Result<(), Error> {
        marks.reached(self.core.store.progress());
        let mut batch = Batch::new();
        batch.handed_out(self.id, up_to);
        let appended = self.core.store.append(batch)?;
        let position = appended.position.at(self.durability());
        marks.stated(up_to, (appended.first.entry(), position));
        Ok(())
    }

    /// States ahead of time that messages to come will be handed out, so that the first ones need not wait for the log.
    pub(super) fn foresee_deliveries(&self, state: &mut State) {
        let next = self.core.store.last_message();
        if self.is_logged()
            && state.backlog.ready_len() == 0
            && next > state.marks.logged
            && let Err(error) = self.log_handed_out(&mut state.marks, Marks::ahead_of(next))
        {
            tracing::warn!(queue = %self.name, vhost = %self.vhost, %error, "the log did not take a mark");
        }
    }
}

/// A message as the log gave it back.
pub(super) fn stored_message(bytes: Bytes) -> Result<Message, store::Error> {
    Message::from_bytes(bytes)
        .ok_or_else(|| store::Error::Damaged("its parts do not fit its length".into()))
}
