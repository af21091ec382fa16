//! Policy documents in JSON, parsed once and checked as IAM checks them.

use serde_json::{Map, Value};

use super::{
    condition::{self, Condition},
    glob::Glob,
};

/// Longest document anywhere, in characters without white space: what a role's own policies may have
/// together.
const CHARACTERS_MAX: usize = 10_240;
/// IAM's quota for a policy that stands by itself.
pub const MANAGED_CHARACTERS_MAX: usize = 6_144;
const VERSIONS: [&str; 2] = ["2008-10-17", "2012-10-17"];

/// A document that is no policy. The text is for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The policy document is malformed: {0}")]
pub struct Malformed(String);

impl Malformed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What an identity may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    pub(super) statements: Vec<Statement>,
}

/// Who may become a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    pub(super) statements: Vec<(Vec<TrustedPrincipal>, Statement)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TrustedPrincipal {
    Anyone,
    /// Every principal of the account that its own policies allow it.
    Account(String),
    /// This very principal.
    Arn(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) allows: bool,
    pub(super) actions: Selection,
    /// `None` in trust policies, whose resource is the role.
    pub(super) resources: Option<Selection>,
    pub(super) conditions: Vec<Condition>,
}

/// What an element names, or all that it does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) globs: Vec<Glob>,
    pub(super) is_inverted: bool,
}

impl PolicyDocument {
    /// # Errors
    /// [`Malformed`] says what is wrong in the words of the policy language.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let statements = statements(text, Kind::Identity)?;
        let statements = statements.into_iter().map(|(_, statement)| statement);
        Ok(Self {
            statements: statements.collect(),
        })
    }

    /// What to call a statement: its id, or its place counted from one.
    pub fn statement_name(&self, index: usize) -> String {
        let sid = self.statements.get(index).and_then(|one| one.sid.clone());
        sid.unwrap_or_else(|| format!("#{}", index + 1))
    }

    /// Whether a condition asks for the tags of the resource, which cost a look into the database.
    pub fn asks_for_resource_tags(&self) -> bool {
        let mut conditions = self.statements.iter().flat_map(|one| &one.conditions);
        conditions.any(|condition| {
            condition
                .key()
                .to_ascii_lowercase()
                .contains("resourcetag/")
        })
    }
}

impl TrustPolicy {
    /// # Errors
    /// [`Malformed`] says what is wrong in the words of the policy language.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let statements = statements(text, Kind::Trust)?;
        Ok(Self { statements })
    }
}

/// The size of a document as IAM counts it: without white space.
pub fn characters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Identity,
    Trust,
}

fn statements(
    text: &str,
    kind: Kind,
) -> Result<Vec<(Vec<TrustedPrincipal>, Statement)>, Malformed> {
    if characters(text) > CHARACTERS_MAX {
        let text = format!("It is longer than {CHARACTERS_MAX} characters.");
        return Err(Malformed::new(text));
    }
    let document: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| Malformed::new(format!("{error}.")))?;
    only(&document, &["Version", "Id", "Statement"])?;
    let version = match document.get("Version") {
        None => VERSIONS[0],
        Some(Value::String(version)) => version,
        Some(_) => return Err(Malformed::new("Version must be a string.")),
    };
    if !VERSIONS.contains(&version) {
        return Err(Malformed::new(format!("Version {version} is not known.")));
    }
    let has_variables = version == VERSIONS[1];
    let list = match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(Malformed::new("Statement is missing.")),
    };
    if list.is_empty() {
        return Err(Malformed::new("Statement is empty."));
    }
    let mut sids = Vec::new();
    list.into_iter()
        .map(|value| {
            let Value::Object(members) = value else {
                return Err(Malformed::new("A statement must be an object."));
            };
            match members.get("Sid") {
                None => {}
                Some(Value::String(sid)) if !sids.contains(sid) => sids.push(sid.clone()),
                Some(Value::String(_)) => {
                    return Err(Malformed::new("Statement ids (SID) must be unique."));
                }
                Some(_) => return Err(Malformed::new("A statement id (SID) must be a string.")),
            }
            statement(members, kind, has_variables)
        })
        .collect()
}

fn statement(
    members: &Map<String, Value>,
    kind: Kind,
    has_variables: bool,
) -> Result<(Vec<TrustedPrincipal>, Statement), Malformed> {
    let common = ["Sid", "Effect", "Action", "NotAction", "Condition"];
    let own: &[&str] = match kind {
        Kind::Identity => &["Resource", "NotResource"],
        Kind::Trust => &["Principal"],
    };
    only(members, &[&common[..], own].concat())?;
    let allows = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err(Malformed::new("Effect must be Allow or Deny.")),
    };
    let actions = selection(members, ("Action", "NotAction"), has_variables, action)?;
    let resources = match kind {
        Kind::Identity => Some(selection(
            members,
            ("Resource", "NotResource"),
            has_variables,
            resource,
        )?),
        Kind::Trust => None,
    };
    let principals = match kind {
        Kind::Identity => Vec::new(),
        Kind::Trust => principals(members.get("Principal"))?,
    };
    let conditions = match members.get("Condition") {
        None => Vec::new(),
        Some(block) => condition::parse(block, has_variables)?,
    };
    let sid = members.get("Sid").and_then(Value::as_str);
    let statement = Statement {
        sid: sid.map(str::to_owned),
        allows,
        actions,
        resources,
        conditions,
    };
    Ok((principals, statement))
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Malformed::new(format!(
            "Syntax error: element {key} is not allowed here."
        ))),
    }
}

fn selection(
    members: &Map<String, Value>,
    (name, inverse): (&str, &str),
    has_variables: bool,
    prepare: fn(&str) -> Result<String, Malformed>,
) -> Result<Selection, Malformed> {
    let (value, is_inverted) = match (members.get(name), members.get(inverse)) {
        (Some(value), None) => (value, false),
        (None, Some(value)) => (value, true),
        _ => {
            return Err(Malformed::new(format!(
                "A statement needs {name} or {inverse}."
            )));
        }
    };
    let texts = texts(value)
        .ok_or_else(|| Malformed::new(format!("{name} must be a string or a list of strings.")))?;
    if texts.is_empty() {
        return Err(Malformed::new(format!("{name} is empty.")));
    }
    let globs = texts
        .into_iter()
        .map(|text| Glob::parse(&prepare(text)?, has_variables))
        .collect::<Result<_, _>>()?;
    Ok(Selection { globs, is_inverted })
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Actions are compared without case.
fn action(text: &str) -> Result<String, Malformed> {
    let is_action = text == "*"
        || text.split_once(':').is_some_and(|(vendor, name)| {
            !vendor.is_empty() && !name.is_empty() && !vendor.contains(['*', '?'])
        });
    if !is_action {
        return Err(Malformed::new(format!(
            "Actions must be prefaced by a vendor, e.g. mq:{text}."
        )));
    }
    Ok(text.to_ascii_lowercase())
}

fn resource(text: &str) -> Result<String, Malformed> {
    if text == "*" || text.starts_with("arn:") || text.starts_with("${") {
        return Ok(text.to_owned());
    }
    Err(Malformed::new(format!(
        "Resource {text} must be in ARN format or \"*\"."
    )))
}

fn principals(value: Option<&Value>) -> Result<Vec<TrustedPrincipal>, Malformed> {
    let wrong = || {
        Malformed::new(
            "Principal must be \"*\" or {\"AWS\": …} with accounts or ARNs of users and roles.",
        )
    };
    let list = match value {
        Some(Value::String(text)) if text == "*" => return Ok(vec![TrustedPrincipal::Anyone]),
        Some(Value::Object(kinds)) if kinds.len() == 1 => {
            kinds.get("AWS").and_then(texts).ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    list.into_iter()
        .map(|text| {
            if text == "*" {
                return Ok(TrustedPrincipal::Anyone);
            }
            if is_account(text) {
                return Ok(TrustedPrincipal::Account(text.to_owned()));
            }
            let (account, path) = text
                .strip_prefix("arn:aws:iam::")
                .and_then(|rest| rest.split_once(':'))
                .filter(|(account, _)| is_account(account))
                .ok_or_else(wrong)?;
            match path.split_once('/') {
                None if path == "root" => Ok(TrustedPrincipal::Account(account.to_owned())),
                Some(("user" | "role", name)) if !name.is_empty() && !name.contains('*') => {
                    Ok(TrustedPrincipal::Arn(text.to_owned()))
                }
                _ => Err(wrong()),
            }
        })
        .collect()
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(statement: &Value) -> Result<PolicyDocument, Malformed> {
        PolicyDocument::parse(&json!({"Version": "2012-10-17", "Statement": statement}).to_string())
    }

    #[test]
    fn a_statement_may_stand_alone_and_so_may_its_elements() {
        let one = json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*"});
        let list = json!([{"Effect": "Allow", "Action": ["mq:*"], "Resource": ["*"]}]);
        assert_eq!(identity(&one), identity(&list));
        assert_eq!(identity(&one).unwrap().statement_name(0), "#1");
        let named = json!({"Sid": "All", "Effect": "Allow", "Action": "mq:*", "Resource": "*"});
        assert_eq!(identity(&named).unwrap().statement_name(0), "All");
    }

    #[test]
    fn what_iam_refuses_is_refused() {
        let with = |key: &str, value: Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "mq:*", "Resource": "*"});
            statement[key] = value;
            statement
        };
        for statement in [
            json!([]),
            json!("x"),
            json!({"Effect": "Allow", "Action": "mq:*"}),
            json!({"Effect": "Allow", "Resource": "*"}),
            json!({"Action": "mq:*", "Resource": "*"}),
            with("Effect", json!("allow")),
            with("Action", json!("DeleteBroker")),
            with("Action", json!("m*:DeleteBroker")),
            with("Action", json!([])),
            with("NotAction", json!("mq:*")),
            with("Resource", json!("orders")),
            with("Resource", json!(7)),
            with("Principal", json!("*")),
            with("Condition", json!({"StringIs": {"a": "b"}})),
            with("Extra", json!(1)),
            with("Sid", json!(1)),
        ] {
            assert!(identity(&statement).is_err(), "{statement}");
        }
        for document in [
            "",
            "[]",
            "{}",
            r#"{"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        ] {
            assert!(PolicyDocument::parse(document).is_err(), "{document}");
        }
        let sid = json!({"Sid": "a", "Effect": "Allow", "Action": "mq:*", "Resource": "*"});
        assert!(identity(&json!([sid.clone(), sid])).is_err());
        let long = with(
            "Resource",
            json!(format!("arn:{}", "x".repeat(CHARACTERS_MAX))),
        );
        assert!(identity(&long).is_err());
    }

    #[test]
    fn a_trust_policy_names_accounts_users_and_roles() {
        let trust = |principal: Value| {
            let statement =
                json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal});
            TrustPolicy::parse(&json!({"Statement": statement}).to_string())
        };
        for principal in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"AWS": "111122223333"}),
            json!({"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/a"]}),
        ] {
            assert!(trust(principal.clone()).is_ok(), "{principal}");
        }
        for principal in [
            json!("alice"),
            json!({"Service": "mq.amazonaws.com"}),
            json!({"AWS": "arn:aws:iam::111122223333:user/*"}),
            json!({"AWS": "arn:aws:iam::1:root"}),
        ] {
            assert!(trust(principal.clone()).is_err(), "{principal}");
        }
    }
}
