//! The running server: started, kept running, stopped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::binaries::Binaries;
use super::cluster::{DATA, SUPERUSER};
use super::user::{Unprivileged, command};
use super::{Doing, Error};

/// Exists in every cluster; the superuser may use it for everything.
const DATABASE: &str = "postgres";
const POLL: Duration = Duration::from_millis(20);
/// Recovery after a crash can be long.
const START_DEADLINE: Duration = Duration::from_secs(120);
const RESTART_PAUSE: Duration = Duration::from_secs(1);
const FAST_DEADLINE: Duration = Duration::from_secs(30);
/// Of the server's log, looked at when it starts.
const LOG_BYTES_MAX: u64 = 8 << 20;
const LOG_TAIL_LINES: usize = 8;

/// Small, durable, and silent on the network. Settings of the file are overridden.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=100",
    "shared_buffers=64MB",
    "fsync=on",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
];

#[derive(Debug)]
pub(super) struct Server {
    supervisor: JoinHandle<()>,
    stop: CancellationToken,
}

/// How to start it again.
struct Recipe {
    program: PathBuf,
    home: PathBuf,
    socket_dir: PathBuf,
    log: PathBuf,
    user: Option<Unprivileged>,
}

pub(super) fn url(socket_dir: &Path, password: &str) -> String {
    const IN_QUERY: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.');
    let socket_dir = socket_dir.to_string_lossy();
    let host = percent_encoding::utf8_percent_encode(&socket_dir, IN_QUERY);
    format!("postgres://{SUPERUSER}:{password}@localhost/{DATABASE}?host={host}")
}

impl Server {
    /// Returns once it accepts connections.
    pub(super) async fn start(
        home: &Path,
        socket_dir: &Path,
        binaries: &Binaries,
        user: Option<Unprivileged>,
        password: &str,
    ) -> Result<Server, Error> {
        let recipe = Recipe {
            program: binaries.program("postgres"),
            home: home.to_owned(),
            socket_dir: socket_dir.to_owned(),
            log: home.join("server.log"),
            user,
        };
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket_dir)
            .username(SUPERUSER)
            .password(password)
            .database(DATABASE);
        recipe.rotate_log()?;
        let mut child = recipe.spawn()?;
        if let Err(error) = recipe.answers(&mut child, &options).await {
            shut_down(&mut child).await;
            return Err(error);
        }
        let stop = CancellationToken::new();
        let supervisor = tokio::spawn(recipe.supervise(child, stop.clone()));
        Ok(Server { supervisor, stop })
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the supervisor of Postgres failed");
        }
    }
}

impl Recipe {
    /// Keeps one predecessor of a log that has grown.
    fn rotate_log(&self) -> Result<(), Error> {
        match std::fs::metadata(&self.log) {
            Ok(metadata) if metadata.len() > LOG_BYTES_MAX => {
                let old = self.log.with_extension("log.old");
                std::fs::rename(&self.log, old).doing("cannot rename", &self.log)
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self) -> Result<Child, Error> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .doing("cannot write", &self.log)?;
        let errors = log.try_clone().doing("cannot write", &self.log)?;
        let mut postgres: Command = command(&self.program, self.user);
        postgres.arg("-D").arg(self.home.join(DATA));
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        postgres.arg("-k").arg(&self.socket_dir);
        postgres
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        // Its own group: Ctrl-C is for this process, which stops it in its turn.
        tokio::process::Command::from(postgres)
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn {
                program: self.program.clone(),
                source,
            })
    }

    async fn answers(&self, child: &mut Child, options: &PgConnectOptions) -> Result<(), Error> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let cause = match PgConnection::connect_with(options).await {
                Ok(connection) => {
                    connection.close().await.ok();
                    return Ok(());
                }
                Err(error) => error.to_string(),
            };
            if let Ok(Some(_)) = child.try_wait() {
                return Err(Error::Died {
                    log: self.log.clone(),
                    tail: tail(&self.log),
                });
            }
            if Instant::now() > deadline {
                let seconds = START_DEADLINE.as_secs();
                return Err(Error::Silent {
                    seconds,
                    cause,
                    log: self.log.clone(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn supervise(self, mut child: Child, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    shut_down(&mut child).await;
                    // What remains costs nothing and is reused; the next start empties it.
                    std::fs::remove_dir(&self.socket_dir).ok();
                    return;
                }
                status = child.wait() => {
                    tracing::error!(?status, log = %self.log.display(), "Postgres ended; starting it again");
                }
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RESTART_PAUSE) => {}
                }
                match self.spawn() {
                    Ok(started) => {
                        child = started;
                        break;
                    }
                    Err(error) => tracing::error!(%error, "Postgres does not start"),
                }
            }
        }
    }
}

/// Fast first: sessions are cut and a checkpoint is written. What takes too long is ended at once,
/// and recovers at the next start.
async fn shut_down(child: &mut Child) {
    for signal in [Signal::INT, Signal::QUIT] {
        let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return;
        };
        if let Err(error) = kill_process(pid, signal) {
            tracing::warn!(%error, "cannot stop Postgres");
        }
        match tokio::time::timeout(FAST_DEADLINE, child.wait()).await {
            Ok(_) => return,
            Err(_) => tracing::warn!("Postgres takes long to stop"),
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
