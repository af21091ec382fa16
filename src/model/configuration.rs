//! Customers' versioned broker settings.
//!
//! Data is kept byte for byte as it was sent: clients compare what they wrote with what they
//! read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    ConfigurationId, Scope,
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
    pub authentication_strategy: String,
    pub latest_revision: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationRevision {
    pub configuration_id: ConfigurationId,
    pub revision: i32,
    pub description: String,
    /// Base64.
    pub data: String,
    pub created_at: DateTime<Utc>,
}

/// The name of the configuration made for a broker that was created without one.
pub fn default_name(broker_name: &str) -> String {
    format!("{broker_name}-configuration")
}

/// The description of its first revision.
pub fn default_description(broker_name: &str, engine: EngineType, version: &str) -> String {
    format!(
        "Auto-generated default for {broker_name} on {} {version}",
        engine.label()
    )
}

/// Its data: the engine's defaults spelled out, in the engine's own format, base64.
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
