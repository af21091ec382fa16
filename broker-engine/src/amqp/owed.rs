//! What a channel's client was given and owes an answer for: delivery tags, in runs.
//!
//! Invariant: runs do not overlap; within a run tags follow each other, and so do the ids at its queue. Costs follow
//! the number of runs, which clients that settle in order keep small, not the number of deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::{DeliveryId, DeliveryRun, Queue};

/// Deliveries that wait for ack, nack or reject; the first has this tag, the others the next ones.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    tag: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) run: DeliveryRun,
}

impl Unsettled {
    /// Whether a delivery is among them.
    pub(crate) fn holds(&self, tag: u64) -> bool {
        tag.checked_sub(self.tag)
            .is_some_and(|offset| offset < self.run.len)
    }
}

/// All deliveries of one channel that wait.
#[derive(Debug, Default)]
pub(crate) struct Owed(BTreeMap<u64, (Arc<Queue>, DeliveryRun)>);

impl Owed {
    /// Notes deliveries given later than all others.
    pub(crate) fn add(&mut self, tag: u64, queue: &Arc<Queue>, run: DeliveryRun) {
        if let Some(mut newest) = self.0.last_entry() {
            let first = *newest.key();
            let (of_queue, ids) = newest.get_mut();
            if first + ids.len == tag && Arc::ptr_eq(of_queue, queue) && ids.join(run) {
                return;
            }
        }
        self.0.insert(tag, (Arc::clone(queue), run));
    }

    /// Takes each delivery from `first` to `last`, or up to the one whose tag it returns: that does not wait.
    pub(crate) fn take(
        &mut self,
        first: u64,
        last: u64,
        taken: &mut Vec<Unsettled>,
    ) -> Result<(), u64> {
        let mut tag = first;
        loop {
            let len = self.take_run(tag, last, taken).ok_or(tag)?;
            if last - tag < len {
                return Ok(());
            }
            tag += len;
        }
    }

    /// Takes every delivery up to `last`, unless that one does not wait.
    pub(crate) fn take_up_to(&mut self, last: u64, taken: &mut Vec<Unsettled>) -> Result<(), u64> {
        let of_last = self.0.range(..=last).next_back();
        if of_last.is_none_or(|(first, (_, run))| last - first >= run.len) {
            return Err(last);
        }
        while let Some((&first, _)) = self.0.first_key_value()
            && first <= last
        {
            self.take_run(first, last, taken);
        }
        Ok(())
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u64 {
        self.0.values().map(|(_, run)| run.len).sum()
    }

    /// The first tag and the queue of each run, oldest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, &Queue)> {
        self.0.iter().map(|(tag, (queue, _))| (*tag, &**queue))
    }

    /// Takes everything, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<Unsettled> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(tag, (queue, run))| Unsettled { tag, queue, run })
            .collect()
    }

    /// Has deliveries wait again that were taken.
    pub(crate) fn restore(&mut self, taken: Vec<Unsettled>) {
        for Unsettled { tag, queue, run } in taken {
            self.0.insert(tag, (queue, run));
        }
    }

    /// Takes `tag` and what follows it in its run, up to `last`. Returns how many that were.
    fn take_run(&mut self, tag: u64, last: u64, taken: &mut Vec<Unsettled>) -> Option<u64> {
        let (&first, (queue, run)) = self.0.range_mut(..=tag).next_back()?;
        let before = tag - first;
        if before >= run.len {
            return None;
        }
        let len = (run.len - before).min((last - tag).saturating_add(1));
        let part = |offset: u64, len: u64| DeliveryRun {
            first: DeliveryId(run.first.0 + offset),
            len,
        };
        let after = part(before + len, run.len - before - len);
        let unsettled = Unsettled {
            tag,
            queue: Arc::clone(queue),
            run: part(before, len),
        };
        if before == 0 {
            self.0.remove(&first);
        } else {
            run.len = before;
        }
        if after.len > 0 {
            let queue = Arc::clone(&unsettled.queue);
            self.0.insert(tag + len, (queue, after));
        }
        taken.push(unsettled);
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::broker::{Broker, DEFAULT_VHOST, QueueDeclare};

    fn queues() -> Vec<Arc<Queue>> {
        let broker = Broker::in_memory();
        broker
            .put_user_with_password("guest", "guest", &["administrator"])
            .unwrap();
        let guest = broker.authenticate("guest", b"guest", true).unwrap();
        let session = broker.session(&guest, DEFAULT_VHOST).unwrap();
        let declare = |name: &str| {
            let declare = QueueDeclare {
                name: name.to_owned(),
                ..QueueDeclare::default()
            };
            session.queue_declare(declare).unwrap().queue
        };
        ["a", "b"].map(declare).into()
    }

    /// Tag, queue and id of each delivery.
    fn each(taken: &[Unsettled]) -> Vec<(u64, String, u64)> {
        let of_run = |unsettled: &Unsettled| {
            let name = unsettled.queue.name().to_string();
            let tags = unsettled.tag..;
            tags.zip(unsettled.run.ids())
                .map(move |(tag, id)| (tag, name.clone(), id.0))
                .collect::<Vec<_>>()
        };
        taken.iter().flat_map(of_run).collect()
    }

    #[test]
    fn agrees_with_a_list_of_single_deliveries() {
        let queues = queues();
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let mut owed = Owed::default();
            let mut model = BTreeMap::new();
            let (mut last_tag, mut last_id) = (0, 0);
            for _ in 0..60 {
                match random.u8(..6) {
                    0..3 => {
                        let queue = &queues[random.usize(..2)];
                        // A gap of tags or ids now and then, as other queues and consumers make them.
                        last_tag += 1 + u64::from(random.u8(..4) == 0);
                        last_id += 1 + u64::from(random.u8(..4) == 0);
                        let len = random.u64(1..5);
                        let first = DeliveryId(last_id);
                        owed.add(last_tag, queue, DeliveryRun { first, len });
                        for offset in 0..len {
                            let delivery = (queue.name().to_string(), last_id + offset);
                            model.insert(last_tag + offset, delivery);
                        }
                        last_tag += len - 1;
                        last_id += len - 1;
                    }
                    3 | 4 => {
                        let first = random.u64(..=last_tag + 1);
                        let last = first + random.u64(..3);
                        let mut taken = Vec::new();
                        let outcome = owed.take(first, last, &mut taken);
                        let missing = (first..=last).find(|tag| !model.contains_key(tag));
                        assert_eq!(outcome, missing.map_or(Ok(()), Err));
                        let end = missing.unwrap_or(last + 1);
                        let expected: Vec<_> = (first..end)
                            .map(|tag| (tag, model.remove(&tag).unwrap()))
                            .map(|(tag, (queue, id))| (tag, queue, id))
                            .collect();
                        assert_eq!(each(&taken), expected);
                        if random.u8(..4) == 0 {
                            for (tag, queue, id) in each(&taken) {
                                model.insert(tag, (queue, id));
                            }
                            owed.restore(taken);
                        }
                    }
                    _ => {
                        let last = random.u64(..=last_tag + 1);
                        let mut taken = Vec::new();
                        let outcome = owed.take_up_to(last, &mut taken);
                        let expected = if model.contains_key(&last) {
                            let later = model.split_off(&(last + 1));
                            std::mem::replace(&mut model, later)
                        } else {
                            BTreeMap::new()
                        };
                        assert_eq!(outcome.is_ok(), !expected.is_empty());
                        let expected: Vec<_> = expected
                            .into_iter()
                            .map(|(tag, (queue, id))| (tag, queue, id))
                            .collect();
                        assert_eq!(each(&taken), expected);
                    }
                }
            }
            let rest: Vec<_> = model
                .into_iter()
                .map(|(tag, (queue, id))| (tag, queue, id))
                .collect();
            assert_eq!(each(&owed.take_all()), rest);
        }
    }

    #[test]
    fn deliveries_in_order_are_one_run_and_the_largest_tag_is_no_special_one() {
        let queue = &queues()[0];
        let mut owed = Owed::default();
        for tag in 1..=1000 {
            owed.add(tag, queue, DeliveryRun::of(DeliveryId(tag + 7)));
        }
        let mut taken = Vec::new();
        assert_eq!(owed.take(u64::MAX, u64::MAX, &mut taken), Err(u64::MAX));
        assert_eq!(owed.take_up_to(u64::MAX, &mut taken), Err(u64::MAX));
        assert_eq!(owed.take(0, 0, &mut taken), Err(0));
        assert_eq!(owed.take(1, 1000, &mut taken), Ok(()));
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].run.len, 1000);
    }
}
