//! The members of a request's JSON body, and the refusals of RabbitMQ when they are not there.

use serde_json::{Map, Value};

use super::error::Error;
use crate::broker::Table;
use crate::broker::json as tables;

/// A JSON object, whatever its content type says: RabbitMQ's clients do not always send one.
#[derive(Debug)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads the body; nothing at all stands for no members.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if matches!(bytes, b"" | b"null" | b"undefined") {
            return Ok(Self(Map::new()));
        }
        let refusal = |text: &str| Err(Error::BadRequest(text.to_owned()));
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(Value::String(_)) => refusal(
                "invalid payload: the request body JSON-decoded to a string. \
                 Is the input doubly-JSON-encoded?",
            ),
            Ok(_) | Err(_) => refusal("not_json"),
        }
    }

    /// A member.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A switch, off unless it is there; `"true"` counts too.
    pub(super) fn is_on(&self, name: &str) -> Result<bool, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(Error::BadRequest(format!("{name} must be true or false"))),
        }
    }

    /// A table, empty unless it is there.
    pub(super) fn table(&self, name: &str) -> Result<Table, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Table::default()),
            Some(Value::Object(members)) => Ok(tables::to_table(members)),
            // Some clients write a table without members so.
            Some(Value::Array(members)) if members.is_empty() => Ok(Table::default()),
            Some(_) => Err(Error::BadRequest(format!("{name} must be an object"))),
        }
    }

    /// Members that must all be there.
    pub(super) fn needed<const N: usize>(&self, names: [&str; N]) -> Result<[&Value; N], Error> {
        let missing: Vec<String> = names
            .into_iter()
            .filter(|name| !self.0.contains_key(*name))
            .map(|name| format!("{{key_missing,{name}}}"))
            .collect();
        if missing.is_empty() {
            return Ok(names.map(|name| &self.0[name]));
        }
        Err(Error::BadRequest(format!("[{}]", missing.join(","))))
    }

    /// Members that must all be there, and be text.
    pub(super) fn texts<const N: usize>(&self, names: [&str; N]) -> Result<[String; N], Error> {
        let values = self.needed(names)?;
        let mut texts = [(); N].map(|()| String::new());
        for ((text, value), name) in texts.iter_mut().zip(values).zip(names) {
            let given = value.as_str();
            given
                .ok_or_else(|| Error::BadRequest(format!("{name} must be a string")))?
                .clone_into(text);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn what_is_no_object_is_refused_and_nothing_is_an_empty_one() {
        assert!(Body::parse(b"").unwrap().get("a").is_none());
        assert_eq!(Body::parse(b"[1]").unwrap_err().to_string(), "not_json");
        assert_eq!(Body::parse(b"{").unwrap_err().to_string(), "not_json");
        let text = Body::parse(b"\"{}\"").unwrap_err().to_string();
        assert!(text.contains("doubly-JSON-encoded"));
    }

    #[test]
    fn all_missing_members_are_named_together() {
        let body = Body::parse(br#"{"b": 1}"#).unwrap();
        assert_eq!(
            body.needed(["a", "b", "c"]).unwrap_err().to_string(),
            "[{key_missing,a},{key_missing,c}]"
        );
    }
}
