//! What the kernel says about a process: CPU time and memory. Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::Serialize;

use crate::Error;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
}

/// CPU time used up to a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuTime {
    user_ticks: u64,
    system_ticks: u64,
    /// Of the threads that live, by id, in nanoseconds.
    threads: BTreeMap<u64, u64>,
}

/// CPU time used between two moments, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CpuUsed {
    pub total_us: f64,
    pub user_us: f64,
    pub system_us: f64,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    pub resident: u64,
    /// Without file pages: heap and stacks.
    pub anonymous: u64,
    /// The most that was resident since the process began.
    pub resident_max: u64,
}

impl Process {
    /// Fails when there is no such process, or it may not be looked at.
    pub(crate) fn new(pid: u32) -> Result<Self, Error> {
        let process = Self { pid };
        process.cpu()?;
        Ok(process)
    }

    fn error(self, source: io::Error) -> Error {
        Error::Process {
            pid: self.pid,
            source,
        }
    }

    fn read(self, file: &str) -> Result<String, Error> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).map_err(|error| self.error(error))
    }

    pub(crate) fn cpu(self) -> Result<CpuTime, Error> {
        let stat = self.read("stat")?;
        // The name may hold anything, brackets and spaces included.
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let field = |number: usize| {
            let text = fields.split_whitespace().nth(number);
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let mut threads = BTreeMap::new();
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid));
        for task in tasks.map_err(|error| self.error(error))? {
            let name = task.map_err(|error| self.error(error))?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread may end between the two looks.
            if let Ok(text) = self.read(&format!("task/{id}/schedstat"))
                && let Some(Ok(ns)) = text.split_whitespace().next().map(str::parse)
            {
                threads.insert(id, ns);
            }
        }
        Ok(CpuTime {
            user_ticks: field(11),
            system_ticks: field(12),
            threads,
        })
    }

    pub(crate) fn memory(self) -> Result<Memory, Error> {
        let status = self.read("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.unwrap_or(0) * 1024
        };
        Ok(Memory {
            resident: field("VmRSS:"),
            anonymous: field("RssAnon:"),
            resident_max: field("VmHWM:"),
        })
    }
}

impl CpuTime {
    /// What was used from `earlier` to `self`.
    ///
    /// Threads' own counters are exact, but those of threads that ended are gone; the process's
    /// ticks count everybody, in steps of 10 ms. The larger one is right.
    pub(crate) fn since(&self, earlier: &Self) -> CpuUsed {
        let tick_us = 1e6 / rustix::param::clock_ticks_per_second() as f64;
        let used = |now: u64, then: u64| now.saturating_sub(then) as f64 * tick_us;
        let user_us = used(self.user_ticks, earlier.user_ticks);
        let system_us = used(self.system_ticks, earlier.system_ticks);
        let exact_ns: u64 = self
            .threads
            .iter()
            .map(|(id, ns)| ns.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0)))
            .sum();
        let exact_us = exact_ns as f64 / 1e3;
        let by_ticks_us = user_us + system_us;
        let total_us = if by_ticks_us > exact_us * 1.02 + 3.0 * tick_us {
            by_ticks_us
        } else {
            exact_us
        };
        let share = if by_ticks_us > 0.0 {
            total_us / by_ticks_us
        } else {
            0.0
        };
        CpuUsed {
            total_us,
            user_us: user_us * share,
            system_us: system_us * share,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_of_this_process_is_seen() {
        let process = Process::new(std::process::id()).unwrap();
        let before = process.cpu().unwrap();
        let start = Instant::now();
        while process.cpu().unwrap().since(&before).total_us < 5_000.0 {
            black_box((0..10_000u64).sum::<u64>());
            assert!(start.elapsed().as_secs() < 60, "no CPU time is counted");
        }
        assert!(process.memory().unwrap().anonymous > 0);
        assert!(Process::new(u32::MAX).is_err());
    }

    #[test]
    fn threads_that_ended_count_by_the_process() {
        let earlier = CpuTime {
            threads: BTreeMap::from([(1, 1_000_000), (2, 5_000_000)]),
            ..CpuTime::default()
        };
        let mut later = CpuTime {
            user_ticks: 0,
            system_ticks: 0,
            threads: BTreeMap::from([(1, 3_000_000), (3, 500_000)]),
        };
        assert!((later.since(&earlier).total_us - 2_500.0).abs() < 1e-6);
        (later.user_ticks, later.system_ticks) = (75, 25);
        let used = later.since(&earlier);
        assert!((used.total_us - 1e6).abs() < 1e-6, "{used:?}");
        assert!((used.user_us - 0.75e6).abs() < 1e-6, "{used:?}");
    }
}
