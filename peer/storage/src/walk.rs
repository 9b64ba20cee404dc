//! What goes into a torrent: the files below a path, in one order.
//!
//! Invariant: the same tree gives the same list, in the byte order of the whole relative path (`a-b`, `a.b/y`,
//! `a/x`), whatever order the file system tells its entries in. That is mktorrent's order, so the same folder, name
//! and piece length give its info-hash. Everything that is left out and was not asked to be is named in a warning.
//!
//! mktorrent differs in one thing: it follows symbolic links always, and stops at one that leads nowhere. Here they
//! are skipped unless [`WalkOptions::follow_symlinks`] is set; the path that the user named may be a link.
//!
//! It reads no file's content.

use std::ffi::OsStr;
use std::fs::FileType;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::error::{StorageError, reason, shown};
use crate::system::kernel::may_read;

/// Elements of a path below the top at most: what a torrent file may have, here and in libtorrent.
const MAX_ELEMENTS: usize = 100;

/// Warnings kept at most; a last one tells how many more there were. A million sockets must not fill the memory.
const MAX_WARNINGS: usize = 100;

/// What to leave out of a torrent.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    /// Patterns: a file or folder is left out if one matches its name or its path below the top. `*` does not
    /// match `/`, `**` does.
    pub exclude: Vec<String>,
    /// Leave out what begins with a dot.
    pub no_hidden: bool,
    /// Leave out what desktops and editors leave behind: `.DS_Store`, `Thumbs.db`, `*~` and so on.
    pub no_junk: bool,
    /// Follow symbolic links as if they were what they lead to. Loops are skipped with a warning.
    pub follow_symlinks: bool,
    /// A file that is left out even if it is there: the torrent that is being written.
    pub output: Option<PathBuf>,
}

/// What goes into a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The path that was walked.
    pub path: PathBuf,
    /// Its last element, as raw bytes.
    pub name: Vec<u8>,
    /// Whether the path is one file rather than a folder.
    pub single_file: bool,
    /// The files, in the order of their bytes in the content.
    pub files: Vec<WalkedFile>,
    /// Bytes of all files.
    pub total: u64,
    /// What was left out without being asked to, one line each, safe to print.
    pub warnings: Vec<String>,
}

/// A file that goes into a torrent. There may be very many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedFile {
    /// The path below [`Walked::path`], its elements joined by `/`; empty for a single file.
    below: Box<[u8]>,
    /// Bytes.
    pub length: u64,
}

impl WalkedFile {
    /// Path elements below [`Walked::name`], as raw bytes; none for a single file.
    pub fn elements(&self) -> impl Iterator<Item = &[u8]> + Clone {
        // Of nothing `split` makes one empty element.
        self.below.split(|byte| *byte == b'/').filter(|element| !element.is_empty())
    }
}

impl Walked {
    /// Where a file is, to be opened.
    #[must_use]
    pub fn path_of(&self, file: &WalkedFile) -> PathBuf {
        match &*file.below {
            [] => self.path.clone(),
            below => self.path.join(OsStr::from_bytes(below)),
        }
    }
}

/// Lists what goes into a torrent of `path`, a file or a folder.
///
/// Links, FIFOs, sockets, devices, loops and what cannot be read are skipped with a warning.
///
/// # Errors
/// If `path` itself does not exist, cannot be read, has no name or is no file or folder, or a pattern is wrong.
pub fn walk(path: &Path, options: &WalkOptions) -> Result<Walked, StorageError> {
    let metadata = std::fs::metadata(path).map_err(|e| StorageError::io("read", path, e))?;
    let name = name_of(path)?;
    let mut walked = Walked {
        path: path.to_path_buf(),
        name,
        single_file: metadata.is_file(),
        files: Vec::new(),
        total: 0,
        warnings: Vec::new(),
    };
    if metadata.is_file() {
        may_read(path).map_err(|e| StorageError::io("read", path, e))?;
        let file = WalkedFile { below: Box::default(), length: metadata.len() };
        walked.total = file.length;
        walked.files.push(file);
        return Ok(walked);
    }
    if !metadata.is_dir() {
        return Err(StorageError::invalid("share", path, "it is no file and no folder"));
    }
    // An unreadable top folder is an error, not an empty torrent.
    std::fs::read_dir(path).map_err(|e| StorageError::io("read the folder", path, e))?;
    let mut survey = Walk { top: path, walked, left_out: 0 };
    for entry in entries(path, options)? {
        survey.take(entry);
    }
    Ok(survey.finish())
}

/// All entries below a folder but those that the options leave out.
fn entries(path: &Path, options: &WalkOptions) -> Result<ignore::Walk, StorageError> {
    let excluded = patterns(&options.exclude)?;
    let (no_hidden, no_junk) = (options.no_hidden, options.no_junk);
    let output = options.output.as_deref().and_then(real_path);
    let top = path.to_path_buf();
    let keep = move |entry: &DirEntry| {
        let name = entry.file_name();
        let relative = entry.path().strip_prefix(&top).unwrap_or(entry.path());
        entry.depth() == 0
            || !((no_hidden && name.as_encoded_bytes().starts_with(b"."))
                || (no_junk && is_junk(name))
                || excluded.is_match(relative)
                || excluded.is_match(Path::new(name))
                || output.as_deref().is_some_and(|output| is_output(output, entry.path())))
    };
    Ok(WalkBuilder::new(path)
        .standard_filters(false)
        .follow_links(options.follow_symlinks)
        .max_depth(Some(MAX_ELEMENTS))
        .filter_entry(keep)
        .build())
}

struct Walk<'p> {
    top: &'p Path,
    walked: Walked,
    left_out: usize,
}

impl Walk<'_> {
    fn take(&mut self, entry: Result<DirEntry, ignore::Error>) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return self.warn(explain(&error, self.top)),
        };
        let Some(kind) = entry.file_type().filter(|_| entry.depth() > 0) else { return };
        let why = if kind.is_dir() {
            // Of a folder this deep nothing could go in; whether there is anything is not looked at.
            if entry.depth() < MAX_ELEMENTS {
                return;
            }
            "it lies too deep"
        } else if let Some(why) = why_not(kind) {
            why
        } else {
            return self.take_file(&entry);
        };
        self.skip(entry.path(), why);
    }

    fn take_file(&mut self, entry: &DirEntry) {
        let path = entry.path();
        let length = match entry.metadata().map(|m| m.len()) {
            Ok(length) => length,
            Err(error) => return self.warn(explain(&error, self.top)),
        };
        if let Err(error) = may_read(path) {
            return self.skip(path, &reason(&error));
        }
        let relative = path.strip_prefix(self.top).unwrap_or(path);
        let below = relative.as_os_str().as_bytes().into();
        self.walked.files.push(WalkedFile { below, length });
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.warn(format!("skipped {}: {why}", shown(path)));
    }

    fn warn(&mut self, text: String) {
        if self.walked.warnings.len() < MAX_WARNINGS {
            self.walked.warnings.push(text);
        } else {
            self.left_out += 1;
        }
    }

    fn finish(mut self) -> Walked {
        // The path as one string, not element by element: that is how mktorrent compares.
        self.walked.files.sort_unstable_by(|a, b| a.below.cmp(&b.below));
        self.walked.total = self.walked.files.iter().fold(0, |sum, file| sum.saturating_add(file.length));
        self.walked.warnings.sort();
        if self.left_out > 0 {
            self.walked.warnings.push(format!("and {} more were skipped", self.left_out));
        }
        self.walked
    }
}

/// Why something that is no folder cannot go into a torrent.
fn why_not(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some("it is a symbolic link (--follow-symlinks takes what it leads to)")
    } else {
        Some("it is a FIFO, socket or device")
    }
}

/// One line for an error of the walk.
fn explain(error: &ignore::Error, top: &Path) -> String {
    match error {
        ignore::Error::WithPath { path, err } => explain(err, path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => explain(err, top),
        ignore::Error::Loop { child, .. } => {
            format!("skipped {}: it leads back to a folder above", shown(child))
        }
        ignore::Error::Io(error) => format!("skipped {}: {}", shown(top), reason(error)),
        other => format!("skipped {}: {other}", shown(top)),
    }
}

/// The name of a torrent of this path; `.` and `..` are looked up.
fn name_of(path: &Path) -> Result<Vec<u8>, StorageError> {
    let absolute;
    let name = match path.file_name() {
        Some(name) => Some(name),
        None => {
            absolute = path.canonicalize().map_err(|e| StorageError::io("read", path, e))?;
            absolute.file_name()
        }
    };
    match name {
        Some(name) => Ok(name.as_encoded_bytes().to_vec()),
        None => Err(StorageError::invalid("share", path, "it has no name")),
    }
}

fn patterns(globs: &[String]) -> Result<GlobSet, StorageError> {
    let wrong = |glob: &str, error: &globset::Error| {
        StorageError::invalid("use the pattern", Path::new(glob), error.kind().to_string())
    };
    let mut set = GlobSetBuilder::new();
    for text in globs {
        let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|e| wrong(text, &e))?;
        set.add(glob);
    }
    set.build().map_err(|e| wrong(&globs.join(" "), &e))
}

/// The absolute path of a file that may not exist yet.
fn real_path(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

fn is_output(output: &Path, path: &Path) -> bool {
    output.file_name() == path.file_name() && real_path(path).as_deref() == Some(output)
}

/// What desktops, file systems and editors leave behind without anybody wanting it.
fn is_junk(name: &OsStr) -> bool {
    const NAMES: [&str; 15] = [
        ".apdisk",
        ".appledouble",
        ".directory",
        ".ds_store",
        ".fseventsd",
        ".lsoverride",
        ".spotlight-v100",
        ".temporaryitems",
        ".trashes",
        "$recycle.bin",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    ];
    let name = name.to_string_lossy().to_ascii_lowercase();
    NAMES.contains(&name.as_str())
        || name.ends_with('~')
        || name.starts_with("._")
        || name.starts_with(".nfs")
        || (name.starts_with('.') && (name.ends_with(".swp") || name.ends_with(".swo")))
}

#[cfg(test)]
mod tests;
