//! The routes a publisher used, found again by exchange and key.
//!
//! Owns what is remembered and what is forgotten first. Whoever fills it empties it when a route may have changed.
//! Invariant: two of its routes to the same queues are one, so that messages on their way to the same queues are told
//! by comparing pointers, whatever their keys.

use std::{
    hash::{BuildHasher as _, Hash, Hasher},
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, Equivalent, HashMap, HashTable};

use super::route::Route;

/// How many addresses are remembered before those that were not used lately go: twice as many at most.
const GENERATION_MAX: usize = 2048;

/// Exchange and key, as a message names them.
#[derive(Clone, Copy)]
struct Address<'a> {
    exchange: &'a str,
    key: &'a str,
}

impl Hash for Address<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Where one ends and the other begins is for the comparison to tell.
        state.write(self.exchange.as_bytes());
        state.write(self.key.as_bytes());
    }
}

/// The same in one piece of memory.
struct Kept {
    text: Box<str>,
    exchange_len: usize,
}

impl Kept {
    fn address(&self) -> Address<'_> {
        let (exchange, key) = self.text.split_at(self.exchange_len);
        Address { exchange, key }
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        other.address().equivalent(self)
    }
}

impl Eq for Kept {}

impl Equivalent<Kept> for Address<'_> {
    fn equivalent(&self, kept: &Kept) -> bool {
        let kept = kept.address();
        self.exchange == kept.exchange && self.key == kept.key
    }
}

/// Routes by exchange and key.
#[derive(Default)]
pub(super) struct RouteCache {
    young: HashMap<Kept, Arc<Route>>,
    /// What was remembered before `young` was begun, and not used since.
    old: HashMap<Kept, Arc<Route>>,
    /// Each route once.
    routes: HashTable<Arc<Route>>,
    hasher: DefaultHashBuilder,
}

impl RouteCache {
    /// The route of an exchange and key, if it is remembered.
    pub(super) fn find(&mut self, exchange: &str, key: &str) -> Option<&Arc<Route>> {
        let address = Address { exchange, key };
        if !self.old.is_empty()
            && !self.young.contains_key(&address)
            && let Some((kept, route)) = self.old.remove_entry(&address)
        {
            self.add(kept, route);
        }
        self.young.get(&address)
    }

    /// Remembers a route, and returns the one to use: one to the same queues, if there is any.
    pub(super) fn insert(&mut self, exchange: &str, key: &str, route: Route) -> Arc<Route> {
        let route = self.shared(route);
        let kept = Kept {
            text: [exchange, key].concat().into(),
            exchange_len: exchange.len(),
        };
        self.add(kept, Arc::clone(&route));
        route
    }

    fn add(&mut self, kept: Kept, route: Arc<Route>) {
        if self.young.len() == GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
            self.routes.retain(|route| Arc::strong_count(route) > 1);
        }
        self.young.insert(kept, route);
    }

    fn shared(&mut self, route: Route) -> Arc<Route> {
        let hasher = &self.hasher;
        let hash = |route: &Route| {
            let mut state = hasher.build_hasher();
            route.pointers().for_each(|queue| queue.hash(&mut state));
            state.finish()
        };
        let is_same = |other: &Arc<Route>| route.is_same(other);
        if let Some(known) = self.routes.find(hash(&route), is_same) {
            return Arc::clone(known);
        }
        let route = Arc::new(route);
        self.routes
            .insert_unique(hash(&route), Arc::clone(&route), |other| hash(other));
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::{Broker, DEFAULT_VHOST, Options, Queue, QueueDeclare},
        store::disk::FaultyDisk,
    };

    fn queues(names: &[&str]) -> Vec<Arc<Queue>> {
        let (broker, _) = Broker::open(Arc::new(FaultyDisk::new()), Options::default()).unwrap();
        broker
            .put_user_with_password("guest", "guest", &["administrator"])
            .unwrap();
        let guest = broker.authenticate("guest", b"guest", true).unwrap();
        let session = broker.session(&guest, DEFAULT_VHOST).unwrap();
        let declare = |name: &&str| {
            let declare = QueueDeclare {
                name: (*name).to_owned(),
                ..QueueDeclare::default()
            };
            session.queue_declare(declare).unwrap().queue
        };
        names.iter().map(declare).collect()
    }

    #[test]
    fn routes_to_the_same_queues_are_one_whatever_their_keys() {
        let queues = queues(&["a", "b"]);
        let route = |numbers: &[usize]| {
            let chosen = numbers.iter().map(|number| Arc::clone(&queues[*number]));
            Route::new(chosen.collect())
        };
        let mut cache = RouteCache::default();
        let one = cache.insert("ex", "k1", route(&[0, 1]));
        assert!(Arc::ptr_eq(&one, &cache.insert("ex", "k2", route(&[1, 0]))));
        assert!(!Arc::ptr_eq(&one, &cache.insert("ex", "k3", route(&[1]))));
        assert!(Arc::ptr_eq(&one, cache.find("ex", "k2").unwrap()));
        assert_eq!(cache.find("ex", "k3").unwrap().queues().len(), 1);
        assert!(
            cache.find("exk", "1").is_none(),
            "names do not run together"
        );
        assert!(cache.find("", "exk1").is_none());
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let queue = &queues(&["q"])[0];
        let mut cache = RouteCache::default();
        for number in 0..20 * GENERATION_MAX {
            let route = Route::new(vec![Arc::clone(queue)]);
            cache.insert("ex", &number.to_string(), route);
            assert!(cache.find("ex", "0").is_some(), "after {number}");
            assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION_MAX);
        }
        assert!(cache.find("ex", "1").is_none());
        assert_eq!(cache.routes.len(), 1);
    }
}
