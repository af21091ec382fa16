//! Whether a node ended because there was no memory left for it.

/// How many processes the kernel ended for want of memory since it started; `None` where it does not say.
pub(super) fn kills() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn parse(vmstat: &str) -> Option<u64> {
    let mut lines = vmstat.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// From how the process ended, its last words, and the kernel's count when it started and now. A process that the kernel
/// picks gets SIGKILL; one that asks for memory and gets none says so and aborts.
pub(super) fn is_out(how: &str, last_words: &str, before: Option<u64>, now: Option<u64>) -> bool {
    let was_picked = how.contains("signal: 9") && before.zip(now).is_some_and(|(b, n)| n > b);
    let got_none = how.contains("signal: 6") && last_words.contains("memory allocation of");
    was_picked || got_none
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found() {
        assert_eq!(parse("nr_free_pages 12\noom_kill 3\n"), Some(3));
        assert_eq!(parse("nr_free_pages 12\n"), None);
    }

    #[test]
    fn a_kill_counts_only_when_the_kernel_did_it() {
        let killed = "signal: 9 (SIGKILL)";
        assert!(is_out(killed, "", Some(1), Some(2)));
        assert!(!is_out(killed, "", Some(2), Some(2)));
        assert!(!is_out(killed, "", None, None));
        assert!(!is_out("exit status: 1", "", Some(1), Some(2)));
        let aborted = "signal: 6 (SIGABRT) (core dumped)";
        assert!(is_out(
            aborted,
            "memory allocation of 8 bytes failed",
            None,
            None
        ));
        assert!(!is_out(aborted, "panicked", None, None));
    }
}
