//! What becomes of a process that is watched, and what follows from it.

use std::path::Path;

use agent_api::{Alarms, LaunchObservation, NodeIntent, NodeObservation, Phase};
use tokio::time::Instant;

use super::super::health::{Health, Unwell};
use super::super::state::Files;
use super::super::{certificate, control, logins, memory, output};
use super::Supervisor;
use crate::{Error, clock};

impl Supervisor {
    pub(super) fn post(&mut self, phase: Phase, detail: Option<String>) {
        self.told = (phase, detail.clone());
        let looping = phase == Phase::Starting && self.restarts.looping(Instant::now());
        let observation = NodeObservation {
            node_id: self.node_id,
            generation: self.intent.generation,
            phase: if looping { Phase::CrashLooping } else { phase },
            process: self
                .running
                .as_ref()
                .map(|running| running.handle.process()),
            restarts: self.exits,
            detail,
            launch: self.is_current().then(|| LaunchObservation {
                release: self.trial.launch(&self.intent).engine.release,
                rolled_back: self.trial.reason().map(str::to_owned),
                away_ms: self
                    .away
                    .map(|away| u64::try_from(away.as_millis()).unwrap_or(u64::MAX)),
            }),
            rejected: self.choice.rejected(&self.intent),
            alarms: Alarms {
                out_of_memory: looping && self.starved,
                ..self.alarms
            },
            observed_at: clock::now(),
        };
        let cause = trace::of(&self.journey.span());
        self.context.board.post(observation, cause);
        if matches!(phase, Phase::Ready | Phase::Absent) {
            self.journey.end(&self.intent);
        }
    }

    /// Whether the process that runs is of the intended generation.
    pub(super) fn is_current(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.generation == self.intent.generation)
    }

    pub(super) fn became_ready(&mut self) {
        self.restarts.became_ready();
        self.starved = false;
        let Some(running) = self.running.as_mut() else {
            return;
        };
        running.served = true;
        if !self.choice.is_proven {
            self.choice.served();
            let (control, process) = (running.control.clone(), running.handle.process());
            if let Err(error) = self.write_state(&control, Some(process)) {
                tracing::warn!(node_id = %self.node_id, %error, "the node's state was not written");
            }
        }
    }

    pub(super) fn note_alarms(&mut self, alarms: Option<Alarms>) {
        if let Some(alarms) = alarms.filter(|alarms| *alarms != self.alarms) {
            tracing::warn!(node_id = %self.node_id, ?alarms, "the node's alarms changed");
            self.alarms = alarms;
            let (phase, detail) = self.told.clone();
            self.post(phase, detail);
        }
    }

    pub(super) fn exited(&mut self, how: &str) {
        let Some(running) = self.running.take() else {
            return;
        };
        let last_words = output::last_line(&self.files.log()).unwrap_or_default();
        tracing::warn!(node_id = %self.node_id, how, last_words, "the node exited");
        self.exits = self.exits.saturating_add(1);
        self.alarms = Alarms::default();
        self.starved = memory::is_out(how, &last_words, running.memory_kills.as_ref());
        // An engine on trial is what is new: it goes back as a whole.
        if !running.served && !self.trial.is_waiting() {
            let why = format!("{how}: {last_words}");
            self.choice.failed_to_start(&self.intent, &why);
        }
        self.restarts.exited(Instant::now(), running.served);
        if running.generation == self.intent.generation && self.trial.exited() {
            self.roll_back(&format!("it exited again and again ({how}): {last_words}"));
        }
        if let Err(error) = self.write_state(&running.control, None) {
            tracing::warn!(node_id = %self.node_id, %error, "the node's state was not written");
        }
        self.post(
            Phase::Starting,
            Some(format!("exited ({how}): {last_words}")),
        );
    }

    /// Returns whether the node has a fresh certificate.
    pub(super) async fn renew_certificate(&self) -> bool {
        let (control, address) = (&self.context.control, self.intent.listen.address);
        let node_id = self.node_id;
        match certificate::renew(control, node_id, &self.files, address).await {
            Ok(facts) => {
                tracing::info!(%node_id, renew_at = %facts.renew_at, "renewed the node's certificate");
                if let Some(running) = &self.running
                    && let Err(error) = control::reload(&running.control).await
                {
                    tracing::warn!(%node_id, %error, "the node did not reload");
                }
                true
            }
            Err(error) => {
                tracing::warn!(%node_id, %error, "the node's certificate was not renewed");
                false
            }
        }
    }
}

/// What was looked at while a process is watched.
pub(super) enum Look {
    Health(Result<Health, Unwell>),
    Alarms(Option<Alarms>),
}

/// Hands over users that the process does not have yet, and returns its alarms, when it answers.
pub(super) async fn tend(intent: &NodeIntent, control: &Path, files: &Files) -> Option<Alarms> {
    let status = control::status(control).await.ok()?;
    if status.ready
        && status.generation == intent.generation
        && let Err(error) = hand_over_logins(intent, control, files).await
    {
        tracing::warn!(node_id = %intent.node_id, %error, "the node did not take its users");
    }
    Some(status.alarms())
}

async fn hand_over_logins(intent: &NodeIntent, control: &Path, files: &Files) -> Result<(), Error> {
    let Some(revision) = logins::due(intent, files)? else {
        return Ok(());
    };
    logins::write(intent, files)?;
    control::reload(control)
        .await
        .map_err(Error::file(control))?;
    logins::done(files, revision)
}
