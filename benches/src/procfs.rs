//! What the kernel says a process has used: CPU time and memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// User and system time of process `pid`, all threads, and of its descendants, except those that run
/// `except`.
///
/// The kernel counts in ticks (10 ms as a rule): meant for differences of a second or more.
///
/// # Errors
/// When the process is gone.
pub(crate) fn cpu_time(pid: u32, except: &Path) -> Result<Duration> {
    let mut ticks = cpu_ticks(pid)?;
    let mut todo = children(pid);
    while let Some(descendant) = todo.pop() {
        todo.extend(children(descendant));
        if fs::read_link(format!("/proc/{descendant}/exe")).is_ok_and(|exe| exe == except) {
            continue;
        }
        // It may have ended since it was listed; then it did nothing in this measurement.
        ticks += cpu_ticks(descendant).unwrap_or(0);
    }
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// Resident memory of process `pid`, in bytes.
///
/// # Errors
/// When the process is gone.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .with_context(|| format!("{path} has no VmRSS"))?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

fn cpu_ticks(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_ticks(&stat).with_context(|| format!("{path} is not as proc(5) says"))
}

/// utime + stime of a stat line: the 14th and 15th field. The second, the name, may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .flat_map(str::parse)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_past_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 120 34 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse_ticks(stat), Some(154));
        assert_eq!(parse_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_uses_memory_and_can_be_timed() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 0);
        assert!(cpu_time(pid, Path::new("/nowhere")).is_ok());
    }
}
