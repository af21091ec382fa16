//! What goes wrong in a session, and the reply that tells the client.

use super::reply_code::ReplyCode;
use crate::broker;
use crate::codec::amqp as codec;

/// Bytes of the longest reply text.
const REPLY_TEXT_MAX: usize = 255;

/// A protocol exception: closes the channel or, when its code is hard, the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} - {text}", code.name())]
pub(crate) struct Error {
    pub(crate) code: ReplyCode,
    /// What follows the code's name in the reply text.
    pub(crate) text: String,
    /// Class and method it is about, if that is not the method that met it.
    pub(crate) about: Option<(u16, u16)>,
    /// Ends only its channel, although its code is hard.
    is_of_channel: bool,
}

impl Error {
    pub(crate) fn new(code: ReplyCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            about: None,
            is_of_channel: false,
        }
    }

    /// The same for the channel alone, whatever the code.
    pub(crate) fn of_channel(self) -> Self {
        let is_of_channel = true;
        Self {
            is_of_channel,
            ..self
        }
    }

    /// Whether it ends the whole connection rather than one channel.
    pub(crate) fn is_hard(&self) -> bool {
        self.code.is_hard() && !self.is_of_channel
    }

    /// The same about another method.
    pub(crate) fn about(self, method: (u16, u16)) -> Self {
        let about = Some(method);
        Self { about, ..self }
    }

    /// The same about no method at all.
    pub(crate) fn about_none(self) -> Self {
        self.about((0, 0))
    }

    /// The reply text, cut to what a short string holds as RabbitMQ cuts it.
    pub(crate) fn reply_text(&self) -> String {
        const ELLIPSIS: &str = "...";
        let mut text = self.to_string();
        if text.len() > REPLY_TEXT_MAX {
            text.truncate(text.floor_char_boundary(REPLY_TEXT_MAX - ELLIPSIS.len()));
            text.push_str(ELLIPSIS);
        }
        text
    }

    pub(crate) fn not_implemented(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotImplemented, text)
    }

    pub(crate) fn precondition(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }

    pub(crate) fn not_allowed(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotAllowed, text)
    }
}

impl From<broker::Error> for Error {
    fn from(error: broker::Error) -> Self {
        let code = match &error {
            broker::Error::NotFound(_) => ReplyCode::NotFound,
            broker::Error::AccessRefused(_) => ReplyCode::AccessRefused,
            broker::Error::PreconditionFailed(_) => ReplyCode::PreconditionFailed,
            broker::Error::ResourceLocked(_) => ReplyCode::ResourceLocked,
            broker::Error::NotAllowed(_) => ReplyCode::NotAllowed,
            broker::Error::CommandInvalid(_) => ReplyCode::CommandInvalid,
            broker::Error::NotImplemented(_) => ReplyCode::NotImplemented,
            broker::Error::Store(cause) => {
                tracing::error!(error = %cause, "the message log refused a request");
                return Self::new(ReplyCode::InternalError, "the message log is not available");
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<codec::Error> for Error {
    fn from(error: codec::Error) -> Self {
        let code = match error {
            codec::Error::UnknownMethod { .. } => ReplyCode::CommandInvalid,
            codec::Error::Weight => ReplyCode::UnexpectedFrame,
            codec::Error::FrameTooLarge { .. }
            | codec::Error::FrameEnd { .. }
            | codec::Error::FrameKind { .. }
            | codec::Error::Truncated
            | codec::Error::Trailing { .. }
            | codec::Error::UnknownProperties
            | codec::Error::Utf8
            | codec::Error::FieldType { .. }
            | codec::Error::TooDeep => ReplyCode::FrameError,
        };
        Self::new(code, error.to_string())
    }
}
