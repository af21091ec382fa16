//! A hasher for keys that are integers of our own making: queue ids and file numbers. Nobody can choose them to collide.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

pub(crate) type IntMap<K, V> = HashMap<K, V, BuildHasherDefault<IntHasher>>;

/// Spreads one integer over the whole word; consecutive integers stay apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IntHasher(u64);

impl Hasher for IntHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u32(&mut self, value: u32) {
        // The table takes its place from the low bits and its tag from the high ones: both must vary.
        let spread = u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((self.0 as u32).rotate_left(8) ^ u32::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::IntHasher;
    use crate::store::ids::QueueId;

    #[test]
    fn neighbours_fall_into_different_places() {
        let hash = |id| BuildHasherDefault::<IntHasher>::default().hash_one(QueueId(id));
        let places: std::collections::BTreeSet<u64> = (0..1024).map(|id| hash(id) & 1023).collect();
        assert!(places.len() > 600, "{}", places.len());
        let tags: std::collections::BTreeSet<u64> = (0..1024).map(|id| hash(id) >> 57).collect();
        assert_eq!(tags.len(), 128);
    }
}
