//! How long a consumer may keep deliveries unanswered.
//!
//! Deliveries carry no time of their own: that would cost each of them a look at the clock. Now and then the channel
//! notes which delivery tag was its latest; whatever waits with a tag up to a note is at least as old as the note.
//! A delivery is never found overdue too early, and late by the time between two notes at most, unless there are too
//! many of them.

use super::super::delivery::Deliveries;
use super::super::error::Error;
use super::super::refusal::Refusal;
use super::{Channel, Context};

/// Notes are thinned out above this number: the resolution shrinks, the memory does not grow.
const NOTES_MAX: usize = 64;

/// Which delivery was the latest, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    at_ms: u64,
    tag: u64,
}

/// The notes of one channel, oldest first; none while nothing waits.
#[derive(Debug, Default)]
pub(super) struct Patience(Vec<Note>);

impl Patience {
    /// The time limit of the first delivery that waits longer than that, if there is one.
    fn overdue(&mut self, deliveries: &Deliveries, now_ms: u64) -> Option<u64> {
        let (mut notes, mut oldest) = (self.0.iter().peekable(), None);
        let overdue = deliveries.find(|tag, queue| {
            oldest.get_or_insert(tag);
            while notes.next_if(|note| note.tag < tag).is_some() {}
            // What has no note is younger than the latest one, and so is all that follows.
            let Some(note) = notes.peek() else {
                return Some(None);
            };
            let limit_ms = queue.consumer_timeout_ms()?;
            (now_ms.saturating_sub(note.at_ms) >= limit_ms).then_some(Some(limit_ms))
        });
        self.note(now_ms, oldest, deliveries.last_tag());
        overdue.flatten()
    }

    fn note(&mut self, at_ms: u64, oldest: Option<u64>, tag: u64) {
        let Some(oldest) = oldest else {
            self.0 = Vec::new();
            return;
        };
        let settled = self.0.partition_point(|note| note.tag < oldest);
        self.0.drain(..settled);
        if self.0.last().is_none_or(|note| note.tag < tag) {
            self.0.push(Note { at_ms, tag });
        }
        if self.0.len() > NOTES_MAX {
            let mut number = 0;
            // The later one of two stays: nothing becomes older than it is.
            self.0.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
    }
}

impl Channel {
    /// Looks for deliveries that wait too long; `now_ms` grows by milliseconds from any start.
    ///
    /// # Errors
    /// 406 when there is one.
    pub(crate) fn check_patience(&mut self, context: &Context, now_ms: u64) -> Result<(), Error> {
        if self.is_closing {
            return Ok(());
        }
        let Some(limit_ms) = self.patience.overdue(&self.deliveries, now_ms) else {
            return Ok(());
        };
        tracing::warn!(
            channel = self.number,
            vhost = %context.vhost_name(),
            user = %context.origin().user,
            limit_ms,
            "a consumer keeps deliveries for too long"
        );
        let channel = self.number;
        Err(self.refuse(&Refusal::Overdue { channel, limit_ms }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(patience: &Patience) -> Vec<(u64, u64)> {
        patience
            .0
            .iter()
            .map(|note| (note.at_ms, note.tag))
            .collect()
    }

    #[test]
    fn only_notes_that_something_still_waits_for_are_kept() {
        let mut patience = Patience::default();
        patience.note(100, Some(1), 5);
        patience.note(200, Some(1), 5);
        patience.note(300, Some(4), 9);
        assert_eq!(notes(&patience), [(100, 5), (300, 9)]);
        patience.note(400, Some(6), 9);
        assert_eq!(notes(&patience), [(300, 9)]);
        patience.note(500, None, 9);
        assert_eq!(notes(&patience), []);
    }

    #[test]
    fn many_notes_are_thinned_out_and_make_nothing_older_than_it_is() {
        let mut patience = Patience::default();
        for number in 1..1000 {
            patience.note(number * 10, Some(1), number);
        }
        let kept = notes(&patience);
        assert!(kept.len() <= NOTES_MAX);
        assert_eq!(kept.last(), Some(&(9990, 999)));
        assert!(kept.iter().all(|(at_ms, tag)| *at_ms == tag * 10));
    }
}
