//! What the kernel says of the memory and the descriptors of a process.

use anyhow::{Context as _, Result};

/// Of one process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// The most that was resident at once, since it was last forgotten.
    pub(crate) most_resident: u64,
    /// The most address space that it had: what it asked for, used or not.
    pub(crate) most_asked: u64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.with_context(|| format!("{name} is not in the status of a process"))
        };
        Ok(Self {
            resident: field("VmRSS:")?,
            most_resident: field("VmHWM:")?,
            most_asked: field("VmPeak:")?,
        })
    }

    /// Has the kernel forget the most that was resident.
    pub(crate) fn forget_most(process: u32) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{process}/clear_refs"), "5")?)
    }
}

/// Its open descriptors.
pub(crate) fn descriptors(process: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count())
}
