//! The task of one node: does what [`decide`](super::decide) says, until the node is none of this
//! host's business any more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_api::{NodeIntent, NodeObservation, Phase};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::decide::{Action, Local, decide};
use super::due::{Checks, Renewal};
use super::health::{self, Unwell};
use super::process::Handle;
use super::restarts::Restarts;
use super::secrets::{Monitoring, definitions};
use super::state::{Files, State};
use super::{certificate, command, control, output};
use crate::board::Board;
use crate::control_plane::ControlPlane;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::retry::Backoff;
use crate::{Error, OnStop, Timing, clock, files};

/// What all supervisors of an agent share.
pub(crate) struct Context {
    pub(crate) layout: Layout,
    pub(crate) control: Arc<ControlPlane>,
    pub(crate) identity: watch::Receiver<Identity>,
    pub(crate) board: Arc<Board>,
    pub(crate) executable: PathBuf,
    pub(crate) timing: Timing,
    pub(crate) on_stop: OnStop,
    pub(crate) shutdown: CancellationToken,
}

/// Looks after one node.
pub(crate) struct Supervisor {
    context: Arc<Context>,
    node_id: Uuid,
    intents: watch::Receiver<NodeIntent>,
    intent: NodeIntent,
    files: Files,
    running: Option<Running>,
    restarts: Restarts,
    /// Unexpected exits since the generation began.
    exits: u32,
}

struct Running {
    handle: Handle,
    generation: i64,
    control: PathBuf,
    /// Whether a round trip through this process has succeeded.
    served: bool,
}

impl Supervisor {
    pub(crate) fn new(context: Arc<Context>, intents: watch::Receiver<NodeIntent>) -> Self {
        let intent = intents.borrow().clone();
        let files = Files {
            dir: context.layout.node(intent.node_id),
        };
        Self {
            node_id: intent.node_id,
            context,
            intents,
            intent,
            files,
            running: None,
            restarts: Restarts::default(),
            exits: 0,
        }
    }

    /// Runs until shutdown, or until the intents end because the node was forgotten.
    pub(crate) async fn run(mut self) {
        self.adopt().await;
        let mut trouble = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
        let shutdown = self.context.shutdown.clone();
        while !shutdown.is_cancelled() && self.intents.has_changed().is_ok() {
            self.take_intent();
            // Whose request it was that the node is what it is.
            let request_id = self.intent.request_id.clone();
            let span = tracing::error_span!("node", request_id);
            match self.step().instrument(span).await {
                Ok(()) => trouble.succeeded(),
                Err(error) => {
                    tracing::warn!(node_id = %self.node_id, %error, "a step failed");
                    self.post(Phase::Starting, Some(error.to_string()));
                    self.rest(Some(trouble.failed())).await;
                }
            }
        }
        if shutdown.is_cancelled() && self.context.on_stop == OnStop::StopNodes {
            self.stop().await;
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        match decide(&self.intent, self.local()) {
            Action::Stop => {
                self.post(
                    Phase::Starting,
                    Some("stopping the previous process".to_owned()),
                );
                self.stop().await;
            }
            Action::DeleteFiles => self.delete_files().await?,
            Action::Rest => {
                self.post(Phase::Absent, None);
                self.rest(None).await;
            }
            Action::Pause(duration) => self.rest(Some(duration)).await,
            Action::Start => self.start().await?,
            Action::Watch => self.watch().await,
            Action::Hold => {
                tracing::warn!(node_id = %self.node_id, "the process is newer than its intent");
                self.rest(None).await;
            }
        }
        Ok(())
    }

    fn take_intent(&mut self) {
        let intent = self.intents.borrow_and_update().clone();
        if intent.generation != self.intent.generation {
            self.restarts = Restarts::default();
            self.exits = 0;
        }
        self.intent = intent;
    }

    fn local(&self) -> Local {
        let volume = self.context.layout.volume(&self.intent.volume);
        Local {
            running: self.running.as_ref().map(|running| running.generation),
            files: self.files.dir.exists() || volume.is_ok_and(|volume| volume.exists()),
            pause: self.restarts.pause(Instant::now()),
        }
    }

    /// Waits for another intent, for `limit` if one is given, or for shutdown.
    async fn rest(&mut self, limit: Option<Duration>) {
        let shutdown = self.context.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = self.intents.changed() => {}
            () = async { sleep(limit.unwrap_or_default()).await }, if limit.is_some() => {}
        }
    }

    fn post(&self, phase: Phase, detail: Option<String>) {
        let looping = phase == Phase::Starting && self.restarts.looping(Instant::now());
        self.context.board.post(NodeObservation {
            node_id: self.node_id,
            generation: self.intent.generation,
            phase: if looping { Phase::CrashLooping } else { phase },
            process: self
                .running
                .as_ref()
                .map(|running| running.handle.process()),
            restarts: self.exits,
            detail,
            launch: None,
            observed_at: clock::now(),
        });
    }

    /// Takes over what an earlier agent left running.
    async fn adopt(&mut self) {
        let state = match files::read_json::<State>(&self.files.state()) {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(node_id = %self.node_id, %error, "starting without its state");
                None
            }
        };
        let Some(state) = state else {
            let socket = self.context.layout.control_socket(self.node_id);
            let _ = self.adopt_who_answers(&socket).await;
            return;
        };
        if state.generation == self.intent.generation {
            self.exits = state.restarts;
        }
        match state.process.and_then(Handle::adopt) {
            Some(handle) => self.adopted(handle, state.generation, state.control),
            None => {
                let _ = self.adopt_who_answers(&state.control).await;
            }
        }
    }

    /// Whoever answers on the control socket serves the volume, whatever the state says. Returns
    /// whether somebody is there, even if it does not answer yet: recovery may take its time.
    async fn adopt_who_answers(&mut self, socket: &Path) -> bool {
        match control::status(socket).await {
            Ok(status) => {
                if let Some(handle) = Handle::adopt_pid(status.pid) {
                    self.adopted(handle, status.generation, socket.to_owned());
                }
                true
            }
            Err(error) => !control::is_deserted(&error),
        }
    }

    fn adopted(&mut self, handle: Handle, generation: i64, control: PathBuf) {
        let pid = handle.process().pid;
        tracing::info!(node_id = %self.node_id, pid, generation, "adopted the running node");
        self.running = Some(Running {
            handle,
            generation,
            control,
            served: false,
        });
    }

    async fn start(&mut self) -> Result<(), Error> {
        let socket = self.context.layout.control_socket(self.node_id);
        let somebody = self.adopt_who_answers(&socket).await;
        if self.running.is_some() {
            return Ok(());
        }
        if somebody {
            let reason = "a process that does not answer yet holds the control socket";
            return Err(Error::Unavailable(reason.to_owned()));
        }
        self.post(Phase::Starting, None);
        files::create_private_dir(&self.files.dir)?;
        let volume = self.context.layout.volume(&self.intent.volume)?;
        files::create_private_dir(&volume)?;

        let shutdown = self.context.shutdown.clone();
        let address = self.intent.listen.address;
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = self.intents.changed() => return Ok(()),
            ensured = certificate::ensure(&self.context.control, self.node_id, &self.files, address)
                => ensured?,
        };
        files::write_json(&self.files.monitoring(), &Monitoring::generate()?)?;
        files::write_json(&self.files.definitions(), &definitions(&self.intent.users))?;
        self.write_state(&socket, None)?;
        self.spawn(&volume, socket)
    }

    fn spawn(&mut self, volume: &Path, socket: PathBuf) -> Result<(), Error> {
        let log = self.files.log();
        output::rotate(&log);
        let output = output::open(&log).map_err(Error::file(&log))?;
        let mut node = Command::new(&self.context.executable);
        node.args(command::arguments(
            &self.intent,
            volume,
            &self.files,
            &socket,
        ));
        let executable = &self.context.executable;
        let handle = Handle::spawn(node, output).map_err(Error::file(executable))?;
        let process = handle.process();
        let generation = self.intent.generation;
        tracing::info!(node_id = %self.node_id, pid = process.pid, generation, "started the node");
        let control = socket.clone();
        self.running = Some(Running {
            handle,
            generation,
            control,
            served: false,
        });
        self.write_state(&socket, Some(process))
    }

    fn write_state(
        &self,
        control: &Path,
        process: Option<agent_api::Process>,
    ) -> Result<(), Error> {
        let state = State {
            generation: self.intent.generation,
            control: control.to_owned(),
            process,
            restarts: self.exits,
        };
        files::write_json(&self.files.state(), &state)
    }

    /// Looks after the process until it exits, the intent changes, or the agent stops.
    async fn watch(&mut self) {
        let Some(running) = self.running.as_mut() else {
            return;
        };
        let context = Arc::clone(&self.context);
        let mut checks = Checks::default();
        let mut check_at = Instant::now() + checks.delay(&context.timing);
        let mut renewal = Renewal::default();
        if !running.served {
            self.post(Phase::Starting, None);
        }
        loop {
            let Some(running) = self.running.as_mut() else {
                return;
            };
            let pid = running.handle.process().pid;
            let check = async {
                tokio::time::sleep_until(check_at).await;
                check(&context, &self.intent, pid, &running.control, &self.files).await
            };
            let outcome = tokio::select! {
                () = context.shutdown.cancelled() => return,
                _ = self.intents.changed() => return,
                how = running.handle.exited() => {
                    self.exited(&how);
                    return;
                }
                () = renewal.due(&self.files) => {
                    renewal.done(self.renew_certificate().await);
                    continue;
                }
                outcome = check => outcome,
            };
            if let Some((phase, detail)) = checks.judge(outcome) {
                if phase == Phase::Ready {
                    running.served = true;
                    self.restarts.became_ready();
                }
                self.post(phase, detail);
            }
            check_at = Instant::now() + checks.delay(&context.timing);
            output::rotate(&self.files.log());
        }
    }

    fn exited(&mut self, how: &str) {
        let Some(running) = self.running.take() else {
            return;
        };
        let last_words = output::last_line(&self.files.log()).unwrap_or_default();
        tracing::warn!(node_id = %self.node_id, how, last_words, "the node exited");
        self.exits = self.exits.saturating_add(1);
        self.restarts.exited(Instant::now(), running.served);
        if let Err(error) = self.write_state(&running.control, None) {
            tracing::warn!(node_id = %self.node_id, %error, "the node's state was not written");
        }
        self.post(
            Phase::Starting,
            Some(format!("exited ({how}): {last_words}")),
        );
    }

    /// Returns whether the node has a fresh certificate.
    async fn renew_certificate(&self) -> bool {
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

    /// Ends the process: in order while the deadline lasts, then by force.
    async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let pid = running.handle.process().pid;
        if control::stop(&running.control).await.is_err() {
            running.handle.signal(Signal::TERM);
        }
        let deadline = self.context.timing.stop_deadline;
        if timeout(deadline, running.handle.exited()).await.is_err() {
            tracing::warn!(node_id = %self.node_id, pid, "the node did not stop and is killed");
            running.handle.signal(Signal::KILL);
            running.handle.exited().await;
        }
        tracing::info!(node_id = %self.node_id, pid, "stopped the node");
    }

    /// Deletes the volume and everything else of the node. Deleting again finds nothing.
    async fn delete_files(&mut self) -> Result<(), Error> {
        let volume = self.context.layout.volume(&self.intent.volume)?;
        let volumes = self.context.layout.volumes();
        let socket = self.context.layout.control_socket(self.node_id);
        let (node, node_id) = (self.files.dir.clone(), self.node_id);
        let deletion = tokio::task::spawn_blocking(move || {
            // Renamed first: half a volume must never look like a whole one.
            let doomed = volumes.join(format!(".deleted-{node_id}"));
            if volume.exists() && !doomed.exists() {
                std::fs::rename(&volume, &doomed).map_err(Error::file(&volume))?;
            }
            files::remove_tree(&doomed)?;
            files::remove_tree(&volume)?;
            files::remove_tree(&node)?;
            files::remove(&socket)
        });
        let outcome = deletion
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        if outcome.is_ok() {
            tracing::info!(%node_id, "deleted the node's volume");
        }
        outcome
    }
}

async fn check(
    context: &Context,
    intent: &NodeIntent,
    pid: u32,
    socket: &Path,
    files: &Files,
) -> Result<(), Unwell> {
    let user = Monitoring::read(&files.monitoring()).ok().flatten();
    let user = user.ok_or(Unwell::Wrong("the monitoring user's file is missing"))?;
    let ca_pem = context.identity.borrow().ca_pem.clone();
    health::check(intent, pid, socket, &user, &ca_pem).await
}
