//! Engine types, the versions clients see, and the catalogue that maps them to engine releases.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

use super::{Invalid, parity::Parity};

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

    /// Major, minor and patch number; a missing patch number stands for the newest one, and so
    /// is greater than any.
    fn numbers(&self) -> (u32, u32, u32) {
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

/// The artefact of lines that no engine serves yet.
pub const SIMULATED: &str = "simulated";

/// One line of the catalogue: the engine release that serves a compatibility profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRelease {
    pub engine_type: EngineType,
    /// The version clients ask for.
    pub engine_version: EngineVersion,
    /// The release of the engine that serves it.
    pub release: String,
    /// Where its artefact comes from; `builtin` is the agent's own executable.
    pub artefact: String,
}

impl EngineRelease {
    /// What the engine presents itself as, such as `rabbitmq-3.13`.
    pub fn profile(&self) -> String {
        let (major, minor) = self.engine_version.minor();
        format!(
            "{}-{major}.{minor}",
            self.engine_type.name().to_ascii_lowercase()
        )
    }
}

/// Every engine type and version that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue(Vec<EngineRelease>);

impl Catalogue {
    /// Puts the newest versions first.
    pub fn new(mut releases: Vec<EngineRelease>) -> Self {
        releases.sort_by(newest_first);
        Self(releases)
    }

    /// Without the lines that only simulated hosts can play.
    pub fn without_simulated(mut self) -> Self {
        self.0.retain(|release| release.artefact != SIMULATED);
        self
    }

    /// The release for a stored version. A patch number selects the same profile.
    pub fn find(&self, engine: EngineType, version: &EngineVersion) -> Option<&EngineRelease> {
        self.versions(engine)
            .find(|release| release.engine_version.minor() == version.minor())
    }

    /// Reads a requested version; the newest one when none is asked for. Strict parity knows no
    /// patch numbers.
    pub fn choose(
        &self,
        engine: EngineType,
        version: Option<&str>,
        parity: Parity,
    ) -> Result<EngineVersion, Invalid> {
        let Some(newest) = self.versions(engine).next() else {
            return Err(Invalid::new(
                "engineType",
                format!(
                    "Broker engine type [{}] is not available yet. Valid values are: [{}].",
                    engine.name(),
                    self.engine_names(),
                ),
            ));
        };
        let Some(text) = version else {
            return Ok(newest.engine_version.clone());
        };
        let serves = |version: &EngineVersion| match self.find(engine, version) {
            Some(release) => !parity.is_strict() || release.engine_version == *version,
            None => false,
        };
        EngineVersion::parse(text).filter(serves).ok_or_else(|| {
            let valid: Vec<_> = self
                .versions(engine)
                .map(|r| r.engine_version.as_str())
                .collect();
            Invalid::new(
                "engineVersion",
                format!(
                    "Broker engine version [{text}] is invalid for broker engine type [{}]. \
                     Valid values: [{}].",
                    engine.name(),
                    valid.join(", "),
                ),
            )
        })
    }

    /// Reads the version that a broker of version `from` shall have next: the same, a newer patch,
    /// or the next minor version that there is. The version it has is never refused, and stays as
    /// it is when it is asked for without its patch number.
    pub fn upgrade(
        &self,
        engine: EngineType,
        from: &EngineVersion,
        text: &str,
        parity: Parity,
    ) -> Result<EngineVersion, Invalid> {
        let (major, minor) = from.minor();
        if text == from.as_str() || text == format!("{major}.{minor}") {
            return Ok(from.clone());
        }
        let to = self.choose(engine, Some(text), parity)?;
        let refused = |reason: &str| {
            Err(Invalid::new(
                "engineVersion",
                format!(
                    "Broker engine version [{from}] can't be changed to [{to}] for broker engine \
                     type [{}]. {reason}",
                    engine.name(),
                ),
            ))
        };
        if to.numbers() < from.numbers() {
            return refused("Downgrades are not supported.");
        }
        let skipped = self
            .versions(engine)
            .map(|release| release.engine_version.minor())
            .find(|between| from.minor() < *between && *between < to.minor());
        match skipped {
            Some((major, minor)) => refused(&format!(
                "You cannot skip minor versions when updating; the next one is [{major}.{minor}]."
            )),
            None => Ok(to),
        }
    }

    /// Every engine type with its versions, newest first.
    pub fn engines(&self) -> impl Iterator<Item = (EngineType, Vec<&EngineVersion>)> {
        EngineType::ALL.into_iter().filter_map(|engine| {
            let versions: Vec<_> = self.versions(engine).map(|r| &r.engine_version).collect();
            (!versions.is_empty()).then_some((engine, versions))
        })
    }

    /// Reads a requested engine type.
    pub fn engine_type(&self, text: &str) -> Result<EngineType, Invalid> {
        EngineType::parse(text).ok_or_else(|| {
            Invalid::new(
                "engineType",
                format!(
                    "Broker engine type [{text}] is invalid. Valid values are: [{}].",
                    self.engine_names(),
                ),
            )
        })
    }

    fn versions(&self, engine: EngineType) -> impl Iterator<Item = &EngineRelease> {
        self.0
            .iter()
            .filter(move |release| release.engine_type == engine)
    }

    fn engine_names(&self) -> String {
        let names: Vec<_> = EngineType::ALL
            .into_iter()
            .filter(|engine| self.versions(*engine).next().is_some())
            .map(EngineType::name)
            .collect();
        names.join(", ")
    }
}

fn newest_first(a: &EngineRelease, b: &EngineRelease) -> Ordering {
    a.engine_type
        .name()
        .cmp(b.engine_type.name())
        .then_with(|| b.engine_version.minor().cmp(&a.engine_version.minor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let line = |engine_type, version| EngineRelease {
            engine_type,
            engine_version: EngineVersion::parse(version).unwrap(),
            release: "0.1.0".into(),
            artefact: "builtin".into(),
        };
        Catalogue::new(vec![
            line(EngineType::RabbitMq, "3.13"),
            line(EngineType::LavinMq, "2.9"),
            line(EngineType::RabbitMq, "4.2"),
        ])
    }

    #[test]
    fn the_newest_version_is_the_default() {
        let version = catalogue()
            .choose(EngineType::RabbitMq, None, Parity::Extended)
            .unwrap();
        assert_eq!(version.as_str(), "4.2");
    }

    #[test]
    fn lines_that_only_simulated_hosts_play_can_be_left_out() {
        let mut releases = catalogue().0;
        releases.push(EngineRelease {
            engine_type: EngineType::ActiveMq,
            engine_version: EngineVersion::parse("5.19").unwrap(),
            release: "0.1.0".into(),
            artefact: SIMULATED.into(),
        });
        let all = Catalogue::new(releases);
        assert!(
            all.engines()
                .any(|(engine, _)| engine == EngineType::ActiveMq)
        );
        assert_eq!(all.without_simulated(), catalogue());
    }

    #[test]
    fn a_patch_version_is_kept_and_served_by_its_profile() {
        let catalogue = catalogue();
        let version = catalogue
            .choose(EngineType::RabbitMq, Some("3.13.7"), Parity::Extended)
            .unwrap();
        assert_eq!(version.as_str(), "3.13.7");
        let release = catalogue.find(EngineType::RabbitMq, &version).unwrap();
        assert_eq!(release.profile(), "rabbitmq-3.13");
    }

    #[test]
    fn refusals_name_what_is_valid() {
        let catalogue = catalogue();
        let version = catalogue
            .choose(EngineType::RabbitMq, Some("3.8"), Parity::Extended)
            .unwrap_err();
        assert_eq!(
            version.message,
            "Broker engine version [3.8] is invalid for broker engine type [RABBITMQ]. \
             Valid values: [4.2, 3.13]."
        );
        assert_eq!(version.attribute, "engineVersion");
        assert_eq!(
            catalogue
                .choose(EngineType::ActiveMq, Some("5.18"), Parity::Extended)
                .unwrap_err()
                .message,
            "Broker engine type [ACTIVEMQ] is not available yet. \
             Valid values are: [LAVINMQ, RABBITMQ]."
        );
        assert_eq!(
            catalogue.engine_type("KAFKA").unwrap_err().message,
            "Broker engine type [KAFKA] is invalid. Valid values are: [LAVINMQ, RABBITMQ]."
        );
        for text in ["", "4", "4.", "4.x", "4.2.1.0", " 4.2", "4.2-rc"] {
            assert!(
                catalogue
                    .choose(EngineType::RabbitMq, Some(text), Parity::Extended)
                    .is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn strict_parity_knows_no_patch_numbers() {
        let choose = |text| catalogue().choose(EngineType::RabbitMq, Some(text), Parity::Strict);
        assert!(choose("3.13").is_ok());
        assert_eq!(
            choose("3.13.7").unwrap_err().message,
            "Broker engine version [3.13.7] is invalid for broker engine type [RABBITMQ]. \
             Valid values: [4.2, 3.13]."
        );
    }

    #[test]
    fn upgrades_go_forward_one_minor_version_at_a_time() {
        let catalogue = catalogue();
        let upgrade = |from, to| {
            let from = EngineVersion::parse(from).unwrap();
            catalogue
                .upgrade(EngineType::RabbitMq, &from, to, Parity::Extended)
                .map(|version| version.to_string())
        };
        assert_eq!(upgrade("3.13", "4.2").unwrap(), "4.2");
        assert_eq!(upgrade("3.13.6", "3.13.7").unwrap(), "3.13.7");
        // What is no longer offered is still what the broker runs.
        assert_eq!(upgrade("3.8.1", "3.8.1").unwrap(), "3.8.1");
        assert_eq!(upgrade("3.13.7", "3.13").unwrap(), "3.13.7");
        assert_eq!(
            upgrade("4.2", "3.13").unwrap_err().message,
            "Broker engine version [4.2] can't be changed to [3.13] for broker engine type \
             [RABBITMQ]. Downgrades are not supported."
        );
        assert!(upgrade("3.13.7", "3.13.6").is_err());
        assert_eq!(
            upgrade("3.12", "4.2").unwrap_err().message,
            "Broker engine version [3.12] can't be changed to [4.2] for broker engine type \
             [RABBITMQ]. You cannot skip minor versions when updating; the next one is [3.13]."
        );
        assert!(upgrade("3.13", "4.9").is_err());
    }

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
