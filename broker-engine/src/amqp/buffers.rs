//! Memory for bytes on their way out, lent to connections that have something to say.
//!
//! Owns spare buffers of all connections, so that those without traffic own none, and busy ones reuse what is still in
//! the processor's cache. Nobody waits for them: who finds them in use allocates or frees.

use parking_lot::Mutex;

/// How many buffers are kept.
const SPARE_MAX: usize = 32;

/// How much memory they have together.
const SPARE_BYTES_MAX: usize = 8 << 20;

/// How large one of them is at most.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// The one used last is used next.
static SPARE: Mutex<Spare> = Mutex::new(Spare::new());

/// Buffers that nobody needs.
struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Of memory.
    bytes: usize,
}

impl Spare {
    const fn new() -> Self {
        Self {
            buffers: Vec::new(),
            bytes: 0,
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<u8>) {
        let bytes = self.bytes + buffer.capacity();
        if self.buffers.len() < SPARE_MAX && bytes <= SPARE_BYTES_MAX {
            self.bytes = bytes;
            self.buffers.push(buffer);
        }
    }
}

/// An empty buffer.
pub(crate) fn take() -> Vec<u8> {
    let spare = SPARE.try_lock().and_then(|mut spare| spare.take());
    spare.unwrap_or_default()
}

/// Takes a buffer back that nobody needs.
pub(crate) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > BUFFER_BYTES_MAX {
        return;
    }
    buffer.clear();
    if let Some(mut spare) = SPARE.try_lock() {
        spare.give(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_number_and_memory() {
        let kept = |bytes: usize| {
            let mut spare = Spare::new();
            (0..100).for_each(|_| spare.give(Vec::with_capacity(bytes)));
            let kept = spare.buffers.len();
            assert_eq!(spare.bytes, kept * bytes);
            (0..kept).for_each(|_| assert_eq!(spare.take().unwrap().capacity(), bytes));
            assert_eq!(spare.bytes, 0);
            kept
        };
        assert_eq!(kept(100), SPARE_MAX);
        assert_eq!(kept(BUFFER_BYTES_MAX), SPARE_BYTES_MAX / BUFFER_BYTES_MAX);
    }
}
