//! Tags on users, roles and sessions, which policies ask for as `aws:PrincipalTag`.
//!
//! Unlike those on brokers, their keys are told apart without case: `Team` and `team` are one key,
//! spelled as it was set last. Limits: IAM User Guide, "IAM and AWS STS quotas"; the characters are
//! those of the service models.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::constraint::Constraints;

/// Most tags that somebody has, or that a request sets.
pub const COUNT_MAX: usize = 50;
pub const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;
const KEY_PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+";
const VALUE_PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*";
const RESERVED: &str = "aws:";

/// A tag as it is asked for; either half may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedTag {
    pub key: Option<String>,
    pub value: Option<String>,
}

/// Tags of one principal: key and value by the key without case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalTags(BTreeMap<String, (String, String)>);

/// Tags that fit the service's model, and yet cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTags {
    #[error("Duplicate tag keys found. Please note that Tag keys are case insensitive.")]
    Duplicate,
    #[error("'aws:' prefixed tag key names are not allowed for external use.")]
    Reserved,
}

/// What two spellings of one key have in common.
pub fn fold(key: &str) -> String {
    key.to_lowercase()
}

/// Checks a key by itself, as the service's model has it.
pub fn check_key(at: &str, key: &str, constraints: &mut Constraints) {
    constraints.length(at, key, 1..=KEY_CHARS_MAX);
    constraints.characters(at, key, KEY_PATTERN, fits);
}

impl PrincipalTags {
    /// Reads what a request would set. What the service's model forbids is put to the other
    /// violations, and is for the caller to look at first.
    pub fn read(asked: &[AskedTag], constraints: &mut Constraints) -> Result<Self, BadTags> {
        constraints.count("tags", asked.len(), COUNT_MAX);
        let mut tags = Self::default();
        let mut outcome = Ok(());
        for (number, tag) in (1..).zip(asked) {
            let at = |member: &str| format!("tags.{number}.member.{member}");
            let key = constraints.need(&at("key"), tag.key.as_deref());
            let value = constraints.need(&at("value"), tag.value.as_deref());
            let Some((key, value)) = key.zip(value) else {
                continue;
            };
            check_key(&at("key"), key, constraints);
            constraints.length(&at("value"), value, 0..=VALUE_CHARS_MAX);
            constraints.characters(&at("value"), value, VALUE_PATTERN, fits);
            if fold(key).starts_with(RESERVED) {
                outcome = Err(BadTags::Reserved);
            }
            if tags.set(key, value).is_some() {
                outcome = outcome.and(Err(BadTags::Duplicate));
            }
        }
        outcome.map(|()| tags)
    }

    /// Sets a tag; the value that the key had.
    pub fn set(&mut self, key: &str, value: &str) -> Option<String> {
        let tag = (key.to_owned(), value.to_owned());
        self.0.insert(fold(key), tag).map(|(_, value)| value)
    }

    /// Keys, as they were spelled, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .values()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The keys in the form that tells them apart.
    pub fn folded_keys(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// These, and in their place those of `others` that have the same keys.
    #[must_use]
    pub fn overridden_by(mut self, others: &Self) -> Self {
        self.0.extend(others.0.clone());
        self
    }

    /// Those whose folded keys are named.
    #[must_use]
    pub fn only(&self, folded: &BTreeSet<String>) -> Self {
        let mut tags = self.clone();
        tags.0.retain(|key, _| folded.contains(key));
        tags
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for PrincipalTags {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        let mut tags = Self::default();
        for (key, value) in pairs {
            tags.set(key.as_ref(), value.as_ref());
        }
        tags
    }
}

/// `\p{L}`, `\p{Z}`, `\p{N}` and some signs. Separators are white space that controls nothing.
fn fits(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<PrincipalTags, String> {
        let asked: Vec<_> = pairs
            .iter()
            .map(|(key, value)| AskedTag {
                key: Some((*key).to_owned()),
                value: Some((*value).to_owned()),
            })
            .collect();
        let mut constraints = Constraints::default();
        let tags = PrincipalTags::read(&asked, &mut constraints);
        constraints.check().map_err(|error| error.to_string())?;
        tags.map_err(|error| error.to_string())
    }

    #[test]
    fn limits_are_exact() {
        let (key, value) = ("k".repeat(128), "v".repeat(256));
        assert!(read(&[(&key, &value)]).is_ok());
        assert!(read(&[("Kostenstelle\u{a0}7/å", ""), ("a_.:/=+-@", "x y")]).is_ok());
        for (pair, text) in [
            (
                ("", "v"),
                "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must \
                         have length greater than or equal to 1",
            ),
            (
                (&*format!("{key}k"), "v"),
                "Member must have length less than or equal to 128",
            ),
            (
                ("k", &*format!("{value}v")),
                "Member must have length less than or equal to 256",
            ),
            (("k;", "v"), "pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+"),
            (("k", "a\nb"), "pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*"),
            (
                ("aws:team", "v"),
                "'aws:' prefixed tag key names are not allowed",
            ),
            (
                ("AWS:team", "v"),
                "'aws:' prefixed tag key names are not allowed",
            ),
        ] {
            let refused = read(&[pair]).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
        let many: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
        let pairs: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(read(&pairs[..50]).unwrap().len(), 50);
        assert!(read(&pairs).unwrap_err().contains("Value at 'tags'"));
    }

    #[test]
    fn keys_differ_by_more_than_case() {
        assert!(
            read(&[("Team", "red"), ("team", "blue")])
                .unwrap_err()
                .contains("case insensitive")
        );
        assert!(read(&[("ÄRA", "1"), ("ära", "2")]).is_err());
        let mut tags = read(&[("Team", "red"), ("env", "prod")]).unwrap();
        assert_eq!(tags.set("TEAM", "blue").as_deref(), Some("red"));
        let pairs: Vec<_> = tags.iter().collect();
        assert_eq!(pairs, [("env", "prod"), ("TEAM", "blue")]);
    }

    #[test]
    fn half_a_tag_is_none() {
        let mut constraints = Constraints::default();
        let asked = AskedTag {
            key: Some("team".to_owned()),
            value: None,
        };
        let _ = PrincipalTags::read(&[asked], &mut constraints);
        assert!(constraints.check().unwrap_err().to_string().contains(
            "Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null"
        ));
    }

    #[test]
    fn a_sessions_tags_take_the_place_of_its_roles() {
        let role = read(&[("Team", "red"), ("env", "prod")]).unwrap();
        let session = read(&[("team", "blue")]).unwrap();
        let both = role.overridden_by(&session);
        assert_eq!(
            both.iter().collect::<Vec<_>>(),
            [("env", "prod"), ("team", "blue")]
        );
        let only = both.only(&BTreeSet::from(["team".to_owned()]));
        assert_eq!(only.iter().collect::<Vec<_>>(), [("team", "blue")]);
    }
}
