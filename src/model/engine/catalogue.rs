//! All that brokers can be made of and upgraded to.

use std::cmp::Ordering;

use chrono::{NaiveDate, TimeDelta};

use super::{Artefact, EngineRelease, EngineType, EngineVersion};
use crate::model::{Invalid, broker::Launch, parity::Parity};

/// No broker is made of a version whose support ends in fewer days than this. Source: Amazon MQ
/// developer guide, "Supported engine versions".
const NEW_BROKERS_UNTIL_DAYS: i64 = 30;

/// Every engine type and version that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue(Vec<EngineRelease>);

impl Catalogue {
    /// Puts the newest first.
    pub fn new(mut releases: Vec<EngineRelease>) -> Self {
        releases.sort_by(newest_first);
        Self(releases)
    }

    /// Without the lines that only simulated hosts can play.
    #[must_use]
    pub fn without_simulated(mut self) -> Self {
        self.0.retain(|line| line.artefact != Artefact::Simulated);
        self
    }

    /// Every line, newest first.
    pub fn lines(&self) -> &[EngineRelease] {
        &self.0
    }

    /// The newest release of a version: of that very patch if the version names one that there
    /// is, else of its profile. One that was withdrawn only when there is no other.
    pub fn find(&self, engine: EngineType, version: &EngineVersion) -> Option<&EngineRelease> {
        let serving = || {
            let lines = self.of(engine);
            lines.filter(|line| line.engine_version.minor() == version.minor())
        };
        let exact = serving().find(|line| line.engine_version == *version && !line.withdrawn);
        exact
            .or_else(|| serving().find(|line| !line.withdrawn))
            .or_else(|| serving().next())
    }

    /// The release of this name, when it serves the version's profile.
    pub fn release(
        &self,
        engine: EngineType,
        version: &EngineVersion,
        release: &str,
    ) -> Option<&EngineRelease> {
        let named = |line: &&EngineRelease| {
            line.release == release && line.engine_version.minor() == version.minor()
        };
        self.of(engine).find(named)
    }

    /// What a broker with these launch values runs. One that was made before releases were kept has
    /// the built-in engine; one whose release is not known any more gets the newest of its version.
    pub fn of_launch(&self, engine: EngineType, launch: &Launch) -> Option<&EngineRelease> {
        let version = &launch.engine_version;
        self.kept(engine, version, launch.engine_release.as_deref())
            .or_else(|| self.find(engine, version))
    }

    /// The release that a broker has by these values, if it is known.
    pub(super) fn kept(
        &self,
        engine: EngineType,
        version: &EngineVersion,
        release: Option<&str>,
    ) -> Option<&EngineRelease> {
        match release {
            Some(release) => self.release(engine, version, release),
            None => self.of(engine).find(|line| {
                let came_along = matches!(line.artefact, Artefact::Builtin | Artefact::Simulated);
                came_along && line.engine_version.minor() == version.minor()
            }),
        }
    }

    /// When support of a version's profile ends: the newest patch says it.
    pub fn end_of_support(&self, engine: EngineType, version: &EngineVersion) -> Option<NaiveDate> {
        self.versions(engine)
            .find(|line| line.engine_version.minor() == version.minor())?
            .end_of_support
    }

    /// Like [`Self::choose`] for a broker that is to be made `today`.
    pub fn choose_for_new(
        &self,
        engine: EngineType,
        version: Option<&str>,
        parity: Parity,
        today: NaiveDate,
    ) -> Result<EngineVersion, Invalid> {
        let mut offered = self
            .versions(engine)
            .filter(|line| is_offered(line, today))
            .map(|line| line.engine_version.without_patch());
        if version.is_none()
            && let Some(newest) = offered.next()
        {
            return Ok(newest);
        }
        let chosen = self.choose(engine, version, parity)?;
        let line = self
            .versions(engine)
            .find(|line| line.engine_version.minor() == chosen.minor() && !is_offered(line, today));
        let Some(end) = line.and_then(|line| line.end_of_support) else {
            return Ok(chosen);
        };
        let offered: Vec<_> = offered.map(|version| version.to_string()).collect();
        Err(Invalid::new(
            "engineVersion",
            format!(
                "Broker engine version [{chosen}] can't be used to create a broker. Its support \
                 for broker engine type [{}] ends on [{end}], and brokers cannot be created on it \
                 from [{NEW_BROKERS_UNTIL_DAYS}] days before. Valid values: [{}].",
                engine.name(),
                offered.join(", "),
            ),
        ))
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
            return Ok(newest.engine_version.without_patch());
        };
        let serves = |version: &EngineVersion| {
            let mut versions = self.versions(engine);
            versions.any(|line| line.engine_version.minor() == version.minor())
                && !(parity.is_strict() && version.has_patch())
        };
        EngineVersion::parse(text).filter(serves).ok_or_else(|| {
            let valid: Vec<_> = self
                .versions(engine)
                .map(|line| line.engine_version.without_patch().to_string())
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

    /// Reads the version that a broker with these launch values shall have next: the same, a newer
    /// patch, or the next minor version that there is. The version it has is never refused, and
    /// stays as it is when it is asked for without its patch number.
    pub fn upgrade(
        &self,
        engine: EngineType,
        has: &Launch,
        text: &str,
        parity: Parity,
    ) -> Result<EngineVersion, Invalid> {
        let from = &has.engine_version;
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
        // Of a version without a patch number the release says which patch the broker has.
        let has = self
            .kept(engine, from, has.engine_release.as_deref())
            .filter(|_| !from.has_patch())
            .map_or(from, |line| &line.engine_version);
        if to.numbers() < has.numbers() {
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

    /// Every engine type with the versions that brokers can be made of `today`, newest first.
    pub fn engines(
        &self,
        today: NaiveDate,
    ) -> impl Iterator<Item = (EngineType, Vec<EngineVersion>)> {
        EngineType::ALL.into_iter().filter_map(move |engine| {
            let offered = self.versions(engine).filter(|line| is_offered(line, today));
            let versions: Vec<_> = offered
                .map(|line| line.engine_version.without_patch())
                .collect();
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

    /// The newest release of every profile that is not withdrawn, newest profile first.
    pub(super) fn versions(&self, engine: EngineType) -> impl Iterator<Item = &EngineRelease> {
        let mut last = None;
        self.of(engine).filter(move |line| {
            let minor = Some(line.engine_version.minor());
            let is_first = !line.withdrawn && last != minor;
            if is_first {
                last = minor;
            }
            is_first
        })
    }

    fn of(&self, engine: EngineType) -> impl Iterator<Item = &EngineRelease> {
        self.0.iter().filter(move |line| line.engine_type == engine)
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

/// Whether brokers may still be made of a version.
fn is_offered(line: &EngineRelease, today: NaiveDate) -> bool {
    line.end_of_support
        .is_none_or(|end| today < end - TimeDelta::days(NEW_BROKERS_UNTIL_DAYS))
}

fn newest_first(a: &EngineRelease, b: &EngineRelease) -> Ordering {
    a.engine_type
        .name()
        .cmp(b.engine_type.name())
        .then_with(|| b.engine_version.numbers().cmp(&a.engine_version.numbers()))
        .then_with(|| b.released.cmp(&a.released))
        .then_with(|| b.release.cmp(&a.release))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::ArtefactFile;

    fn catalogue() -> Catalogue {
        let line = |engine_type, version| {
            EngineRelease::builtin(engine_type, EngineVersion::parse(version).unwrap())
        };
        Catalogue::new(vec![
            line(EngineType::RabbitMq, "3.13"),
            line(EngineType::LavinMq, "2.9"),
            line(EngineType::RabbitMq, "4.2"),
        ])
    }

    fn launch(version: &str) -> Launch {
        let launch = serde_json::json!({
            "engine_version": version,
            "host_instance_type": "mq.m7g.medium",
            "configuration": {"id": "c-00000000-0000-0000-0000-000000000000", "revision": 1},
        });
        serde_json::from_value(launch).unwrap()
    }

    /// The built-in lines with one that was fetched: 4.2.2 in release 0.2.0.
    fn with_fetched() -> Catalogue {
        let mut lines = catalogue().0;
        let fetched = EngineRelease {
            release: "0.2.0".into(),
            artefact: Artefact::File {
                url: "https://example.org/brokerd".into(),
                file: ArtefactFile {
                    sha256: "0".repeat(64),
                    size_bytes: 1,
                    key_id: "k".into(),
                    signature: String::new(),
                },
            },
            released: NaiveDate::from_ymd_opt(2026, 11, 1).unwrap(),
            ..EngineRelease::builtin(EngineType::RabbitMq, EngineVersion::parse("4.2.2").unwrap())
        };
        for line in &mut lines {
            if line.engine_version.as_str() == "4.2" {
                line.engine_version = EngineVersion::parse("4.2.1").unwrap();
            }
        }
        lines.push(fetched);
        Catalogue::new(lines)
    }

    #[test]
    fn a_patch_that_there_is_is_served_by_its_own_release_and_others_by_the_newest() {
        let catalogue = with_fetched();
        for (version, release) in [
            ("4.2", "0.2.0"),
            ("4.2.1", "0.1.0"),
            ("4.2.2", "0.2.0"),
            ("4.2.7", "0.2.0"),
        ] {
            let version = EngineVersion::parse(version).unwrap();
            let line = catalogue.find(EngineType::RabbitMq, &version).unwrap();
            assert_eq!(line.release, release, "{version}");
        }
        let today = NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        let offered: Vec<_> = catalogue
            .engines(today)
            .map(|(_, versions)| versions)
            .collect();
        assert_eq!(offered[1].len(), 2, "patches are not listed: {offered:?}");
    }

    #[test]
    fn a_broker_keeps_its_release_and_one_that_is_withdrawn_is_not_given_to_others() {
        let mut lines = with_fetched().0;
        lines
            .iter_mut()
            .for_each(|line| line.withdrawn = line.release == "0.2.0");
        let catalogue = Catalogue::new(lines);
        let engine = EngineType::RabbitMq;
        let kept = Launch {
            engine_release: Some("0.2.0".into()),
            ..launch("4.2")
        };
        assert_eq!(catalogue.of_launch(engine, &kept).unwrap().release, "0.2.0");
        let new = catalogue
            .find(engine, &launch("4.2").engine_version)
            .unwrap();
        assert_eq!(new.release, "0.1.0");
        let old = with_fetched();
        let old = old.of_launch(engine, &launch("4.2")).unwrap();
        assert_eq!(
            old.release, "0.1.0",
            "nothing new changes a broker by itself"
        );
        let gone = Launch {
            engine_release: Some("0.0.9".into()),
            ..launch("4.2")
        };
        assert_eq!(catalogue.of_launch(engine, &gone).unwrap().release, "0.1.0");
    }

    #[test]
    fn no_broker_is_made_of_a_version_in_its_last_thirty_days() {
        let mut lines = catalogue().0;
        for line in &mut lines {
            if line.engine_version.as_str() == "3.13" {
                line.end_of_support = NaiveDate::from_ymd_opt(2027, 3, 17);
            }
        }
        let catalogue = Catalogue::new(lines);
        let choose = |version, today: &str| {
            let today = today.parse().unwrap();
            catalogue
                .choose_for_new(EngineType::RabbitMq, version, Parity::Extended, today)
                .map(|version| version.to_string())
        };
        assert_eq!(choose(Some("3.13"), "2027-02-14").unwrap(), "3.13");
        assert_eq!(
            choose(Some("3.13.7"), "2027-02-15").unwrap_err().message,
            "Broker engine version [3.13.7] can't be used to create a broker. Its support for \
             broker engine type [RABBITMQ] ends on [2027-03-17], and brokers cannot be created on \
             it from [30] days before. Valid values: [4.2]."
        );
        assert_eq!(choose(None, "2027-02-15").unwrap(), "4.2");
        assert!(choose(Some("4.2"), "2027-02-15").is_ok());
        let engines: Vec<_> = catalogue.engines("2027-02-15".parse().unwrap()).collect();
        assert_eq!(engines[1].1.len(), 1);
    }

    #[test]
    fn of_a_version_without_patch_the_release_says_what_would_be_a_downgrade() {
        let catalogue = with_fetched();
        let upgrade = |release: &str, to| {
            let has = Launch {
                engine_release: Some(release.into()),
                ..launch("4.2")
            };
            catalogue.upgrade(EngineType::RabbitMq, &has, to, Parity::Extended)
        };
        assert_eq!(upgrade("0.1.0", "4.2.2").unwrap().as_str(), "4.2.2");
        assert!(upgrade("0.2.0", "4.2.1").is_err());
        assert_eq!(upgrade("0.2.0", "4.2").unwrap().as_str(), "4.2");
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
            artefact: Artefact::Simulated,
            ..EngineRelease::builtin(EngineType::ActiveMq, EngineVersion::parse("5.19").unwrap())
        });
        let all = Catalogue::new(releases);
        let today = NaiveDate::default();
        assert!(
            all.engines(today)
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
            catalogue
                .upgrade(EngineType::RabbitMq, &launch(from), to, Parity::Extended)
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
}
