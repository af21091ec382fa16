//! What the host has.

use std::path::Path;

use agent_api::Capacity;

/// Reads the machine's capacity; what cannot be read is 0, and the control plane then goes by the
/// instance type alone.
pub(crate) fn measure(volumes: &Path) -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let disk_free_bytes =
        rustix::fs::statvfs(volumes).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cgroup = std::fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    Capacity {
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_bytes: memory_bytes(&meminfo, &cgroup),
        disk_free_bytes,
    }
}

/// The machine's memory, or the container's share of it when that is less.
fn memory_bytes(meminfo: &str, cgroup_max: &str) -> u64 {
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok());
    let machine = kib.map_or(0, |kib| kib.saturating_mul(1024));
    match cgroup_max.trim().parse::<u64>() {
        Ok(share) if machine == 0 || share < machine => share,
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_smaller_of_machine_and_container() {
        let meminfo = "MemTotal:        8000 kB\nMemFree:  1 kB\n";
        assert_eq!(memory_bytes(meminfo, "max\n"), 8000 * 1024);
        assert_eq!(memory_bytes(meminfo, "1000000\n"), 1_000_000);
        assert_eq!(memory_bytes(meminfo, "99999999999\n"), 8000 * 1024);
        assert_eq!(memory_bytes("", ""), 0);
    }
}
