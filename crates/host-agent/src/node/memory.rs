//! Whether a node ended because there was no memory left for it.

use std::fs;
use std::path::{Path, PathBuf};

/// How many processes the kernel ended for want of memory, in the narrowest circle around one process that it counts: the
/// process's control group, which a service has for itself, or else the whole host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kills {
    counter: PathBuf,
    count: u64,
}

impl Kills {
    /// As counted now; `None` where the kernel does not say.
    pub(super) fn around(pid: u32) -> Option<Self> {
        Self::find(Path::new("/"), pid)
    }

    fn find(root: &Path, pid: u32) -> Option<Self> {
        let groups = fs::read_to_string(root.join(format!("proc/{pid}/cgroup")));
        let groups = groups.unwrap_or_default();
        let of_host = || "proc/vmstat".to_owned();
        let mut counters = groups.lines().filter_map(counter).chain([of_host()]);
        counters.find_map(|counter| {
            let counter = root.join(counter);
            let count = read(&counter)?;
            Some(Self { counter, count })
        })
    }

    /// Whether there have been more since.
    fn have_grown(&self) -> bool {
        read(&self.counter).is_some_and(|now| now > self.count)
    }
}

/// Where the kernel counts for a control group, from a line of `/proc/PID/cgroup` (cgroups(7)): version 2 has one
/// hierarchy, version 1 one for memory.
fn counter(line: &str) -> Option<String> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    // A group outside what this process may see is written with dots.
    if path.contains("/..") {
        return None;
    }
    if controllers.is_empty() {
        return Some(format!("sys/fs/cgroup{path}/memory.events"));
    }
    let is_memory = controllers.split(',').any(|name| name == "memory");
    is_memory.then(|| format!("sys/fs/cgroup/memory{path}/memory.oom_control"))
}

/// All three files count in a line of the same name.
fn read(counter: &Path) -> Option<u64> {
    let text = fs::read_to_string(counter).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// From how the process ended, its last words, and the kernel's count when it started. A process that the kernel picks gets
/// SIGKILL; one that asks for memory and gets none says so and aborts.
pub(super) fn is_out(how: &str, last_words: &str, kills: Option<&Kills>) -> bool {
    let was_picked = how.contains("signal: 9") && kills.is_some_and(Kills::have_grown);
    let got_none = how.contains("signal: 6") && last_words.contains("memory allocation of");
    was_picked || got_none
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: &str = "signal: 9 (SIGKILL)";

    /// A host's files, in a directory.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new(files: &[(&str, &str)]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            files.iter().for_each(|(path, text)| host.write(path, text));
            host
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn kills(&self) -> Option<Kills> {
            Kills::find(self.0.path(), 7)
        }
    }

    #[test]
    fn a_kill_counts_only_when_the_kernel_did_it_in_the_nodes_own_group() {
        let of_node = "sys/fs/cgroup/system.slice/warren-agent.service/memory.events";
        let host = Host::new(&[
            ("proc/7/cgroup", "0::/system.slice/warren-agent.service\n"),
            ("proc/vmstat", "nr_free_pages 12\noom_kill 1\n"),
            (
                of_node,
                "low 0\nhigh 0\nmax 2\noom 0\noom_kill 0\noom_group_kill 0\n",
            ),
        ]);
        let kills = host.kills().unwrap();
        assert!(!is_out(KILLED, "", Some(&kills)));
        host.write("proc/vmstat", "oom_kill 2\n");
        assert!(!is_out(KILLED, "", Some(&kills)), "of another service");
        host.write(of_node, "oom_kill 1\n");
        assert!(is_out(KILLED, "", Some(&kills)));
        assert!(!is_out("exit status: 1", "", Some(&kills)));
        assert!(!is_out(KILLED, "", None));
    }

    #[test]
    fn each_version_of_control_groups_is_known_and_the_host_stands_in() {
        let first = "sys/fs/cgroup/memory/a/memory.oom_control";
        for (groups, counter) in [
            ("9:pids:/\n8:memory,hugetlb:/a\n0::/\n", first),
            ("0::/\n", "proc/vmstat"),
            ("0::/../b\n", "proc/vmstat"),
            ("", "proc/vmstat"),
        ] {
            let host = Host::new(&[
                ("proc/7/cgroup", groups),
                (first, "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
                ("proc/vmstat", "oom_kill 5\n"),
            ]);
            let kills = host.kills().unwrap();
            assert_eq!(kills.counter, host.0.path().join(counter), "{groups}");
            assert_eq!(kills.count, if counter == first { 4 } else { 5 });
        }
        assert_eq!(Host::new(&[]).kills(), None);
    }

    #[test]
    fn who_asked_for_memory_and_got_none_says_so() {
        let aborted = "signal: 6 (SIGABRT) (core dumped)";
        assert!(is_out(aborted, "memory allocation of 8 bytes failed", None));
        assert!(!is_out(aborted, "panicked", None));
    }
}
