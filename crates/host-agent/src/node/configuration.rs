//! Which configuration a generation runs with: the one that is intended, unless the engine refuses it or does not come
//! up with it; then the one that the node last proved.
//!
//! A running node is not touched before the engine said that it can read what comes next. A node that fails with both
//! configurations fails for another reason, and keeps the intended one.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use agent_api::{NodeConfiguration, NodeIntent, RejectedConfiguration};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use super::output;
use super::state::Files;
use crate::{Error, files};

/// An engine that takes longer to read its settings is not refused for it: coming up is the proof.
const CHECK_MAX: Duration = Duration::from_secs(10);

/// Exits in a row before the first round trip, after which the other configuration is tried.
pub(super) const FAILED_STARTS_MAX: u32 = 3;

/// A process that answers, but through which no round trip succeeds for this long, did not come up.
pub(super) const USELESS_MAX: Duration = Duration::from_secs(60);

/// What is known of the intended configuration of one generation. Kept with the node's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    is_checked: bool,
    /// Why the node runs without it.
    rejected: Option<String>,
    /// Whether it was taken back after the other one fared no better.
    is_cleared: bool,
    /// Whether a round trip succeeded in this generation: what comes later is no fault of the configuration.
    pub(super) is_proven: bool,
    failed_starts: u32,
}

impl Choice {
    /// The configuration to start with; `None` when there is none that the engine takes.
    pub(super) fn configuration<'a>(
        &self,
        intent: &'a NodeIntent,
    ) -> Option<&'a NodeConfiguration> {
        match self.rejected {
            None => Some(&intent.configuration),
            Some(_) => intent.proven_configuration.as_ref(),
        }
    }

    pub(super) fn rejected(&self, intent: &NodeIntent) -> Option<RejectedConfiguration> {
        let reason = self.rejected.clone()?;
        let NodeConfiguration { id, revision, .. } = intent.configuration.clone();
        Some(RejectedConfiguration {
            id,
            revision,
            reason,
        })
    }

    /// Asks the engine whether it can read the configuration, unless that is known.
    pub(super) async fn check(
        &mut self,
        intent: &NodeIntent,
        node: &Files,
        executable: &Path,
    ) -> Result<(), Error> {
        if self.is_checked || intent.configuration.settings.is_empty() {
            return Ok(());
        }
        let candidate = node.candidate();
        files::create_private_dir(&node.dir)?;
        files::write_json(&candidate, &intent.configuration.settings)?;
        let refusal = ask(executable, &intent.profile, &candidate).await?;
        self.is_checked = true;
        if let Some(reason) = refusal {
            self.reject(intent, reason);
        }
        Ok(())
    }

    /// Notes that the process ended, or was ended, before a round trip through it succeeded.
    pub(super) fn failed_to_start(&mut self, intent: &NodeIntent, why: &str) {
        self.failed_starts += 1;
        if self.failed_starts < FAILED_STARTS_MAX || self.is_proven || self.is_cleared {
            return;
        }
        self.failed_starts = 0;
        let has_other = intent
            .proven_configuration
            .as_ref()
            .is_some_and(|proven| proven.settings != intent.configuration.settings);
        if self.rejected.take().is_some() {
            self.is_cleared = true;
            tracing::warn!(node_id = %intent.node_id, "the configuration was not why the node failed");
        } else if has_other {
            self.reject(intent, format!("the node did not come up with it: {why}"));
        }
    }

    /// The same of a process that answers and serves nobody: it is not given another try.
    pub(super) fn is_useless(&mut self, intent: &NodeIntent, why: &str) {
        self.failed_starts = FAILED_STARTS_MAX;
        self.failed_to_start(intent, why);
    }

    pub(super) fn served(&mut self) {
        self.is_proven = true;
        self.failed_starts = 0;
    }

    fn reject(&mut self, intent: &NodeIntent, reason: String) {
        let NodeConfiguration { id, revision, .. } = &intent.configuration;
        tracing::warn!(node_id = %intent.node_id, id, revision, reason, "rejected the configuration");
        self.rejected = Some(reason);
    }
}

/// Signals that end an engine from outside, whatever it thinks of its settings.
const FROM_OUTSIDE: [Signal; 3] = [Signal::KILL, Signal::TERM, Signal::INT];

/// Why the engine refuses the settings in a file, if it does. Fails when it was not given the time to say.
async fn ask(executable: &Path, profile: &str, settings: &Path) -> Result<Option<String>, Error> {
    let arguments: [OsString; 6] = [
        "node".into(),
        "--check".into(),
        "--profile".into(),
        profile.into(),
        "--settings".into(),
        settings.into(),
    ];
    let mut command = Command::new(executable);
    command
        .arg0("warren")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match timeout(CHECK_MAX, command.output()).await {
        Err(_) => {
            tracing::warn!("the engine did not say in time what it makes of the settings");
            Ok(None)
        }
        Ok(Err(error)) => Err(Error::file(executable)(error)),
        Ok(Ok(answer)) if answer.status.success() => Ok(None),
        Ok(Ok(answer)) if is_killed(answer.status) => Err(Error::Unavailable(
            "the engine was killed while it read the configuration".to_owned(),
        )),
        Ok(Ok(answer)) => {
            let words = output::last_words(&answer.stderr);
            Ok(Some(words.unwrap_or_else(|| answer.status.to_string())))
        }
    }
}

fn is_killed(status: ExitStatus) -> bool {
    let signal = status.signal();
    FROM_OUTSIDE
        .iter()
        .any(|outside| signal == Some(outside.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::intent;
    use super::*;

    fn with(proven: Option<&str>) -> NodeIntent {
        let configuration = |value: &str| NodeConfiguration {
            id: "c-1".to_owned(),
            revision: 2,
            settings: [("heartbeat".to_owned(), value.to_owned())].into(),
        };
        NodeIntent {
            configuration: configuration("600"),
            proven_configuration: proven.map(configuration),
            ..intent()
        }
    }

    fn fail(choice: &mut Choice, intent: &NodeIntent) {
        for _ in 0..FAILED_STARTS_MAX {
            choice.failed_to_start(intent, "exited");
        }
    }

    fn heartbeat<'a>(choice: &Choice, intent: &'a NodeIntent) -> &'a str {
        &choice.configuration(intent).unwrap().settings["heartbeat"]
    }

    #[test]
    fn a_node_that_does_not_come_up_goes_back_and_says_why() {
        let (intent, mut choice) = (with(Some("60")), Choice::default());
        choice.failed_to_start(&intent, "exited");
        assert_eq!(heartbeat(&choice, &intent), "600");
        choice.failed_to_start(&intent, "exited");
        choice.failed_to_start(&intent, "exited (signal: 6): no room");
        assert_eq!(heartbeat(&choice, &intent), "60");
        let rejected = choice.rejected(&intent).unwrap();
        assert_eq!((rejected.id.as_str(), rejected.revision), ("c-1", 2));
        assert!(rejected.reason.ends_with("no room"), "{rejected:?}");
    }

    #[test]
    fn a_node_that_fails_with_both_keeps_the_intended_one() {
        let (intent, mut choice) = (with(Some("60")), Choice::default());
        fail(&mut choice, &intent);
        fail(&mut choice, &intent);
        assert_eq!(heartbeat(&choice, &intent), "600");
        assert_eq!(choice.rejected(&intent), None);
        fail(&mut choice, &intent);
        assert_eq!(choice.rejected(&intent), None);
    }

    #[test]
    fn what_has_served_or_has_no_other_is_not_rejected_for_exits() {
        for (intent, is_proven) in [
            (with(Some("60")), true),
            (with(None), false),
            (with(Some("600")), false),
        ] {
            let mut choice = Choice::default();
            if is_proven {
                choice.served();
            }
            fail(&mut choice, &intent);
            assert_eq!(choice.rejected(&intent), None);
        }
    }

    #[test]
    fn a_process_that_serves_nobody_is_not_tried_again() {
        let (intent, mut choice) = (with(Some("60")), Choice::default());
        choice.is_useless(&intent, "the round trip failed");
        assert_eq!(heartbeat(&choice, &intent), "60");
    }

    #[tokio::test]
    async fn an_engine_that_is_killed_at_the_check_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let node = Files {
            dir: directory.path().join("node"),
        };
        let engine = directory.path().join("engine");
        // Written by another process: whoever is forked while this one has it open for writing keeps it from running.
        let answers = |script: &str| {
            let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
            let mut shell = std::process::Command::new("sh");
            let written = shell.arg("-c").arg(write).arg(&engine).arg(script).status();
            assert!(written.unwrap().success());
        };
        let (intent, mut choice) = (with(Some("60")), Choice::default());
        answers("kill -9 $$");
        let killed = choice.check(&intent, &node, &engine).await.unwrap_err();
        assert!(killed.is_transient(), "{killed}");
        assert_eq!(choice.rejected(&intent), None);
        answers("echo 'heartbeat: too long' >&2; exit 1");
        choice.check(&intent, &node, &engine).await.unwrap();
        let rejected = choice.rejected(&intent).unwrap();
        assert_eq!(rejected.reason, "heartbeat: too long");
    }
}
