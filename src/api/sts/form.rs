//! The parameters of the query protocol: `Action=AssumeRole&Tags.member.1.Key=team&…`, from a body or
//! a URL. Read once, for the handler and for the audit log.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::query;

/// What a request signs itself with in its URL.
const OF_SIGNATURE: &str = "X-Amz-";
/// Name what is called, and are no parameters of it.
const ACTION: &str = "Action";
const VERSION: &str = "Version";

/// One member of a list: its fields by name, or its value alone under the empty name.
type Member = BTreeMap<String, String>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct Form {
    values: BTreeMap<String, String>,
    /// By name, members by number.
    lists: BTreeMap<String, BTreeMap<u64, Member>>,
}

impl Form {
    /// Reads a body, which writes spaces as `+` too.
    pub(in crate::api) fn of_body(body: &[u8]) -> Self {
        Self::of_query(&String::from_utf8_lossy(body).replace('+', "%20"))
    }

    /// Of parameters that come twice, the first counts.
    pub(in crate::api) fn of_query(query: &str) -> Self {
        let mut form = Self::default();
        for (name, value) in query::pairs(query) {
            if name.starts_with(OF_SIGNATURE) {
                continue;
            }
            match list_member(&name) {
                Some((list, number, field)) => {
                    let members = form.lists.entry(list.to_owned()).or_default();
                    let member = members.entry(number).or_default();
                    member.entry(field.to_owned()).or_insert(value);
                }
                None => {
                    form.values.entry(name).or_insert(value);
                }
            }
        }
        form
    }

    /// What is called; empty when the form does not say.
    pub(in crate::api) fn action(&self) -> &str {
        self.values.get(ACTION).map_or("", String::as_str)
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.lists.contains_key(name)
    }

    /// The members of a list in the order of their numbers.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &Member> {
        self.lists.get(name).into_iter().flat_map(BTreeMap::values)
    }

    /// One field of every member of a list; members without it are left out.
    pub(super) fn fields(&self, list: &str, field: &str) -> Vec<String> {
        self.list(list)
            .filter_map(|member| member.get(field).cloned())
            .collect()
    }

    /// All that was asked, named as CloudTrail names it: `roleArn`, `tags: [{key, value}]`.
    pub(in crate::api) fn parameters(&self) -> Map<String, Value> {
        let is_parameter = |name: &String| name != ACTION && name != VERSION;
        let values = self.values.iter().filter(|(name, _)| is_parameter(name));
        let values = values.map(|(name, value)| (camel(name), json!(value)));
        let lists = self.lists.iter().map(|(name, members)| {
            let members: Vec<Value> = members.values().map(member_value).collect();
            (camel(name), Value::Array(members))
        });
        values.chain(lists).collect()
    }
}

/// `Tags.member.1.Key` is the field `Key` of the first member of `Tags`.
fn list_member(name: &str) -> Option<(&str, u64, &str)> {
    let (list, rest) = name.split_once(".member.")?;
    let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
    Some((list, number.parse().ok()?, field))
}

fn member_value(member: &Member) -> Value {
    match member.get("") {
        Some(value) => json!(value),
        None => member
            .iter()
            .map(|(field, value)| (camel(field), json!(value)))
            .collect(),
    }
}

fn camel(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_clients_write_it_and_told_as_cloudtrail_does() {
        let form = Form::of_body(
            b"Action=AssumeRole&Version=2011-06-15&RoleSessionName=a%2Bb+c&Policy=%7B+%7D&\
              Tags.member.2.Value=prod&Tags.member.2.Key=env&Tags.member.1.Key=team&\
              Tags.member.1.Value=&TransitiveTagKeys.member.1=team&PolicyArns.member.1.arn=one&\
              RoleSessionName=again",
        );
        assert_eq!(form.action(), "AssumeRole");
        assert_eq!(form.value("RoleSessionName").as_deref(), Some("a+b c"));
        assert_eq!(form.fields("Tags", "Key"), ["team", "env"]);
        assert_eq!(form.fields("TransitiveTagKeys", ""), ["team"]);
        assert_eq!(
            Value::Object(form.parameters()),
            json!({
                "roleSessionName": "a+b c",
                "policy": "{ }",
                "tags": [{"key": "team", "value": ""}, {"key": "env", "value": "prod"}],
                "transitiveTagKeys": ["team"],
                "policyArns": [{"arn": "one"}],
            })
        );
    }

    #[test]
    fn what_is_no_list_is_a_value_and_a_signature_is_neither() {
        let form = Form::of_query(
            "Action=GetCallerIdentity&X-Amz-Signature=00&Tags.member.x.Key=a&%00=b+c",
        );
        assert_eq!(
            Value::Object(form.parameters()),
            json!({"tags.member.x.Key": "a", "\u{fffd}": "b+c"})
        );
        assert!(!form.has("Tags"));
        assert_eq!(Form::of_body(b"\xff&&=").action(), "");
    }
}
