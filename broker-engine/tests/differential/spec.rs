//! The methods of AMQP 0-9-1 as a table, and their bytes.
//!
//! Owns the wire form of methods apart from the engine's codec, so that a mistake there is seen. Source: the
//! specification's chapter 1 and RabbitMQ's documented extensions.

use std::fmt::Write as _;

use crate::value::{self, Bytes};

/// A method: ids, name, fields as `name:type`, and whether the peer answers it.
pub(crate) struct Spec {
    pub(crate) id: (u16, u16),
    pub(crate) name: &'static str,
    fields: &'static str,
    /// Names of the answers; none for what is not answered.
    pub(crate) replies: &'static [&'static str],
}

macro_rules! specs {
    ($($class:literal $method:literal $name:literal $fields:literal $($reply:literal)*;)+) => {
        &[$(Spec { id: ($class, $method), name: $name, fields: $fields, replies: &[$($reply),*] }),+]
    };
}

const SPECS: &[Spec] = specs! {
    10 10 "connection.start" "version_major:octet version_minor:octet server_properties:table mechanisms:longstr locales:longstr";
    10 11 "connection.start-ok" "client_properties:table mechanism:shortstr response:longstr locale:shortstr" "connection.tune" "connection.secure";
    10 20 "connection.secure" "challenge:longstr";
    10 21 "connection.secure-ok" "response:longstr" "connection.tune" "connection.secure";
    10 30 "connection.tune" "channel_max:short frame_max:long heartbeat:short";
    10 31 "connection.tune-ok" "channel_max:short frame_max:long heartbeat:short";
    10 40 "connection.open" "virtual_host:shortstr reserved_1:shortstr reserved_2:bit" "connection.open-ok";
    10 41 "connection.open-ok" "reserved_1:shortstr";
    10 50 "connection.close" "reply_code:short reply_text:shortstr class_id:short method_id:short" "connection.close-ok";
    10 51 "connection.close-ok" "";
    10 60 "connection.blocked" "reason:shortstr";
    10 61 "connection.unblocked" "";
    10 70 "connection.update-secret" "new_secret:longstr reason:shortstr" "connection.update-secret-ok";
    10 71 "connection.update-secret-ok" "";
    20 10 "channel.open" "reserved_1:shortstr" "channel.open-ok";
    20 11 "channel.open-ok" "reserved_1:longstr";
    20 20 "channel.flow" "active:bit" "channel.flow-ok";
    20 21 "channel.flow-ok" "active:bit";
    20 40 "channel.close" "reply_code:short reply_text:shortstr class_id:short method_id:short" "channel.close-ok";
    20 41 "channel.close-ok" "";
    30 10 "access.request" "realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit" "access.request-ok";
    30 11 "access.request-ok" "ticket:short";
    40 10 "exchange.declare" "reserved_1:short exchange:shortstr type:shortstr passive:bit durable:bit auto_delete:bit internal:bit no_wait:bit arguments:table" "exchange.declare-ok";
    40 11 "exchange.declare-ok" "";
    40 20 "exchange.delete" "reserved_1:short exchange:shortstr if_unused:bit no_wait:bit" "exchange.delete-ok";
    40 21 "exchange.delete-ok" "";
    40 30 "exchange.bind" "reserved_1:short destination:shortstr source:shortstr routing_key:shortstr no_wait:bit arguments:table" "exchange.bind-ok";
    40 31 "exchange.bind-ok" "";
    40 40 "exchange.unbind" "reserved_1:short destination:shortstr source:shortstr routing_key:shortstr no_wait:bit arguments:table" "exchange.unbind-ok";
    40 51 "exchange.unbind-ok" "";
    50 10 "queue.declare" "reserved_1:short queue:shortstr passive:bit durable:bit exclusive:bit auto_delete:bit no_wait:bit arguments:table" "queue.declare-ok";
    50 11 "queue.declare-ok" "queue:shortstr message_count:long consumer_count:long";
    50 20 "queue.bind" "reserved_1:short queue:shortstr exchange:shortstr routing_key:shortstr no_wait:bit arguments:table" "queue.bind-ok";
    50 21 "queue.bind-ok" "";
    50 30 "queue.purge" "reserved_1:short queue:shortstr no_wait:bit" "queue.purge-ok";
    50 31 "queue.purge-ok" "message_count:long";
    50 40 "queue.delete" "reserved_1:short queue:shortstr if_unused:bit if_empty:bit no_wait:bit" "queue.delete-ok";
    50 41 "queue.delete-ok" "message_count:long";
    50 50 "queue.unbind" "reserved_1:short queue:shortstr exchange:shortstr routing_key:shortstr arguments:table" "queue.unbind-ok";
    50 51 "queue.unbind-ok" "";
    60 10 "basic.qos" "prefetch_size:long prefetch_count:short global:bit" "basic.qos-ok";
    60 11 "basic.qos-ok" "";
    60 20 "basic.consume" "reserved_1:short queue:shortstr consumer_tag:shortstr no_local:bit no_ack:bit exclusive:bit no_wait:bit arguments:table" "basic.consume-ok";
    60 21 "basic.consume-ok" "consumer_tag:shortstr";
    60 30 "basic.cancel" "consumer_tag:shortstr no_wait:bit" "basic.cancel-ok";
    60 31 "basic.cancel-ok" "consumer_tag:shortstr";
    60 40 "basic.publish" "reserved_1:short exchange:shortstr routing_key:shortstr mandatory:bit immediate:bit";
    60 50 "basic.return" "reply_code:short reply_text:shortstr exchange:shortstr routing_key:shortstr";
    60 60 "basic.deliver" "consumer_tag:shortstr delivery_tag:longlong redelivered:bit exchange:shortstr routing_key:shortstr";
    60 70 "basic.get" "reserved_1:short queue:shortstr no_ack:bit" "basic.get-ok" "basic.get-empty";
    60 71 "basic.get-ok" "delivery_tag:longlong redelivered:bit exchange:shortstr routing_key:shortstr message_count:long";
    60 72 "basic.get-empty" "reserved_1:shortstr";
    60 80 "basic.ack" "delivery_tag:longlong multiple:bit";
    60 90 "basic.reject" "delivery_tag:longlong requeue:bit";
    60 100 "basic.recover-async" "requeue:bit";
    60 110 "basic.recover" "requeue:bit" "basic.recover-ok";
    60 111 "basic.recover-ok" "";
    60 120 "basic.nack" "delivery_tag:longlong multiple:bit requeue:bit";
    85 10 "confirm.select" "no_wait:bit" "confirm.select-ok";
    85 11 "confirm.select-ok" "";
    90 10 "tx.select" "" "tx.select-ok";
    90 11 "tx.select-ok" "";
    90 20 "tx.commit" "" "tx.commit-ok";
    90 21 "tx.commit-ok" "";
    90 30 "tx.rollback" "" "tx.rollback-ok";
    90 31 "tx.rollback-ok" "";
};

/// What a script gives for a method: words in the order of the fields, `name=value` pairs, a table.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) pairs: Vec<(String, Vec<u8>)>,
    pub(crate) table: Option<Vec<u8>>,
}

impl Spec {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.name == name)
    }

    pub(crate) fn with_id(id: (u16, u16)) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.id == id)
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.fields
            .split_whitespace()
            .map(|field| field.split_once(':').expect("every field has a type"))
    }

    /// The payload of a method frame. A word that names a bit sets it; other words fill the fields in their
    /// order, reserved ones, bits and tables left out.
    pub(crate) fn encode(&self, arguments: &Arguments) -> Result<Vec<u8>, String> {
        let is_bit = |word: &[u8]| {
            self.fields()
                .any(|(name, kind)| kind == "bit" && name.as_bytes() == word)
        };
        let mut positional = arguments.words.iter().filter(|word| !is_bit(word));
        let mut payload = Vec::new();
        payload.extend(self.id.0.to_be_bytes());
        payload.extend(self.id.1.to_be_bytes());
        let mut bits = 0;
        for (name, kind) in self.fields() {
            let pair = arguments.pairs.iter().find(|(other, _)| other == name);
            let given = pair.map(|(_, value)| value.as_slice());
            if kind == "bit" {
                let is_set = arguments.words.iter().any(|word| word == name.as_bytes());
                if bits == 0 {
                    payload.push(0);
                }
                let last = payload.last_mut().expect("an octet was pushed");
                *last |= u8::from(is_set) << bits;
                bits += 1;
                continue;
            }
            bits = 0;
            if kind == "table" {
                let table = arguments.table.as_deref().unwrap_or_default();
                value::put_long(&mut payload, table);
                continue;
            }
            let given = match given {
                None if name.starts_with("reserved") => None,
                None => positional.next().map(Vec::as_slice),
                given => given,
            };
            put(&mut payload, kind, given.unwrap_or_default())?;
        }
        match positional.next() {
            None => Ok(payload),
            Some(word) => Err(format!(
                "{}: nothing takes '{}'",
                self.name,
                word.escape_ascii()
            )),
        }
    }

    /// Name and fields of a method, in words; reserved fields only when they say something.
    pub(crate) fn describe(&self, bytes: &mut Bytes<'_>) -> Option<String> {
        let mut text = self.name.to_owned();
        let (mut bits, mut octet) = (0, 0);
        for (name, kind) in self.fields() {
            if kind == "bit" {
                if bits == 0 {
                    octet = bytes.octet()?;
                }
                let is_set = octet >> bits & 1 == 1;
                bits += 1;
                if is_set {
                    write!(text, " {name}").ok()?;
                }
                continue;
            }
            bits = 0;
            let value = show(bytes, kind)?;
            if !name.starts_with("reserved") || !matches!(&*value, "0" | "\"\"") {
                write!(text, " {name}={value}").ok()?;
            }
        }
        Some(text)
    }
}

fn put(payload: &mut Vec<u8>, kind: &str, given: &[u8]) -> Result<(), String> {
    let number = || -> Result<u64, String> {
        if given.is_empty() {
            return Ok(0);
        }
        let text = std::str::from_utf8(given).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| format!("'{}' is no number", given.escape_ascii()))
    };
    let width = match kind {
        "shortstr" => {
            let length = u8::try_from(given.len()).map_err(|_| "a short string is too long")?;
            payload.push(length);
            payload.extend(given);
            return Ok(());
        }
        "longstr" => {
            value::put_long(payload, given);
            return Ok(());
        }
        "octet" => 1,
        "short" => 2,
        "long" => 4,
        _ => 8,
    };
    payload.extend(&number()?.to_be_bytes()[8 - width..]);
    Ok(())
}

fn show(bytes: &mut Bytes<'_>, kind: &str) -> Option<String> {
    Some(match kind {
        "shortstr" => value::quoted(bytes.short_text()?),
        "longstr" => value::quoted(bytes.long_text()?),
        "table" => value::show_table(bytes.long_text()?)?,
        "octet" => bytes.number(1)?.to_string(),
        "short" => bytes.number(2)?.to_string(),
        "long" => bytes.number(4)?.to_string(),
        _ => bytes.number(8)?.to_string(),
    })
}

/// The properties of class basic, in the order of their flags from the highest.
pub(crate) const PROPERTIES: &[(&str, &str)] = &[
    ("content_type", "shortstr"),
    ("content_encoding", "shortstr"),
    ("headers", "table"),
    ("delivery_mode", "octet"),
    ("priority", "octet"),
    ("correlation_id", "shortstr"),
    ("reply_to", "shortstr"),
    ("expiration", "shortstr"),
    ("message_id", "shortstr"),
    ("timestamp", "longlong"),
    ("type", "shortstr"),
    ("user_id", "shortstr"),
    ("app_id", "shortstr"),
    ("cluster_id", "shortstr"),
];

/// Flags and property list; the table is `headers`.
pub(crate) fn encode_properties(arguments: &Arguments) -> Result<Vec<u8>, String> {
    let mut flags: u16 = 0;
    let mut list = Vec::new();
    for (at, (name, kind)) in PROPERTIES.iter().enumerate() {
        let pair = arguments.pairs.iter().find(|(other, _)| other == name);
        match (*kind, pair, &arguments.table) {
            ("table", _, Some(table)) => value::put_long(&mut list, table),
            (_, Some((_, value)), _) => put(&mut list, kind, value)?,
            _ => continue,
        }
        flags |= 1 << (15 - at);
    }
    Ok([flags.to_be_bytes().to_vec(), list].concat())
}

/// The properties in words.
pub(crate) fn describe_properties(bytes: &mut Bytes<'_>) -> Option<String> {
    let flags = bytes.number(2)?;
    let mut text = String::new();
    for (at, (name, kind)) in PROPERTIES.iter().enumerate() {
        if flags >> (15 - at) & 1 == 1 {
            write!(text, " {name}={}", show(bytes, kind)?).ok()?;
        }
    }
    if flags & 3 != 0 {
        write!(text, " flags={flags:#x}").ok()?;
    }
    Some(text)
}
