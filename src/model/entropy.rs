//! The one place that draws random numbers for ids, salts and secrets.

use uuid::{Builder, Uuid};

pub trait Entropy: Send + Sync {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A version 4 UUID.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A version 7 UUID of the instant given: ids made later sort later.
    fn uuid_at(&self, now: chrono::DateTime<chrono::Utc>) -> Uuid {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

/// The operating system's generator, through the cryptographic library.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random generator does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_later() {
        let early = chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        let late = chrono::DateTime::from_timestamp_millis(1_700_000_000_001).unwrap();
        assert!(SystemEntropy.uuid_at(early) < SystemEntropy.uuid_at(late));
        assert_eq!(SystemEntropy.uuid_at(early).get_version_num(), 7);
        assert_eq!(SystemEntropy.uuid().get_version_num(), 4);
    }
}
