//! Tables as JSON, for exports and for what operators send.
//!
//! JSON knows fewer types: widths of numbers and bytes that are not text do not survive the way there and back.

use serde::{Deserialize, Deserializer, Serializer};
use serde_json::{Map, Value as Json, json};

use super::value::{Table, Value};

/// A table as a JSON object.
pub fn from_table(table: &Table) -> Json {
    let fields = table.0.iter();
    let fields = fields.map(|(name, field)| (name.clone(), from_value(field)));
    Json::Object(fields.collect::<Map<_, _>>())
}

fn from_value(field: &Value) -> Json {
    match field {
        Value::Void => Json::Null,
        Value::Bool(value) => json!(value),
        Value::F32(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::Timestamp(value) => json!(value),
        Value::Array(values) => values.iter().map(from_value).collect(),
        Value::Table(fields) => from_table(fields),
        Value::Decimal { scale, value } => {
            json!(f64::from(*value) / 10_f64.powi(i32::from(*scale)))
        }
        Value::String(bytes) | Value::Bytes(bytes) => json!(String::from_utf8_lossy(bytes)),
        Value::I8(_)
        | Value::U8(_)
        | Value::I16(_)
        | Value::U16(_)
        | Value::I32(_)
        | Value::U32(_)
        | Value::I64(_) => json!(field.as_i64()),
    }
}

/// The members of a JSON object as a table: integers of 64 bits, text as strings.
pub fn to_table(members: &Map<String, Json>) -> Table {
    let fields = members.iter();
    fields
        .map(|(name, value)| (name.clone(), to_value(value)))
        .collect()
}

fn to_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Void,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::I64(number),
            None => Value::F64(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(text.clone().into_bytes()),
        Json::Array(values) => Value::Array(values.iter().map(to_value).collect()),
        Json::Object(members) => Value::Table(to_table(members)),
    }
}

/// For `#[serde(with)]`. Older exports write no arguments as an empty list.
pub(crate) mod arguments {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(table: &Table, to: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&from_table(table), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Table, D::Error> {
        match Json::deserialize(from)? {
            Json::Object(members) => Ok(to_table(&members)),
            Json::Null => Ok(Table::default()),
            Json::Array(values) if values.is_empty() => Ok(Table::default()),
            other @ (Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                let text = format_args!("expected arguments, got {other}");
                Err(serde::de::Error::custom(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_can_say_comes_back_as_it_was() {
        let members = json!({
            "n": 5, "f": 1.5, "t": "é", "b": true, "v": null, "a": [1, {"x": "y"}],
        });
        let table = to_table(members.as_object().unwrap());
        assert_eq!(table.get("n"), Some(&Value::I64(5)));
        assert_eq!(from_table(&table), members);
    }
}
