//! What a consumer is given: messages of one queue, borrowed from where they lie.
//!
//! Owns nothing. Several consumers that are served in turn share one list, in which each sees its own.

use super::message::{Delivery, DeliveryId, Message, MessageRef};

/// A message handed out.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    /// What to settle it by, at the queue it came from. Without meaning when it needs no acknowledgement.
    pub id: DeliveryId,
    /// Whether it may have been handed out before.
    pub redelivered: bool,
    /// How often it came back, as far as counted (255 means at least that).
    pub returns: u8,
    /// The message.
    pub message: MessageRef<'a>,
}

impl Handed<'_> {
    /// A copy that outlives the call.
    pub fn to_delivery(&self) -> Delivery {
        Delivery {
            id: self.id,
            redelivered: self.redelivered,
            returns: self.returns,
            message: Message::from_ref(&self.message),
        }
    }
}

/// The messages that one consumer gets at once.
#[derive(Clone, Copy, Debug)]
pub struct Handout<'a> {
    list: &'a [Handed<'a>],
    /// To whom each goes, and whose these are; `None` when all go to one.
    turns: Option<(&'a [u8], u8)>,
}

impl<'a> Handout<'a> {
    /// All of the list.
    pub(super) fn all(list: &'a [Handed<'a>]) -> Self {
        Self { list, turns: None }
    }

    /// Those of the list whose turn is `own`.
    pub(super) fn of_turn(list: &'a [Handed<'a>], turns: &'a [u8], own: u8) -> Self {
        Self {
            list,
            turns: Some((turns, own)),
        }
    }

    /// The messages in order.
    pub fn iter(self) -> impl Iterator<Item = &'a Handed<'a>> {
        self.list
            .iter()
            .enumerate()
            .filter(move |(number, _)| match self.turns {
                None => true,
                Some((turns, own)) => turns[*number] == own,
            })
            .map(|(_, handed)| handed)
    }
}
