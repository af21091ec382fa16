//! Processor time of processes, from Linux' `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

/// Clock ticks a second that `/proc` counts in: fixed on every Linux that Rust runs on.
const TICKS_PER_S: f64 = 100.0;

/// Processor time over some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    pub(super) used_s: f64,
    pub(super) over: Duration,
}

impl Cpu {
    pub(super) fn cores(&self) -> f64 {
        self.used_s / self.over.as_secs_f64().max(f64::EPSILON)
    }
}

/// Seconds that a process has used so far.
pub(super) fn of(pid: u32) -> f64 {
    Stat::read(pid).map_or(0.0, |stat| stat.own_s)
}

/// Seconds that the Postgres of this test process has used so far, its ended backends too.
pub(super) fn of_postgres() -> f64 {
    let stats: BTreeMap<u32, Stat> = pids()
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
        .collect();
    let ours = |stat: &Stat| {
        let mut parent = stat.parent;
        while let Some(above) = stats.get(&parent) {
            if parent == std::process::id() {
                return true;
            }
            parent = above.parent;
        }
        false
    };
    let postgres = stats
        .values()
        .filter(|stat| stat.name == "postgres" && ours(stat));
    postgres
        .map(|stat| stat.own_s + stat.ended_children_s)
        .sum()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("the process tests need Linux's /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[derive(Debug)]
struct Stat {
    name: String,
    parent: u32,
    own_s: f64,
    ended_children_s: f64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name may itself hold parentheses and blanks.
        let (name, rest) = text.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let seconds = |first: usize| {
            let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
            Some((ticks(first)? + ticks(first + 1)?) / TICKS_PER_S)
        };
        Some(Self {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own_s: seconds(11)?,
            ended_children_s: seconds(13)?,
        })
    }
}
