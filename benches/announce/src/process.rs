//! What a process has taken of the processor and of memory, by `/proc`.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Of all threads, in the program and in the kernel for it.
pub(crate) fn cpu(pid: &str) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    // The name in parentheses may hold anything; after it come the state and numbers, of which user's and system's ticks
    // are the 12th and 13th.
    let (_, after) = stat.rsplit_once(')').context("no process has such a state")?;
    let ticks: Option<u64> =
        after.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok()).sum();
    let ticks = ticks.context("its processor time is no number")?;
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks.saturating_mul(1000) / a_second))
}

/// Bytes of resident memory, and the most there ever were.
pub(crate) fn resident(pid: &str) -> Result<(u64, u64)> {
    let status = read(pid, "status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no resident memory")?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        anyhow::Ok(kibibytes << 10)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

fn read(pid: &str, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).with_context(|| path)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory_and_others_that_are_not_there_have_none() {
        let (now, most) = super::resident("self").unwrap();
        assert!(now > 0 && most >= now);
        assert!(super::cpu("self").is_ok());
        assert!(super::cpu("0").is_err());
    }
}
