//! Whose turn it is: consumers of one rank that take messages now, served one message at a time.
//!
//! Asks the consumers once a round, takes their credit, and remembers who gets which message of the round. Does not
//! know the messages.

use std::sync::Arc;

use super::{
    super::{
        consumer::Consumer,
        delivery::{Handed, Handout},
    },
    held::{Holders, SLICE_MAX},
};

/// The consumers of a round. Kept between rounds for its memory.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// Where they are in the queue's list, the one whose turn it is first.
    takers: Vec<usize>,
    /// Which taker is asked next.
    next: usize,
    /// Which taker gets each message, if there are several.
    turns: Vec<u8>,
    /// How many messages are given out.
    dealt: usize,
    /// Whose turn it is in the next round.
    turn: usize,
}

impl Rotation {
    /// Starts a round with those who are ready, of the highest rank that has any, from `turn` on. Where only one
    /// consumer is `active`, it is that one or nobody. False when nobody is ready.
    pub(super) fn start(
        &mut self,
        consumers: &[Arc<Consumer>],
        active: Option<&Arc<Consumer>>,
        turn: usize,
    ) -> bool {
        self.clear();
        self.turn = turn;
        let is_served = |at: &usize| {
            let consumer = &consumers[*at];
            active.is_none_or(|active| Arc::ptr_eq(active, consumer)) && consumer.is_ready()
        };
        let mut start = 0;
        while let Some(first) = consumers.get(start)
            && self.takers.is_empty()
        {
            let is_rank = |consumer: &Arc<Consumer>| consumer.priority() == first.priority();
            let end = start + consumers[start..].partition_point(is_rank);
            let turn = turn.clamp(start, end);
            let in_turn = (turn..end).chain(start..turn);
            self.takers
                .extend(in_turn.filter(is_served).take(SLICE_MAX));
            start = end;
        }
        !self.takers.is_empty()
    }

    /// Ends a round.
    pub(super) fn clear(&mut self) {
        self.takers.clear();
        self.turns.clear();
        (self.next, self.dealt) = (0, 0);
    }

    /// Whether all of them acknowledge, or none does. Says which.
    pub(super) fn no_ack(&self, consumers: &[Arc<Consumer>]) -> Option<bool> {
        let mut no_ack = self.takers.iter().map(|at| consumers[*at].no_ack());
        let first = no_ack.next()?;
        no_ack.all(|other| other == first).then_some(first)
    }

    /// About how many messages they take together.
    pub(super) fn available(&self, consumers: &[Arc<Consumer>]) -> usize {
        let each = self.takers.iter().map(|at| consumers[*at].available());
        each.fold(0, u32::saturating_add) as usize
    }

    /// Whose turn it is, in place in the queue's list; takes that consumer's credit for a message. `None` when nobody
    /// takes another one.
    pub(super) fn deal_one(&mut self, consumers: &[Arc<Consumer>]) -> Option<usize> {
        for _ in 0..self.takers.len() {
            let taker = self.next;
            let at = self.takers[taker];
            self.next = (taker + 1) % self.takers.len();
            if consumers[at].acquire(1) == 1 {
                self.turns.push(taker as u8);
                self.dealt += 1;
                self.turn = at + 1;
                return Some(at);
            }
        }
        None
    }

    /// Takes back what was dealt last: there was no message for it.
    pub(super) fn undo_one(&mut self, consumers: &[Arc<Consumer>]) {
        if let Some(taker) = self.turns.pop() {
            let consumer = &consumers[self.takers[usize::from(taker)]];
            if !consumer.no_ack() {
                consumer.release(1);
            }
            self.dealt -= 1;
        }
    }

    /// Gives out up to `count` messages and takes the credit for them. Returns how many.
    pub(super) fn deal(&mut self, consumers: &[Arc<Consumer>], count: usize) -> usize {
        if let [at] = *self.takers {
            self.dealt = consumers[at].acquire(count as u32) as usize;
            self.turn = at + 1;
        } else {
            while self.dealt < count && self.deal_one(consumers).is_some() {}
        }
        self.dealt
    }

    /// Whose turn it is after this round.
    pub(super) fn turn(&self) -> usize {
        self.turn
    }

    /// Who holds the messages from number `start` on of those that were dealt.
    pub(super) fn holders(
        &self,
        consumers: &[Arc<Consumer>],
        (start, count): (usize, usize),
    ) -> Holders {
        let taker = |at: &usize| Arc::clone(&consumers[*at]);
        if let [at] = &*self.takers {
            return Holders::One(taker(at));
        }
        let turns = self.turns[start..start + count].to_vec();
        Holders::Several(Box::new((self.takers.iter().map(taker).collect(), turns)))
    }

    /// Hands every consumer its part of the list. At most one connection is locked at a time.
    pub(super) fn hand_over(&self, consumers: &[Arc<Consumer>], list: &[Handed<'_>]) {
        if list.is_empty() {
            return;
        }
        if let [at] = *self.takers {
            return consumers[at]
                .sink
                .deliver(&consumers[at], Handout::all(list));
        }
        for (taker, at) in self.takers.iter().enumerate() {
            let own = taker as u8;
            if self.turns.contains(&own) {
                let handout = Handout::of_turn(list, &self.turns, own);
                consumers[*at].sink.deliver(&consumers[*at], handout);
            }
        }
    }
}
