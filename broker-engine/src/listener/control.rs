//! The control socket: a local supervisor asks for status, a reload or the end.
//!
//! One JSON object a line each way. Only the owner of the process may connect (mode 0600).

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;

/// Bytes of the longest command accepted.
const COMMAND_SIZE_MAX: u64 = 4096;

/// What the command `status` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub pid: u32,
    pub node_name: String,
    pub generation: u64,
    /// RFC 3339, in UTC.
    pub started_at: String,
    /// The engine's own release.
    pub release: &'static str,
    /// The version that clients are told.
    pub version: &'static str,
    /// Damages that recovery set aside when this process started.
    pub damages: usize,
    /// Whether clients are served.
    pub ready: bool,
    /// Where the gate that keeps clients out is passed; left out when it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<SocketAddr>,
    /// Publishers wait, for want of memory.
    pub memory_alarm: bool,
    /// Publishers wait, for want of room on the volume.
    pub disk_alarm: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
enum Command {
    Status,
    Reload,
    Open,
    Stop,
}

/// What the commands do; errors are for the supervisor's log.
pub trait Commands: Send + Sync + 'static {
    fn status(&self) -> Status;

    /// Reads certificate, monitoring user and logins again.
    ///
    /// # Errors
    /// What was read stays as it was then.
    fn reload(&self) -> Result<(), String>;

    /// Lets clients in, when they were kept out.
    ///
    /// # Errors
    /// When they cannot be served.
    fn open(&self) -> Result<(), String>;
}

/// A bound control socket; its file goes when this does.
pub struct Control {
    file: PathBuf,
    listener: UnixListener,
}

impl Control {
    /// Binds `file`, replacing a socket whose process is gone.
    ///
    /// # Errors
    /// [`Error::Control`] when the file cannot be made or another process answers on it.
    pub fn bind(file: &Path) -> Result<Self, Error> {
        let error = |source| Error::Control {
            file: file.to_owned(),
            source,
        };
        if std::os::unix::net::UnixStream::connect(file).is_ok() {
            return Err(error(io::ErrorKind::AddrInUse.into()));
        }
        match std::fs::remove_file(file) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(error(cause)),
            _ => {}
        }
        let listener = UnixListener::bind(file).map_err(error)?;
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).map_err(error)?;
        Ok(Self {
            file: file.to_owned(),
            listener,
        })
    }

    /// Answers commands until `shutdown`, which the command `stop` cancels.
    pub fn serve(
        self,
        commands: Arc<dyn Commands>,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) {
        let peers = tasks.clone();
        tasks.spawn(async move {
            while let Some(accepted) = shutdown.run_until_cancelled(self.listener.accept()).await {
                let Ok((stream, _)) = accepted else { continue };
                let peer = serve_peer(stream, Arc::clone(&commands), shutdown.clone());
                let shutdown = shutdown.clone();
                peers.spawn(async move {
                    if let Some(Err(error)) = shutdown.run_until_cancelled_owned(peer).await {
                        tracing::debug!(%error, "control connection ended");
                    }
                });
            }
        });
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A file that is already gone is what this wants.
        let _ = std::fs::remove_file(&self.file);
    }
}

async fn serve_peer(
    stream: UnixStream,
    commands: Arc<dyn Commands>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        if (&mut reader)
            .take(COMMAND_SIZE_MAX)
            .read_until(b'\n', &mut line)
            .await?
            == 0
        {
            return Ok(());
        }
        let command = serde_json::from_slice(&line);
        let stop = matches!(command, Ok(Command::Stop));
        let answer = match command {
            Ok(Command::Status) => serde_json::to_value(commands.status())?,
            Ok(Command::Reload) => answer("reload", commands.reload()),
            Ok(Command::Open) => answer("open", commands.open()),
            Ok(Command::Stop) => json!({"ok": true}),
            Err(error) => json!({"ok": false, "error": error.to_string()}),
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
        if stop {
            shutdown.cancel();
        }
    }
}

fn answer(command: &str, done: Result<(), String>) -> Value {
    match done {
        Ok(()) => json!({"ok": true}),
        Err(error) => {
            tracing::warn!(command, %error, "a control command failed");
            json!({"ok": false, "error": error})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Supervised;

    impl Commands for Supervised {
        fn status(&self) -> Status {
            Status {
                pid: 7,
                node_name: "n".into(),
                generation: 3,
                started_at: "2020-01-01T00:00:00Z".into(),
                release: "0.1.0",
                version: "4.2.1",
                damages: 0,
                ready: false,
                gate: Some(([127, 0, 0, 1], 7).into()),
                memory_alarm: false,
                disk_alarm: true,
            }
        }

        fn reload(&self) -> Result<(), String> {
            Err("no file".into())
        }

        fn open(&self) -> Result<(), String> {
            Ok(())
        }
    }

    async fn ask(file: &Path, command: &str) -> Value {
        let stream = UnixStream::connect(file).await.unwrap();
        let mut stream = BufReader::new(stream);
        stream
            .write_all(format!("{command}\n").as_bytes())
            .await
            .unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[tokio::test]
    async fn a_supervisor_learns_the_status_and_can_stop_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("control");
        // A stale socket of a killed process is in the way.
        drop(UnixListener::bind(&file).unwrap());

        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let control = Control::bind(&file).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        control.serve(Arc::new(Supervised), &tasks, shutdown.clone());
        assert!(Control::bind(&file).is_err());

        let status = ask(&file, r#"{"command":"status"}"#).await;
        assert_eq!(
            (&status["generation"], &status["gate"]),
            (&json!(3), &json!("127.0.0.1:7"))
        );
        assert_eq!(ask(&file, r#"{"command":"open"}"#).await["ok"], true);
        assert_eq!(
            ask(&file, r#"{"command":"status"}"#).await["disk_alarm"],
            true
        );
        assert_eq!(
            ask(&file, r#"{"command":"reload"}"#).await["error"],
            "no file"
        );
        assert_eq!(ask(&file, "nonsense").await["ok"], false);
        assert_eq!(ask(&file, r#"{"command":"stop"}"#).await["ok"], true);
        shutdown.cancelled().await;
        tasks.close();
        tasks.wait().await;
        assert!(!file.exists());
    }
}
