//! The control socket of a node: one JSON object a line, there and back.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use agent_api::Alarms;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The process's own words on who it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Status {
    pub(super) pid: u32,
    pub(super) generation: i64,
    pub(super) ready: bool,
    /// `None` of engines that do not tell it.
    #[serde(default)]
    pub(super) release: Option<String>,
    /// What recovery set aside.
    #[serde(default)]
    pub(super) damages: u32,
    /// Where the gate is passed while clients are kept out.
    #[serde(default)]
    pub(super) gate: Option<SocketAddr>,
    #[serde(default)]
    pub(super) memory_alarm: bool,
    #[serde(default)]
    pub(super) disk_alarm: bool,
}

impl Status {
    pub(super) fn alarms(&self) -> Alarms {
        Alarms {
            memory: self.memory_alarm,
            disk: self.disk_alarm,
            out_of_memory: false,
        }
    }
}

pub(super) async fn status(socket: &Path) -> io::Result<Status> {
    let line = call(socket, r#"{"command":"status"}"#).await?;
    serde_json::from_str(&line).map_err(io::Error::other)
}

/// Makes the node read its certificate, its monitoring user and its logins again.
pub(super) async fn reload(socket: &Path) -> io::Result<()> {
    call(socket, r#"{"command":"reload"}"#).await.map(drop)
}

/// Lets clients in, if they were kept out.
pub(super) async fn open(socket: &Path) -> io::Result<()> {
    call(socket, r#"{"command":"open"}"#).await.map(drop)
}

/// Asks for a clean stop. The answer says that it began.
pub(super) async fn stop(socket: &Path) -> io::Result<()> {
    call(socket, r#"{"command":"stop"}"#).await.map(drop)
}

/// Whether the error says that no process holds the socket.
pub(super) fn is_deserted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

async fn call(socket: &Path, command: &str) -> io::Result<String> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(command.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(line)
    };
    let line = tokio::time::timeout(TIMEOUT, exchange).await??;
    match refusal(&line) {
        Some(reason) => Err(io::Error::other(reason)),
        None => Ok(line),
    }
}

fn refusal(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    serde_json::from_str::<Refusal>(line)
        .ok()
        .map(|refusal| refusal.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_member_is_a_refusal() {
        assert_eq!(refusal(r#"{"error":"no"}"#).as_deref(), Some("no"));
        assert_eq!(refusal(r#"{"pid":1,"generation":2,"ready":true}"#), None);
    }

    #[tokio::test]
    async fn a_socket_that_is_held_but_silent_is_not_deserted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.sock");
        assert!(is_deserted(&status(&path).await.unwrap_err()));

        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert!(!is_deserted(&status(&path).await.unwrap_err()));

        drop(listener);
        assert!(
            is_deserted(&status(&path).await.unwrap_err()),
            "a stale file is deserted"
        );
    }

    #[test]
    fn status_ignores_members_it_does_not_know() {
        let line = r#"{"pid":7,"node_name":"n","generation":3,"started_at":"x","ready":false,"new":1,
            "disk_alarm":true,"gate":"127.0.0.1:7"}"#;
        let status: Status = serde_json::from_str(line).unwrap();
        assert_eq!(
            status,
            Status {
                pid: 7,
                generation: 3,
                ready: false,
                release: None,
                damages: 0,
                gate: Some(([127, 0, 0, 1], 7).into()),
                memory_alarm: false,
                disk_alarm: true,
            }
        );
    }
}
