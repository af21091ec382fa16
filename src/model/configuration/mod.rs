//! Customers' versioned broker settings.
//!
//! Data is kept byte for byte as it was sent: clients compare what they wrote with what they
//! read. Only what an ActiveMQ configuration must not have is taken out, and told.

mod activemq;
pub mod cuttlefish;
mod ini;
mod lavinmq;
pub mod request;
mod settings;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use activemq::{Reason, SanitizationWarning};
pub use request::{CreateConfiguration, UpdateConfiguration};

use super::{
    ConfigurationId, Invalid, Scope,
    arn::ResourceArn,
    broker::AuthenticationStrategy,
    engine::{EngineType, EngineVersion},
};

/// A revision of a configuration, as brokers refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationRef {
    pub id: ConfigurationId,
    pub revision: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    pub id: ConfigurationId,
    pub scope: Scope,
    pub name: String,
    pub engine_type: EngineType,
    pub engine_version: EngineVersion,
    pub authentication_strategy: AuthenticationStrategy,
    pub latest: RevisionSummary,
    pub created_at: DateTime<Utc>,
}

/// A revision without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSummary {
    /// From 1, without gaps.
    pub revision: i32,
    /// Empty when the caller gave none.
    pub description: String,
    pub created_at: DateTime<Utc>,
}

impl Configuration {
    pub fn arn(&self) -> ResourceArn {
        ResourceArn::configuration(&self.scope, &self.id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationRevision {
    pub configuration_id: ConfigurationId,
    pub summary: RevisionSummary,
    /// Base64, as it was sent if nothing had to be taken out.
    pub data: String,
}

/// The name of the configuration made for a broker that was created without one.
pub fn default_name(broker_name: &str) -> String {
    format!("{broker_name}-configuration")
}

/// The description of the first revision, after the broker or the configuration that it is made
/// for.
pub fn default_description(name: &str, engine: EngineType, version: &str) -> String {
    format!(
        "Auto-generated default for {name} on {} {version}",
        engine.label()
    )
}

/// The data of the first revision: the engine's defaults spelled out, in the engine's own format, base64.
pub fn default_data(engine: EngineType) -> String {
    let text = match engine {
        EngineType::RabbitMq => {
            "# Default RabbitMQ delivery acknowledgement timeout is 30 minutes in milliseconds\n\
             consumer_timeout = 1800000\n"
        }
        EngineType::LavinMq => {
            "[amqp]\n# Default LavinMQ heartbeat interval is 300 seconds\nheartbeat = 300\n"
        }
        EngineType::ActiveMq => activemq::DEFAULT,
    };
    STANDARD.encode(text)
}

/// Data that passed its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedData {
    /// Base64, as it was sent if nothing had to be taken out.
    pub data: String,
    pub warnings: Vec<SanitizationWarning>,
}

/// Decodes and checks data that a caller wants to keep.
pub fn check_data(
    data: String,
    engine: EngineType,
    version: &EngineVersion,
    strategy: AuthenticationStrategy,
) -> Result<CheckedData, Invalid> {
    let text = decode(&data)?;
    let kept = |data: String, warnings| CheckedData { data, warnings };
    match engine {
        EngineType::RabbitMq => {
            settings::check(&cuttlefish::parse(&text)?, version)?;
            Ok(kept(data, Vec::new()))
        }
        EngineType::LavinMq => {
            let ignored = lavinmq::check(&ini::parse(&text)?)?.ignored;
            Ok(kept(
                data,
                ignored.into_iter().map(SanitizationWarning::from).collect(),
            ))
        }
        EngineType::ActiveMq => {
            let sanitized = activemq::sanitize(&text, strategy)?;
            let data = match sanitized.text {
                Some(kept) => STANDARD.encode(kept),
                None => data,
            };
            Ok(kept(data, sanitized.warnings))
        }
    }
}

/// What a node of `engine` is set up with by this data: the keys that act, with what holds where the
/// owner says nothing.
pub fn node_settings(
    data: &str,
    engine: EngineType,
    version: &EngineVersion,
) -> Result<BTreeMap<String, String>, Invalid> {
    let text = decode(data)?;
    match engine {
        EngineType::RabbitMq => {
            let mut settings = settings::defaults(version);
            let entries = cuttlefish::parse(&text)?.into_iter();
            settings.extend(entries.map(|entry| (entry.key, entry.value)));
            Ok(settings)
        }
        EngineType::LavinMq => Ok(lavinmq::check(&ini::parse(&text)?)?.settings),
        EngineType::ActiveMq => Ok(BTreeMap::new()),
    }
}

fn decode(data: &str) -> Result<String, Invalid> {
    // `base64` of the command line breaks its lines.
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| Invalid::new("data", "The configuration data must be base64 encoded."))?;
    String::from_utf8(bytes)
        .map_err(|_| Invalid::new("data", "The configuration data must be UTF-8 text."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_their_own_check() {
        for (engine, version) in [
            (EngineType::RabbitMq, "3.13"),
            (EngineType::RabbitMq, "4.2"),
            (EngineType::LavinMq, "2.9"),
            (EngineType::ActiveMq, "5.19"),
        ] {
            let version = EngineVersion::parse(version).unwrap();
            let data = default_data(engine);
            let simple = AuthenticationStrategy::Simple;
            let checked = check_data(data.clone(), engine, &version, simple).unwrap();
            assert_eq!((checked.data, checked.warnings), (data, Vec::new()));
        }
    }

    #[test]
    fn a_node_gets_what_the_owner_says_on_top_of_the_defaults() {
        let read = |engine, version: &str, text: &str| {
            let version = EngineVersion::parse(version).unwrap();
            node_settings(&STANDARD.encode(text), engine, &version).unwrap()
        };
        let headers = "secure.management.http.headers.enabled";
        let text = format!("heartbeat = 90\n{headers} = false\n");
        let settings = read(EngineType::RabbitMq, "4.2", &text);
        assert_eq!(settings["heartbeat"], "90");
        assert_eq!(settings[headers], "false");
        let fixed = "management.restrictions.operator_policy_changes.disabled";
        assert_eq!(settings[fixed], "true");
        let settings = read(EngineType::LavinMq, "2.9", "[main]\nlog_level = debug\n");
        assert!(
            settings.is_empty(),
            "what does nothing does not reach the node"
        );
    }

    #[test]
    fn data_is_base64_of_text_in_any_layout() {
        let version = EngineVersion::parse("4.2").unwrap();
        let simple = AuthenticationStrategy::Simple;
        let check =
            |data: &str| check_data(data.to_owned(), EngineType::RabbitMq, &version, simple);
        assert!(check("").is_ok());
        assert!(check("aGVhcnRi\nZWF0ID0g\r\nNjAK\n").is_ok());
        for data in ["heartbeat = 60", "aGVhcnR", "/w=="] {
            assert_eq!(check(data).unwrap_err().attribute, "data", "{data}");
        }
    }

    #[test]
    fn xml_comes_back_as_it_was_sent_or_without_what_had_to_go() {
        let version = EngineVersion::parse("5.19").unwrap();
        let check = |data: String| {
            let simple = AuthenticationStrategy::Simple;
            check_data(data, EngineType::ActiveMq, &version, simple).unwrap()
        };
        let broken_lines = "PGJyb2tl\nci8+\n".to_owned();
        assert_eq!(check(broken_lines.clone()).data, broken_lines);
        let checked = check(STANDARD.encode(r#"<broker start="false"/>"#));
        assert_eq!(checked.data, STANDARD.encode("<broker/>"));
        assert_eq!(checked.warnings.len(), 1);
    }
}
