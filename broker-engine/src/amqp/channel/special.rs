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

/// Checks an expiration: milliseconds as text.
pub(super) fn check_expiration(expiration: &str) -> Result<(), Error> {
    let refused = |reason: String| {
        Error::precondition(format!("invalid expiration '{expiration}': {reason}"))
    };
    let digits = expiration.strip_prefix(['-', '+']).unwrap_or(expiration);
    let end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return Err(refused("{error,no_integer}".to_owned()));
    }
    let (number, leftover) = (&digits[..end], &digits[end..]);
    if !leftover.is_empty() {
        return Err(refused(format!("{{leftover_string,\"{leftover}\"}}")));
    }
    if expiration.starts_with('-') && number.bytes().any(|digit| digit != b'0') {
        return Err(refused(format!("{{value_negative,-{number}}}")));
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
            rewritten.reply_to = Some(reply_to.ok_or_else(missing)?);
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
        for fine in ["0", "100", "+5", "-0"] {
            assert_eq!(check_expiration(fine), Ok(()), "{fine}");
        }
        let cases = [
            ("abc", "{error,no_integer}"),
            ("", "{error,no_integer}"),
            ("12a", "{leftover_string,\"a\"}"),
            ("-1", "{value_negative,-1}"),
        ];
        for (expiration, reason) in cases {
            assert_eq!(
                check_expiration(expiration).unwrap_err().text,
                format!("invalid expiration '{expiration}': {reason}")
            );
        }
    }
}
