//! One message on its own: what came back, has a rank, died, or must be looked at before it is handed out.

use super::super::message::Message;
use crate::store::MessageId;

/// A message in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is ordered by: what goes first has the smallest one.
    pub(crate) place: u64,
    /// Its id in the log, when it survives a restart.
    pub(crate) logged: Option<MessageId>,
    /// `None` while only the log has it.
    pub(crate) message: Option<Message>,
    pub(super) len: u32,
    /// How much of the length is not the body, as far as it is known.
    pub(super) overhead: u16,
    pub(super) returns: u8,
    pub(crate) is_redelivered: bool,
}

impl Entry {
    /// The place of what was refused before it came in.
    pub(crate) const NEVER_QUEUED: u64 = 0;

    /// A message that was never in a queue.
    pub(crate) fn of(message: Message) -> Self {
        Self {
            place: Self::NEVER_QUEUED,
            logged: None,
            len: u32::try_from(message.len()).unwrap_or(u32::MAX),
            overhead: overhead(&message),
            message: Some(message),
            returns: 0,
            is_redelivered: false,
        }
    }

    pub(super) fn body_bytes(&self) -> u64 {
        u64::from(self.len.saturating_sub(u32::from(self.overhead)))
    }
}

pub(super) fn overhead(message: &Message) -> u16 {
    u16::try_from(message.len() - message.body().len()).unwrap_or(u16::MAX)
}
