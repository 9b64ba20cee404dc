//! Paths that a stranger chose, made safe to create on disk and to print.
//!
//! Invariant: joining a [`SafePath`] to a folder stays beneath that folder, on this system, whatever a torrent says.
//! The work is split: `clean` makes one name safe, `unique` keeps two files from being one, `display` prints.
//!
//! It does not look at the disk: that nothing on the way is a link is the business of whoever opens the file.

mod clean;
mod display;
mod unique;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use clean::{Platform, clean_element, exact_element};
pub use display::display_safe;
pub(crate) use unique::Names;

/// The most elements of a path below the torrent's name, the file's own included: a hundred folders with that of
/// the torrent. libtorrent stops there too, and no real torrent comes near.
pub(crate) const MAX_PATH_ELEMENTS: usize = 100;

/// A relative path of safe elements: never empty, absolute or with `.`, `..`, NUL or separators inside an element.
///
/// On Unix a name that is not UTF-8 stays what it is, byte for byte, so that a folder with such names can be shared
/// and fetched; [`to_path_buf`](Self::to_path_buf) gives it. As text its odd bytes read `%E9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    elements: Vec<String>,
    /// The names on disk, kept only where one of them is not UTF-8.
    bytes: Option<Vec<Vec<u8>>>,
}

impl SafePath {
    /// From elements that are safe already.
    pub(crate) fn from_safe(names: Vec<Vec<u8>>) -> Self {
        let elements = names.iter().map(|name| clean::text(name)).collect();
        let bytes = names.iter().any(|name| std::str::from_utf8(name).is_err()).then_some(names);
        Self { elements, bytes }
    }

    /// The elements as text, at least one. For the disk take [`to_path_buf`](Self::to_path_buf).
    #[must_use]
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// The path as this system writes it.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        #[cfg(unix)]
        if let Some(bytes) = &self.bytes {
            use std::os::unix::ffi::OsStrExt as _;
            return bytes.iter().map(|name| std::ffi::OsStr::from_bytes(name)).collect();
        }
        self.elements.iter().collect()
    }

    /// The path of the first `count` elements: a folder on the way to this file.
    pub(crate) fn folder(&self, count: usize) -> Self {
        let bytes = self.bytes.as_ref().map(|names| names.iter().take(count).cloned().collect());
        Self { elements: self.elements.iter().take(count).cloned().collect(), bytes }
    }
}

impl std::fmt::Display for SafePath {
    /// The elements joined by `/`, not escaped for a terminal: see [`display_safe`].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.elements.join("/"))
    }
}
