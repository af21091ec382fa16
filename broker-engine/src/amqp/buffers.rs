//! Memory for bytes on their way out, lent to connections that have something to say.
//!
//! Owns spare buffers of all connections, so that those without traffic own none, and busy ones reuse what is still in
//! the processor's cache. Nobody waits for them: who finds them in use allocates or frees.

use parking_lot::Mutex;

/// How many buffers are kept.
const SPARE_MAX: usize = 32;

/// How large a kept buffer is at most.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// The one used last is used next.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer.
pub(crate) fn take() -> Vec<u8> {
    let spare = SPARE.try_lock().and_then(|mut spare| spare.pop());
    spare.unwrap_or_default()
}

/// Takes a buffer back that nobody needs.
pub(crate) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > SPARE_BYTES_MAX {
        return;
    }
    buffer.clear();
    if let Some(mut spare) = SPARE.try_lock()
        && spare.len() < SPARE_MAX
    {
        spare.push(buffer);
    }
}
