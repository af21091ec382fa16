//! A supervisor with a process that only sleeps: what becomes of processes and volumes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_api::{NodeConfiguration, NodeIntent, NodeObservation, Phase, Process, Run};
use chrono::TimeDelta;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use signing::TrustedKeys;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::certificate::Facts;
use super::command::tests::intent;
use super::state::Files;
use super::{Context, Supervisor};
use crate::board::Board;
use crate::control_plane::ControlPlane;
use crate::engines::Engines;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::{OnStop, Timing, clock, files};

/// A host whose control plane is away, and whose node already has a certificate.
struct Host {
    dir: tempfile::TempDir,
    layout: Layout,
    executable: PathBuf,
}

struct Agent {
    board: Arc<Board>,
    intents: watch::Sender<NodeIntent>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Host {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(&dir.path().join("data"), &[]).unwrap();
        let executable = dir.path().join("node.sh");
        std::fs::write(&executable, script).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o700)).unwrap();
        let host = Self {
            dir,
            layout,
            executable,
        };
        let node = Files {
            dir: host.layout.node(intent().node_id),
        };
        files::create_private_dir(&node.dir).unwrap();
        files::write(&node.tls(), b"").unwrap();
        let renew_at = clock::now() + TimeDelta::days(1);
        let facts = Facts {
            address: intent().listen.address,
            renew_at,
        };
        files::write_json(&node.tls_facts(), &facts).unwrap();
        host
    }

    fn sleeper() -> Self {
        Self::new("#!/bin/sh\nexec sleep 600\n")
    }

    fn volume(&self) -> PathBuf {
        self.layout.volume(&intent().volume).unwrap()
    }

    fn agent(&self, intent: NodeIntent, on_stop: OnStop) -> Agent {
        let key = KeyPair::generate().unwrap();
        let certificate_pem = CertificateParams::default()
            .self_signed(&key)
            .unwrap()
            .pem();
        let identity = Identity {
            host_id: Uuid::from_u128(1),
            host_name: "a".to_owned(),
            zone: "a".to_owned(),
            key_pem: key.serialize_pem(),
            ca_pem: certificate_pem.clone(),
            certificate_pem,
            renew_at: clock::now(),
        };
        let (board, shutdown) = (Arc::new(Board::default()), CancellationToken::new());
        let (intents, receiver) = watch::channel(intent);
        let context = Context {
            layout: self.layout.clone(),
            control: Arc::new(ControlPlane::connect("https://127.0.0.1:1", &identity).unwrap()),
            identity: watch::channel(identity).1,
            board: Arc::clone(&board),
            engines: Engines::new(
                self.layout.engines(),
                self.executable.clone(),
                TrustedKeys::default(),
            ),
            timing: Timing::default(),
            on_stop,
            shutdown: shutdown.clone(),
        };
        let task = tokio::spawn(Supervisor::new(Arc::new(context), receiver).run());
        Agent {
            board,
            intents,
            shutdown,
            task,
        }
    }
}

impl Agent {
    /// The first observation that `wanted` accepts.
    async fn observe(&self, wanted: impl Fn(&NodeObservation) -> bool) -> NodeObservation {
        let search = async {
            loop {
                if let Some(found) = self.board.all().into_iter().find(&wanted) {
                    return found;
                }
                self.board.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), search)
            .await
            .expect("never observed")
    }

    async fn process(&self, not: Option<Process>) -> Process {
        let running = self
            .observe(|seen| seen.process.is_some() && seen.process != not)
            .await;
        running.process.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn is_running(process: Process) -> bool {
    super::process::Handle::adopt(process).is_some()
}

fn kill(process: Process) {
    let pid = Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[tokio::test]
async fn the_next_agent_adopts_the_process_and_a_clean_stop_ends_it() {
    let host = Host::sleeper();
    let first = host.agent(intent(), OnStop::LeaveNodes);
    let process = first.process(None).await;
    first.stop().await;
    assert!(is_running(process), "the node outlives its agent");

    let second = host.agent(intent(), OnStop::StopNodes);
    let adopted = second.process(None).await;
    assert_eq!(
        (adopted.pid, adopted.start_ticks),
        (process.pid, process.start_ticks)
    );

    second.stop().await;
    assert!(!is_running(process));
    assert!(exists(&host.volume()), "stopping keeps the volume");
    assert!(host.dir.path().exists());
}

#[tokio::test]
async fn a_killed_node_comes_back_and_the_exit_is_counted() {
    let host = Host::sleeper();
    let agent = host.agent(intent(), OnStop::StopNodes);
    let first = agent.process(None).await;

    kill(first);

    let second = agent
        .observe(|seen| seen.restarts == 1 && seen.process.is_some())
        .await;
    assert_ne!(second.process.unwrap().pid, first.pid);
    agent.stop().await;
}

#[tokio::test]
async fn a_new_generation_is_a_new_process_after_the_old_one_ended() {
    let host = Host::sleeper();
    let agent = host.agent(intent(), OnStop::StopNodes);
    let first = agent.process(None).await;

    agent.intents.send_replace(NodeIntent {
        generation: 4,
        ..intent()
    });

    let second =
        agent.observe(|seen| seen.generation == 4 && seen.process.is_some_and(|p| p != first));
    assert_eq!(second.await.restarts, 0);
    assert!(!is_running(first));
    agent.stop().await;
}

#[tokio::test]
async fn absent_deletes_the_volume_and_is_reported_also_when_nothing_exists() {
    let host = Host::sleeper();
    let agent = host.agent(intent(), OnStop::StopNodes);
    let process = agent.process(None).await;
    std::fs::write(host.volume().join("segment"), b"x").unwrap();

    let absent = NodeIntent {
        generation: 4,
        run: Run::Absent,
        ..intent()
    };
    agent.intents.send_replace(absent.clone());
    agent
        .observe(|seen| seen.phase == Phase::Absent && seen.generation == 4)
        .await;
    assert!(!is_running(process));
    assert!(!exists(&host.volume()));
    assert!(!exists(&host.layout.node(intent().node_id)));
    agent.stop().await;

    let again = host.agent(absent, OnStop::StopNodes);
    again.observe(|seen| seen.phase == Phase::Absent).await;
    again.stop().await;
}

#[tokio::test]
async fn a_node_that_cannot_start_crash_loops_and_says_why() {
    let host = Host::new("#!/bin/sh\necho 'no such profile'\nexit 3\n");
    let agent = host.agent(intent(), OnStop::StopNodes);
    let looping = agent
        .observe(|seen| seen.phase == Phase::CrashLooping)
        .await;
    assert!(looping.restarts >= 5);
    assert!(looping.detail.unwrap().contains("no such profile"));
    agent.stop().await;
}

/// An engine that refuses to read some settings, and does not come up with others.
const PARTICULAR: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    --check) check=1 ;;
    --settings) settings="$2"; shift ;;
  esac
  shift
done
if [ -n "$check" ]; then
  if grep -q unknown "$settings"; then echo "unknown setting 'unknown'" >&2; exit 1; fi
  exit 0
fi
if grep -q fatal "$settings"; then echo "cannot serve with this"; exit 3; fi
exec sleep 600
"#;

fn configuration(revision: i32, key: &str) -> NodeConfiguration {
    NodeConfiguration {
        id: "c-1".to_owned(),
        revision,
        settings: [(key.to_owned(), "1".to_owned())].into(),
    }
}

/// The settings that the node was last started with.
fn settings(host: &Host) -> String {
    let file = host.layout.node(intent().node_id).join("settings.json");
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn a_node_goes_back_to_the_configuration_that_it_had() {
    for (key, reason) in [
        ("unknown", "unknown setting 'unknown'"),
        ("fatal", "cannot serve with this"),
    ] {
        let host = Host::new(PARTICULAR);
        let good = NodeIntent {
            configuration: configuration(1, "good"),
            ..intent()
        };
        let agent = host.agent(good.clone(), OnStop::StopNodes);
        let first = agent.process(None).await;

        agent.intents.send_replace(NodeIntent {
            generation: 4,
            configuration: configuration(2, key),
            proven_configuration: Some(good.configuration.clone()),
            ..intent()
        });

        let back = agent
            .observe(|seen| {
                let is_new = seen.process.is_some_and(|process| process != first);
                seen.generation == 4 && is_new && seen.rejected.is_some()
            })
            .await;
        let rejected = back.rejected.unwrap();
        assert_eq!((rejected.id.as_str(), rejected.revision), ("c-1", 2));
        assert!(rejected.reason.contains(reason), "{rejected:?}");
        assert!(settings(&host).contains("good"));
        let process = back.process.unwrap();
        agent.stop().await;
        assert!(!is_running(process));
    }
}

#[tokio::test]
async fn a_node_without_another_configuration_is_not_started_with_one_that_is_refused() {
    let host = Host::new(PARTICULAR);
    let refused = NodeIntent {
        configuration: configuration(1, "unknown"),
        ..intent()
    };
    let agent = host.agent(refused, OnStop::StopNodes);
    let seen = agent
        .observe(|seen| seen.phase == Phase::CrashLooping)
        .await;
    let detail = seen.detail.unwrap();
    assert!(detail.contains("unknown setting 'unknown'"), "{detail}");
    assert_eq!(seen.process, None);
    agent.stop().await;
}

#[tokio::test]
async fn the_next_agent_remembers_what_was_rejected() {
    let host = Host::new(PARTICULAR);
    let intent = NodeIntent {
        configuration: configuration(2, "fatal"),
        proven_configuration: Some(configuration(1, "good")),
        ..intent()
    };
    let first = host.agent(intent.clone(), OnStop::LeaveNodes);
    let is_back = |seen: &NodeObservation| seen.rejected.is_some() && seen.process.is_some();
    let process = first.observe(is_back).await.process.unwrap();
    first.stop().await;

    let second = host.agent(intent, OnStop::StopNodes);
    let again = second.observe(is_back).await.process.unwrap();
    assert_eq!(again.pid, process.pid, "nothing was tried anew");
    second.stop().await;
}
