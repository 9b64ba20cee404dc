//! The marker: a small file that says which partial data is ours, and that someone is at work on it.
//!
//! Purpose: `.NAME.HASH.shoal` stands beside a download from before its first byte until it is complete. Its presence
//! means that the data there may be overwritten where it is wrong; its lock means that another process is at it.
//!
//! Invariant: nothing that a marker says is ever taken for a piece: that is for hashes, and for the journal beside it
//! (`storage::Journal`), which is believed only with its marker. One that is corrupt, newer or of another torrent counts
//! as none.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use metainfo::Info;

/// The first line. A program that changes what follows changes the number.
const FIRST_LINE: &str = "shoal download marker, version 1";

/// Bytes of a marker that are looked at: ours has under 300.
const MAX_BYTES: u64 = 4096;

/// How often a marker that vanishes between opening and locking is tried again.
const TRIES: usize = 8;

/// A marker that this process holds. The lock ends with it; the file stays until [`Marker::remove`].
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
    locked: File,
    /// Whether one of this torrent was there before: the data is ours.
    pub(crate) found: bool,
    /// What was wrong with the one that was there.
    pub(crate) warning: Option<String>,
}

/// Why there is no marker.
#[derive(Debug)]
pub(crate) enum MarkerError {
    /// Another process holds it.
    InUse,
    /// It cannot be made.
    Io(PathBuf, io::Error),
}

impl Marker {
    /// Makes or takes over the marker of `info` in `root`, and locks it. A new one says nothing yet: if this process
    /// is killed while it only looks at what is there, that is not ours afterwards.
    pub(crate) fn take(root: &Path, info: &Info) -> Result<Self, MarkerError> {
        let path = root.join(file_name(info));
        let io = |error| MarkerError::Io(path.clone(), error);
        for _ in 0..TRIES {
            let (mut file, made) = open(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(MarkerError::InUse),
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
            // The one who held it may have finished and removed it between the two calls.
            if !is_still_there(&path, &file).map_err(io)? {
                continue;
            }
            let (found, warning) = match made {
                true => (false, None),
                false => read(&mut file, info),
            };
            return Ok(Self { path, locked: file, found, warning });
        }
        Err(MarkerError::InUse)
    }

    /// The download of `info` begins: what is there may be written to from now on.
    pub(crate) fn claim(&self, info: &Info) -> Result<(), MarkerError> {
        if self.found {
            return Ok(());
        }
        write(&mut &self.locked, info).map_err(|error| MarkerError::Io(self.path.clone(), error))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The download is complete, or was never begun: nothing there is partial. Another's marker in its place is left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        if is_still_there(&self.path, &self.locked)? { std::fs::remove_file(&self.path) } else { Ok(()) }
    }
}

fn file_name(info: &Info) -> String {
    storage::name_beside(info, "shoal")
}

/// Opens the marker, following no link, and says whether it was made now.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((options.open(path)?, false)),
        Err(error) => Err(error),
    }
}

fn is_still_there(path: &Path, file: &File) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok(there.ino() == held.ino() && there.dev() == held.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the marker is one of this torrent; if not, what is wrong with it.
fn read(file: &mut File, info: &Info) -> (bool, Option<String>) {
    let mut bytes = Vec::new();
    let wrong = |what: &str| {
        let text = format!("the marker of an earlier download {what}; it is ignored and the data is checked");
        (false, Some(text))
    };
    if file.take(MAX_BYTES).read_to_end(&mut bytes).is_err() {
        return wrong("cannot be read");
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    match lines.next() {
        Some(FIRST_LINE) => {}
        Some(line) if line.starts_with("shoal download marker, version ") => {
            return wrong("is from another version of shoal");
        }
        _ => return wrong("is damaged"),
    }
    let due = format!("info-hash {}", info.info_hash());
    match lines.find(|line| line.starts_with("info-hash ")) {
        Some(line) if line == due => (true, None),
        Some(_) => wrong("is of another torrent"),
        None => wrong("is damaged"),
    }
}

fn write(file: &mut &File, info: &Info) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let text = format!(
        "{FIRST_LINE}\ninfo-hash {}\nThe data beside this file is a download that is not complete. Run the same \
         command again to go on.\nThis file goes away when it is complete.\n",
        info.info_hash()
    );
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
