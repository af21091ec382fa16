//! Messages that ask for more than a place in a queue: copies to further keys, an answer on this channel, a lifetime.
//!
//! Owns what RabbitMQ reads out of a message's properties when it comes in, and the texts of its refusals.

use super::super::error::Error;
use super::{Channel, Context};
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
        check_expiration(expiration)?;
    }
    match properties.unknown_delivery_mode() {
        Some(mode) if !context.server.is_lavinmq() => Err(Error::precondition(format!(
            "invalid message: {{delivery_mode_unknown,{mode}}}"
        ))),
        _ => Ok(()),
    }
}

fn check_user(context: &Context, user: &[u8]) -> Result<(), Error> {
    let identity = context.session.identity();
    let is_own = identity.name.as_bytes() == user;
    if is_own || identity.tags.iter().any(|tag| tag == "impersonator") {
        return Ok(());
    }
    Err(Error::precondition(format!(
        "user_id property set to '{}' but authenticated user was '{}'",
        String::from_utf8_lossy(user),
        identity.name
    )))
}

/// The longest lifetime: a hundred years, in milliseconds.
const EXPIRATION_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Checks an expiration: milliseconds as text.
pub(super) fn check_expiration(expiration: &[u8]) -> Result<(), Error> {
    let expiration = &*String::from_utf8_lossy(expiration);
    let refused = |reason: String| {
        Error::precondition(format!("invalid expiration '{expiration}': {reason}"))
    };
    let digits = expiration.strip_prefix(['-', '+']).unwrap_or(expiration);
    let end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return Err(refused("no_integer".to_owned()));
    }
    let (number, leftover) = (&digits[..end], &digits[end..]);
    if !leftover.is_empty() {
        return Err(refused(format!("{{leftover_string,\"{leftover}\"}}")));
    }
    if expiration.starts_with('-') && number.bytes().any(|digit| digit != b'0') {
        let number = number.trim_start_matches('0');
        return Err(refused(format!("{{value_negative,-{number}}}")));
    }
    if number
        .parse()
        .map_or(true, |number: u64| number > EXPIRATION_MS_MAX)
    {
        let number = number.trim_start_matches('0');
        return Err(refused(format!("{{value_too_large,{number}}}")));
    }
    Ok(())
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
                copies.extend(keys(&table, name)?);
            }
            table.0.retain(|(name, _)| name != "BCC");
            headers = encode_table(&table);
        }
        if has_copies {
            rewritten.headers = Some(&headers);
        }
        let reply_to = self.reply_to.as_ref().map(|(_, name)| name);
        if wants_reply {
            let missing = || Error::precondition("fast reply consumer does not exist");
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

fn keys(headers: &FieldTable, name: &str) -> Result<Vec<String>, Error> {
    match headers.get(name) {
        None => Ok(Vec::new()),
        Some(FieldValue::Array(keys)) => Ok(keys
            .iter()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect()),
        Some(other) => Err(Error::precondition(format!(
            "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
            super::arguments::value(other).type_name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_is_a_whole_number_of_milliseconds() {
        for fine in ["0", "100", "+5", "-0", "3153600000000"] {
            assert_eq!(check_expiration(fine.as_bytes()), Ok(()), "{fine}");
        }
        let cases = [
            ("abc", "no_integer"),
            ("", "no_integer"),
            ("3153600000001", "{value_too_large,3153600000001}"),
            ("12a", "{leftover_string,\"a\"}"),
            ("-1", "{value_negative,-1}"),
        ];
        for (expiration, reason) in cases {
            assert_eq!(
                check_expiration(expiration.as_bytes()).unwrap_err().text,
                format!("invalid expiration '{expiration}': {reason}")
            );
        }
    }
}
