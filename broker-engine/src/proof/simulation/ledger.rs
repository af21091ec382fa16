//! What was promised to clients, and whether it is kept.
//!
//! A message in a queue is a copy. Its path says where it was when: nowhere, in a queue, in the queue of dead messages,
//! nowhere again. The log is one sequence: once something that came later is known to be durable, so is every step of
//! every path before it, and after a crash a copy is where its path was at that step or at a later one. What is only
//! written is durable when the process ends, and not when the machine does.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::Durability;

/// The queues of the simulation, by number.
pub(super) const QUEUES: [&str; 4] = ["plain", "lazy", "burying", "dead"];

/// The levels that the queues are declared with, where they do not take the node's.
pub(super) const LEVELS: [Option<Durability>; 4] =
    [None, Some(Durability::Write), Some(Durability::Sync), None];

/// Where a queue's rejected messages go.
pub(super) fn dead_of(queue: usize) -> Option<usize> {
    (queue == 2).then_some(3)
}

/// A message and the queue it was published to.
pub(super) type Key = (u64, usize);

/// A channel of a publisher, in all lives.
pub(super) type Source = u64;

#[derive(Clone, Debug)]
pub(super) struct Copy {
    persistent: bool,
    source: Source,
    /// Time, and where it is from then on; `None` for nowhere.
    path: Vec<(u64, Option<usize>)>,
    /// The last step of the path that is known to be written, and to be synced.
    written: usize,
    synced: usize,
    /// Whether a client may have seen it where it is.
    delivered: bool,
    /// The transaction whose commit is its last step, while that is not known to be durable.
    group: Option<(usize, u64)>,
}

impl Copy {
    /// Where it is.
    fn place(&self) -> Option<usize> {
        self.path.last().and_then(|(_, place)| *place)
    }

    /// Whether a client saw it in a queue where its path leads: nothing leaves a queue unseen.
    fn was_seen(&self, queue: usize) -> bool {
        self.delivered || self.place() != Some(queue)
    }
}

/// What ended a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its process was killed: what was written is there.
    Kill,
    /// The power went: what was synced is there.
    PowerCut,
}

pub(super) struct Ledger {
    /// The node's level.
    level: Durability,
    copies: BTreeMap<Key, Copy>,
    /// Everything that ever was and can never be again.
    gone: BTreeSet<Key>,
    now: u64,
}

impl Ledger {
    pub(super) fn new(level: Durability) -> Self {
        Self {
            level,
            copies: BTreeMap::new(),
            gone: BTreeSet::new(),
            now: 0,
        }
    }

    /// What makes a message durable that goes to these queues.
    pub(super) fn level(&self, queues: &[usize]) -> Durability {
        let levels = queues
            .iter()
            .map(|queue| LEVELS[*queue].unwrap_or(self.level));
        levels.fold(Durability::Write, Durability::stricter)
    }

    /// The time of the next thing that a client says.
    pub(super) fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// A message was published; `group` when a commit did it.
    pub(super) fn published(
        &mut self,
        id: u64,
        queues: &[usize],
        (source, persistent): (Source, bool),
        group: Option<u64>,
    ) {
        for queue in queues {
            let path = vec![(0, None), (self.now, Some(*queue))];
            let copy = Copy {
                persistent,
                source,
                path,
                written: 0,
                synced: 0,
                delivered: false,
                group: group.map(|group| (1, group)),
            };
            self.copies.insert((id, *queue), copy);
        }
    }

    /// Everything up to a time is durable.
    pub(super) fn durable(&mut self, (time, level): (u64, Durability)) {
        for copy in self.copies.values_mut() {
            let floor = copy.path.iter().rposition(|(at, _)| *at <= time);
            copy.written = copy.written.max(floor.unwrap_or(0));
            if level == Durability::Sync {
                copy.synced = copy.synced.max(floor.unwrap_or(0));
            }
        }
    }

    /// The copy of a message that is in a queue.
    fn find(&self, id: u64, queue: usize) -> Option<Key> {
        (0..QUEUES.len()).map(|home| (id, home)).find(|key| {
            self.copies
                .get(key)
                .is_some_and(|copy| copy.place() == Some(queue))
        })
    }

    /// A client got a message from a queue.
    pub(super) fn delivered(
        &mut self,
        id: u64,
        queue: usize,
        redelivered: bool,
    ) -> Result<Key, String> {
        let key = self
            .find(id, queue)
            .ok_or_else(|| format!("{id} came from {} and is not there", QUEUES[queue]))?;
        if let Some(copy) = self.copies.get_mut(&key) {
            if copy.delivered && !redelivered {
                return Err(format!("{key:?} came again and does not say so"));
            }
            copy.delivered = true;
        }
        Ok(key)
    }

    /// Whether it is the first time that a client sees it, and which channel published it.
    pub(super) fn fresh_source(&self, id: u64, queue: usize) -> Option<Source> {
        let copy = self.copies.get(&self.find(id, queue)?)?;
        (!copy.delivered).then_some(copy.source)
    }

    /// A client settled a message for good.
    pub(super) fn moved(&mut self, key: Key, to: Option<usize>, group: Option<u64>) {
        let now = self.now;
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.path.push((now, to));
            copy.delivered = false;
            copy.group = group.map(|group| (copy.path.len() - 1, group));
        }
    }

    /// Compares what a restarted node holds with what it may hold. `found` has the contents of every queue, in order,
    /// with their redelivered flags.
    pub(super) fn crashed(&mut self, found: &[Vec<(u64, bool)>], end: End) -> Result<(), String> {
        let mut places: BTreeMap<Key, usize> = BTreeMap::new();
        let mut forgotten = BTreeSet::new();
        for (queue, messages) in found.iter().enumerate() {
            // That something was handed out is as durable as the queue.
            let may_forget = end == End::PowerCut && self.level(&[queue]) == Durability::Write;
            let mut latest: BTreeMap<Source, u64> = BTreeMap::new();
            for (id, redelivered) in messages {
                let key = self.home(*id, queue)?;
                if places.insert(key, queue).is_some() {
                    return Err(format!("{key:?} is there twice"));
                }
                let copy = &self.copies[&key];
                if copy.was_seen(queue) && !redelivered {
                    if may_forget {
                        forgotten.insert(key);
                        continue;
                    }
                    return Err(format!("{key:?} was delivered before and does not say so"));
                }
                let is_moved = key.1 != queue;
                if !is_moved
                    && latest
                        .insert(copy.source, *id)
                        .is_some_and(|last| last > *id)
                {
                    return Err(format!("{key:?} is out of order"));
                }
            }
        }
        let mut groups: BTreeMap<u64, (Key, bool)> = BTreeMap::new();
        for (key, copy) in &self.copies {
            let place = places.get(key).copied();
            let floor = match end {
                End::Kill => copy.written,
                End::PowerCut => copy.synced,
            };
            let first = if copy.persistent { floor } else { 0 };
            let is_allowed = |(_, at): &(u64, Option<usize>)| *at == place;
            let is_lost = !copy.persistent && place.is_none();
            if !is_lost && !copy.path[first..].iter().any(is_allowed) {
                return Err(format!("{key:?} is in {place:?}: {copy:?}"));
            }
            // A commit applies whole: everything it did is seen, or nothing.
            if let Some((step, group)) = copy.group.filter(|_| copy.persistent) {
                let fits = |steps: &[(u64, Option<usize>)]| steps.iter().any(is_allowed);
                let (before, after) = copy.path.split_at(step);
                let has_happened = match (fits(after), fits(&before[floor.min(step)..])) {
                    (true, false) => true,
                    (false, true) => false,
                    _ => continue,
                };
                let (other, did) = *groups.entry(group).or_insert((*key, has_happened));
                if did != has_happened {
                    return Err(format!("a transaction is torn: {key:?} and {other:?}"));
                }
            }
        }
        self.settle_on(&places, &forgotten);
        Ok(())
    }

    /// Checks what a node serves of a damaged disk: what was sent, and of that nothing twice in a queue.
    pub(super) fn damaged(&self, found: &[Vec<(u64, bool)>]) -> Result<(), String> {
        for (queue, messages) in found.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (id, _) in messages {
                let was_sent = self.copies.keys().chain(&self.gone).any(|key| key.0 == *id);
                if !was_sent || !seen.insert(id) {
                    return Err(format!("{id} is in {} of a damaged disk", QUEUES[queue]));
                }
            }
        }
        Ok(())
    }

    /// The copy that a message in a queue is: the one that was published there, or one that moved there.
    fn home(&self, id: u64, queue: usize) -> Result<Key, String> {
        let is_possible = |key: &Key| {
            let path = self.copies.get(key).map(|copy| copy.path.iter());
            path.is_some_and(|mut path| path.any(|(_, place)| *place == Some(queue)))
        };
        let home = (0..QUEUES.len()).map(|home| (id, home)).find(is_possible);
        home.ok_or_else(|| {
            let queue = QUEUES[queue];
            let was = self.gone.iter().filter(|key| key.0 == id).count();
            format!("{id} is in {queue} and cannot be ({was} of it are gone)")
        })
    }

    /// What is there after a crash is durable; what is not never comes back.
    fn settle_on(&mut self, places: &BTreeMap<Key, usize>, forgotten: &BTreeSet<Key>) {
        for (key, copy) in std::mem::take(&mut self.copies) {
            match places.get(&key) {
                None => {
                    self.gone.insert(key);
                }
                Some(place) => {
                    let delivered = copy.was_seen(*place) && !forgotten.contains(&key);
                    let settled = Copy {
                        path: vec![(0, Some(*place))],
                        written: 0,
                        synced: 0,
                        delivered,
                        group: None,
                        ..copy
                    };
                    self.copies.insert(key, settled);
                }
            }
        }
    }

    /// What a queue must hold when nobody holds anything of it.
    pub(super) fn contents(&self, queue: usize) -> BTreeSet<u64> {
        let here = self
            .copies
            .iter()
            .filter(|(_, copy)| copy.place() == Some(queue));
        here.map(|(key, _)| key.0).collect()
    }
}
