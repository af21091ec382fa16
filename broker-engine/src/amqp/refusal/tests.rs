//! What LavinMQ says, with which code and how far it reaches. RabbitMQ's words are compared with its own, script by
//! script.

use super::super::reply_code::ReplyCode;
use super::*;

/// Reply text, and whether the connection ends.
fn said(refusal: &Refusal<'_>) -> (String, bool) {
    let error = refusal.said_by(Dialect::LavinMq);
    (error.reply_text(), error.is_hard())
}

#[test]
fn channels_are_closed_in_the_words_of_lavinmq() {
    let cases = [
        (
            Refusal::ConfirmInTransaction,
            "PRECONDITION_FAILED - Channel already in transactional mode",
        ),
        (
            Refusal::TransactionInConfirm,
            "PRECONDITION_FAILED - Channel already in confirm mode",
        ),
        (
            Refusal::NotTransactional,
            "PRECONDITION_FAILED - Not in transaction mode",
        ),
        (Refusal::PrefetchSize(1), "NOT_IMPLEMENTED - "),
        (
            Refusal::InvalidName("Queue"),
            "PRECONDITION_FAILED - Queue name isn't valid",
        ),
        (
            Refusal::NoRoomForMessage,
            "PRECONDITION_FAILED - Server low on disk space",
        ),
        (
            Refusal::NoRoomForQueue,
            "PRECONDITION_FAILED - Server low on disk space, can not create queue",
        ),
        (
            Refusal::MessageSize { size: 9, max: 8 },
            "PRECONDITION_FAILED - message size 9 larger than max size 8",
        ),
        (
            Refusal::Lifetime {
                expiration: "-1",
                problem: Lifetime::Negative,
            },
            "PRECONDITION_FAILED - Negative expiration not allowed",
        ),
        (
            Refusal::Lifetime {
                expiration: "1s",
                problem: Lifetime::Leftover,
            },
            "PRECONDITION_FAILED - Expiration not a number",
        ),
        (
            Refusal::User {
                claimed: "a",
                user: "b",
            },
            "PRECONDITION_FAILED - Message's user_id property 'a' doesn't match actual user 'b'",
        ),
        (
            Refusal::Copies {
                header: "CC",
                type_name: "longstr",
            },
            "PRECONDITION_FAILED - CC header not a string array",
        ),
        (
            Refusal::NoReplyConsumer,
            "PRECONDITION_FAILED - Direct reply consumer does not exist",
        ),
        (
            Refusal::ReplyConsumerAcknowledges,
            "PRECONDITION_FAILED - Direct replys must be consumed in no-ack mode",
        ),
        (
            Refusal::ConsumersOfChannel { max: 2 },
            "RESOURCE_ERROR - Max 2 consumers per channel reached",
        ),
        (
            Refusal::UnknownTag(3),
            "PRECONDITION_FAILED - unknown delivery tag 3",
        ),
        (
            Refusal::SettledTag(3),
            "PRECONDITION_FAILED - Delivery tag already acked",
        ),
        (
            Refusal::Overdue {
                channel: 1,
                limit_ms: 2,
            },
            "PRECONDITION_FAILED - consumer timeout",
        ),
        (
            Refusal::OutOfTurn {
                due: Due::Method,
                came: Came::Header,
            },
            "UNEXPECTED_FRAME - AMQ::Protocol::Frame::Header",
        ),
        (
            Refusal::OutOfTurn {
                due: Due::Body,
                came: Came::Publish,
            },
            "UNEXPECTED_FRAME - AMQ::Protocol::Frame::Basic::Publish",
        ),
    ];
    for (refusal, text) in cases {
        assert_eq!(said(&refusal), (text.to_owned(), false), "{refusal:?}");
    }
}

#[test]
fn connections_are_closed_in_the_words_of_lavinmq() {
    let cases = [
        (Refusal::NotOpen(7), "CHANNEL_ERROR - Channel 7 not open"),
        (
            Refusal::OpenAlready,
            "CHANNEL_ERROR - second 'channel.open' seen",
        ),
        (
            Refusal::Negotiated {
                limit: "channel_max",
                chosen: 0,
                min: 1,
                max: 2047,
            },
            "NOT_ALLOWED - failed to negotiate connection parameters: negotiated channel_max = 0 is higher than the \
             maximum allowed value (2047)",
        ),
        (Refusal::VhostGone("v"), "NOT_ALLOWED - vhost not found"),
        (
            Refusal::LogFailed,
            "INTERNAL_ERROR - Unexpected error, please report",
        ),
        (
            Refusal::Stream(&codec::Error::FrameTooLarge {
                kind: 1,
                size: 5000,
                size_max: 4088,
            }),
            "FRAME_ERROR - Frame size 5000 exceeds max frame size 4096",
        ),
    ];
    for (refusal, text) in cases {
        assert_eq!(said(&refusal), (text.to_owned(), true), "{refusal:?}");
    }
    let login = Refusal::Login { mechanism: "PLAIN" }.said_by(Dialect::LavinMq);
    assert_eq!((login.code, &*login.text), (ReplyCode::AccessRefused, ""));
    let farewell = Farewell::Shutdown.said_by(Dialect::LavinMq);
    assert_eq!(farewell, "Broker shutdown");
}
