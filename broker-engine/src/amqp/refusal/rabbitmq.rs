//! RabbitMQ's codes and words. What only LavinMQ refuses has LavinMQ's.

use super::super::error::Error;
use super::super::malformed;
use super::super::reply_code::ReplyCode;
use super::{Came, Due, Farewell, Lifetime, Refusal, lavinmq};
use crate::codec::amqp::{BasicPublish, CLASS_BASIC, Encode as _};

pub(super) fn answer(refusal: &Refusal<'_>) -> Error {
    match refusal {
        Refusal::ConfirmInTransaction => {
            Error::precondition("cannot switch from tx to confirm mode")
        }
        Refusal::TransactionInConfirm => {
            Error::precondition("cannot switch from confirm to tx mode")
        }
        Refusal::NotTransactional => Error::precondition("channel is not transactional"),
        Refusal::PrefetchSize(size) => Error::not_implemented(format!("prefetch_size!=0 ({size})")),
        Refusal::FlowOff => Error::not_implemented("active=false"),
        Refusal::Immediate => Error::not_implemented("immediate=true"),
        Refusal::RecoverWithoutRequeue => Error::not_implemented("requeue=false"),
        Refusal::Unimplemented => Error::new(ReplyCode::CommandInvalid, "unimplemented method"),
        Refusal::NoQueueDeclared => Error::new(ReplyCode::NotFound, "no previously declared queue"),
        Refusal::MessageSize { size, max } => Error::precondition(format!(
            "message size {size} is larger than configured max size {max}"
        )),
        Refusal::Lifetime {
            expiration,
            problem,
        } => Error::precondition(format!(
            "invalid expiration '{expiration}': {}",
            lifetime(expiration, *problem)
        )),
        Refusal::User { claimed, user } => Error::precondition(format!(
            "user_id property set to '{claimed}' but authenticated user was '{user}'"
        )),
        Refusal::DeliveryMode(mode) => {
            Error::precondition(format!("invalid message: {{delivery_mode_unknown,{mode}}}"))
        }
        Refusal::Copies { header, type_name } => Error::precondition(format!(
            "invalid message: {{unacceptable_type_in_header,\"{header}\",{type_name}}}"
        )),
        Refusal::NoReplyConsumer => Error::precondition("fast reply consumer does not exist"),
        Refusal::ReplyConsumerThere => Error::precondition("reply consumer already set"),
        Refusal::ReplyConsumerAcknowledges => {
            Error::precondition("reply consumer cannot acknowledge")
        }
        Refusal::ConsumersOfChannel { max } => {
            Error::not_allowed(format!("reached maximum ({max}) of consumers per channel"))
        }
        Refusal::TagInUse(tag) => {
            Error::not_allowed(format!("attempt to reuse consumer tag '{tag}'"))
        }
        Refusal::QosOfChannel { queue, vhost } => Error::not_implemented(format!(
            "queue '{queue}' in vhost '{vhost}' does not support global qos"
        )),
        Refusal::UnknownTag(tag) | Refusal::SettledTag(tag) => {
            Error::precondition(format!("unknown delivery tag {tag}"))
        }
        Refusal::Overdue { channel, limit_ms } => Error::precondition(format!(
            "delivery acknowledgement on channel {channel} timed out. Timeout value used: {limit_ms} ms. This timeout \
             value can be configured, see consumers doc guide to learn more"
        )),
        Refusal::OutOfTurn { due, came } => out_of_turn(*due, *came),
        Refusal::NotOpen(_) => Error::new(ReplyCode::ChannelError, "expected 'channel.open'"),
        Refusal::OpenAlready => Error::new(ReplyCode::ChannelError, "second 'channel.open' seen"),
        Refusal::ChannelsOfConnection { count, max } => Error::not_allowed(format!(
            "number of channels opened ({count}) has reached the negotiated channel_max ({max})"
        )),
        Refusal::OutOfPlace(state) => Error::new(
            ReplyCode::ChannelError,
            format!("unexpected method in connection state {state}"),
        ),
        Refusal::MisplacedFrame(frame) => malformed::unexpected_frame(frame),
        Refusal::BrokenFrame(frame) => malformed::unknown_frame(frame),
        Refusal::Stream(error) => malformed::stream((*error).clone()),
        Refusal::Fields { payload, error } => malformed::fields(payload, (*error).clone()),
        Refusal::Login { mechanism } => Error::new(
            ReplyCode::AccessRefused,
            format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            ),
        ),
        Refusal::Negotiated {
            limit,
            chosen,
            min,
            max,
        } => {
            let detail = if *chosen == 0 && *limit == "channel_max" {
                " (no limit)"
            } else {
                ""
            };
            Error::not_allowed(format!(
                "negotiated {limit} = {chosen}{detail} is {}",
                bound(*chosen, *min, *max)
            ))
        }
        Refusal::VhostGone(vhost) => Error::not_allowed(format!("vhost {vhost} not found")),
        Refusal::LogFailed => Error::new(ReplyCode::InternalError, "the message log failed"),
        Refusal::InvalidName(_)
        | Refusal::NoRoomForMessage
        | Refusal::NoRoomForQueue
        | Refusal::SecretOfPassword => lavinmq::answer(refusal),
    }
}

/// What a limit is that it may not be.
pub(super) fn bound(chosen: u32, min: u32, max: u32) -> String {
    if chosen != 0 && chosen < min {
        format!("lower than the minimum allowed value ({min})")
    } else {
        format!("higher than the maximum allowed value ({max})")
    }
}

fn out_of_turn(due: Due, came: Came) -> Error {
    let text = match (due, came) {
        (Due::Method, _) => "expected method frame, got non method frame instead".to_owned(),
        (Due::Header(Some(class)), _) => format!(
            "expected content header for class {CLASS_BASIC}, got one for class {class} instead"
        ),
        (Due::Header(None), _) => format!(
            "expected content header for class {CLASS_BASIC}, got non content header frame instead"
        ),
        (Due::Body, _) => "expected content body, got non content body frame instead".to_owned(),
    };
    let error = Error::new(ReplyCode::UnexpectedFrame, text);
    if due == Due::Method {
        error.about_none()
    } else {
        error.about(BasicPublish::ID)
    }
}

/// Why, as Erlang prints it.
fn lifetime(expiration: &str, problem: Lifetime) -> String {
    let digits = expiration.strip_prefix(['-', '+']).unwrap_or(expiration);
    let number = digits.trim_start_matches('0');
    match problem {
        Lifetime::NotANumber => "no_integer".to_owned(),
        Lifetime::Leftover => {
            let leftover = digits.trim_start_matches(|character: char| character.is_ascii_digit());
            format!("{{leftover_string,\"{leftover}\"}}")
        }
        Lifetime::Negative => format!("{{value_negative,-{number}}}"),
        Lifetime::TooLong => format!("{{value_too_large,{number}}}"),
    }
}

pub(super) fn farewell(farewell: Farewell<'_>) -> String {
    match farewell {
        Farewell::Shutdown => "broker forced connection closure with reason 'shutdown'".to_owned(),
        Farewell::VhostDeleted(vhost) => format!("vhost '{vhost}' is deleted"),
        Farewell::UserDeleted(user) => format!("user '{user}' is deleted"),
    }
}
