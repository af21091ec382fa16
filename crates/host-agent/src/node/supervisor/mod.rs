//! The task of one node: does what [`decide`](super::decide) says, until the node is none of this
//! host's business any more.

mod observed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_api::{Alarms, NodeConfiguration, NodeIntent, Phase, Run};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::configuration::{Choice, USELESS_MAX};
use super::decide::{Action, Local, decide};
use super::due::{Checks, Renewal};
use super::health::{self, Health, Unwell};
use super::journey::Journey;
use super::process::Handle;
use super::restarts::Restarts;
use super::secrets::{Monitoring, definitions};
use super::state::{Files, State};
use super::trial::Trial;
use super::volume::Volume;
use super::{certificate, command, control, logins, memory, output};
use crate::board::Board;
use crate::control_plane::ControlPlane;
use crate::engines::Engines;
use crate::identity::{Identity, sleep_until};
use crate::layout::Layout;
use crate::retry::Backoff;
use crate::{Error, OnStop, Timing, clock, files};
use observed::{Look, tend};

/// What all supervisors of an agent share.
pub(crate) struct Context {
    pub(crate) layout: Layout,
    pub(crate) control: Arc<ControlPlane>,
    pub(crate) identity: watch::Receiver<Identity>,
    pub(crate) board: Arc<Board>,
    pub(crate) engines: Engines,
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
    /// How far the generation has come, if something is new in it.
    trial: Trial,
    /// When the process before was told to end.
    left_at: Option<Instant>,
    away: Option<Duration>,
    choice: Choice,
    alarms: Alarms,
    /// Whether the last process ended for want of memory.
    starved: bool,
    /// What was last told.
    told: (Phase, Option<String>),
    journey: Journey,
}

struct Running {
    handle: Handle,
    generation: i64,
    control: PathBuf,
    /// Whether a round trip through this process has succeeded.
    served: bool,
    /// What the kernel had ended for want of memory when this one was started.
    memory_kills: Option<memory::Kills>,
}

impl Running {
    fn new(handle: Handle, generation: i64, control: PathBuf) -> Self {
        Self {
            memory_kills: memory::Kills::around(handle.process().pid),
            handle,
            generation,
            control,
            served: false,
        }
    }
}

impl Supervisor {
    pub(crate) fn new(context: Arc<Context>, intents: watch::Receiver<NodeIntent>) -> Self {
        let intent = intents.borrow().clone();
        let files = Files {
            dir: context.layout.node(intent.node_id),
        };
        Self {
            node_id: intent.node_id,
            trial: Trial::begin(&intent, clock::now()),
            context,
            intents,
            intent,
            files,
            running: None,
            restarts: Restarts::default(),
            exits: 0,
            left_at: None,
            away: None,
            choice: Choice::default(),
            alarms: Alarms::default(),
            starved: false,
            told: (Phase::Starting, None),
            journey: Journey::default(),
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
            let action = decide(&self.intent, self.local());
            let traced = self.journey.during(action, &self.intent);
            match self.step(action).instrument(traced).instrument(span).await {
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

    async fn step(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Stop => {
                // Fetched while the old process serves: what cannot be had costs no time away.
                if self.intent.run == Run::Running {
                    let Some(executable) = self.provide().await? else {
                        return Ok(());
                    };
                    self.check_configuration(&executable).await?;
                }
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
            self.trial = Trial::begin(&intent, clock::now());
            self.away = None;
            self.choice = Choice::default();
            self.starved = false;
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
            self.trial = state.trial;
            self.choice = state.choice;
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
        self.running = Some(Running::new(handle, generation, control));
    }

    /// Asks the program that is to be started, unless it is known what it says.
    async fn check_configuration(&mut self, executable: &Path) -> Result<(), Error> {
        let launch = self.trial.launch(&self.intent);
        self.choice.check(&launch, &self.files, executable).await
    }

    /// What the process is to be set up with; after a roll-back what it had with the engine before.
    fn configuration(&self) -> Option<&NodeConfiguration> {
        let chosen = self.choice.configuration(&self.intent);
        match self.trial.reason() {
            Some(_) => self.intent.proven_configuration.as_ref().or(chosen),
            None => chosen,
        }
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
        let Some(executable) = self.provide().await? else {
            return Ok(());
        };
        self.check_configuration(&executable).await?;
        let Some(configuration) = self.configuration() else {
            let rejected = self.choice.rejected(&self.intent);
            let reason = rejected.map(|rejected| rejected.reason).unwrap_or_default();
            self.post(
                Phase::CrashLooping,
                Some(format!("the engine refuses the configuration: {reason}")),
            );
            self.rest(None).await;
            return Ok(());
        };
        files::create_private_dir(&self.files.dir)?;
        files::write_json(&self.files.settings(), &configuration.settings)?;
        let volume = self.context.layout.volume(&self.intent.volume)?;
        if !self.prepare_volume().await? {
            return Ok(());
        }
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
        let definitions = definitions(&self.intent.users, &self.intent.defaults);
        files::write_json(&self.files.definitions(), &definitions)?;
        logins::write(&self.intent, &self.files)?;
        self.trial.starts(clock::now());
        self.write_state(&socket, None)?;
        self.spawn(&executable, &volume, socket)
    }

    /// The program to start. `None` when the way back was taken instead, or something else came up
    /// while it was fetched.
    async fn provide(&mut self) -> Result<Option<PathBuf>, Error> {
        let context = Arc::clone(&self.context);
        let engine = self.trial.launch(&self.intent).engine;
        let running = &mut self.running;
        let provided = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(None),
            _ = self.intents.changed() => return Ok(None),
            how = async {
                match running {
                    Some(running) => running.handle.exited().await,
                    None => std::future::pending().await,
                }
            } => {
                self.exited(&how);
                return Ok(None);
            }
            provided = context.engines.provide(&engine) => provided,
        };
        match provided {
            Ok(executable) => Ok(Some(executable)),
            Err(rejected) if self.trial.is_waiting() && (rejected.is_final() || self.is_late()) => {
                self.roll_back(&rejected.to_string());
                Ok(None)
            }
            Err(rejected) => Err(rejected.into()),
        }
    }

    /// Keeps or brings back the volume's copy, when the data formats of the two engines need one.
    /// Whether the start may go on.
    async fn prepare_volume(&mut self) -> Result<bool, Error> {
        let copies = self
            .intent
            .fallback
            .as_ref()
            .is_some_and(|fallback| fallback.copy_volume);
        let goes_back = self.trial.reason().is_some();
        if !copies || self.trial == Trial::Passed {
            return Ok(true);
        }
        let volume = self.volume()?;
        let work = move || {
            if goes_back {
                volume.restore()
            } else {
                volume.keep()
            }
        };
        match blocking(work).await {
            Err(error) if !goes_back => {
                self.roll_back(&format!("its volume cannot be copied: {error}"));
                Ok(false)
            }
            outcome => outcome.map(|()| true),
        }
    }

    fn volume(&self) -> Result<Volume, Error> {
        let layout = &self.context.layout;
        let volume = layout.volume(&self.intent.volume)?;
        let generation = self.intent.generation;
        Ok(Volume::new(
            &layout.volumes(),
            &volume,
            self.node_id,
            generation,
        ))
    }

    fn is_late(&self) -> bool {
        let deadline = self.trial.deadline(self.intent.fallback.as_ref());
        deadline.is_some_and(|deadline| clock::now() >= deadline)
    }

    /// From now on the node runs what it ran before.
    fn roll_back(&mut self, reason: &str) {
        let (node_id, generation) = (self.node_id, self.intent.generation);
        tracing::error!(%node_id, generation, reason, "the node goes back to what it ran before");
        self.trial = Trial::RolledBack {
            reason: reason.to_owned(),
        };
        self.restarts = Restarts::default();
    }

    /// Lets clients in. That there is no way back from there is noted first.
    async fn open_gate(&mut self) -> Result<(), Error> {
        let Some(running) = &self.running else {
            return Ok(());
        };
        let control = running.control.clone();
        let process = running.handle.process();
        if self.trial.is_waiting() {
            self.trial = Trial::Passed;
            if let Err(error) = self.write_state(&control, Some(process)) {
                // As if it had not been passed: it is tried again.
                self.trial = Trial::Waiting {
                    since: clock::now(),
                    has_started: true,
                    exits: 0,
                };
                return Err(error);
            }
            tracing::info!(node_id = %self.node_id, "the node proved itself and lets clients in");
        }
        let opened = control::open(&control).await;
        opened.map_err(|error| Error::Unavailable(format!("the gate does not open: {error}")))?;
        let volume = self.volume()?;
        if let Err(error) = blocking(move || volume.forget()).await {
            tracing::warn!(node_id = %self.node_id, %error, "a copy of the volume stays for now");
        }
        Ok(())
    }

    fn spawn(&mut self, executable: &Path, volume: &Path, socket: PathBuf) -> Result<(), Error> {
        let log = self.files.log();
        output::rotate(&log);
        let output = output::open(&log).map_err(Error::file(&log))?;
        let mut node = Command::new(executable);
        node.args(command::arguments(
            &self.trial.launch(&self.intent),
            volume,
            &self.files,
            &socket,
            self.trial.is_waiting(),
        ));
        let handle = Handle::spawn(node, output).map_err(Error::file(executable))?;
        let process = handle.process();
        let generation = self.intent.generation;
        tracing::info!(node_id = %self.node_id, pid = process.pid, generation, "started the node");
        self.running = Some(Running::new(handle, generation, socket.clone()));
        self.alarms = Alarms::default();
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
            trial: self.trial.clone(),
            choice: self.choice.clone(),
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
        let mut tend_at = Instant::now();
        let mut useless_since = None;
        if !running.served {
            self.post(Phase::Starting, None);
        }
        let launch = self.trial.launch(&self.intent);
        let patience = self.trial.deadline(self.intent.fallback.as_ref());
        let mut doubt = "it never answered".to_owned();
        loop {
            let Some(running) = self.running.as_mut() else {
                return;
            };
            let pid = running.handle.process().pid;
            // One after the other: neither may keep the other from its end.
            let tends = running.served && tend_at < check_at;
            let look = async {
                if tends {
                    tokio::time::sleep_until(tend_at).await;
                    return Look::Alarms(tend(&self.intent, &running.control, &self.files).await);
                }
                tokio::time::sleep_until(check_at).await;
                let control = &running.control;
                Look::Health(check(&context, &launch, pid, control, &self.files).await)
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
                () = out_of(patience), if self.trial.is_waiting() => {
                    self.roll_back(&format!("it did not prove itself in time: {doubt}"));
                    self.stop().await;
                    return;
                }
                look = look => look,
            };
            let outcome = match outcome {
                Look::Alarms(alarms) => {
                    tend_at = Instant::now() + context.timing.tend_period;
                    self.note_alarms(alarms);
                    continue;
                }
                Look::Health(Ok(Health::Serves)) => Ok(()),
                Look::Health(Ok(Health::BehindGate)) => match self.open_gate().await {
                    Ok(()) => {
                        check_at = Instant::now();
                        continue;
                    }
                    Err(error) => Err(Unwell::Gate(error.to_string())),
                },
                Look::Health(Err(unwell)) => Err(unwell),
            };
            if let Err(unwell) = &outcome {
                doubt = unwell.to_string();
            }
            let is_tried = self.trial.is_waiting() || self.choice.is_proven;
            match &outcome {
                Err(unwell) if unwell.is_useless() && !is_tried => {
                    let since = *useless_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > USELESS_MAX {
                        self.choice.is_useless(&self.intent, &unwell.to_string());
                        if self.choice.rejected(&self.intent).is_some() {
                            self.stop().await;
                            return;
                        }
                        useless_since = None;
                    }
                }
                Ok(()) | Err(_) => useless_since = None,
            }
            if let Some((phase, detail)) = checks.judge(outcome) {
                if phase == Phase::Ready {
                    self.became_ready();
                    let left_at = self.left_at.take();
                    self.away = self.away.or_else(|| left_at.map(|at| at.elapsed()));
                }
                self.post(phase, detail);
            }
            check_at = Instant::now() + checks.delay(&context.timing);
            output::rotate(&self.files.log());
        }
    }

    /// Ends the process: in order while the deadline lasts, then by force.
    async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let pid = running.handle.process().pid;
        self.left_at.get_or_insert_with(Instant::now);
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
        let copies = self.volume()?;
        let deletion = tokio::task::spawn_blocking(move || {
            // Renamed first: half a volume must never look like a whole one.
            let doomed = volumes.join(format!(".deleted-{node_id}"));
            if volume.exists() && !doomed.exists() {
                std::fs::rename(&volume, &doomed).map_err(Error::file(&volume))?;
            }
            files::remove_tree(&doomed)?;
            files::remove_tree(&volume)?;
            copies.forget()?;
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

/// Returns when the time is up; never without one.
async fn out_of(deadline: Option<chrono::DateTime<chrono::Utc>>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn blocking(work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
}

async fn check(
    context: &Context,
    intent: &NodeIntent,
    pid: u32,
    socket: &Path,
    files: &Files,
) -> Result<Health, Unwell> {
    let user = Monitoring::read(&files.monitoring()).ok().flatten();
    let user = user.ok_or(Unwell::Wrong("the monitoring user's file is missing"))?;
    let ca_pem = context.identity.borrow().ca_pem.clone();
    health::check(intent, pid, socket, &user, &ca_pem).await
}
