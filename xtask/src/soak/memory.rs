//! How much memory a process has used.

use anyhow::Context;

/// The most resident memory that this process has had, in KiB (`proc(5)`, `VmHWM`).
pub(crate) fn peak_kib() -> anyhow::Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("the peak of memory is read where Linux has it")?;
    of_status(&status).context("the system does not tell the peak of memory")
}

fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read() {
        assert_eq!(of_status("Name:\tx\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n"), Some(12_345));
        assert_eq!(of_status("Name:\tx\n"), None);
    }
}
