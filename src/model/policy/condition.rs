//! The condition block of a statement: every line of it must hold.

use serde_json::Value;

use super::{
    Malformed,
    context::Context,
    glob::Glob,
    operator::{Operator, boolean},
};

/// One operator and one key, with the values to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Whether the request lacks the key.
    Null { is_absent: Vec<bool> },
    Compare {
        quantifier: Option<Quantifier>,
        operator: Operator,
        if_exists: bool,
        values: Vec<Glob>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    ForAllValues,
    ForAnyValue,
}

/// Reads a condition block.
pub(super) fn parse(block: &Value, has_variables: bool) -> Result<Vec<Condition>, Malformed> {
    let Value::Object(operators) = block else {
        return Err(Malformed::new("Condition must be an object."));
    };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let Value::Object(keys) = keys else {
            return Err(Malformed::new(format!(
                "Condition operator {name} must be an object."
            )));
        };
        for (key, values) in keys {
            let values = values_of(values)?;
            conditions.push(Condition {
                key: key.clone(),
                test: Test::parse(name, &values, has_variables)?,
            });
        }
    }
    Ok(conditions)
}

/// Strings, numbers and booleans, one or a list.
fn values_of(values: &Value) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Malformed::new(
            "A condition's values must be strings, numbers or booleans.",
        )),
    };
    match values {
        Value::Array(values) => values.iter().map(text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(vec![text(values)?])
        }
    }
}

impl Test {
    fn parse(name: &str, values: &[String], has_variables: bool) -> Result<Self, Malformed> {
        if name == "Null" {
            let read = |value: &String| {
                boolean(value).ok_or_else(|| Malformed::new("Null is compared with true or false."))
            };
            let is_absent = values.iter().map(read).collect::<Result<_, _>>()?;
            return Ok(Self::Null { is_absent });
        }
        let (quantifier, rest) = match name.split_once(':') {
            None => (None, name),
            Some(("ForAllValues", rest)) => (Some(Quantifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::ForAnyValue), rest),
            Some(_) => return Err(unknown(name)),
        };
        let (rest, if_exists) = match rest.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let operator = Operator::named(rest).ok_or_else(|| unknown(name))?;
        for value in values {
            operator.comparison.check(value)?;
        }
        let values = values
            .iter()
            .map(|value| Glob::parse(value, has_variables))
            .collect::<Result<_, _>>()?;
        Ok(Self::Compare {
            quantifier,
            operator,
            if_exists,
            values,
        })
    }
}

fn unknown(name: &str) -> Malformed {
    Malformed::new(format!("Unknown condition operator {name}."))
}

impl Condition {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let found = context.values(&self.key);
        match &self.test {
            Test::Null { is_absent } => is_absent.contains(&found.is_none()),
            Test::Compare {
                quantifier,
                operator,
                if_exists,
                values,
            } => {
                let Some(found) = found.filter(|found| !found.is_empty()) else {
                    // Nothing differs from everything; of no values, all do and none does.
                    return *if_exists
                        || match quantifier {
                            Some(Quantifier::ForAllValues) => true,
                            Some(Quantifier::ForAnyValue) => false,
                            None => operator.is_negated,
                        };
                };
                let is_met = |value: &String| {
                    let any = values
                        .iter()
                        .any(|policy| operator.comparison.holds(value, policy, context));
                    any != operator.is_negated
                };
                match quantifier {
                    Some(Quantifier::ForAnyValue) => found.iter().any(is_met),
                    Some(Quantifier::ForAllValues) => found.iter().all(is_met),
                    // Several values without a quantifier: a denial must not be slipped past by
                    // adding values, nor an allowance gained.
                    None if operator.is_negated => found.iter().all(is_met),
                    None => found.iter().any(is_met),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(block: &Value, context: &Context) -> bool {
        parse(block, true)
            .unwrap()
            .iter()
            .all(|condition| condition.holds(context))
    }

    fn context() -> Context {
        Context::default()
            .with("aws:RequestTag/env", "prod")
            .with("aws:TagKeys", "env")
            .with("aws:TagKeys", "team")
            .with("aws:SecureTransport", "true")
    }

    #[test]
    fn values_are_alternatives_and_lines_are_not() {
        let one = json!({"StringEquals": {"aws:RequestTag/env": ["test", "prod"]}});
        assert!(holds(&one, &context()));
        let two = json!({"StringEquals": {"aws:RequestTag/env": "prod"},
                         "Bool": {"aws:SecureTransport": false}});
        assert!(!holds(&two, &context()));
        assert!(!holds(
            &json!({"StringNotEquals": {"aws:RequestTag/env": ["test", "prod"]}}),
            &context()
        ));
    }

    #[test]
    fn a_key_that_the_request_lacks_is_as_the_guide_says() {
        for (block, expected) in [
            (json!({"StringEquals": {"aws:none": "x"}}), false),
            (json!({"StringNotEquals": {"aws:none": "x"}}), true),
            (json!({"StringEqualsIfExists": {"aws:none": "x"}}), true),
            (
                json!({"ForAllValues:StringEquals": {"aws:none": "x"}}),
                true,
            ),
            (
                json!({"ForAnyValue:StringEquals": {"aws:none": "x"}}),
                false,
            ),
            (json!({"Null": {"aws:none": "true"}}), true),
            (json!({"Null": {"aws:none": false}}), false),
            (json!({"Null": {"aws:TagKeys": "false"}}), true),
        ] {
            assert_eq!(holds(&block, &context()), expected, "{block}");
        }
    }

    #[test]
    fn quantifiers_ask_all_values_of_the_request_or_any() {
        for (block, expected) in [
            (
                json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["env", "team", "x"]}}),
                true,
            ),
            (
                json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["env"]}}),
                false,
            ),
            (
                json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["env"]}}),
                true,
            ),
            (
                json!({"ForAnyValue:StringLike": {"aws:TagKeys": ["x*"]}}),
                false,
            ),
            (
                json!({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["env"]}}),
                false,
            ),
            (
                json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["env"]}}),
                true,
            ),
        ] {
            assert_eq!(holds(&block, &context()), expected, "{block}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for block in [
            json!([]),
            json!({"StringEquals": "x"}),
            json!({"StringIs": {"a": "b"}}),
            json!({"ForSome:StringEquals": {"a": "b"}}),
            json!({"StringEquals": {"a": {"b": "c"}}}),
            json!({"Null": {"a": "maybe"}}),
        ] {
            assert!(parse(&block, true).is_err(), "{block}");
        }
    }
}
