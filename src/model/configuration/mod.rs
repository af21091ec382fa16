//! Customers' versioned broker settings.
//!
//! Data is kept byte for byte as it was sent: clients compare what they wrote with what they
//! read.

pub mod cuttlefish;
pub mod request;
mod settings;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use request::{CreateConfiguration, UpdateConfiguration};

use super::{
    ConfigurationId, Invalid, Scope,
    arn::ResourceArn,
    broker::AuthenticationStrategy,
    engine::{EngineType, EngineVersion},
};

/// Most revisions that a configuration may have.
pub const REVISIONS_MAX: i32 = 300;

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
    /// Base64, as it was sent.
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
        EngineType::RabbitMq | EngineType::LavinMq => {
            "# Default RabbitMQ delivery acknowledgement timeout is 30 minutes in milliseconds\n\
             consumer_timeout = 1800000\n"
        }
        EngineType::ActiveMq => "",
    };
    STANDARD.encode(text)
}

/// Decodes and checks data that a caller wants to keep. What is kept is what was sent.
pub fn check_data(data: &str, engine: EngineType, version: &EngineVersion) -> Result<(), Invalid> {
    // `base64` of the command line breaks its lines.
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| Invalid::new("data", "The configuration data must be base64 encoded."))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Invalid::new("data", "The configuration data must be UTF-8 text."))?;
    settings::check(&cuttlefish::parse(&text)?, engine, version)
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
        ] {
            let version = EngineVersion::parse(version).unwrap();
            assert_eq!(check_data(&default_data(engine), engine, &version), Ok(()));
        }
    }

    #[test]
    fn data_is_base64_of_text_in_any_layout() {
        let version = EngineVersion::parse("4.2").unwrap();
        let check = |data: &str| check_data(data, EngineType::RabbitMq, &version);
        assert!(check("").is_ok());
        assert!(check("aGVhcnRi\nZWF0ID0g\r\nNjAK\n").is_ok());
        for data in ["heartbeat = 60", "aGVhcnR", "/w=="] {
            assert_eq!(check(data).unwrap_err().attribute, "data", "{data}");
        }
    }
}
