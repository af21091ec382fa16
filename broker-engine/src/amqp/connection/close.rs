//! The ends of a connection: by the client, by an error, by the node.

use super::super::error::Error;
use super::super::reply_code::ReplyCode;
use super::super::server::CHANNEL_ZERO;
use super::session::{Session, Stage};
use crate::codec::amqp::{ChannelClose, ConnectionClose, ConnectionCloseOk, Method};

impl Session {
    /// The client said goodbye: nothing follows the answer.
    pub(super) fn on_close(&mut self) {
        self.release();
        self.outbox().send_last(&ConnectionCloseOk {});
        self.stage = Stage::Finished;
    }

    /// Ends the connection without another word.
    pub(super) fn finish(&mut self) {
        self.outbox().close();
        self.stage = Stage::Finished;
    }

    /// Ends the connection although the client did nothing wrong.
    pub(super) fn force_close(&mut self, reason: &str) {
        match self.stage {
            Stage::Running => {
                self.close_connection(&Error::new(ReplyCode::ConnectionForced, reason), (0, 0));
            }
            Stage::Header | Stage::Start | Stage::Tune | Stage::Open => self.finish(),
            Stage::Closing | Stage::Finished => {}
        }
    }

    /// Reports an error on the channel or, when it is hard, on the connection.
    pub(super) fn fail(&mut self, channel: u16, error: &Error, method: (u16, u16)) {
        let method = error.about.unwrap_or(method);
        if self.is_distrusted(error) {
            tracing::debug!(peer = %self.peer, %error, "leaving a client that did not open");
            self.finish();
        } else if channel == CHANNEL_ZERO || error.is_hard() || self.stage != Stage::Running {
            self.close_connection(error, method);
        } else {
            self.close_channel(channel, error, method);
        }
    }

    /// Whether a client learns nothing of its error, because it has not proved who it is: both peers tell such clients
    /// only that their login failed or what was negotiated wrongly.
    fn is_distrusted(&self, error: &Error) -> bool {
        let is_unknown = matches!(self.stage, Stage::Header | Stage::Start | Stage::Tune);
        let is_told = matches!(error.code, ReplyCode::AccessRefused | ReplyCode::NotAllowed);
        is_unknown && !is_told
    }

    fn close_connection(&mut self, error: &Error, (class_id, method_id): (u16, u16)) {
        tracing::debug!(peer = %self.peer, %error, "closing the connection");
        self.release();
        let reply_text = error.reply_text();
        let reply_code = error.code.number();
        self.outbox().send_last(&ConnectionClose {
            reply_code,
            reply_text: &reply_text,
            class_id,
            method_id,
        });
        self.stage = Stage::Closing;
    }

    fn close_channel(&mut self, number: u16, error: &Error, (class_id, method_id): (u16, u16)) {
        tracing::debug!(peer = %self.peer, channel = number, %error, "closing the channel");
        if let (Some(channel), Some(context)) = (self.channels.get_mut(&number), &self.context) {
            channel.release(context);
            channel.is_closing = true;
        }
        let reply_text = error.reply_text();
        let reply_code = error.code.number();
        let close = ChannelClose {
            reply_code,
            reply_text: &reply_text,
            class_id,
            method_id,
        };
        self.outbox().send(number, &close);
    }

    /// While this side waits for close-ok everything else is ignored (specification 1.4.2.8).
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are ignored")]
    pub(super) fn on_closing_method(&mut self, method: &Method<'_>) {
        match method {
            Method::ConnectionCloseOk(_) => self.stage = Stage::Finished,
            // Both said goodbye at once: each answers the other, and waits for its own answer.
            Method::ConnectionClose(_) => self.outbox().send_after_last(&ConnectionCloseOk {}),
            _ => {}
        }
    }
}
