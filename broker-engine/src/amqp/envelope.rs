//! The properties of class basic as the core asks about them.

use super::channel::{fields, table};
use crate::broker::{Envelope, Table, Value};
use crate::codec::amqp::{Properties, encode_table};

/// Bytes of the longest short string.
const SHORT_MAX: usize = 255;

/// Properties in the wire form of AMQP 0-9-1; they were checked when they came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct WireProperties;

impl Envelope for WireProperties {
    fn headers(&self, properties: &[u8]) -> Table {
        let headers = read(properties).headers_table();
        headers.map(|headers| table(&headers)).unwrap_or_default()
    }

    fn expiration_ms(&self, properties: &[u8]) -> Option<u64> {
        let expiration = std::str::from_utf8(read(properties).expiration?).ok()?;
        // What is less than nothing was refused; there may be a sign before nothing.
        expiration
            .parse()
            .map_or_else(|_| (expiration == "-0").then_some(0), Some)
    }

    fn priority(&self, properties: &[u8]) -> u8 {
        read(properties).priority.unwrap_or_default()
    }

    fn is_persistent(&self, properties: &[u8]) -> bool {
        read(properties).is_persistent()
    }

    fn text(&self, properties: &[u8], name: &str) -> Option<String> {
        let properties = read(properties);
        match name {
            "delivery_mode" => properties.delivery_mode.map(|mode| mode.to_string()),
            "priority" => properties.priority.map(|priority| priority.to_string()),
            "timestamp" => properties.timestamp.map(|seconds| seconds.to_string()),
            _ => {
                let mut texts = texts(&properties).into_iter();
                let (_, text) = texts.find(|(known, _)| *known == name)?;
                text.map(|text| String::from_utf8_lossy(text).into_owned())
            }
        }
    }

    fn with_headers(&self, properties: &[u8], headers: &Table) -> Vec<u8> {
        let headers = encode_table(&fields(headers));
        let mut properties = read(properties);
        properties.headers = Some(&headers);
        properties.encode()
    }

    fn without_expiration(&self, properties: &[u8]) -> Vec<u8> {
        let mut properties = read(properties);
        properties.expiration = None;
        properties.encode()
    }

    fn describe(&self, properties: &[u8]) -> Table {
        let properties = read(properties);
        let mut described = Vec::new();
        for (name, text) in texts(&properties) {
            if let Some(text) = text {
                described.push((name.to_owned(), Value::String(text.to_vec())));
            }
        }
        let mut add = |name: &str, value: Option<Value>| {
            described.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("delivery_mode", properties.delivery_mode.map(Value::U8));
        add("priority", properties.priority.map(Value::U8));
        add("timestamp", properties.timestamp.map(Value::Timestamp));
        let headers = properties
            .headers
            .and_then(|_| properties.headers_table().ok());
        add(
            "headers",
            headers.map(|headers| Value::Table(table(&headers))),
        );
        Table(described)
    }

    fn compose(&self, described: &Table) -> Result<Vec<u8>, String> {
        let text = |name: &str| match described.get(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) if text.len() <= SHORT_MAX => Ok(Some(text.as_bytes())),
                Some(_) => Err(format!("{name} is longer than {SHORT_MAX} bytes")),
                None => Err(format!("{name} must be a string")),
            },
        };
        let octet = |name: &str| match described.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .and_then(|value| u8::try_from(value).ok())
                .map(Some)
                .ok_or_else(|| format!("{name} must be a number from 0 to 255")),
        };
        let timestamp = described.get("timestamp").map(|value| {
            let seconds = value.as_i64().and_then(|value| u64::try_from(value).ok());
            seconds.ok_or_else(|| "timestamp must be a number".to_owned())
        });
        let headers = match described.get("headers") {
            None => None,
            Some(Value::Table(headers)) => Some(encode_table(&fields(headers))),
            Some(_) => return Err("headers must be an object".to_owned()),
        };
        let properties = Properties {
            content_type: text("content_type")?,
            content_encoding: text("content_encoding")?,
            headers: headers.as_deref(),
            delivery_mode: octet("delivery_mode")?,
            priority: octet("priority")?,
            correlation_id: text("correlation_id")?,
            reply_to: text("reply_to")?,
            expiration: text("expiration")?,
            message_id: text("message_id")?,
            timestamp: timestamp.transpose()?,
            kind: text("type")?,
            user_id: text("user_id")?,
            app_id: text("app_id")?,
            cluster_id: text("cluster_id")?,
        };
        if properties
            .expiration
            .is_some_and(|text| !text.iter().all(u8::is_ascii_digit) || text.is_empty())
        {
            return Err("expiration must be a number of milliseconds".to_owned());
        }
        Ok(properties.encode())
    }
}

/// The properties that are texts, by name.
fn texts<'a>(properties: &Properties<'a>) -> [(&'static str, Option<&'a [u8]>); 10] {
    [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.kind),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ]
}

fn read(properties: &[u8]) -> Properties<'_> {
    Properties::decode(properties).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_can_be_composed_again() {
        let headers = Table(vec![("x".to_owned(), Value::I64(1))]);
        let headers = encode_table(&fields(&headers));
        let before = Properties {
            content_type: Some(b"text/plain"),
            headers: Some(&headers),
            delivery_mode: Some(2),
            priority: Some(3),
            expiration: Some(b"60"),
            kind: Some(b"k"),
            ..Properties::default()
        };
        let described = WireProperties.describe(&before.encode());
        assert_eq!(described.0.len(), 6);
        for (name, value) in &described.0 {
            let text = (name != "headers").then(|| value.to_string());
            assert_eq!(WireProperties.text(&before.encode(), name), text);
        }
        assert_eq!(WireProperties.compose(&described).unwrap(), before.encode());
        let wrong = Table(vec![("priority".to_owned(), Value::I64(256))]);
        assert!(WireProperties.compose(&wrong).is_err());
    }

    #[test]
    fn headers_are_replaced_and_everything_else_stays() {
        let before = Properties {
            content_type: Some(b"text/plain"),
            delivery_mode: Some(2),
            expiration: Some(b"60"),
            timestamp: Some(7),
            cluster_id: Some(b"c"),
            ..Properties::default()
        };
        let headers = Table(vec![("x".to_owned(), Value::I64(1))]);
        let bytes = WireProperties.with_headers(&before.encode(), &headers);
        assert_eq!(WireProperties.headers(&bytes), headers);
        assert_eq!(WireProperties.expiration_ms(&bytes), Some(60));
        let bytes = WireProperties.without_expiration(&bytes);
        assert_eq!(WireProperties.expiration_ms(&bytes), None);
        let mut after = Properties::decode(&bytes).unwrap();
        after.headers = None;
        after.expiration = before.expiration;
        assert_eq!(after, before);
    }
}
