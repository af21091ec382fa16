//! What a killed predecessor left behind: a postmaster without a parent, its workers, a stale pid
//! file.
//!
//! A postmaster and its workers have the cluster as working directory, which identifies them
//! beyond a pid that may have been reused.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{Doing, Error};

const POLL: Duration = Duration::from_millis(20);
/// For a fast shutdown: its checkpoint may have much to write.
const FAST_DEADLINE: Duration = Duration::from_secs(30);
/// For an immediate one, which the next start recovers from.
const IMMEDIATE_DEADLINE: Duration = Duration::from_secs(10);

/// On return no process serves the cluster at `data`.
pub(super) async fn clear(data: &Path) -> Result<(), Error> {
    let pid_file = data.join("postmaster.pid");
    let Some(pid) = recorded_pid(&pid_file)? else {
        return Ok(());
    };
    if belongs(pid, data) {
        tracing::info!(
            pid = pid.as_raw_pid(),
            "stopping the Postgres of an earlier start"
        );
        stop(pid, data, Signal::INT, FAST_DEADLINE).await?;
        if belongs(pid, data) {
            stop(pid, data, Signal::QUIT, IMMEDIATE_DEADLINE).await?;
        }
        if belongs(pid, data) {
            return Err(Error::Stuck {
                pid: pid.as_raw_pid(),
            });
        }
    }
    // A dead postmaster's workers notice and leave; a new one must not start beside them.
    let deadline = Instant::now() + IMMEDIATE_DEADLINE;
    while let Some(worker) = anyone_in(data) {
        if Instant::now() > deadline {
            return Err(Error::Stuck { pid: worker });
        }
        tokio::time::sleep(POLL).await;
    }
    // Postgres copes with a stale pid file by itself, unless another process has the pid now.
    match recorded_pid(&pid_file)? {
        Some(pid) if alive(pid) => {
            std::fs::remove_file(&pid_file).doing("cannot remove", &pid_file)
        }
        _ => Ok(()),
    }
}

async fn stop(pid: Pid, data: &Path, signal: Signal, patience: Duration) -> Result<(), Error> {
    // It may end by itself at any moment: what counts is whether it is still there.
    kill_process(pid, signal).ok();
    let deadline = Instant::now() + patience;
    while belongs(pid, data) && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn recorded_pid(pid_file: &Path) -> Result<Option<Pid>, Error> {
    match std::fs::read_to_string(pid_file) {
        Ok(text) => {
            let first = text
                .lines()
                .next()
                .and_then(|line| line.trim().parse::<i32>().ok());
            // Negative for a server in single-user mode.
            Ok(first.and_then(|pid| Pid::from_raw(pid.abs())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(source).doing("cannot read", pid_file),
    }
}

fn alive(pid: Pid) -> bool {
    // Not permitted to signal it: it is there, and another user's.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(target_os = "linux")]
fn belongs(pid: Pid, data: &Path) -> bool {
    works_in(&Path::new("/proc").join(pid.as_raw_pid().to_string()), data)
}

/// A process that has ended but was not waited for has no working directory any more.
#[cfg(target_os = "linux")]
fn works_in(process: &Path, data: &Path) -> bool {
    let data = data.canonicalize();
    matches!((std::fs::read_link(process.join("cwd")), data), (Ok(cwd), Ok(data)) if cwd == data)
}

#[cfg(target_os = "linux")]
fn anyone_in(data: &Path) -> Option<i32> {
    std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok())
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            works_in(&entry.path(), data).then_some(pid)
        })
}

/// The postmaster names its data directory on its command line.
#[cfg(not(target_os = "linux"))]
fn belongs(pid: Pid, data: &Path) -> bool {
    let pid = pid.as_raw_pid().to_string();
    std::process::Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid])
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).contains(&*data.to_string_lossy())
        })
}

#[cfg(not(target_os = "linux"))]
fn anyone_in(_data: &Path) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_pid_that_another_process_has_is_forgotten_and_that_process_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("postmaster.pid");
        std::fs::write(&pid_file, format!("{}\n/x\n", std::process::id())).unwrap();
        clear(dir.path()).await.unwrap();
        assert!(!pid_file.exists());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_in_the_cluster_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        // As the postmaster, which has handlers of its own: whoever runs the tests may ignore these signals.
        let mut child = tokio::process::Command::new("env")
            .args(["--default-signal=INT,QUIT", "sleep", "600"])
            .current_dir(dir.path())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        std::fs::write(
            dir.path().join("postmaster.pid"),
            format!("{}\n", child.id().unwrap()),
        )
        .unwrap();
        let (cleared, status) = tokio::join!(clear(dir.path()), child.wait());
        cleared.unwrap();
        assert!(!status.unwrap().success());
    }
}
