//! JSON in the notation of Erlang terms, as RabbitMQ's texts quote what operators sent.

use std::fmt::{Display, Formatter, Result};

use serde_json::{Map, Value};

/// A value as `~tp` prints it.
pub(crate) struct Term<'a>(pub(crate) &'a Value);

impl Display for Term<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::String(text) => binary(text, f),
            Value::Array(values) => {
                f.write_str("[")?;
                for (number, value) in values.iter().enumerate() {
                    f.write_str(if number > 0 { "," } else { "" })?;
                    Term(value).fmt(f)?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("#{")?;
                for (number, (name, value)) in members.iter().enumerate() {
                    f.write_str(if number > 0 { "," } else { "" })?;
                    binary(name, f)?;
                    write!(f, " => {}", Term(value))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Members as a property list.
pub(crate) struct Proplist<'a>(pub(crate) &'a Map<String, Value>);

impl Display for Proplist<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("[")?;
        for (number, (name, value)) in self.0.iter().enumerate() {
            f.write_str(if number > 0 { ",{" } else { "{" })?;
            binary(name, f)?;
            write!(f, ",{}}}", Term(value))?;
        }
        f.write_str("]")
    }
}

fn binary(text: &str, f: &mut Formatter<'_>) -> Result {
    let utf8 = if text.is_ascii() { "" } else { "/utf8" };
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    write!(f, "<<\"{quoted}\"{utf8}>>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Proplist, Term};

    #[test]
    fn values_read_as_erlang_prints_them() {
        let value = json!({"a": [1, "x\"y", null, true, 1.5], "é": {}});
        let text = "#{<<\"a\">> => [1,<<\"x\\\"y\">>,null,true,1.5],<<\"é\"/utf8>> => #{}}";
        assert_eq!(Term(&value).to_string(), text);
        let members = json!({"foo": "bar", "n": 1});
        assert_eq!(
            Proplist(members.as_object().unwrap()).to_string(),
            "[{<<\"foo\">>,<<\"bar\">>},{<<\"n\">>,1}]"
        );
    }
}
