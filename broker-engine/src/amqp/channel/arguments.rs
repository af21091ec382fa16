//! Field tables as the broker's tables, and back.

use crate::broker::{Table, Value};
use crate::codec::amqp::{FieldTable, FieldValue, Properties};

/// A table in the broker's words.
pub(crate) fn table(fields: &FieldTable) -> Table {
    fields
        .0
        .iter()
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

pub(super) fn value(field: &FieldValue) -> Value {
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

/// A table in the words of the wire.
pub(crate) fn fields(table: &Table) -> FieldTable {
    let fields = table
        .0
        .iter()
        .map(|(name, value)| (name.clone(), field(value)));
    FieldTable(fields.collect())
}

fn field(value: &Value) -> FieldValue {
    match value {
        Value::Void => FieldValue::Void,
        Value::Bool(value) => FieldValue::Bool(*value),
        Value::I8(value) => FieldValue::I8(*value),
        Value::U8(value) => FieldValue::U8(*value),
        Value::I16(value) => FieldValue::I16(*value),
        Value::U16(value) => FieldValue::U16(*value),
        Value::I32(value) => FieldValue::I32(*value),
        Value::U32(value) => FieldValue::U32(*value),
        Value::I64(value) => FieldValue::I64(*value),
        Value::F32(value) => FieldValue::F32(value.to_bits()),
        Value::F64(value) => FieldValue::F64(value.to_bits()),
        Value::Decimal { scale, value } => FieldValue::Decimal(*scale, *value),
        Value::String(bytes) => FieldValue::LongString(bytes.clone()),
        Value::Bytes(bytes) => FieldValue::Bytes(bytes.clone()),
        Value::Timestamp(value) => FieldValue::Timestamp(*value),
        Value::Array(values) => FieldValue::Array(values.iter().map(field).collect()),
        Value::Table(table) => FieldValue::Table(fields(table)),
    }
}

/// A message's headers, for headers exchanges; properties were checked when they came in.
pub fn read_headers(properties: &[u8]) -> Table {
    let headers = Properties::decode(properties).and_then(|properties| properties.headers_table());
    headers.map(|headers| table(&headers)).unwrap_or_default()
}
