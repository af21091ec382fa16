//! Alarms: the node is short of memory or disk, and publishers must wait.

use std::sync::{
    Weak,
    atomic::{AtomicU8, Ordering},
};

use parking_lot::Mutex;

/// What the node is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Memory.
    Memory,
    /// Room on the volume.
    Disk,
}

impl Alarm {
    fn bit(self) -> u8 {
        match self {
            Self::Memory => 1,
            Self::Disk => 2,
        }
    }
}

/// Is told when publishers must wait, and when they may go on. Called without locks; must be short.
pub trait AlarmListener: Send + Sync {
    /// Whether any alarm is on now.
    fn changed(&self, is_on: bool);
}

/// The alarms of a node.
#[derive(Default)]
pub struct Alarms {
    on: AtomicU8,
    listeners: Mutex<Vec<Weak<dyn AlarmListener>>>,
}

impl Alarms {
    /// Turns an alarm on or off.
    pub fn set(&self, alarm: Alarm, is_on: bool) {
        let mut listeners = self.listeners.lock();
        let before = if is_on {
            self.on.fetch_or(alarm.bit(), Ordering::AcqRel)
        } else {
            self.on.fetch_and(!alarm.bit(), Ordering::AcqRel)
        };
        let now = self.on.load(Ordering::Acquire);
        if (before == 0) == (now == 0) {
            return;
        }
        let mut alive = Vec::new();
        listeners.retain(|listener| {
            listener
                .upgrade()
                .map(|listener| alive.push(listener))
                .is_some()
        });
        drop(listeners);
        for listener in alive {
            listener.changed(now != 0);
        }
    }

    /// Whether publishers must wait.
    pub fn is_any_on(&self) -> bool {
        self.on.load(Ordering::Acquire) != 0
    }

    /// Whether this alarm is on.
    pub fn is_on(&self, alarm: Alarm) -> bool {
        self.on.load(Ordering::Acquire) & alarm.bit() != 0
    }

    /// Tells `listener` of changes while it lives. Ask [`Alarms::is_any_on`] after subscribing.
    pub fn subscribe(&self, listener: Weak<dyn AlarmListener>) {
        self.listeners.lock().push(listener);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::{Alarm, AlarmListener, Alarms};

    struct Seen(Mutex<Vec<bool>>);

    impl AlarmListener for Seen {
        fn changed(&self, is_on: bool) {
            self.0.lock().push(is_on);
        }
    }

    #[test]
    fn listeners_hear_of_the_first_alarm_and_the_end_of_the_last() {
        let alarms = Alarms::default();
        let seen = Arc::new(Seen(Mutex::default()));
        let weak: std::sync::Weak<Seen> = Arc::downgrade(&seen);
        alarms.subscribe(weak);
        for (alarm, is_on) in [
            (Alarm::Memory, true),
            (Alarm::Memory, true),
            (Alarm::Disk, true),
            (Alarm::Memory, false),
            (Alarm::Disk, false),
        ] {
            alarms.set(alarm, is_on);
        }
        assert_eq!(*seen.0.lock(), [true, false]);
        assert!(!alarms.is_any_on());
    }
}
