//! Engine types, the versions clients see, and the catalogue that maps them to engine releases.
//!
//! A **version** is what a broker behaves like, such as 4.2 or 4.2.1; clients ask for it. A
//! **release** is the program that serves it. A broker keeps the release that it was made or
//! upgraded with: nothing new in the catalogue changes a broker by itself.

mod catalogue;
mod manifest;
mod release;
mod upgrade;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use agent_api::ArtefactFile;
pub use catalogue::Catalogue;
pub use manifest::{Entry, EntryArtefact, Manifest, ManifestError, PAYLOAD_TYPE};
pub use release::{Artefact, DataFormats, EngineRelease, SIMULATED};
pub use upgrade::{
    FORCED_WITHIN_DAYS, NoWayBack, Previous, Situation, Upgrade, UpgradeReason, automatic, way_back,
};

/// What a broker behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EngineType {
    ActiveMq,
    LavinMq,
    RabbitMq,
}

impl EngineType {
    pub const ALL: [Self; 3] = [Self::ActiveMq, Self::LavinMq, Self::RabbitMq];

    /// Accepts any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|engine| engine.name().eq_ignore_ascii_case(text))
    }

    /// As stored and as in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveMq => "ACTIVEMQ",
            Self::LavinMq => "LAVINMQ",
            Self::RabbitMq => "RABBITMQ",
        }
    }

    /// As in responses. Clients compare it with what they asked for, letter by letter.
    pub fn label(self) -> &'static str {
        match self {
            Self::ActiveMq => "ActiveMQ",
            Self::LavinMq => "LavinMQ",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    /// Whether brokers of this type follow RabbitMQ's rules for users, logs and storage.
    pub fn is_rabbitmq_like(self) -> bool {
        match self {
            Self::ActiveMq => false,
            Self::LavinMq | Self::RabbitMq => true,
        }
    }
}

/// A compatibility profile's version, such as `3.13` or `3.13.7`; kept as the caller wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineVersion(String);

impl EngineVersion {
    /// Two or three numbers separated by dots.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('.').collect();
        let numeric = |part: &&str| {
            (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        ((2..=3).contains(&parts.len()) && parts.iter().all(numeric)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Major and minor number: what names a compatibility profile.
    pub fn minor(&self) -> (u32, u32) {
        let (major, minor, _) = self.numbers();
        (major, minor)
    }

    /// Whether it names a patch. Of a version that does not, the service chooses the patch.
    pub fn has_patch(&self) -> bool {
        self.0.split('.').count() == 3
    }

    /// The version without its patch number, as it is offered.
    #[must_use]
    pub fn without_patch(&self) -> Self {
        let (major, minor) = self.minor();
        Self(format!("{major}.{minor}"))
    }

    /// Major, minor and patch number; a missing patch number stands for the newest one, and so
    /// is greater than any.
    pub(in crate::model) fn numbers(&self) -> (u32, u32, u32) {
        let mut parts = self.0.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = |missing| parts.next().unwrap_or(missing);
        (next(0), next(0), next(u32::MAX))
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_types_are_read_in_any_case_and_written_as_clients_expect() {
        for engine in EngineType::ALL {
            assert_eq!(
                EngineType::parse(&engine.name().to_lowercase()),
                Some(engine)
            );
            assert_eq!(EngineType::parse(engine.label()), Some(engine));
            assert_eq!(serde_json::to_value(engine).unwrap(), engine.name());
        }
        assert_eq!(EngineType::RabbitMq.label(), "RabbitMQ");
    }
}
