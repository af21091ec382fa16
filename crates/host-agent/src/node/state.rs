//! What the agent remembers of a node, so that the next agent adopts its process.

use std::path::PathBuf;

use agent_api::Process;
use serde::{Deserialize, Serialize};

use super::configuration::Choice;
use super::trial::Trial;

/// Written before a process starts and again when its pid is known. Between the two writes a crash
/// leaves a process that only its control socket can tell of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) generation: i64,
    pub(super) control: PathBuf,
    pub(super) process: Option<Process>,
    /// Unexpected exits since the generation began.
    pub(super) restarts: u32,
    /// Agents before this one let clients in at once.
    #[serde(default = "passed")]
    pub(super) trial: Trial,
    /// Of the generation.
    #[serde(default)]
    pub(super) choice: Choice,
}

fn passed() -> Trial {
    Trial::Passed
}

/// The files of one node.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) dir: PathBuf,
}

impl Files {
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("node.json")
    }

    /// Key and certificate in one file, so that they always belong together.
    pub(super) fn tls(&self) -> PathBuf {
        self.dir.join("tls.pem")
    }

    pub(super) fn tls_facts(&self) -> PathBuf {
        self.dir.join("tls.json")
    }

    pub(super) fn monitoring(&self) -> PathBuf {
        self.dir.join("monitoring.json")
    }

    pub(super) fn definitions(&self) -> PathBuf {
        self.dir.join("definitions.json")
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.dir.join("settings.json")
    }

    /// Settings that the engine is asked about.
    pub(super) fn candidate(&self) -> PathBuf {
        self.dir.join("candidate.json")
    }

    pub(super) fn logins(&self) -> PathBuf {
        self.dir.join("logins.json")
    }

    pub(super) fn logins_applied(&self) -> PathBuf {
        self.dir.join("logins-applied.json")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }
}
