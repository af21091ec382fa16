//! The agent as a whole: identity, intent, one supervisor per node, reports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_api::{HostIntent, HostReport, NodeIntent, Run};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trace::TraceParent;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::board::Board;
use crate::control_plane::ControlPlane;
use crate::engines::Engines;
use crate::files::{self, DirLock};
use crate::identity::{self, keep_fresh};
use crate::layout::Layout;
use crate::node::{Context, Supervisor};
use crate::retry::Backoff;
use crate::{Error, OnStop, Options, capacity};

/// Runs the agent until `shutdown`. Fails only for what an operator must repair: the directory, the
/// token, the trust. A control plane that is away is waited for, and nodes run on meanwhile.
pub async fn run(
    options: Options,
    shutdown: CancellationToken,
    on_stop: OnStop,
) -> Result<(), Error> {
    // The first to install one wins; every part of Warren installs the same.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    files::create_private_dir(&options.data_dir)?;
    let _lock = DirLock::acquire(&options.data_dir)?;
    let layout = Layout::open(&options.data_dir, &socket_dirs())?;
    let Some(identity) = identity::obtain(&options, &layout, &shutdown).await? else {
        return Ok(());
    };
    let control = Arc::new(ControlPlane::connect(&options.control_url, &identity)?);
    let board = Arc::new(Board::default());
    let (identity_sender, identity_receiver) = watch::channel(identity);
    let executable = options
        .executable
        .canonicalize()
        .map_err(Error::file(&options.executable))?;
    let context = Arc::new(Context {
        layout: layout.clone(),
        control: Arc::clone(&control),
        identity: identity_receiver,
        board: Arc::clone(&board),
        engines: Engines::new(layout.engines(), executable, options.engine_keys.clone()),
        timing: options.timing.clone(),
        on_stop,
        shutdown: shutdown.clone(),
    });

    let mut tasks = JoinSet::new();
    tasks.spawn(keep_fresh(
        control,
        layout,
        identity_sender,
        shutdown.clone(),
    ));
    tasks.spawn(report(Arc::clone(&context)));
    let mut nodes = Nodes {
        context: Arc::clone(&context),
        known: BTreeMap::new(),
        tasks,
    };
    follow_intent(&mut nodes).await;
    nodes.finish().await;
    Ok(())
}

/// Where control sockets may go besides the data directory.
fn socket_dirs() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime.into_iter().chain([std::env::temp_dir()]).collect()
}

/// The supervisors of the nodes that this host has to do with.
struct Nodes {
    context: Arc<Context>,
    known: BTreeMap<Uuid, watch::Sender<NodeIntent>>,
    tasks: JoinSet<()>,
}

impl Nodes {
    fn apply(&mut self, intents: Vec<NodeIntent>) {
        let gone = |id: &Uuid| !intents.iter().any(|intent| intent.node_id == *id);
        // Only an absent node is forgotten: silence about one that runs is no order to stop it.
        let forgotten: Vec<Uuid> = self
            .known
            .iter()
            .filter(|(id, sender)| gone(id) && sender.borrow().run == Run::Absent)
            .map(|(id, _)| *id)
            .collect();
        for node_id in forgotten {
            self.known.remove(&node_id);
            self.context.board.forget(node_id);
            self.context.engines.forget(node_id);
        }
        for intent in intents {
            self.context.engines.need(&intent);
            match self.known.get(&intent.node_id) {
                Some(sender) => {
                    sender.send_if_modified(|known| {
                        let news = *known != intent;
                        *known = intent;
                        news
                    });
                }
                None => {
                    let node_id = intent.node_id;
                    let (sender, receiver) = watch::channel(intent);
                    let supervisor = Supervisor::new(Arc::clone(&self.context), receiver);
                    self.tasks.spawn(supervisor.run());
                    self.known.insert(node_id, sender);
                }
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Waits for all tasks, which end at shutdown.
    async fn finish(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the agent failed");
            }
        }
    }
}

/// Long-polls the host's intent and hands it to the supervisors. The last intent is kept on disk:
/// a host that comes back while the control plane is away starts its nodes all the same.
async fn follow_intent(nodes: &mut Nodes) {
    let context = Arc::clone(&nodes.context);
    let path = context.layout.intent();
    match files::read_json::<HostIntent>(&path) {
        Ok(Some(kept)) => nodes.apply(kept.nodes),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the kept intent cannot be read"),
    }
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut since = -1;
    while !context.shutdown.is_cancelled() {
        let poll = context.control.intent(since, context.timing.poll_wait);
        let failure = tokio::select! {
            () = context.shutdown.cancelled() => return,
            answer = poll => match answer {
                Ok(intent) => {
                    backoff.succeeded();
                    if intent.version != since {
                        since = intent.version;
                        if let Err(error) = files::write_json(&path, &intent) {
                            tracing::warn!(%error, "the intent cannot be kept");
                        }
                        nodes.apply(intent.nodes);
                    }
                    continue;
                }
                Err(error) => error,
            },
        };
        tracing::warn!(error = %failure, "the intent cannot be read");
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff.failed()) => {}
        }
    }
}

/// A report that tells of a change that somebody traces.
fn traced(cause: Option<TraceParent>) -> Span {
    if cause.is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "report",
        otel.kind = "client",
    );
    trace::join(&span, cause);
    span
}

/// Reports at once when an observation changed, and as a heartbeat.
async fn report(context: Arc<Context>) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut cause = None;
    while !context.shutdown.is_cancelled() {
        cause = context.board.take_cause().or(cause);
        let report = HostReport {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            capacity: capacity::measure(&context.layout.volumes()),
            nodes: context.board.all(),
        };
        let call = context.control.report(&report);
        match call.instrument(traced(cause)).await {
            Ok(()) => {
                cause = None;
                backoff.succeeded();
                tokio::select! {
                    () = context.shutdown.cancelled() => {}
                    () = context.board.changed() => {}
                    () = tokio::time::sleep(context.timing.heartbeat) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the report was not taken");
                tokio::select! {
                    () = context.shutdown.cancelled() => {}
                    () = tokio::time::sleep(backoff.failed()) => {}
                }
            }
        }
    }
}
