//! How a command ended, as the exit code that scripts rely on.
//!
//! Errors travel as `anyhow::Error`. One that must end with a code other than 1 carries a [`Failure`] in its
//! chain; everything else is a plain error.

use std::io;

/// The exit codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: an error.
    Error,
    /// 2: the command line is wrong.
    Usage,
    /// 3: data does not match, or is partial.
    Mismatch,
    /// 4: timed out, no peers.
    TimedOut,
    /// 5: the disk is full, broken, read-only or not ours; a name that leads nowhere is an error like others.
    Disk,
    /// 129: work interrupted by SIGHUP.
    HungUp,
    /// 130: work interrupted by SIGINT.
    Interrupted,
    /// 143: work interrupted by SIGTERM.
    Terminated,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Mismatch => 3,
            Self::TimedOut => 4,
            Self::Disk => 5,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that decides the exit code.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

/// An error with this code and this one-line text.
pub(crate) fn failure(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Failure { exit, message: message.into() })
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The code for an error: what a [`Failure`] in its chain says, the disk's if the disk failed, else 1.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.exit;
        }
        if cause.downcast_ref::<io::Error>().is_some_and(is_disk_trouble) {
            return Exit::Disk;
        }
    }
    Exit::Error
}

/// Whether the disk itself is to blame, or keeps us out, and not the name that was given.
fn is_disk_trouble(error: &io::Error) -> bool {
    /// EIO has no kind of its own in the standard library.
    const EIO: i32 = 5;
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
    ) || error.raw_os_error() == Some(EIO)
}

/// What the system says, without the number that means nothing to most people.
pub(crate) fn reason(error: &io::Error) -> String {
    metainfo::without_os_error(&error.to_string()).to_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_code_is_found_below_what_was_added_on_the_way() {
        let error = Err::<(), _>(failure(Exit::Mismatch, "does not match")).context("a.torrent");
        assert_eq!(code_of(&error.unwrap_err()), Exit::Mismatch);
        assert_eq!(code_of(&anyhow::anyhow!("anything")), Exit::Error);
    }

    #[test]
    fn a_full_disk_is_the_disks_fault_and_a_wrong_name_is_not() {
        let full = anyhow::Error::new(io::Error::from(io::ErrorKind::StorageFull)).context("cannot write x");
        assert_eq!(code_of(&full), Exit::Disk);
        let kept_out = anyhow::Error::new(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(code_of(&kept_out), Exit::Disk);
        let missing = anyhow::Error::new(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(code_of(&missing), Exit::Error);
    }

    #[test]
    fn reasons_come_without_the_number() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}
