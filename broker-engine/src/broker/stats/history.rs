//! What counters were lately, for those who ask.

/// The counters of one object: now, and at the end of the last periods.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When the last period ended, in milliseconds since 1970.
    pub last_ms: u64,
    /// One for each counter, in the order of its names.
    pub series: Vec<Series>,
}

/// One counter.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Now.
    pub now: u64,
    /// At the end of each period that was asked for, the oldest first.
    pub ended: Vec<u64>,
}

impl Series {
    /// The sum of several counters, or of two lengths.
    #[must_use]
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().cloned().unwrap_or_default();
        for part in parts {
            sum.now = sum.now.wrapping_add(part.now);
            for (value, more) in sum.ended.iter_mut().zip(&part.ended) {
                *value = value.wrapping_add(*more);
            }
        }
        sum
    }
}

impl History {
    /// Both together; of the same counters.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        if self.series.is_empty() {
            return other.clone();
        }
        let pairs = self.series.iter().zip(&other.series);
        Self {
            last_ms: self.last_ms.max(other.last_ms),
            series: pairs.map(|(one, more)| Series::sum([one, more])).collect(),
        }
    }
}
