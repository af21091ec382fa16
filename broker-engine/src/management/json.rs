//! Tables of arguments and headers as JSON, in both directions.

use serde_json::{Map, Value, json};

use crate::broker::{self, Table};

/// A table as an object.
pub(super) fn of_table(table: &Table) -> Value {
    let fields = table
        .0
        .iter()
        .map(|(name, field)| (name.clone(), of_value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn of_value(field: &broker::Value) -> Value {
    match field {
        broker::Value::Void => Value::Null,
        broker::Value::Bool(value) => json!(value),
        broker::Value::F32(value) => json!(value),
        broker::Value::F64(value) => json!(value),
        broker::Value::Timestamp(value) => json!(value),
        broker::Value::Array(values) => values.iter().map(of_value).collect(),
        broker::Value::Table(fields) => of_table(fields),
        broker::Value::Decimal { scale, value } => {
            json!(f64::from(*value) / 10_f64.powi(i32::from(*scale)))
        }
        broker::Value::String(bytes) | broker::Value::Bytes(bytes) => {
            json!(String::from_utf8_lossy(bytes))
        }
        broker::Value::I8(_)
        | broker::Value::U8(_)
        | broker::Value::I16(_)
        | broker::Value::U16(_)
        | broker::Value::I32(_)
        | broker::Value::U32(_)
        | broker::Value::I64(_) => json!(field.as_i64()),
    }
}

/// An object as a table; whole numbers become 64 bits wide, as RabbitMQ has it.
pub(super) fn to_table(members: &Map<String, Value>) -> Table {
    let fields = members
        .iter()
        .map(|(name, value)| (name.clone(), to_value(value)));
    Table(fields.collect())
}

fn to_value(value: &Value) -> broker::Value {
    match value {
        Value::Null => broker::Value::Void,
        Value::Bool(value) => broker::Value::Bool(*value),
        Value::Number(number) => number.as_i64().map_or_else(
            || broker::Value::F64(number.as_f64().unwrap_or_default()),
            broker::Value::I64,
        ),
        Value::String(text) => broker::Value::String(text.clone().into_bytes()),
        Value::Array(values) => broker::Value::Array(values.iter().map(to_value).collect()),
        Value::Object(members) => broker::Value::Table(to_table(members)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_can_say_survives_the_way_there_and_back() {
        let value = json!({"n": 2, "f": 0.5, "t": "x", "b": true, "a": [1, {"z": null}]});
        let table = to_table(value.as_object().unwrap());
        assert_eq!(of_table(&table), value);
    }
}
