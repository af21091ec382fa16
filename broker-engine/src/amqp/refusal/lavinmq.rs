//! LavinMQ's codes, scopes and words, version 2.9. What only RabbitMQ refuses has RabbitMQ's.

use super::super::error::Error;
use super::super::reply_code::ReplyCode;
use super::{Came, Farewell, Lifetime, Refusal, rabbitmq};
use crate::codec::amqp::{self as codec, FRAME_OVERHEAD, FrameKind};

/// What the class of each frame is called in texts.
const FRAME: &str = "AMQ::Protocol::Frame";

pub(super) fn answer(refusal: &Refusal<'_>) -> Error {
    match refusal {
        Refusal::ConfirmInTransaction => {
            Error::precondition("Channel already in transactional mode")
        }
        Refusal::TransactionInConfirm => Error::precondition("Channel already in confirm mode"),
        Refusal::NotTransactional => Error::precondition("Not in transaction mode"),
        Refusal::PrefetchSize(_) | Refusal::Unimplemented => {
            Error::not_implemented("").of_channel()
        }
        Refusal::InvalidName(kind) => Error::precondition(format!("{kind} name isn't valid")),
        Refusal::NoRoomForMessage => Error::precondition("Server low on disk space"),
        Refusal::NoRoomForQueue => {
            Error::precondition("Server low on disk space, can not create queue")
        }
        Refusal::MessageSize { size, max } => {
            Error::precondition(format!("message size {size} larger than max size {max}"))
        }
        Refusal::Lifetime { problem, .. } => Error::precondition(match problem {
            Lifetime::Negative => "Negative expiration not allowed",
            Lifetime::NotANumber | Lifetime::Leftover | Lifetime::TooLong => {
                "Expiration not a number"
            }
        }),
        Refusal::User { claimed, user } => Error::precondition(format!(
            "Message's user_id property '{claimed}' doesn't match actual user '{user}'"
        )),
        Refusal::Copies { header, .. } => {
            Error::precondition(format!("{header} header not a string array"))
        }
        Refusal::NoReplyConsumer => Error::precondition("Direct reply consumer does not exist"),
        Refusal::ReplyConsumerAcknowledges => {
            Error::precondition("Direct replys must be consumed in no-ack mode")
        }
        Refusal::ConsumersOfChannel { max } => {
            let text = format!("Max {max} consumers per channel reached");
            Error::new(ReplyCode::ResourceError, text).of_channel()
        }
        Refusal::SettledTag(_) => Error::precondition("Delivery tag already acked"),
        Refusal::Overdue { .. } => Error::precondition("consumer timeout"),
        Refusal::OutOfTurn { came, .. } => out_of_turn(*came),
        Refusal::NotOpen(channel) => Error::new(
            ReplyCode::ChannelError,
            format!("Channel {channel} not open"),
        ),
        Refusal::MisplacedFrame(frame) if frame.kind == FrameKind::Heartbeat => Error::new(
            ReplyCode::UnexpectedFrame,
            "Heartbeat frame must be on channel 0",
        ),
        Refusal::Stream(error) => match stream(error) {
            Some(text) => Error::new(ReplyCode::FrameError, text),
            None => rabbitmq::answer(refusal),
        },
        Refusal::Fields {
            error: codec::Error::UnknownMethod { .. },
            ..
        } => Error::not_implemented("").of_channel(),
        Refusal::Login { .. } => Error::new(ReplyCode::AccessRefused, ""),
        Refusal::Negotiated {
            limit,
            chosen,
            min,
            max,
        } => Error::not_allowed(format!(
            "failed to negotiate connection parameters: negotiated {limit} = {chosen} is {}",
            rabbitmq::bound(*chosen, *min, *max)
        )),
        Refusal::SecretOfPassword => Error::new(
            ReplyCode::AccessRefused,
            "update-secret not supported for current authentication mechanism",
        ),
        Refusal::VhostGone(_) => Error::not_allowed("vhost not found"),
        Refusal::LogFailed => {
            Error::new(ReplyCode::InternalError, "Unexpected error, please report")
        }
        Refusal::FlowOff
        | Refusal::Immediate
        | Refusal::RecoverWithoutRequeue
        | Refusal::NoQueueDeclared
        | Refusal::DeliveryMode(_)
        | Refusal::ReplyConsumerThere
        | Refusal::TagInUse(_)
        | Refusal::QosOfChannel { .. }
        | Refusal::UnknownTag(_)
        | Refusal::OpenAlready
        | Refusal::ChannelsOfConnection { .. }
        | Refusal::OutOfPlace(_)
        | Refusal::MisplacedFrame(_)
        | Refusal::BrokenFrame(_)
        | Refusal::Fields { .. } => rabbitmq::answer(refusal),
    }
}

/// A frame that came out of turn ends its channel, and is told by its class.
fn out_of_turn(came: Came) -> Error {
    let class = match came {
        Came::Publish => "Basic::Publish",
        Came::Method => "Method",
        Came::Header => "Header",
        Came::Body => "Body",
    };
    let error = Error::new(ReplyCode::UnexpectedFrame, format!("{FRAME}::{class}")).of_channel();
    match came {
        Came::Publish | Came::Method => error,
        Came::Header | Came::Body => error.about_none(),
    }
}

fn stream(error: &codec::Error) -> Option<String> {
    match error {
        codec::Error::FrameTooLarge { size, size_max, .. } => Some(format!(
            "Frame size {size} exceeds max frame size {}",
            size_max + FRAME_OVERHEAD
        )),
        codec::Error::FrameEnd { octet, .. } => {
            Some(format!("Frame-end was {octet}, expected 206"))
        }
        codec::Error::FrameKind { kind, .. } => Some(format!("Invalid frame type {kind}")),
        codec::Error::UnknownMethod { .. }
        | codec::Error::Truncated
        | codec::Error::Trailing { .. }
        | codec::Error::Weight
        | codec::Error::UnknownProperties
        | codec::Error::Utf8
        | codec::Error::FieldType { .. }
        | codec::Error::TooDeep => None,
    }
}

pub(super) fn farewell(farewell: Farewell<'_>) -> String {
    match farewell {
        Farewell::Shutdown => "Broker shutdown".to_owned(),
        Farewell::VhostDeleted(_) => "VHost deleted".to_owned(),
        Farewell::UserDeleted(_) => rabbitmq::farewell(farewell),
    }
}
