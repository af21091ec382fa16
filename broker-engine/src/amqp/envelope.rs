//! The properties of class basic as the core asks about them.

use super::channel::{fields, table};
use crate::broker::{Envelope, Table};
use crate::codec::amqp::{Properties, encode_table};

/// Properties in the wire form of AMQP 0-9-1; they were checked when they came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct WireProperties;

impl Envelope for WireProperties {
    fn headers(&self, properties: &[u8]) -> Table {
        let headers = read(properties).headers_table();
        headers.map(|headers| table(&headers)).unwrap_or_default()
    }

    fn expiration_ms(&self, properties: &[u8]) -> Option<u64> {
        read(properties).expiration?.parse().ok()
    }

    fn priority(&self, properties: &[u8]) -> u8 {
        read(properties).priority.unwrap_or_default()
    }

    fn is_persistent(&self, properties: &[u8]) -> bool {
        read(properties).is_persistent()
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
}

fn read(properties: &[u8]) -> Properties<'_> {
    Properties::decode(properties).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Value;

    #[test]
    fn headers_are_replaced_and_everything_else_stays() {
        let before = Properties {
            content_type: Some("text/plain"),
            delivery_mode: Some(2),
            expiration: Some("60"),
            timestamp: Some(7),
            cluster_id: Some("c"),
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
