//! What can go wrong with files, told in one line that names the file.
//!
//! Invariant: the system's own error stays inside ([`StorageError::io_kind`]), so that a caller can tell a full disk
//! from a missing file; the text never has control characters of a file's name in it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use metainfo::display_safe;

/// Something that stands where a torrent's file or folder must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A symbolic link, wherever it leads.
    SymbolicLink,
    /// A folder where a file must be.
    Folder,
    /// A FIFO, a socket or a device.
    Special,
    /// A file where a folder must be.
    NotAFolder,
    /// The path leads out of the root folder.
    Outside,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolicLink => "is a symbolic link",
            Self::Folder => "is a folder where a file must be",
            Self::Special => "is a FIFO, socket or device",
            Self::NotAFolder => "is a file where a folder must be",
            Self::Outside => "leads out of the folder",
        })
    }
}

/// The kinds of [`StorageError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// The system refused: see [`StorageError::source`].
    Io,
    /// [`crate::Cancel`] was set.
    Interrupted,
    /// Something is in the way that is never followed, read or overwritten.
    Unsafe(Obstacle),
    /// The file changed while it was hashed.
    Changed,
    /// The file is not what it was when its pieces were known to be right.
    NotWhatItWas,
    /// Somebody has put the file there since it was known that there was none, or another.
    NotOurs,
    /// The file ends before the bytes asked for.
    TooShort,
    /// The file has more bytes than the torrent's, and nobody said that it may be cut.
    TooLong,
    /// What was asked for makes no sense: a bad pattern, bytes past the end.
    Invalid,
}

/// An error about one file or folder.
#[derive(Debug)]
pub struct StorageError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, to be read after "cannot".
    pub operation: &'static str,
    /// What kind of thing went wrong.
    pub kind: StorageErrorKind,
    /// The system's error, or one of the same meaning.
    pub source: io::Error,
}

impl StorageError {
    /// An error of the system.
    pub(crate) fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { path: path.to_path_buf(), operation, kind: StorageErrorKind::Io, source: source.into() }
    }

    /// The work was cancelled.
    pub(crate) fn interrupted(path: &Path) -> Self {
        Self::of(StorageErrorKind::Interrupted, "read", path, io::ErrorKind::Interrupted)
    }

    /// Something is in the way.
    pub(crate) fn obstacle(operation: &'static str, path: &Path, obstacle: Obstacle) -> Self {
        Self::of(StorageErrorKind::Unsafe(obstacle), operation, path, io::ErrorKind::InvalidInput)
    }

    /// The file changed while it was hashed.
    pub(crate) fn changed(path: &Path) -> Self {
        Self::of(StorageErrorKind::Changed, "hash", path, io::ErrorKind::InvalidData)
    }

    /// The file is another than the one that was hashed.
    pub(crate) fn not_what_it_was(path: &Path) -> Self {
        Self::of(StorageErrorKind::NotWhatItWas, "read", path, io::ErrorKind::InvalidData)
    }

    /// The file was put there by somebody.
    pub(crate) fn not_ours(path: &Path) -> Self {
        Self::of(StorageErrorKind::NotOurs, "write", path, io::ErrorKind::AlreadyExists)
    }

    /// The file ends too early.
    pub(crate) fn too_short(path: &Path) -> Self {
        Self::of(StorageErrorKind::TooShort, "read", path, io::ErrorKind::UnexpectedEof)
    }

    /// The file has more than these bytes.
    pub(crate) fn too_long(path: &Path, length: u64) -> Self {
        let text = format!("it is longer than the torrent's {length} bytes; use --overwrite to cut it");
        let source = io::Error::new(io::ErrorKind::InvalidData, text);
        Self { path: path.to_path_buf(), operation: "finish", kind: StorageErrorKind::TooLong, source }
    }

    /// The request makes no sense.
    pub(crate) fn invalid(operation: &'static str, path: &Path, why: impl Into<String>) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidInput, why.into());
        Self { path: path.to_path_buf(), operation, kind: StorageErrorKind::Invalid, source }
    }

    fn of(kind: StorageErrorKind, operation: &'static str, path: &Path, source: io::ErrorKind) -> Self {
        Self { path: path.to_path_buf(), operation, kind, source: source.into() }
    }

    /// The system's word for it: `StorageFull`, `PermissionDenied`, `NotFound` and so on.
    #[must_use]
    pub fn io_kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the system had run out of open files or memory: the file may be as good as ever.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        use rustix::io::Errno;
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
        self.source.raw_os_error().is_some_and(|code| shortages.contains(&code))
    }

    /// The same error once more, to be told again after the first was handed out.
    pub(crate) fn again(&self) -> Self {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        Self { path: self.path.clone(), operation: self.operation, kind: self.kind, source }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown(&self.path);
        let operation = self.operation;
        match self.kind {
            StorageErrorKind::Io | StorageErrorKind::Invalid | StorageErrorKind::TooLong => {
                write!(f, "cannot {operation} {path}: {}", reason(&self.source))
            }
            StorageErrorKind::Interrupted => f.write_str("interrupted"),
            StorageErrorKind::Unsafe(obstacle) => {
                write!(f, "cannot {operation} {path}: it {obstacle}; move it away or choose another folder")
            }
            StorageErrorKind::Changed => {
                write!(f, "{path} changed while it was hashed; try again when nothing writes to it")
            }
            StorageErrorKind::NotWhatItWas => {
                write!(f, "cannot {operation} {path}: it has changed since it was hashed")
            }
            StorageErrorKind::NotOurs => {
                write!(
                    f,
                    "{path} was put there during the download and is left alone; move it away, or use --overwrite to \
                     replace it"
                )
            }
            StorageErrorKind::TooShort => {
                write!(f, "cannot {operation} {path}: it is shorter than it must be")
            }
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A path that can be printed: no control characters, on one line.
pub(crate) fn shown(path: &Path) -> String {
    display_safe(&path.to_string_lossy())
}

/// The system's words without the number, which helps nobody.
pub(crate) fn reason(error: &io::Error) -> String {
    metainfo::without_os_error(&error.to_string()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h67_a_full_disk_is_told_as_such_and_keeps_its_kind() {
        let full = io::Error::from_raw_os_error(28);
        let error = StorageError::io("write", Path::new("movie.bin"), full);
        assert_eq!(error.to_string(), "cannot write movie.bin: No space left on device");
        assert_eq!(error.io_kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.again().io_kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn h76_running_out_of_open_files_or_memory_is_told_from_a_file_that_is_bad() {
        let is_shortage = |errno| StorageError::io("open", Path::new("a"), errno).is_shortage();
        use rustix::io::Errno;
        assert!([Errno::MFILE, Errno::NFILE, Errno::NOMEM].into_iter().all(is_shortage));
        assert!(![Errno::IO, Errno::NOENT, Errno::ACCESS].into_iter().any(is_shortage));
        assert!(!StorageError::too_short(Path::new("a")).is_shortage());
    }

    #[test]
    fn h78_a_file_name_cannot_drive_the_terminal() {
        let error = StorageError::obstacle("open", Path::new("a\nb\u{1b}[2J"), Obstacle::SymbolicLink);
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.contains("is a symbolic link"), "{text}");
    }
}
