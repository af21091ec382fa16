//! One release of the engine: which version it serves, which file it is, which data it reads.

use agent_api::{ArtefactFile, EngineArtefact};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{EngineType, EngineVersion};

/// The artefact of lines that no engine serves yet, as stored.
pub const SIMULATED: &str = "simulated";

/// One line of the catalogue. One release may serve several versions, with a line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRelease {
    pub engine_type: EngineType,
    /// The version that it behaves like.
    pub engine_version: EngineVersion,
    /// The release of the engine that serves it.
    pub release: String,
    pub artefact: Artefact,
    pub formats: DataFormats,
    pub released: NaiveDate,
    /// From this day on brokers are moved away from the version; `None` while no day is set.
    pub end_of_support: Option<NaiveDate>,
    /// Whether it is no longer given to brokers. Those that have it keep it.
    pub withdrawn: bool,
}

/// Where the program comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artefact {
    /// The agent's own executable.
    Builtin,
    /// No engine serves it yet: only hosts that simulate their nodes play it.
    Simulated,
    /// `https:`, `http:` or `file:`. The transport is not trusted: the file's hash and signature
    /// are what counts.
    File { url: String, file: ArtefactFile },
}

/// Versions of the format of a node's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFormats {
    pub reads: Vec<u32>,
    pub writes: u32,
}

impl DataFormats {
    /// Whether a volume that `other` wrote can be opened without losing anything.
    pub fn read(&self, other: &Self) -> bool {
        self.reads.contains(&other.writes)
    }
}

impl EngineRelease {
    /// A line of the built-in engine, as this release of Warren comes with.
    pub fn builtin(engine_type: EngineType, engine_version: EngineVersion) -> Self {
        Self {
            engine_type,
            engine_version,
            release: "0.1.0".to_owned(),
            artefact: Artefact::Builtin,
            formats: DataFormats {
                reads: vec![1, 2],
                writes: 2,
            },
            released: NaiveDate::default(),
            end_of_support: None,
            withdrawn: false,
        }
    }

    /// What the engine presents itself as, such as `rabbitmq-3.13`.
    pub fn profile(&self) -> String {
        let (major, minor) = self.engine_version.minor();
        format!(
            "{}-{major}.{minor}",
            self.engine_type.name().to_ascii_lowercase()
        )
    }

    /// What the agent of a host is told.
    pub fn intent(&self) -> EngineArtefact {
        let (artefact, file) = match &self.artefact {
            Artefact::Builtin => (EngineArtefact::BUILTIN.to_owned(), None),
            Artefact::Simulated => (SIMULATED.to_owned(), None),
            Artefact::File { url, file } => (url.clone(), Some(file.clone())),
        };
        EngineArtefact {
            release: self.release.clone(),
            artefact,
            file,
        }
    }
}
