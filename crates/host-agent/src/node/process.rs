//! A node's process, and how it is recognised: a pid alone may have been given to someone else.

use std::fs::File;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use agent_api::Process;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::clock;

/// How often a process that is not our child is looked at.
const ADOPTED_POLL: Duration = Duration::from_millis(200);

/// A process that this agent started or adopted. Dropping it leaves the process alone.
#[derive(Debug)]
pub(super) struct Handle {
    process: Process,
    /// Set while the process is our child, which must be reaped.
    child: Option<Child>,
}

impl Handle {
    /// Starts the command as the leader of its own process group: signals meant for the agent do
    /// not reach it. Its output goes straight to `output`, which works on without an agent.
    pub(super) fn spawn(mut command: Command, output: File) -> io::Result<Self> {
        let errors = output.try_clone()?;
        command
            // The path may be the kernel's link to the agent's own program: no name for a list.
            .arg0("warren")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors))
            .kill_on_drop(false);
        let child = command.spawn()?;
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the process is gone already"))?;
        let start_ticks = stat(pid).map_or(0, |stat| stat.start_ticks);
        let process = Process {
            pid,
            start_ticks,
            started_at: clock::now(),
        };
        Ok(Self {
            process,
            child: Some(child),
        })
    }

    /// Takes over a process that an earlier agent started, when it still is that process.
    pub(super) fn adopt(process: Process) -> Option<Self> {
        is_alive(&process).then_some(Self {
            process,
            child: None,
        })
    }

    /// Takes over the process that answers on a node's control socket.
    pub(super) fn adopt_pid(pid: u32) -> Option<Self> {
        let start_ticks = stat(pid).map_or(0, |stat| stat.start_ticks);
        Self::adopt(Process {
            pid,
            start_ticks,
            started_at: clock::now(),
        })
    }

    pub(super) fn process(&self) -> Process {
        self.process
    }

    /// Returns when the process is gone, with how it went. Safe to drop and call again.
    pub(super) async fn exited(&mut self) -> String {
        match &mut self.child {
            Some(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("cannot be waited for: {error}"),
            },
            None => {
                while is_alive(&self.process) {
                    tokio::time::sleep(ADOPTED_POLL).await;
                }
                "not started by this agent, so its exit status is not known".to_owned()
            }
        }
    }

    /// Signals the whole process group, when the leader still is our process.
    pub(super) fn signal(&self, signal: Signal) {
        if !is_alive(&self.process) {
            return;
        }
        let pid = i32::try_from(self.process.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| rustix::process::kill_process_group(pid, signal)) {
            tracing::warn!(pid = self.process.pid, %error, "the node cannot be signalled");
        }
    }
}

/// Whether that very process runs. A zombie does not: nobody may be there to reap it.
fn is_alive(process: &Process) -> bool {
    match stat(process.pid) {
        Some(stat) => {
            !matches!(stat.state, 'Z' | 'X')
                && (process.start_ticks == 0 || stat.start_ticks == process.start_ticks)
        }
        // Without /proc the pid is all there is.
        None if cfg!(not(target_os = "linux")) => i32::try_from(process.pid)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
        None => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 3 and 22 of proc(5)'s `stat`. Field 2, the name, may contain blanks and parentheses.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_any_name() {
        let line = "42 (a ) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 3 0 98765 1000 20";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                state: 'S',
                start_ticks: 98765
            })
        );
        assert_eq!(parse_stat("42 (x) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[tokio::test]
    async fn a_killed_group_is_gone_and_its_pid_is_not_adopted() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut handle = Handle::spawn(
            command,
            File::options().write(true).open("/dev/null").unwrap(),
        )
        .unwrap();
        let process = handle.process();
        assert!(Handle::adopt(process).is_some());
        let other = Process {
            start_ticks: process.start_ticks + 1,
            ..process
        };
        assert!(
            Handle::adopt(other).is_none(),
            "another start time is another process"
        );

        handle.signal(Signal::KILL);

        assert!(handle.exited().await.contains("signal: 9"));
        assert!(Handle::adopt(process).is_none());
        handle.signal(Signal::KILL);
    }
}
