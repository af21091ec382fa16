//! Messages that ask for more than a place in a queue: copies to further keys, an answer on this channel, a lifetime.
//!
//! Owns what the peers read out of a message's properties when it comes in.

use super::super::error::Error;
use super::super::refusal::{Lifetime, Refusal};
use super::{Channel, Context};
use crate::broker::Dialect;
use crate::codec::amqp::{FieldTable, FieldValue, Properties, encode_table};

/// What a client consumes from, and names as the place for answers.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What LavinMQ calls the same place besides.
const REPLY_TO_LAVINMQ: &str = "amq.direct.reply-to";

/// What follows the name of the place for answers, if it is that.
pub(super) fn after_reply_place<'a>(context: &Context, name: &'a str) -> Option<&'a str> {
    let own = || name.strip_prefix(REPLY_TO_LAVINMQ);
    name.strip_prefix(REPLY_TO)
        .or_else(|| own().filter(|_| context.server.is_lavinmq()))
}

/// A message that goes on with other properties than it came with.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) properties: Vec<u8>,
    pub(super) copies: Vec<String>,
}

/// Checks what a message says of its publisher, its lifetime and its durability.
pub(super) fn check(context: &Context, properties: &Properties<'_>) -> Result<(), Error> {
    if let Some(user) = properties.user_id {
        check_user(context, user)?;
    }
    if let Some(expiration) = properties.expiration {
        check_lifetime(context, expiration)?;
    }
    match properties.unknown_delivery_mode() {
        Some(mode) if !context.server.is_lavinmq() => {
            Err(context.server.refuse(&Refusal::DeliveryMode(mode)))
        }
        _ => Ok(()),
    }
}

fn check_user(context: &Context, user: &[u8]) -> Result<(), Error> {
    let identity = context.session.identity();
    let is_own = identity.name.as_bytes() == user;
    if is_own || identity.tags.iter().any(|tag| tag == "impersonator") {
        return Ok(());
    }
    let (claimed, user) = (&*String::from_utf8_lossy(user), &*identity.name);
    Err(context.server.refuse(&Refusal::User { claimed, user }))
}

/// RabbitMQ's longest lifetime: a hundred years, in milliseconds. LavinMQ's is what 32 bits hold.
const EXPIRATION_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

fn check_lifetime(context: &Context, expiration: &[u8]) -> Result<(), Error> {
    let expiration = &*String::from_utf8_lossy(expiration);
    match lifetime_problem(expiration, context.server.dialect()) {
        None => Ok(()),
        Some(problem) => Err(context.server.refuse(&Refusal::Lifetime {
            expiration,
            problem,
        })),
    }
}

/// What is wrong with an expiration: milliseconds as text.
fn lifetime_problem(expiration: &str, dialect: Dialect) -> Option<Lifetime> {
    let digits = expiration.strip_prefix(['-', '+']).unwrap_or(expiration);
    let end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    let (number, leftover) = (&digits[..end], &digits[end..]);
    if number.is_empty() {
        return Some(Lifetime::NotANumber);
    }
    if !leftover.is_empty() {
        return Some(Lifetime::Leftover);
    }
    if expiration.starts_with('-') && number.bytes().any(|digit| digit != b'0') {
        return Some(Lifetime::Negative);
    }
    let max = match dialect {
        Dialect::RabbitMq3 | Dialect::RabbitMq4 => EXPIRATION_MS_MAX,
        Dialect::LavinMq => i32::MAX.unsigned_abs().into(),
    };
    let is_too_long = number.parse().map_or(true, |number: u64| number > max);
    is_too_long.then_some(Lifetime::TooLong)
}

impl Channel {
    /// What to change in a message before it goes on; `None` for nearly all.
    pub(super) fn rewrite(
        &self,
        context: &Context,
        properties: &Properties<'_>,
    ) -> Result<Option<Rewritten>, Error> {
        let has_copies = properties.headers.is_some_and(names_copies);
        let wants_reply = properties
            .reply_to
            .and_then(|place| std::str::from_utf8(place).ok())
            .is_some_and(|place| after_reply_place(context, place) == Some(""));
        if !has_copies && !wants_reply {
            return Ok(None);
        }
        let mut rewritten = properties.clone();
        let (mut copies, mut headers) = (Vec::new(), Vec::new());
        if has_copies {
            let mut table = properties.headers_table()?;
            for name in ["CC", "BCC"] {
                copies.extend(keys(context, &table, name)?);
            }
            table.0.retain(|(name, _)| name != "BCC");
            headers = encode_table(&table);
        }
        if has_copies {
            rewritten.headers = Some(&headers);
        }
        let reply_to = self.reply_to.as_ref().map(|(_, name)| name);
        if wants_reply {
            let missing = || self.refuse(&Refusal::NoReplyConsumer);
            rewritten.reply_to = Some(reply_to.ok_or_else(missing)?.as_bytes());
        }
        Ok(Some(Rewritten {
            properties: rewritten.encode(),
            copies,
        }))
    }
}

/// A quick look that may be wrong in one direction only: most headers name no copies.
fn names_copies(headers: &[u8]) -> bool {
    headers
        .windows(3)
        .any(|window| window == b"\x02CC" || window == b"\x03BC")
}

fn keys(context: &Context, headers: &FieldTable, name: &str) -> Result<Vec<String>, Error> {
    let refused = |field: &FieldValue| {
        let type_name = super::arguments::value(field).type_name();
        context.server.refuse(&Refusal::Copies {
            header: name,
            type_name,
        })
    };
    match headers.get(name) {
        None => Ok(Vec::new()),
        Some(FieldValue::Array(keys)) => {
            let others = |key: &&FieldValue| key.as_str().is_none();
            if let Some(other) = keys
                .iter()
                .find(others)
                .filter(|_| context.server.is_lavinmq())
            {
                return Err(refused(other));
            }
            let keys = keys.iter().filter_map(FieldValue::as_str);
            Ok(keys.map(str::to_owned).collect())
        }
        Some(other) => Err(refused(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_is_a_whole_number_of_milliseconds() {
        let problem = |expiration| lifetime_problem(expiration, Dialect::RabbitMq4);
        for fine in ["0", "100", "+5", "-0", "3153600000000"] {
            assert_eq!(problem(fine), None, "{fine}");
        }
        let cases = [
            ("abc", Lifetime::NotANumber, "no_integer"),
            ("", Lifetime::NotANumber, "no_integer"),
            (
                "3153600000001",
                Lifetime::TooLong,
                "{value_too_large,3153600000001}",
            ),
            ("12a", Lifetime::Leftover, "{leftover_string,\"a\"}"),
            ("-1", Lifetime::Negative, "{value_negative,-1}"),
        ];
        for (expiration, expected, reason) in cases {
            assert_eq!(problem(expiration), Some(expected), "{expiration}");
            let refusal = Refusal::Lifetime {
                expiration,
                problem: expected,
            };
            assert_eq!(
                refusal.said_by(Dialect::RabbitMq4).text,
                format!("invalid expiration '{expiration}': {reason}")
            );
        }
    }

    #[test]
    fn lavinmq_keeps_lifetimes_in_32_bits() {
        let problem = |expiration| lifetime_problem(expiration, Dialect::LavinMq);
        assert_eq!(problem("2147483647"), None);
        assert_eq!(problem("2147483648"), Some(Lifetime::TooLong));
    }
}
