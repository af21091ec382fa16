//! Upgrades that nobody asked for: to the latest patch, and away from a version whose support ended.

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

use super::{Catalogue, EngineRelease, EngineType, EngineVersion};

/// Brokers leave a version within so many days after its support ended. Source: Amazon MQ
/// developer guide, "Supported engine versions".
pub const FORCED_WITHIN_DAYS: i64 = 45;

/// Why a broker is upgraded without its owner asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeReason {
    /// `autoMinorVersionUpgrade` is on.
    LatestPatch,
    /// Support of the version has ended; the upgrade is due until this day.
    EndOfSupport { until: NaiveDate },
}

/// What is to be staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    pub version: EngineVersion,
    pub release: String,
    pub reason: UpgradeReason,
}

/// What of a broker decides; many brokers share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    pub engine_type: EngineType,
    /// Launch values in force.
    pub version: EngineVersion,
    pub release: Option<String>,
    /// What is staged already, by the owner or by us.
    pub staged_version: Option<EngineVersion>,
    pub staged_release: Option<String>,
    pub auto_minor_version_upgrade: bool,
}

/// The upgrade that a broker is due for and that is not staged yet.
pub fn automatic(
    catalogue: &Catalogue,
    situation: &Situation,
    today: NaiveDate,
) -> Option<Upgrade> {
    let engine = situation.engine_type;
    let has = catalogue.kept(engine, &situation.version, situation.release.as_deref());
    let ended = catalogue
        .end_of_support(engine, &situation.version)
        .filter(|end| *end <= today);
    let (line, reason) = match ended {
        Some(end) => {
            let until = end + TimeDelta::days(FORCED_WITHIN_DAYS);
            let next = next_supported(catalogue, engine, &situation.version, today)?;
            (next, UpgradeReason::EndOfSupport { until })
        }
        None if situation.auto_minor_version_upgrade => {
            let newest = newest_patch(catalogue, engine, &situation.version)?;
            // Without a known release nobody can tell what would be newer.
            if !is_newer(newest, has?) {
                return None;
            }
            (newest, UpgradeReason::LatestPatch)
        }
        None => return None,
    };
    let staged = situation.staged_version.as_ref();
    let own = staged.is_some_and(|version| version.minor() >= line.engine_version.minor());
    let is_staged = situation.staged_release.as_deref() == Some(&line.release);
    // What the owner staged leads as far, or farther.
    let leads_on = situation.staged_release.as_deref().is_some_and(|release| {
        let version = staged.unwrap_or(&situation.version);
        catalogue
            .release(engine, version, release)
            .is_some_and(|staged| !staged.withdrawn && !is_newer(line, staged))
    });
    if is_staged || leads_on || (own && situation.staged_release.is_none()) {
        return None;
    }
    Some(Upgrade {
        version: labelled(&situation.version, line),
        release: line.release.clone(),
        reason,
    })
}

/// The engine that a broker's nodes ran with before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    pub version: EngineVersion,
    pub release: String,
}

/// Why a broker cannot go back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    #[error("It never ran with another engine release.")]
    Nowhere,
    #[error("Release [{0}] is not in the catalogue.")]
    Unknown(String),
    #[error(
        "Release [{previous}] does not read the data format [{format}], which release [{current}] \
         writes: what was confirmed since would be lost."
    )]
    Format {
        previous: String,
        current: String,
        format: u32,
    },
}

/// Whether a broker can go back without losing what was confirmed since.
pub fn way_back(
    catalogue: &Catalogue,
    engine: EngineType,
    current: &EngineRelease,
    previous: Option<Previous>,
) -> Result<Previous, NoWayBack> {
    let previous = previous.ok_or(NoWayBack::Nowhere)?;
    if previous.release == current.release
        && previous.version.minor() == current.engine_version.minor()
    {
        return Err(NoWayBack::Nowhere);
    }
    let line = catalogue
        .release(engine, &previous.version, &previous.release)
        .ok_or_else(|| NoWayBack::Unknown(previous.release.clone()))?;
    if !line.formats.read(&current.formats) {
        return Err(NoWayBack::Format {
            previous: previous.release,
            current: current.release.clone(),
            format: current.formats.writes,
        });
    }
    Ok(previous)
}

/// The version as the owner writes it: with a patch number only if it had one.
fn labelled(has: &EngineVersion, line: &EngineRelease) -> EngineVersion {
    if has.has_patch() {
        line.engine_version.clone()
    } else {
        line.engine_version.without_patch()
    }
}

fn newest_patch<'a>(
    catalogue: &'a Catalogue,
    engine: EngineType,
    version: &EngineVersion,
) -> Option<&'a EngineRelease> {
    let mut versions = catalogue.versions(engine);
    versions.find(|line| line.engine_version.minor() == version.minor())
}

/// The newest patch of the next profile that is supported.
fn next_supported<'a>(
    catalogue: &'a Catalogue,
    engine: EngineType,
    version: &EngineVersion,
    today: NaiveDate,
) -> Option<&'a EngineRelease> {
    catalogue
        .versions(engine)
        .filter(|line| line.engine_version.minor() > version.minor())
        .filter(|line| line.end_of_support.is_none_or(|end| end > today))
        .last()
}

fn is_newer(line: &EngineRelease, than: &EngineRelease) -> bool {
    let rank = |line: &EngineRelease| (line.engine_version.numbers(), line.released);
    rank(line) > rank(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: &str = "2026-12-01";

    fn version(text: &str) -> EngineVersion {
        EngineVersion::parse(text).unwrap()
    }

    fn line(text: &str, release: &str, end_of_support: Option<&str>) -> EngineRelease {
        EngineRelease {
            release: release.to_owned(),
            end_of_support: end_of_support.map(|day| day.parse().unwrap()),
            ..EngineRelease::builtin(EngineType::RabbitMq, version(text))
        }
    }

    fn catalogue(end_of_3_13: Option<&str>) -> Catalogue {
        Catalogue::new(vec![
            line("3.13.7", "1", end_of_3_13),
            line("4.2.1", "1", None),
            line("4.2.2", "2", None),
            line("4.3.0", "3", None),
        ])
    }

    fn situation(text: &str, release: &str) -> Situation {
        Situation {
            engine_type: EngineType::RabbitMq,
            version: version(text),
            release: Some(release.to_owned()),
            staged_version: None,
            staged_release: None,
            auto_minor_version_upgrade: true,
        }
    }

    fn due(catalogue: &Catalogue, situation: &Situation) -> Option<(String, String)> {
        automatic(catalogue, situation, TODAY.parse().unwrap())
            .map(|upgrade| (upgrade.version.to_string(), upgrade.release))
    }

    fn some(version: &str, release: &str) -> Option<(String, String)> {
        Some((version.to_owned(), release.to_owned()))
    }

    #[test]
    fn the_latest_patch_comes_by_itself_and_no_other_minor_version() {
        let catalogue = catalogue(None);
        assert_eq!(due(&catalogue, &situation("4.2", "1")), some("4.2", "2"));
        assert_eq!(
            due(&catalogue, &situation("4.2.1", "1")),
            some("4.2.2", "2")
        );
        assert_eq!(due(&catalogue, &situation("4.2", "2")), None);
        assert_eq!(due(&catalogue, &situation("3.13", "1")), None);
        let declined = Situation {
            auto_minor_version_upgrade: false,
            ..situation("4.2", "1")
        };
        assert_eq!(due(&catalogue, &declined), None);
    }

    #[test]
    fn a_version_whose_support_ended_is_left_for_the_next_one_wanted_or_not() {
        let declined = Situation {
            auto_minor_version_upgrade: false,
            ..situation("3.13", "1")
        };
        assert_eq!(due(&catalogue(Some("2026-12-02")), &declined), None);
        let catalogue = catalogue(Some(TODAY));
        assert_eq!(due(&catalogue, &declined), some("4.2", "2"));
        let upgrade = automatic(&catalogue, &declined, TODAY.parse().unwrap()).unwrap();
        let until = "2027-01-15".parse().unwrap();
        assert_eq!(upgrade.reason, UpgradeReason::EndOfSupport { until });
    }

    #[test]
    fn what_is_staged_already_or_leads_farther_is_left_alone() {
        let catalogue = catalogue(Some(TODAY));
        let staged = |from: &str, version: Option<&str>, release: &str| Situation {
            staged_version: version.map(|text| EngineVersion::parse(text).unwrap()),
            staged_release: Some(release.to_owned()),
            ..situation(from, "1")
        };
        assert_eq!(due(&catalogue, &staged("4.2", None, "2")), None);
        assert_eq!(due(&catalogue, &staged("4.2", Some("4.3"), "3")), None);
        assert_eq!(due(&catalogue, &staged("3.13", Some("4.2"), "2")), None);
        // An older patch than the latest does not get in the way of what is due.
        assert_eq!(
            due(&catalogue, &staged("3.13", Some("4.2.1"), "1")),
            some("4.2", "2")
        );
    }

    #[test]
    fn back_is_where_the_data_can_be_read() {
        let mut later = line("4.3.0", "3", None);
        later.formats = crate::model::engine::DataFormats {
            reads: vec![1, 2, 3],
            writes: 3,
        };
        let catalogue = Catalogue::new(vec![line("4.2.1", "1", None), line("4.2.2", "2", None)]);
        let previous = |release: &str| {
            Some(Previous {
                version: version("4.2"),
                release: release.to_owned(),
            })
        };
        let back = |current: &EngineRelease, previous| {
            way_back(&catalogue, EngineType::RabbitMq, current, previous)
                .map(|previous| previous.release)
                .map_err(|error| error.to_string())
        };
        let current = line("4.2.2", "2", None);
        assert_eq!(back(&current, previous("1")).unwrap(), "1");
        assert!(back(&current, None).is_err());
        assert!(back(&current, previous("2")).is_err());
        assert!(back(&current, previous("0")).unwrap_err().contains("[0]"));
        let lost = back(&later, previous("2")).unwrap_err();
        assert!(lost.contains("does not read the data format [3]"), "{lost}");
    }

    #[test]
    fn a_withdrawn_release_is_no_upgrade() {
        let mut withdrawn = line("4.2.2", "2", None);
        withdrawn.withdrawn = true;
        let catalogue = Catalogue::new(vec![line("4.2.1", "1", None), withdrawn]);
        assert_eq!(due(&catalogue, &situation("4.2", "1")), None);
    }
}
