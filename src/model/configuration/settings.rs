//! Which settings the owner of a RabbitMQ broker may make, their ranges, and what holds without them.
//!
//! The keys and values are those of the Amazon MQ developer guide, "Configurable values for
//! RabbitMQ on Amazon MQ" and "Configuring OAuth 2.0 authentication and authorization".

use std::collections::BTreeMap;

use super::cuttlefish::Entry;
use crate::model::{Invalid, engine::EngineVersion};

/// The values that a key accepts.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// Whole numbers, both ends included.
    Range(u32, u32),
    Boolean,
}

struct Setting {
    key: &'static str,
    values: Values,
    /// Major and minor number of the first RabbitMQ version that has it.
    since: (u32, u32),
    /// What Amazon MQ has where the engine's own default is another.
    default: Option<&'static str>,
}

const fn setting(
    key: &'static str,
    values: Values,
    since: (u32, u32),
    default: Option<&'static str>,
) -> Setting {
    Setting {
        key,
        values,
        since,
        default,
    }
}

const TABLE: [Setting; 5] = [
    setting(
        "consumer_timeout",
        Values::Range(0, i32::MAX as u32),
        (0, 0),
        None,
    ),
    setting("heartbeat", Values::Range(60, 3600), (0, 0), None),
    setting(
        "management.restrictions.operator_policy_changes.disabled",
        Values::Boolean,
        (3, 11),
        Some("true"),
    ),
    setting(
        "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration",
        Values::Boolean,
        (3, 13),
        Some("true"),
    ),
    setting(
        "secure.management.http.headers.enabled",
        Values::Boolean,
        (3, 10),
        Some("true"),
    ),
];

const ALGORITHMS: &str = "Ed25519, Ed25519ph, Ed448, Ed448ph, EdDSA, ES256K, ES256, ES384, ES512, \
                          HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512";

/// Checks every setting.
pub(super) fn check(entries: &[Entry], version: &EngineVersion) -> Result<(), Invalid> {
    entries
        .iter()
        .try_for_each(|entry| check_entry(entry, version))
}

/// What holds for a broker of this version where its owner says nothing.
pub(super) fn defaults(version: &EngineVersion) -> BTreeMap<String, String> {
    let served = TABLE
        .iter()
        .filter(|setting| setting.since <= version.minor());
    served
        .filter_map(|setting| Some((setting.key.to_owned(), setting.default?.to_owned())))
        .collect()
}

fn check_entry(entry: &Entry, version: &EngineVersion) -> Result<(), Invalid> {
    let serves = |setting: &&Setting| setting.since <= version.minor();
    if let Some(setting) = TABLE
        .iter()
        .filter(serves)
        .find(|setting| setting.key == entry.key)
    {
        return check_value(entry, setting.values);
    }
    if is_oauth(&entry.key) {
        return check_oauth(entry);
    }
    let keys: Vec<_> = TABLE
        .iter()
        .filter(serves)
        .map(|setting| setting.key)
        .collect();
    Err(Invalid::new(
        "data",
        format!(
            "Configuration key [{}] in line [{}] is not supported for broker engine type \
             [RABBITMQ] version [{version}]. Valid keys are: [{}], and those of OAuth 2.0.",
            entry.key,
            entry.line,
            keys.join(", "),
        ),
    ))
}

fn check_value(entry: &Entry, values: Values) -> Result<(), Invalid> {
    let valid = match values {
        Values::Range(least, most) => {
            let value = entry.value.parse::<u32>();
            if value.is_ok_and(|value| (least..=most).contains(&value)) {
                return Ok(());
            }
            format!("{least}-{most}")
        }
        Values::Boolean => {
            if matches!(entry.value.as_str(), "true" | "false") {
                return Ok(());
            }
            "true, false".to_owned()
        }
    };
    Err(refused_value(entry, &format!("Valid values: [{valid}].")))
}

fn refused_value(entry: &Entry, reason: &str) -> Invalid {
    Invalid::new(
        "data",
        format!(
            "Value [{}] of configuration key [{}] in line [{}] is invalid. {reason}",
            entry.value, entry.key, entry.line
        ),
    )
}

fn is_oauth(key: &str) -> bool {
    let family = ["auth_oauth2.", "management.oauth_", "auth_backends."]
        .iter()
        .any(|prefix| key.starts_with(prefix));
    let words: Vec<_> = key.split('.').collect();
    let withheld = match words.as_slice() {
        ["auth_oauth2", rest @ ..] => {
            rest.ends_with(&["https", "cacertfile"]) || rest.first() == Some(&"signing_keys")
        }
        ["management", "oauth_client_secret"] => true,
        [
            "management",
            "oauth_resource_servers",
            _,
            "oauth_client_secret",
        ] => true,
        _ => false,
    };
    family && !withheld
}

fn check_oauth(entry: &Entry) -> Result<(), Invalid> {
    let words: Vec<_> = entry.key.split('.').collect();
    if words[0] == "auth_backends" {
        if matches!(
            entry.value.as_str(),
            "oauth2" | "internal" | "rabbit_auth_backend_oauth2"
        ) {
            return Ok(());
        }
        return Err(refused_value(entry, "Valid values: [oauth2, internal]."));
    }
    if words.contains(&"algorithms")
        && !ALGORITHMS
            .split(", ")
            .any(|algorithm| algorithm == entry.value)
    {
        return Err(refused_value(
            entry,
            &format!("Valid values: [{ALGORITHMS}]."),
        ));
    }
    let last = words.last().copied().unwrap_or_default();
    let is_url = ["url", "uri", "issuer", "endpoint"]
        .iter()
        .any(|noun| last == *noun || last.ends_with(&format!("_{noun}")));
    let names_scheme = entry.value.contains("://");
    if (is_url || names_scheme) && !entry.value.starts_with("https://") {
        return Err(refused_value(entry, "URLs must start with [https://]."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::configuration::cuttlefish;

    fn check_text(version: &str, text: &str) -> Result<(), Invalid> {
        let version = EngineVersion::parse(version).unwrap();
        check(&cuttlefish::parse(text).unwrap(), &version)
    }

    fn rabbit(text: &str) -> Result<(), Invalid> {
        check_text("4.2", text)
    }

    #[test]
    fn brokers_are_as_safe_as_amazons_where_nobody_says_otherwise() {
        let keys = |version: &str| {
            let defaults = defaults(&EngineVersion::parse(version).unwrap());
            assert!(defaults.values().all(|value| value == "true"));
            defaults.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(keys("3.10"), ["secure.management.http.headers.enabled"]);
        assert_eq!(keys("4.2").len(), 3);
    }

    #[test]
    fn every_key_of_the_guide_is_accepted_in_its_range() {
        for text in [
            "consumer_timeout = 0",
            "consumer_timeout = 2147483647",
            "heartbeat = 60",
            "heartbeat = 3600",
            "management.restrictions.operator_policy_changes.disabled = false",
            "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true",
            "secure.management.http.headers.enabled = true",
            "auth_backends.1 = oauth2",
            "auth_backends.2 = internal",
            "auth_oauth2.jwks_url = https://cognito.example.org/jwks.json",
            "auth_oauth2.resource_server_id = rabbitmq",
            "auth_oauth2.verify_aud = false",
            "auth_oauth2.scope_aliases.1.scope = rabbitmq/read:*/",
            "auth_oauth2.algorithms.1 = RS256",
            "auth_oauth2.issuer = https://cognito.example.org",
            "management.oauth_enabled = true",
            "management.oauth_client_id = abc",
        ] {
            assert_eq!(rabbit(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn values_out_of_range_are_named_with_what_is_valid() {
        assert_eq!(
            rabbit("# why\nheartbeat = 59").unwrap_err(),
            Invalid::new(
                "data",
                "Value [59] of configuration key [heartbeat] in line [2] is invalid. \
                 Valid values: [60-3600]."
            )
        );
        for text in [
            "heartbeat = 3601",
            "heartbeat = -1",
            "heartbeat = 60.5",
            "consumer_timeout = 2147483648",
            "secure.management.http.headers.enabled = yes",
            "auth_oauth2.jwks_url = http://cognito.example.org/jwks.json",
            "auth_oauth2.algorithms.1 = none",
            "auth_backends.1 = ldap",
        ] {
            assert!(rabbit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_keys_are_refused_with_those_there_are() {
        let message = check_text("3.12", "vm_memory_high_watermark = 0.9")
            .unwrap_err()
            .message;
        assert_eq!(
            message,
            "Configuration key [vm_memory_high_watermark] in line [1] is not supported for broker \
             engine type [RABBITMQ] version [3.12]. Valid keys are: [consumer_timeout, heartbeat, \
             management.restrictions.operator_policy_changes.disabled, \
             secure.management.http.headers.enabled], and those of OAuth 2.0."
        );
        for text in [
            "auth_oauth2.https.cacertfile = /etc/ca.pem",
            "auth_oauth2.oauth_providers.p.https.cacertfile = /etc/ca.pem",
            "auth_oauth2.signing_keys.1 = /etc/key.pem",
            "management.oauth_client_secret = s",
            "management.oauth_resource_servers.1.oauth_client_secret = s",
            "loopback_users = none",
        ] {
            assert!(rabbit(text).is_err(), "{text}");
        }
    }
}
