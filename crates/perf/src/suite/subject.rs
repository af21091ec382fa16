//! Processes that are measured: a broker with a data directory of its own, or a relay.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::load::Trust;
use crate::{Error, Target};

const READY_TIMEOUT: Duration = Duration::from_secs(300);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A program and the arguments that make it what is wanted.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// A running process that printed where it listens.
pub(super) struct Subject {
    child: Child,
    pub(super) target: Target,
}

/// What the program says about its flags.
pub(super) fn help(program: &Path) -> Result<String, Error> {
    let output = Command::new(program).arg("--help").output();
    let output = output.map_err(|error| not_ready(program, &error))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn not_ready(program: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::Start {
        program: program.display().to_string(),
        reason: reason.to_string(),
    }
}

/// A place for one broker: data, certificate, log.
pub(super) struct Site {
    directory: TempDir,
}

/// How a broker is started.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setup<'a> {
    pub(super) arguments: &'a [&'a str],
    pub(super) is_tls: bool,
    /// Worker threads; as many as the broker likes if not given.
    pub(super) workers: Option<usize>,
}

impl Site {
    pub(super) fn new() -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("warren-perf-").tempdir()?;
        let site = Self { directory };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .map_err(|error| Error::Tls(error.to_string()))?;
        fs::write(site.path("cert.pem"), made.cert.pem())?;
        fs::write(site.path("key.pem"), made.signing_key.serialize_pem())?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn trust(&self) -> Result<Trust, Error> {
        Trust::read(&self.path("cert.pem"))
    }

    /// Bytes that the file system has given to the data.
    pub(super) fn disk_bytes(&self) -> Result<u64, Error> {
        use std::os::unix::fs::MetadataExt as _;
        let mut total = 0;
        let mut waiting = vec![self.path("data")];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                total += metadata.blocks() * 512;
                if metadata.is_dir() {
                    waiting.push(entry.path());
                }
            }
        }
        Ok(total)
    }

    /// Starts the broker on this site's data.
    pub(super) fn start(&self, brokerd: &Path, setup: Setup<'_>) -> Result<Subject, Error> {
        let mut command = Command::new(brokerd);
        command.arg("--data-dir").arg(self.path("data"));
        let (flag, scheme) = if setup.is_tls {
            ("--amqps", "amqps")
        } else {
            ("--amqp", "amqp")
        };
        command.args([flag, "127.0.0.1:0"]);
        if setup.is_tls {
            command.arg("--tls-cert").arg(self.path("cert.pem"));
            command.arg("--tls-key").arg(self.path("key.pem"));
        }
        command.args(setup.arguments);
        if let Some(workers) = setup.workers {
            command.env("TOKIO_WORKER_THREADS", workers.to_string());
        }
        command.stderr(File::create(self.path("log"))?);
        let uri = |line: &str| {
            let address = field(line, scheme)?;
            Some(address.replace("127.0.0.1", &format!("{scheme}://localhost")))
        };
        Subject::start(command, brokerd, uri).map_err(|error| {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            match (error, log.trim().lines().last()) {
                (Error::Start { program, reason }, Some(last)) => Error::Start {
                    program,
                    reason: format!("{reason}: {last}"),
                },
                (error, _) => error,
            }
        })
    }
}

/// The value of `name=` in a ready line; the first one of a list.
fn field<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    let value = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    value.split(',').next()
}

impl Subject {
    pub(super) fn relay(program: &Program) -> Result<Self, Error> {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments);
        let uri = |line: &str| field(line, "relay").map(|address| format!("relay://{address}"));
        Self::start(command, &program.path, uri)
    }

    fn start(
        mut command: Command,
        path: &Path,
        uri: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_ready(path, &error))?;
        let stdout = child.stdout.take();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                // The line stays empty when the process ends without one.
                let _ = BufReader::new(stdout).read_line(&mut line);
            }
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(READY_TIMEOUT).unwrap_or_default();
        match uri(&line).map(|uri| uri.parse()) {
            Some(Ok(target)) => Ok(Self { child, target }),
            Some(Err(error)) => Err(error),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(not_ready(path, &format!("it said {:?}", line.trim())))
            }
        }
    }

    /// Where it listens, and its process.
    pub(super) fn at(&self) -> (&Target, u32) {
        (&self.target, self.pid())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits.
    pub(super) fn stop(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_TIMEOUT {
                return Err(Error::TimedOut);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Gone already after a stop; nothing else can be done about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn addresses_are_found_in_a_ready_line() {
        let line = "ready amqp=127.0.0.1:1,127.0.0.1:2 amqps=127.0.0.1:3\n";
        assert_eq!(field(line, "amqp"), Some("127.0.0.1:1"));
        assert_eq!(field(line, "amqps"), Some("127.0.0.1:3"));
        assert_eq!(field(line, "relay"), None);
    }
}
