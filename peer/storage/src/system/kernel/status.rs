//! What a file or folder is, as the kernel tells.
//!
//! Invariant: `statx` and, where that is missing (before Linux 4.11, or forbidden by a sandbox), `fstat` tell the same but for
//! the moment at which a file was made: of that only the first tells, and only where the file system keeps it.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat};

use super::super::{Kind, Status};
use crate::journal::{Identity, Moment};

impl Status {
    /// Of what is open.
    pub(super) fn of_open(file: impl AsFd) -> rustix::io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(status) = linux::told(&file, c"", AtFlags::EMPTY_PATH) {
            return status;
        }
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }

    /// Of what stands at a path; of a link at its end, what it leads to, unless these flags say otherwise.
    pub(super) fn of_path(folder: impl AsFd, path: &Path, flags: AtFlags) -> rustix::io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(status) = linux::told(&folder, path, flags) {
            return status;
        }
        Ok(Self::of(&rustix::fs::statat(folder, path, flags)?))
    }

    fn of(stat: &Stat) -> Self {
        Self {
            kind: Kind::of(FileType::from_raw_mode(stat.st_mode)),
            identity: Identity {
                inode: wide(stat.st_ino),
                device: wide(stat.st_dev),
                length: wide(stat.st_size),
                modified: moment(stat.st_mtime, stat.st_mtime_nsec),
                changed: moment(stat.st_ctime, stat.st_ctime_nsec),
                born: None,
            },
            allocated: allocated(stat.st_blocks),
            mode: mode(stat.st_mode),
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::AsFd;

    use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
    use rustix::io::Errno;
    use rustix::path::Arg;

    use super::{Identity, Kind, Moment, Status, allocated, mode};

    /// `None` if the kernel does not know this call.
    pub(super) fn told(
        folder: impl AsFd,
        path: impl Arg,
        flags: AtFlags,
    ) -> Option<rustix::io::Result<Status>> {
        match rustix::fs::statx(folder, path, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME) {
            // Sandboxes answer EPERM to calls that they do not know; a true EPERM comes back from the other.
            Err(Errno::NOSYS | Errno::PERM) => None,
            told => Some(told.map(|stat| of(&stat))),
        }
    }

    fn of(stat: &Statx) -> Status {
        let is_born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        Status {
            kind: Kind::of(FileType::from_raw_mode(stat.stx_mode.into())),
            identity: Identity {
                inode: stat.stx_ino,
                device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
                length: stat.stx_size,
                modified: moment(stat.stx_mtime),
                changed: moment(stat.stx_ctime),
                born: is_born.then(|| moment(stat.stx_btime)),
            },
            allocated: allocated(stat.stx_blocks),
            mode: mode(stat.stx_mode),
        }
    }

    fn moment(time: StatxTimestamp) -> Moment {
        Moment { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
    }
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::SymbolicLink,
            _ => Self::Special,
        }
    }
}

/// Bytes on disk, of which the kernel counts blocks of 512.
fn allocated(blocks: impl TryInto<u64>) -> u64 {
    blocks.try_into().unwrap_or(0).saturating_mul(512)
}

/// The bits of a mode that `chmod` sets; some systems use fewer bits for it than others.
fn mode(mode: impl Into<u32>) -> u32 {
    mode.into() & 0o7777
}

/// A number as everybody else writes it: some systems use fewer bits, or a sign.
fn wide(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn moment(seconds: impl TryInto<i64>, nanoseconds: impl TryInto<u32>) -> Moment {
    Moment {
        seconds: seconds.try_into().unwrap_or(i64::MAX),
        nanoseconds: nanoseconds.try_into().unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn both_ways_to_ask_tell_the_same_but_for_when_a_file_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("a")).unwrap();
        file.set_len(5000).unwrap();
        let folder = File::open(dir.path()).unwrap();
        for (asked, by_path) in [(&file, "a"), (&folder, ".")] {
            let told = Status::of_open(asked).unwrap();
            assert_eq!(told, Status::of_path(&folder, Path::new(by_path), AtFlags::empty()).unwrap());
            let identity = Identity { born: None, ..told.identity };
            assert_eq!(Status { identity, ..told }, Status::of(&rustix::fs::fstat(asked).unwrap()));
        }
    }
}
