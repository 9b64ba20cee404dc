//! Lists as files: an entry a line, blank lines and what follows `#` left out.
//!
//! Invariant: a list is taken whole or not at all, and the error says which line it is for.

use metainfo::InfoHash;
use thiserror::Error;

/// The longest line that is read: an entry is at most 64 characters, and somebody's note on it.
pub const MAX_LINE_BYTES: usize = 1024;

/// A line that is no entry of its list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct LineError {
    /// Which, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl LineError {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// The lines that hold an entry, without notes and white space around them, by their numbers.
pub(super) fn entries(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|&byte| byte == b'\n').enumerate();
    lines.filter_map(|(at, line)| {
        let without_note = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let trimmed = without_note.trim_ascii();
        (!trimmed.is_empty()).then_some((at.saturating_add(1), trimmed))
    })
}

/// An entry as text.
pub(super) fn entry(number: usize, line: &[u8]) -> Result<&str, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::new(number, format!("longer than {MAX_LINE_BYTES} bytes")));
    }
    std::str::from_utf8(line).map_err(|_| LineError::new(number, "not UTF-8 text"))
}

/// A set of info-hashes, 20 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfoHashes {
    /// In order, each once.
    sorted: Vec<InfoHash>,
}

impl InfoHashes {
    /// Reads a list: an info-hash a line, as 40 hexadecimal digits or 32 of base32, or the 64 hexadecimal digits of a
    /// v2 torrent, of which trackers see the first 40 (BEP 52).
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let hashes = entries(text).map(|(number, line)| {
            let text = entry(number, line)?;
            read(text).ok_or_else(|| {
                let reason = format!("'{text}' is not an info-hash of 40 or 64 hexadecimal digits");
                LineError::new(number, reason)
            })
        });
        hashes.collect()
    }

    /// Whether it is one of them.
    pub fn contains(&self, info_hash: &InfoHash) -> bool {
        self.sorted.binary_search(info_hash).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Those that are in one list and not in the other: how many are new here, and which of the old are gone.
    #[must_use]
    pub fn difference(&self, old: &Self) -> (usize, usize) {
        let new = self.sorted.iter().filter(|hash| !old.contains(hash)).count();
        let gone = old.sorted.iter().filter(|hash| !self.contains(hash)).count();
        (new, gone)
    }
}

impl FromIterator<InfoHash> for InfoHashes {
    fn from_iter<I: IntoIterator<Item = InfoHash>>(hashes: I) -> Self {
        let mut sorted: Vec<_> = hashes.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.shrink_to_fit();
        Self { sorted }
    }
}

fn read(text: &str) -> Option<InfoHash> {
    let is_v2 = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seen = if is_v2 { text.get(..40)? } else { text };
    seen.parse().ok()
}
