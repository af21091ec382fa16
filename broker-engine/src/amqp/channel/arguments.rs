//! Field tables as the broker's tables, and the arguments this broker does not act on.

use super::super::error::Error;
use crate::broker::{Table, Value};
use crate::codec::amqp::{FieldTable, FieldValue, Properties};

/// Arguments whose meaning is not built: a queue or exchange that ignored them would be a lie.
const UNSUPPORTED: [&str; 12] = [
    "x-consumer-timeout",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-delivery-limit",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-deduplication",
    "x-message-ttl",
    "x-overflow",
    "x-single-active-consumer",
];

/// The arguments of a declaration.
///
/// # Errors
/// 406 for an argument that would have to change behaviour and does not.
pub(super) fn declared(
    kind: &str,
    name: &str,
    vhost: &str,
    arguments: &FieldTable,
) -> Result<Table, Error> {
    for (argument, value) in &arguments.0 {
        let is_unsupported = UNSUPPORTED.contains(&argument.as_str())
            || (argument == "x-queue-type" && value.as_str() != Some("classic"));
        if is_unsupported {
            return Err(Error::precondition(format!(
                "argument '{argument}' for {kind} '{name}' in vhost '{vhost}' is not supported"
            )));
        }
    }
    Ok(table(arguments))
}

/// A table in the broker's words.
pub(super) fn table(fields: &FieldTable) -> Table {
    fields
        .0
        .iter()
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

fn value(field: &FieldValue) -> Value {
    match field {
        FieldValue::Bool(value) => Value::Bool(*value),
        FieldValue::I8(value) => Value::I8(*value),
        FieldValue::U8(value) => Value::U8(*value),
        FieldValue::I16(value) => Value::I16(*value),
        FieldValue::U16(value) => Value::U16(*value),
        FieldValue::I32(value) => Value::I32(*value),
        FieldValue::U32(value) => Value::U32(*value),
        FieldValue::I64(value) | FieldValue::I64Upper(value) => Value::I64(*value),
        FieldValue::F32(bits) => Value::F32(f32::from_bits(*bits)),
        FieldValue::F64(bits) => Value::F64(f64::from_bits(*bits)),
        FieldValue::Decimal(scale, value) => Value::Decimal {
            scale: *scale,
            value: *value,
        },
        FieldValue::LongString(bytes) => Value::String(bytes.clone()),
        FieldValue::Bytes(bytes) => Value::Bytes(bytes.clone()),
        FieldValue::Timestamp(value) => Value::Timestamp(*value),
        FieldValue::Array(values) => Value::Array(values.iter().map(value).collect()),
        FieldValue::Table(fields) => Value::Table(table(fields)),
        FieldValue::Void => Value::Void,
    }
}

/// A message's headers, for headers exchanges; properties were checked when they came in.
pub(super) fn read_headers(properties: &[u8]) -> Table {
    let headers = Properties::decode(properties).and_then(|properties| properties.headers_table());
    headers.map(|headers| table(&headers)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(argument: &str, value: FieldValue) -> Result<Table, Error> {
        declared(
            "queue",
            "q",
            "/",
            &FieldTable(vec![(argument.to_owned(), value)]),
        )
    }

    #[test]
    fn an_argument_that_would_be_ignored_is_refused() {
        let refused = check("x-message-ttl", FieldValue::I32(1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "PRECONDITION_FAILED - argument 'x-message-ttl' for queue 'q' in vhost '/' \
             is not supported"
        );
        assert!(check("x-queue-type", FieldValue::from("quorum")).is_err());
        assert!(check("x-queue-type", FieldValue::from("classic")).is_ok());
        assert!(check("x-mine", FieldValue::Void).is_ok());
    }
}
