//! Which operation of a disk in memory fails, and how.
//!
//! Invariant: it depends on the number of the operation and nothing else, so that a run is repeated by its fault and seed.

use std::io;

use rustix::io::Errno;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// `ENOSPC`: whatever takes room.
    Full,
    /// `EIO`: anything at all. A sync that fails so has brought some of it to the disk, and what it has not is not tried
    /// again.
    Io,
    /// `EROFS`: whatever changes anything.
    ReadOnly,
    /// `EMFILE`: whatever takes a descriptor.
    OpenFiles,
    /// Of a write only the front is taken, which is no error.
    Short,
    /// Of a write only the front is taken, and then it fails.
    Torn,
    /// The process is over: of this operation at most a part is done, and of all later ones nothing.
    Death,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Full, Self::Io, Self::ReadOnly, Self::OpenFiles, Self::Short, Self::Torn, Self::Death];

    fn error(self) -> io::Error {
        match self {
            Self::Full => Errno::NOSPC,
            Self::ReadOnly => Errno::ROFS,
            Self::OpenFiles => Errno::MFILE,
            Self::Io | Self::Short | Self::Torn | Self::Death => Errno::IO,
        }
        .into()
    }

    fn can_strike(self, operation: Operation) -> bool {
        use Operation::{Change, Create, Look, Open, OpenToWrite, Remove, Sync, SyncNames, Write};
        match self {
            Self::Full => matches!(operation, Create | Write | Change | Sync),
            Self::Io | Self::Death => true,
            Self::ReadOnly => matches!(operation, OpenToWrite | Create | Write | Change | Remove),
            Self::OpenFiles => matches!(operation, Open | OpenToWrite | Create | Look | SyncNames),
            Self::Short | Self::Torn => operation == Write,
        }
    }
}

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    OpenToWrite,
    Create,
    Look,
    Read,
    Write,
    /// Lengths, modes, names and folders.
    Change,
    /// What takes no room, but gives some.
    Remove,
    Sync,
    SyncNames,
}

/// An operation that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How.
    pub kind: FaultKind,
    /// How many operations that could have failed so succeed before.
    pub after: u64,
    /// Whether all later ones fail too.
    pub lasting: bool,
}

/// Counts operations and says which fails.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Option<Fault>,
    counts: [u64; FaultKind::ALL.len()],
    struck: bool,
}

impl Faults {
    /// Begins to count anew.
    pub(super) fn plan(&mut self, planned: Option<Fault>) {
        *self = Self { planned, ..Self::default() };
    }

    /// How many operations could have failed so.
    pub(super) fn count(&self, kind: FaultKind) -> u64 {
        FaultKind::ALL.iter().zip(self.counts).find(|(of, _)| **of == kind).map_or(0, |(_, count)| count)
    }

    /// Whether one has failed.
    pub(super) fn struck(&self) -> bool {
        self.struck
    }

    /// The next operation: whether it fails, and how.
    pub(super) fn next(&mut self, operation: Operation) -> Option<(FaultKind, io::Error)> {
        let mut strikes = None;
        for (kind, count) in FaultKind::ALL.into_iter().zip(&mut self.counts) {
            if kind.can_strike(operation) {
                let is_due = |fault: &Fault| *count == fault.after || (fault.lasting && *count > fault.after);
                if self.planned.filter(|fault| fault.kind == kind).as_ref().is_some_and(is_due) {
                    strikes = Some((kind, kind.error()));
                }
                *count += 1;
            }
        }
        self.struck |= strikes.is_some();
        strikes
    }
}
