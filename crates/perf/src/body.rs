//! What messages carry: who sent them, as which, and when; and how damage shows.
//!
//! Layout: `{flow u16, sequence u48}` as one big-endian u64, then the time of sending as
//! nanoseconds since the start of the run, u64; then filler. From 24 to 4,000 bytes (a frame of the
//! smallest `frame_max`), the last 8 bytes repeat the first 8: a body whose parts come from two
//! messages shows.

/// Bytes of the smallest body.
pub(crate) const SIZE_MIN: usize = 16;

const SEQUENCE_BITS: u32 = 48;
const WORD: usize = 8;

/// What a body says about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// One publisher's messages to one queue (or to all, with a fan-out).
    pub(crate) flow: u16,
    /// From 0, without gaps within the flow.
    pub(crate) sequence: u64,
    /// Since the start of the run.
    pub(crate) sent_ns: u64,
}

/// Bodies of one size.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    template: Vec<u8>,
    has_trailer: bool,
}

impl Shape {
    /// Bodies of `size` bytes, at least [`SIZE_MIN`].
    pub(crate) fn new(size: usize) -> Self {
        let size = size.max(SIZE_MIN);
        Self {
            template: (0..size).map(|at| (at % 251) as u8).collect(),
            has_trailer: (24..=4000).contains(&size),
        }
    }

    /// A body to be stamped.
    pub(crate) fn template(&self) -> &[u8] {
        &self.template
    }

    /// Writes the stamp into a body that starts at `at` of `buffer`. The first 16 bytes, and with a
    /// trailer all of it, must lie in one frame.
    #[inline]
    pub(crate) fn stamp(&self, buffer: &mut [u8], at: usize, stamp: Stamp) {
        let word = (u64::from(stamp.flow) << SEQUENCE_BITS | stamp.sequence).to_be_bytes();
        buffer[at..at + WORD].copy_from_slice(&word);
        buffer[at + WORD..at + SIZE_MIN].copy_from_slice(&stamp.sent_ns.to_be_bytes());
        if self.has_trailer {
            let end = at + self.template.len();
            buffer[end - WORD..end].copy_from_slice(&word);
        }
    }

    /// The stamp of a body, or `None` when it is not one that was sent.
    #[inline]
    pub(crate) fn read(&self, body: &[u8]) -> Option<Stamp> {
        if body.len() != self.template.len() {
            return None;
        }
        let (word, rest) = body.split_first_chunk::<WORD>()?;
        let (sent, _) = rest.split_first_chunk::<WORD>()?;
        let mut filler = SIZE_MIN..body.len();
        if self.has_trailer {
            filler.end -= WORD;
            if body[filler.end..] != *word {
                return None;
            }
        }
        if body[filler.clone()] != self.template[filler] {
            return None;
        }
        let word = u64::from_be_bytes(*word);
        Some(Stamp {
            flow: (word >> SEQUENCE_BITS) as u16,
            sequence: word & ((1 << SEQUENCE_BITS) - 1),
            sent_ns: u64::from_be_bytes(*sent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        flow: 513,
        sequence: 0x1234_5678_9abc,
        sent_ns: 77,
    };

    #[test]
    fn stamps_come_back_from_bodies_of_every_size() {
        for size in [16, 17, 23, 24, 1024, 4000, 4001, 200_000] {
            let shape = Shape::new(size);
            let mut body = shape.template().to_vec();
            shape.stamp(&mut body, 0, STAMP);
            assert_eq!(shape.read(&body), Some(STAMP), "{size} bytes");
        }
    }

    #[test]
    fn damage_shows_wherever_it_is() {
        let shape = Shape::new(100);
        let mut body = shape.template().to_vec();
        shape.stamp(&mut body, 0, STAMP);
        for at in (0..8).chain(16..100) {
            let mut damaged = body.clone();
            damaged[at] ^= 1;
            assert_eq!(shape.read(&damaged), None, "byte {at}");
        }
        assert_eq!(shape.read(&body[..99]), None);
    }
}
