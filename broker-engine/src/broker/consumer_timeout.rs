//! How long consumers may keep messages: the node's limit, and how often it is worth to look.
//!
//! Who looks, and what becomes of a consumer that is late, is the protocol's.

use std::sync::atomic::{AtomicU64, Ordering};

/// The limits of a node.
pub(super) struct ConsumerTimeouts {
    /// Where the queue does not say; `None` for ever.
    pub(super) node_ms: Option<u64>,
    /// The shortest of all there ever was; `u64::MAX` when there was none.
    min_ms: AtomicU64,
}

impl ConsumerTimeouts {
    pub(super) fn new(node_ms: Option<u64>) -> Self {
        let node_ms = node_ms.filter(|limit_ms| *limit_ms > 0);
        Self {
            node_ms,
            min_ms: AtomicU64::new(node_ms.unwrap_or(u64::MAX)),
        }
    }

    /// A queue has this limit; 0 is none.
    pub(super) fn note(&self, limit_ms: u64) {
        if limit_ms > 0 {
            self.min_ms.fetch_min(limit_ms, Ordering::Relaxed);
        }
    }

    pub(super) fn min_ms(&self) -> Option<u64> {
        let min_ms = self.min_ms.load(Ordering::Relaxed);
        (min_ms < u64::MAX).then_some(min_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::ConsumerTimeouts;

    #[test]
    fn the_shortest_limit_counts_and_zero_is_no_limit() {
        let timeouts = ConsumerTimeouts::new(Some(0));
        assert_eq!((timeouts.node_ms, timeouts.min_ms()), (None, None));
        timeouts.note(0);
        assert_eq!(timeouts.min_ms(), None);
        timeouts.note(500);
        timeouts.note(900);
        assert_eq!(timeouts.min_ms(), Some(500));
    }
}
