//! Processes under test: started with their output captured, awaited by what they print, killed
//! without mercy, and gone when the test is over.
//!
//! **Invariant:** every process of a [`Family`], and whatever these start in turn, carries the
//! family's mark in its environment; dropping the family kills exactly those. Orphans are found
//! that no parent remembers, and nobody else's process is ever touched.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, kill_process};

const MARK: &str = "WARREN_TEST_FAMILY";
static FAMILIES: AtomicU32 = AtomicU32::new(0);

/// The processes of one test.
#[derive(Debug)]
pub struct Family {
    mark: String,
}

impl Family {
    #[expect(
        clippy::new_without_default,
        reason = "a family is an identity, not a value"
    )]
    pub fn new() -> Self {
        let number = FAMILIES.fetch_add(1, Ordering::Relaxed);
        Self {
            mark: format!("{}.{number}", std::process::id()),
        }
    }

    /// Starts a member with both outputs captured, in a process group of its own.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Process {
        use std::os::unix::process::CommandExt;
        let mut child = command
            .env(MARK, &self.mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        capture(stdout, Arc::clone(&output), true);
        capture(stderr, Arc::clone(&output), false);
        let stdin = child.stdin.take();
        Process {
            name: name.to_owned(),
            child,
            stdin,
            output,
            read: 0,
        }
    }

    /// Living members whose arguments satisfy `wanted`.
    pub fn members(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<u32> {
        self.pids()
            .into_iter()
            .filter(|&pid| arguments(pid).is_some_and(|found| wanted(&found)))
            .collect()
    }

    /// Kills members until none is left, those too that appear meanwhile.
    pub fn kill_all(&self) {
        loop {
            let pids = self.pids();
            if pids.is_empty() {
                return;
            }
            pids.into_iter().for_each(kill);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pids(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.mark);
        let own = std::process::id();
        let marked = |pid: &u32| {
            *pid != own
                && !is_zombie(*pid)
                && std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|variables| {
                    variables
                        .split(|&byte| byte == 0)
                        .any(|found| found == mark.as_bytes())
                })
        };
        let entries = std::fs::read_dir("/proc").expect("the process tests need Linux's /proc");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(marked)
            .collect::<BTreeSet<u32>>()
            .into_iter()
            .collect()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// SIGKILL, by process id.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("process ids are positive");
    // Whoever is gone already needs no signal.
    let _ = kill_process(pid, signal);
}

/// Whether `pid` is a process that still runs.
pub fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() && !is_zombie(pid)
}

fn is_zombie(pid: u32) -> bool {
    // The state follows the program's name, which may itself hold parentheses.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

fn arguments(pid: u32) -> Option<Vec<String>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(
        line.split(|&byte| byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect(),
    )
}

/// A started program. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
    /// Lines of stdout that [`Process::line`] has passed.
    read: usize,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of stdout that contains `wanted`, from the one after the last returned.
    ///
    /// # Panics
    /// With all output, when the program ends or `patience` is over before.
    pub fn line(&mut self, wanted: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        let mut captured = self.output.captured.lock();
        loop {
            while let Some(line) = captured.stdout.get(self.read) {
                self.read += 1;
                if line.contains(wanted) {
                    return line.clone();
                }
            }
            let ended = captured.streams_ended == 2;
            if ended
                || self
                    .output
                    .changed
                    .wait_until(&mut captured, deadline)
                    .timed_out()
            {
                let why = if ended {
                    "it ended".to_owned()
                } else {
                    format!("not within {patience:?}")
                };
                panic!(
                    "{} did not print {wanted:?}: {why}\n{}",
                    self.name,
                    captured.all.join("\n")
                );
            }
        }
    }

    /// Lets [`Process::line`] pass over everything printed so far.
    pub fn skip_printed(&mut self) {
        self.read = self.output.captured.lock().stdout.len();
    }

    /// Writes a line to stdin.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").expect("the program reads its stdin");
    }

    /// What it printed so far, both streams.
    pub fn log(&self) -> String {
        self.output.captured.lock().all.join("\n")
    }

    pub fn kill(&mut self) {
        // The id of one that was awaited may be somebody else's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(self.pid());
        }
        self.child.wait().expect("an own child can be awaited");
    }

    /// SIGTERM, then waits.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        signal(self.pid(), Signal::TERM);
        self.exit(patience)
    }

    /// Waits until it ends, and until what it printed is here.
    ///
    /// # Panics
    /// With all output, when the program still runs after `patience`.
    pub fn exit(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("an own child can be awaited") {
                self.output.await_end();
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} runs on after {patience:?}\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- output of {}\n{}", self.name, self.log());
        }
        self.kill();
    }
}

#[derive(Debug, Default)]
struct Output {
    captured: Mutex<Captured>,
    changed: Condvar,
}

impl Output {
    /// Children of the program may hold its streams open: then there is nothing to wait for.
    fn await_end(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut captured = self.captured.lock();
        while captured.streams_ended < 2 {
            if self.changed.wait_until(&mut captured, deadline).timed_out() {
                return;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Captured {
    stdout: Vec<String>,
    all: Vec<String>,
    streams_ended: u8,
}

fn capture(stream: impl Read + Send + 'static, output: Arc<Output>, is_stdout: bool) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut captured = output.captured.lock();
            if is_stdout {
                captured.stdout.push(line.clone());
            }
            captured.all.push(line);
            output.changed.notify_all();
        }
        output.captured.lock().streams_ended += 1;
        output.changed.notify_all();
    });
}
