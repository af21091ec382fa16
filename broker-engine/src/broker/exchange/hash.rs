//! Choosing one binding by a hash, so that few keys move when bindings come and go.
//!
//! Rendezvous hashing: each binding draws a number from the key and its own name, as often as its weight says, and the
//! highest number wins. A binding that goes gives up only its own keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Binding;

/// Draws of one binding are bounded, because each costs time.
const WEIGHT_MAX: u32 = 1000;

/// The weight that a binding key states.
pub(super) fn weight(key: &str) -> Option<u32> {
    key.parse().ok().filter(|weight| *weight <= WEIGHT_MAX)
}

/// The binding for what is hashed; none when there are no bindings.
pub(super) fn choose<'e>(
    bindings: impl Iterator<Item = (&'e str, &'e Binding)>,
    hashed: &[u8],
) -> Option<&'e Binding> {
    let draws = bindings.flat_map(|(key, binding)| {
        (0..weight(key).unwrap_or_default()).map(move |number| {
            let mut hasher = DefaultHasher::new();
            let name = binding.destination.name();
            (hashed, &**name, number).hash(&mut hasher);
            (hasher.finish(), name, binding)
        })
    });
    draws
        .max_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)))
        .map(|(.., binding)| binding)
}
