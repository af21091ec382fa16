//! Sessions: what AssumeRole may ask for, and how much a session can carry.
//!
//! Pure checks of the request by itself, in the order and the words of AWS's Security Token Service
//! (its service model and API reference, "AssumeRole"). Whether the role trusts the caller is asked
//! elsewhere.

use std::collections::BTreeSet;

use super::{
    AccountId,
    constraint::{Constraints, Violated},
    policy::PolicyDocument,
    principal::Name,
    principal_tag::{self, AskedTag, BadTags, PrincipalTags},
    role::{SESSION_S_DEFAULT, SESSION_S_MAX, SESSION_S_MIN},
};

/// Longest session of one who is in a session himself, in seconds.
const CHAINED_S_MAX: u32 = 3_600;
/// Most ARNs of policies.
const POLICY_ARNS_MAX: usize = 10;
const POLICY_CHARS_MAX: usize = 2_048;
const POLICY_PATTERN: &str = r"[\u0009\u000A\u000D\u0020-\u00FF]+";
const ARN_CHARS: std::ops::RangeInclusive<usize> = 20..=2_048;
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=64;
const NAME_PATTERN: &str = r"[\w+=,.@-]*";
const EXTERNAL_ID_CHARS: std::ops::RangeInclusive<usize> = 2..=1_224;
const EXTERNAL_ID_PATTERN: &str = r"[\w+=,.@:\/-]*";
/// Bytes of policies, their ARNs and tags that a session can carry. AWS packs them in a way of its
/// own and publishes no number; here they are counted plainly, policies without white space.
const PACKED_BYTES_MAX: usize = 4_096;

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssumeRole {
    pub role_arn: Option<String>,
    pub session_name: Option<String>,
    pub duration_s: Option<String>,
    /// A policy document that the session must satisfy beside its role's.
    pub policy: Option<String>,
    /// ARNs of further such policies.
    pub policy_arns: Vec<String>,
    pub external_id: Option<String>,
    pub tags: Vec<AskedTag>,
    pub transitive_tag_keys: Vec<String>,
    pub source_identity: Option<String>,
    /// Whether it names a device or its code.
    pub has_mfa: bool,
    /// Whether it brings another provider's context.
    pub has_provided_contexts: bool,
}

/// A request that is right by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSession {
    pub role_arn: String,
    pub account_id: AccountId,
    pub role: Name,
    pub name: Name,
    pub duration_s: u32,
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
    pub external_id: Option<String>,
    /// What the request itself sets.
    pub tags: PrincipalTags,
    /// Folded keys of those tags that the sessions after this one have too.
    pub transitive: BTreeSet<String>,
    pub source_identity: Option<Name>,
}

/// What a session hands on to those that are begun from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    pub tags: PrincipalTags,
    pub source_identity: Option<String>,
}

/// Why nobody can have the session that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSession {
    #[error(transparent)]
    Violated(#[from] Violated),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    MalformedPolicy(String),
    #[error(transparent)]
    Tags(#[from] BadTags),
    #[error("The specified transitive tag key must be included in the requested tags.")]
    TransitiveWithoutTag,
    #[error(
        "One of the specified transitive tag keys can't be set because it conflicts with a \
         transitive tag key from the calling session."
    )]
    TagIsInherited,
    #[error("Packed size of session tags consumes {0}% of allotted space.")]
    TagsTooLarge(usize),
    #[error("Packed policy consumes {0}% of allotted space, please use smaller policy.")]
    PolicyTooLarge(usize),
    #[error("Roles may not be assumed by root accounts.")]
    Root,
    /// Nobody has a device here.
    #[error(
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA \
         serial number is valid and associated with this user."
    )]
    Mfa,
}

impl AssumeRole {
    /// Checks all that can be said without knowing the role. `is_chained`: the caller is in a
    /// session himself.
    pub fn check(&self, is_chained: bool) -> Result<WantedSession, NoSession> {
        let mut constraints = Constraints::default();
        let role_arn = constraints.need("roleArn", self.role_arn.as_deref());
        if let Some(arn) = role_arn {
            constraints.length("roleArn", arn, ARN_CHARS);
        }
        let name = constraints.need("roleSessionName", self.session_name.as_deref());
        for (at, text) in [
            ("roleSessionName", name),
            ("sourceIdentity", self.source_identity.as_deref()),
        ] {
            if let Some(text) = text {
                constraints.length(at, text, NAME_CHARS);
                constraints.characters(at, text, NAME_PATTERN, is_name);
            }
        }
        let duration_s = duration_s(self.duration_s.as_deref(), &mut constraints);
        if let Some(policy) = &self.policy {
            constraints.length("policy", policy, 1..=POLICY_CHARS_MAX);
            constraints.characters("policy", policy, POLICY_PATTERN, is_of_policy);
        }
        constraints.count("policyArns", self.policy_arns.len(), POLICY_ARNS_MAX);
        for (number, arn) in (1..).zip(&self.policy_arns) {
            constraints.length(&format!("policyArns.{number}.member.arn"), arn, ARN_CHARS);
        }
        if let Some(id) = &self.external_id {
            constraints.length("externalId", id, EXTERNAL_ID_CHARS);
            constraints.characters("externalId", id, EXTERNAL_ID_PATTERN, is_external_id);
        }
        let tags = PrincipalTags::read(&self.tags, &mut constraints);
        let keys = &self.transitive_tag_keys;
        constraints.count("transitiveTagKeys", keys.len(), principal_tag::COUNT_MAX);
        for (number, key) in (1..).zip(keys) {
            let at = format!("transitiveTagKeys.{number}.member");
            principal_tag::check_key(&at, key, &mut constraints);
        }
        constraints.check()?;

        if self.has_provided_contexts {
            let text = "ProvidedContexts are of no use: no context provider is registered.";
            return Err(NoSession::Invalid(text.to_owned()));
        }
        if self.has_mfa {
            return Err(NoSession::Mfa);
        }
        if is_chained && duration_s > CHAINED_S_MAX {
            let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                        assumed by role chaining";
            return Err(NoSession::Invalid(text.to_owned()));
        }
        if let Some(policy) = &self.policy {
            PolicyDocument::parse(policy)
                .map_err(|error| NoSession::MalformedPolicy(error.to_string()))?;
        }
        let tags = tags?;
        let transitive: BTreeSet<_> = keys.iter().map(|key| principal_tag::fold(key)).collect();
        if tags.only(&transitive).len() < transitive.len() {
            return Err(NoSession::TransitiveWithoutTag);
        }
        let role_arn = role_arn.unwrap_or_default();
        let invalid = |text: &str| NoSession::Invalid(format!("{text} is invalid"));
        let (account_id, role) = parse_role(role_arn).ok_or_else(|| invalid(role_arn))?;
        let name = name.unwrap_or_default();
        let source_identity = self.source_identity.as_deref();
        Ok(WantedSession {
            role_arn: role_arn.to_owned(),
            account_id,
            role,
            name: Name::parse(name).ok_or_else(|| invalid(name))?,
            duration_s,
            policy: self.policy.clone(),
            policy_arns: self.policy_arns.clone(),
            external_id: self.external_id.clone(),
            tags,
            transitive,
            source_identity: source_identity
                .map(|text| Name::parse(text).ok_or_else(|| invalid(text)))
                .transpose()?,
        })
    }
}

impl WantedSession {
    /// All tags of the session, beside its role's: its own and those that the caller's session
    /// hands on.
    pub fn all_tags(&self, inherited: &Inherited) -> Result<PrincipalTags, NoSession> {
        let fixed: BTreeSet<_> = inherited.tags.folded_keys().cloned().collect();
        if !self.tags.only(&fixed).is_empty() {
            return Err(NoSession::TagIsInherited);
        }
        Ok(inherited.tags.clone().overridden_by(&self.tags))
    }

    /// How much of a session's space is taken, in percent; `None` when it carries nothing.
    pub fn packed_percent(&self, tags: &PrincipalTags) -> Result<Option<usize>, NoSession> {
        let policy = self.policy.as_deref().map_or(0, plain_bytes);
        let policies = policy + self.policy_arns.iter().map(String::len).sum::<usize>();
        let tags: usize = tags
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let percent = ((policies + tags) * 100).div_ceil(PACKED_BYTES_MAX);
        match percent {
            0 => Ok(None),
            1..=100 => Ok(Some(percent)),
            _ if policies == 0 => Err(NoSession::TagsTooLarge(percent)),
            _ => Err(NoSession::PolicyTooLarge(percent)),
        }
    }
}

/// What cannot be read was refused before, and is counted as it is.
fn plain_bytes(document: &str) -> usize {
    serde_json::from_str(document)
        .map(|document: serde_json::Value| document.to_string().len())
        .unwrap_or(document.len())
}

fn duration_s(asked: Option<&str>, constraints: &mut Constraints) -> u32 {
    let at = "durationSeconds";
    let Some(seconds) = asked.and_then(|text| constraints.integer(at, text)) else {
        return SESSION_S_DEFAULT;
    };
    let valid = [SESSION_S_MIN, SESSION_S_MAX].map(|s| usize::try_from(s).unwrap_or(usize::MAX));
    constraints.range(at, seconds, valid[0]..=valid[1]);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn parse_role(arn: &str) -> Option<(AccountId, Name)> {
    let rest = arn.strip_prefix("arn:aws:iam::")?;
    let (account, role) = rest.split_once(":role/")?;
    Some((AccountId::parse(account)?, Name::parse(role)?))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

fn is_external_id(c: char) -> bool {
    is_name(c) || c == ':' || c == '/'
}

fn is_of_policy(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

#[cfg(test)]
mod tests;
