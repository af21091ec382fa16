//! What policies make of a queue's rules, and how a queue in use takes new ones.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Queue, QueueSettings,
    rules::{DeadLetter, Dialect, Overflow, QueueKind, Rules},
};
use crate::{
    broker::policy::{Applied, AppliedPolicies},
    store::Durability,
};

/// RabbitMQ 4's limit for quorum queues that name none.
const DELIVERY_LIMIT: u64 = 20;

impl Rules {
    /// What the declaration asks for, under the policies that hold: of two numbers the smaller one, of two levels of
    /// durability the stricter one, else what the declaration says.
    pub(super) fn under(
        mut self,
        applied: &Applied,
        settings: &QueueSettings,
        dialect: Dialect,
    ) -> Self {
        let stricter =
            |own: Option<u64>, key: &str| own.into_iter().chain(applied.number(key)).min();
        self.ttl_ms = stricter(self.ttl_ms, "message-ttl");
        self.expires_ms = stricter(self.expires_ms, "expires");
        self.length_max = stricter(self.length_max, "max-length");
        self.bytes_max = stricter(self.bytes_max, "max-length-bytes");
        let timeouts = self.consumer_timeout_ms.into_iter();
        self.consumer_timeout_ms = timeouts
            .chain(applied.number("consumer-timeout"))
            // No time is no limit: the longest of all.
            .min_by_key(|limit_ms| limit_ms.wrapping_sub(1));
        self.delivery_limit = self.limit_deliveries(applied, dialect);
        let level = applied.text("durability");
        if let Some(level) = level.as_deref().and_then(Durability::from_name) {
            self.durability = Some(level.stricter(self.durability.unwrap_or(level)));
        }
        if let Some(word) = applied.text("overflow") {
            let is_declared = settings.arguments.get("x-overflow").is_some();
            match (self.kind, Overflow::from_word(&word)) {
                (QueueKind::Classic, _) if is_declared => {}
                (QueueKind::Quorum, Overflow::RejectAndBury) => self.overflow = Overflow::DropHead,
                (_, overflow) => self.overflow = overflow,
            }
        }
        let (exchange, key) = self
            .dead_letter
            .take()
            .map_or((None, None), |own| (Some(own.exchange), own.key));
        self.dead_letter = exchange
            .or_else(|| applied.text("dead-letter-exchange"))
            .map(|exchange| DeadLetter {
                exchange,
                key: key.or_else(|| applied.text("dead-letter-routing-key")),
            });
        self
    }

    /// A negative limit in a policy is none, unless the declaration has one.
    fn limit_deliveries(&self, applied: &Applied, dialect: Dialect) -> Option<u64> {
        let set = applied
            .get("delivery-limit")
            .and_then(|limit| limit.as_i64());
        let is_defaulted = self.kind == QueueKind::Quorum && dialect == Dialect::RabbitMq4;
        match (self.delivery_limit, set) {
            (own, Some(set)) => match u64::try_from(set) {
                Ok(set) => Some(own.map_or(set, |own| own.min(set))),
                Err(_) => own,
            },
            (None, None) if is_defaulted => Some(DELIVERY_LIMIT),
            (own, None) => own,
        }
    }
}

impl Queue {
    /// The policies that hold.
    pub(crate) fn applied(&self) -> Applied {
        self.applied.lock().clone()
    }

    /// The policies that hold, as they are shown.
    pub fn policies(&self) -> AppliedPolicies {
        self.applied.lock().show()
    }

    /// Takes over the policies that hold now, and does at once what they ask for.
    pub(crate) fn govern(&self, applied: Applied) {
        let names = (&*self.name, &*self.vhost);
        let dialect = self.core.dialect;
        let declared = Rules::declared(names, &self.settings, dialect).unwrap_or_default();
        let rules = declared.under(&applied, &self.settings, dialect);
        let mut state = self.lock();
        if state.is_deleted {
            return;
        }
        let was_timed = self.rules().ttl_ms.is_some();
        *self.applied.lock() = applied;
        self.rules.store(Arc::new(rules));
        // Publishers that hold room gave it to the rules that were.
        state.reserved = (0, 0);
        if !was_timed {
            self.time_from_now();
        }
        state.may_expire |= self.rules().ttl_ms.is_some() && !state.backlog.is_empty();
        self.measure_estimated(&mut state);
        self.note_consumer_timeout();
        self.note_durability();
        self.note_time(&mut state);
        self.touch_locked(&mut state);
        self.pump_locked(&mut state);
        self.unlock(state);
    }

    /// Whoever watches consumers must know the shortest time that any is given.
    pub(super) fn note_consumer_timeout(&self) {
        if let Some(limit_ms) = self.rules().consumer_timeout_ms {
            self.core.consumer_timeouts.note(limit_ms);
        }
    }

    /// Messages that do not tell when they came, because nothing limited their time then, count from now on.
    pub(super) fn time_from_now(&self) {
        if self.rules().ttl_ms.is_some() {
            let now_ms = self.core.clock.now_ms();
            self.timed_since_ms.store(now_ms, Ordering::Relaxed);
        }
    }
}
