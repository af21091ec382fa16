//! The bytes on their way to one client: any thread appends, the connection's task writes.
//!
//! Invariant: whoever appends after the task went to sleep wakes it, once; the buffer is bounded
//! because consumers check [`Outbox::is_writable`] before they are given messages.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::buffers;
use crate::codec::amqp::{Encode, encode_method};

/// Unsent bytes above which no consumer of the connection is given messages. Measured with messages of 1 KiB: half of it
/// costs a tenth more CPU, twice as much saves nothing.
const HIGH_WATER_BYTES: usize = 512 * 1024;

/// Unsent bytes below which consumers held back are served again.
const LOW_WATER_BYTES: usize = HIGH_WATER_BYTES / 2;

/// Unsent bytes above which the client is not listened to: it asks and does not take the answers.
const FLOOD_BYTES: usize = 4 * 1024 * 1024;

/// Output of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Mutex<Vec<u8>>,
    /// Appended and not yet taken by the socket.
    unsent_bytes: AtomicUsize,
    is_throttled: AtomicBool,
    is_closed: AtomicBool,
    frame_max: AtomicU32,
    task: AtomicWaker,
    is_asleep: AtomicBool,
}

impl Outbox {
    /// Appends what `fill` writes; nothing once the connection has said its last word.
    pub(crate) fn append(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        {
            let mut buffer = self.buffer.lock();
            if self.is_closed.load(Ordering::Relaxed) {
                return;
            }
            if buffer.capacity() == 0 {
                *buffer = buffers::take();
            }
            let before = buffer.len();
            fill(&mut buffer);
            self.unsent_bytes
                .fetch_add(buffer.len() - before, Ordering::SeqCst);
        }
        self.wake();
    }

    /// Appends one method frame.
    pub(crate) fn send<M: Encode>(&self, channel: u16, method: &M) {
        self.append(|buffer| encode_method(buffer, channel, method));
    }

    /// Appends one more frame of the connection's own although the last word was said.
    pub(crate) fn send_after_last<M: Encode>(&self, method: &M) {
        {
            let mut buffer = self.buffer.lock();
            let before = buffer.len();
            encode_method(&mut buffer, 0, method);
            self.unsent_bytes
                .fetch_add(buffer.len() - before, Ordering::SeqCst);
        }
        self.wake();
    }

    /// Appends the last frame of the connection; what others append later is dropped.
    pub(crate) fn send_last<M: Encode>(&self, method: &M) {
        self.send(0, method);
        self.close();
    }

    /// Drops whatever is appended from now on.
    pub(crate) fn close(&self) {
        let _buffer = self.buffer.lock();
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether consumers may be given more; if not, [`Outbox::take_throttled`] will tell when.
    pub(crate) fn is_writable(&self) -> bool {
        if self.unsent_bytes.load(Ordering::SeqCst) < HIGH_WATER_BYTES {
            return true;
        }
        // Looked at twice: the task may have drained the buffer before it could see the flag.
        self.is_throttled.store(true, Ordering::SeqCst);
        self.unsent_bytes.load(Ordering::SeqCst) < HIGH_WATER_BYTES
    }

    /// Whether consumers were held back and may be served again now.
    pub(crate) fn take_throttled(&self) -> bool {
        self.unsent_bytes.load(Ordering::SeqCst) < LOW_WATER_BYTES
            && self.is_throttled.load(Ordering::SeqCst)
            && self.is_throttled.swap(false, Ordering::SeqCst)
    }

    /// Takes everything appended. Give the memory back when it is sent.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.buffer.lock())
    }

    /// The socket took `count` bytes.
    pub(crate) fn sent(&self, count: usize) {
        self.unsent_bytes.fetch_sub(count, Ordering::SeqCst);
    }

    /// Whether something waits to be taken or sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent_bytes.load(Ordering::SeqCst) > 0
    }

    /// Whether the client should take what it asked for before it asks for more.
    pub(crate) fn is_flooded(&self) -> bool {
        self.unsent_bytes.load(Ordering::SeqCst) > FLOOD_BYTES
    }

    /// Bytes of the largest frame the client takes, overhead included.
    pub(crate) fn frame_max(&self) -> u32 {
        self.frame_max.load(Ordering::Relaxed)
    }

    pub(crate) fn set_frame_max(&self, frame_max: u32) {
        self.frame_max.store(frame_max, Ordering::Relaxed);
    }

    /// The task is about to sleep; it must look at everything once more after this.
    pub(crate) fn sleep(&self, waker: &std::task::Waker) {
        self.task.register(waker);
        self.is_asleep.store(true, Ordering::SeqCst);
    }

    /// The task is running: nobody needs to wake it.
    pub(crate) fn awake(&self) {
        self.is_asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the task if it sleeps.
    pub(crate) fn wake(&self) {
        if self.is_asleep.load(Ordering::SeqCst) && self.is_asleep.swap(false, Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_are_held_back_above_the_high_water_mark_and_served_again_below_the_low_one() {
        let outbox = Outbox::default();
        assert!(outbox.is_writable());
        outbox.append(|buffer| buffer.resize(HIGH_WATER_BYTES, 0));
        assert!(!outbox.is_writable());
        assert!(!outbox.take_throttled());
        outbox.sent(LOW_WATER_BYTES + 1);
        assert!(outbox.take_throttled());
        assert!(!outbox.take_throttled());
    }

    #[test]
    fn nothing_follows_the_last_frame() {
        let outbox = Outbox::default();
        outbox.send_last(&crate::codec::amqp::ConnectionCloseOk {});
        outbox.append(|buffer| buffer.push(1));
        assert_eq!(outbox.take(), b"\x01\0\0\0\0\0\x04\0\x0a\0\x33\xce");
    }
}
