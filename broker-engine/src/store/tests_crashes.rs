//! Histories that end with the process or the power, again and again: what was durable is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Batch, Durability, Error, MessageId, Point, Position, Progress, QueueId, Store,
    disk::{Fault, FaultyDisk},
    mutation::Mutation,
    recovery::comparable,
    tests::{manual, messages_of, open, publish},
};

/// A history with what was promised on the way.
pub(super) struct History {
    random: fastrand::Rng,
    next: u64,
    /// What each queue holds, by the order of publishing.
    live: [BTreeMap<MessageId, u64>; 3],
    /// Appended and not known durable: what to note when it is.
    unsettled: Vec<(Position, Fact)>,
    pub(super) published: BTreeMap<(QueueId, MessageId), u64>,
    must_be_there: BTreeSet<(QueueId, MessageId)>,
    must_be_gone: BTreeSet<(QueueId, MessageId)>,
    /// Acked, durably or not: may be there or not.
    may_be_gone: BTreeSet<(QueueId, MessageId)>,
}

#[derive(Clone)]
enum Fact {
    Published(Vec<(QueueId, MessageId)>),
    Acked(QueueId, Vec<MessageId>),
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            next: 0,
            live: Default::default(),
            unsettled: Vec::new(),
            published: BTreeMap::new(),
            must_be_there: BTreeSet::new(),
            must_be_gone: BTreeSet::new(),
            may_be_gone: BTreeSet::new(),
        }
    }

    /// The next thing that happens. An error means the store refused it.
    pub(super) fn step(&mut self, store: &Store) -> Result<(), Error> {
        match self.random.u32(..10) {
            0..5 => {
                let queues: Vec<_> = (0..3).filter(|_| self.random.bool()).map(QueueId).collect();
                let mut batch = Batch::new();
                let numbers: Vec<_> = (0..self.random.u64(1..4)).map(|n| self.next + n).collect();
                self.next += numbers.len() as u64;
                for number in &numbers {
                    batch.publish(&queues, &[&content(*number)]);
                }
                let appended = store.append(batch)?;
                let mut facts = Vec::new();
                for (place, number) in numbers.iter().enumerate() {
                    let id = MessageId(appended.first.0 + place as u64);
                    for queue in &queues {
                        self.live[queue.0 as usize].insert(id, *number);
                        self.published.insert((*queue, id), *number);
                        facts.push((*queue, id));
                    }
                }
                self.unsettled
                    .push((appended.position, Fact::Published(facts)));
            }
            5..8 => {
                let queue = self.random.usize(..3);
                let count = self.random.usize(..8);
                let mut ids: Vec<_> = self.live[queue].keys().copied().take(count).collect();
                ids.retain(|_| self.random.u8(..) > 20);
                let mut batch = Batch::new();
                let queue = QueueId(queue as u32);
                batch.ack(queue, &ids);
                self.may_be_gone.extend(ids.iter().map(|id| (queue, *id)));
                let position = store.append(batch)?.position;
                for id in &ids {
                    self.live[queue.0 as usize].remove(id);
                }
                self.unsettled.push((position, Fact::Acked(queue, ids)));
            }
            8 => {
                if let Some((position, _)) = self.unsettled.last() {
                    store.wait(*position)?;
                }
            }
            _ => {
                store.write();
                store.keep();
            }
        }
        self.note(store.progress());
        Ok(())
    }

    fn note(&mut self, reached: Progress) {
        for (_, fact) in self
            .unsettled
            .extract_if(.., |(position, _)| reached.covers(*position))
        {
            match fact {
                Fact::Published(keys) => self.must_be_there.extend(keys),
                Fact::Acked(queue, ids) => self
                    .must_be_gone
                    .extend(ids.into_iter().map(|id| (queue, id))),
            }
        }
    }

    /// Whether a disk after a crash keeps the promises.
    pub(super) fn check(&self, disk: &FaultyDisk) -> Result<(), String> {
        let (store, recovery) =
            Store::open(Arc::new(disk.clone()), manual()).map_err(|error| error.to_string())?;
        let mut found = BTreeSet::new();
        for queue in &recovery.queues {
            if !messages_of(queue).is_sorted() {
                return Err("out of order".to_owned());
            }
            for (id, _) in messages_of(queue) {
                let key = (queue.id, id);
                // An id that was never promised may be used again after the crash, so the content decides.
                let number = self
                    .published
                    .get(&key)
                    .ok_or_else(|| format!("a phantom {key:?}"))?;
                let read = store
                    .read(queue.id, id)
                    .map_err(|error| error.to_string())?;
                if read != content(*number) {
                    return Err(format!("another content of {key:?}"));
                }
                found.insert(key);
            }
        }
        for key in &self.must_be_there {
            if !found.contains(key) && !self.may_be_gone.contains(key) {
                return Err(format!(
                    "a durable message is lost: {key:?}; damage {:?}",
                    recovery.damage
                ));
            }
        }
        match self.must_be_gone.intersection(&found).next() {
            Some(key) => Err(format!("a durably acknowledged message is back: {key:?}")),
            None => Ok(()),
        }
    }
}

pub(super) fn content(number: u64) -> Vec<u8> {
    let len = 8 + (number * 37 % 200) as usize;
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Runs a history, cutting the power again and again, and returns what was broken.
fn simulate(seed: u64) -> Result<(), String> {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let mut history = History::new(seed);
    let steps = history.random.usize(20..400);
    for step in 0..steps {
        history.step(&store).map_err(|error| error.to_string())?;
        if step % 23 == 0 {
            history.check(&disk.power_cut(seed ^ step as u64))?;
        }
    }
    history.check(&disk.power_cut(seed))?;
    history.check(&disk.kill())
}

#[test]
fn a_power_cut_loses_nothing_that_was_durable() {
    for seed in 0..300 {
        if let Err(broken) = simulate(seed) {
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn the_simulation_notices_a_confirm_before_the_sync() {
    let _wrong = Mutation::ConfirmBeforeSync.turn_on();
    let caught = (0..20).filter(|seed| simulate(*seed).is_err()).count();
    assert!(caught >= 15, "only {caught} of 20 seeds notice");
}

#[test]
fn a_crash_at_any_disk_operation_loses_nothing_that_was_durable() {
    for seed in 0..4 {
        let mut total = u64::MAX;
        let mut dies_at = 0;
        while dies_at < total {
            let disk = FaultyDisk::new();
            let (store, _) = open(&disk, manual());
            let before = disk.operations();
            disk.inject(Fault::DiesAt(dies_at));
            let mut history = History::new(seed);
            let mut is_dead = false;
            for _ in 0..250 {
                if history.step(&store).is_err() {
                    is_dead = true;
                    break;
                }
            }
            if !is_dead {
                total = disk.operations() - before;
            }
            for cut in 0..5 {
                let result = history.check(&disk.power_cut(dies_at * 5 + cut));
                assert_eq!(result, Ok(()), "seed {seed}, died at {dies_at}, cut {cut}");
            }
            assert_eq!(
                history.check(&disk.kill()),
                Ok(()),
                "seed {seed}, died at {dies_at}"
            );
            dies_at += 1;
        }
    }
}

#[test]
fn crashes_in_a_row_recover_to_what_runs() {
    for seed in 0..40 {
        let mut disk = FaultyDisk::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut next = 0u64;
        for life in 0..6 {
            let (store, recovery) = open(&disk, manual());
            assert_eq!(recovery.damage, [], "seed {seed}, life {life}");
            let mut position = Position::new(Point(0), Durability::Sync);
            for _ in 0..random.usize(..60) {
                let queue = QueueId(random.u32(..2));
                let ids: Vec<_> = {
                    let inner = store.log.inner.lock();
                    inner
                        .state
                        .queues
                        .get(&queue)
                        .into_iter()
                        .flat_map(|ledger| ledger.iter())
                        .collect()
                };
                if random.bool() || ids.is_empty() {
                    next += 1;
                    position = publish(&store, &[queue], &content(next)).unwrap().1;
                } else {
                    let id = ids[random.usize(..ids.len())];
                    let mut batch = Batch::new();
                    if random.bool() {
                        batch.ack(queue, &[id])
                    } else {
                        batch.returned(queue, &[id])
                    }
                    position = store.append(batch).unwrap().position;
                }
                store.keep();
            }
            store.wait(position).unwrap();
            let running = comparable(&store.log.inner.lock().state);
            disk = disk.power_cut(seed);
            let (store, _) = open(&disk.kill(), manual());
            assert_eq!(
                comparable(&store.log.inner.lock().state),
                running,
                "seed {seed}, life {life}"
            );
        }
    }
}
