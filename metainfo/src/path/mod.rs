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

use std::cmp::Ordering;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

pub(crate) use clean::{Platform, clean_element, exact_element, is_clean_element};
pub(crate) use display::is_deceptive;
pub use display::{display_safe, without_os_error};
pub(crate) use unique::Names;

/// The most elements of a path below the torrent's name, the file's own included: a hundred folders with that of
/// the torrent. libtorrent stops there too, and no real torrent comes near.
pub(crate) const MAX_PATH_ELEMENTS: usize = 100;

/// The longest name of a torrent or of an element of a path, as it stands there. No file system holds more than a
/// sixteenth of it; what is longer than the disk holds but not longer than this is cut.
pub(crate) const MAX_ELEMENT_BYTES: usize = 4096;

/// The most path elements in all files of a torrent together: a hundred thousand files ten folders deep. Each may
/// cost some 150 bytes while the torrent is read, and takes a stranger three to write.
pub(crate) const MAX_ALL_PATH_ELEMENTS: usize = 1_000_000;

/// A relative path of safe elements: never empty, absolute or with `.`, `..`, NUL or separators inside an element.
///
/// On Unix a name that is not UTF-8 stays what it is, byte for byte, so that a folder with such names can be shared
/// and fetched; [`to_path_buf`](Self::to_path_buf) gives it. As text its odd bytes read `%E9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    /// The names on disk joined by `/`, which none of them contains. One allocation, because a stranger decides how
    /// many paths there are.
    bytes: Box<[u8]>,
}

impl SafePath {
    /// From elements that are safe already.
    pub(crate) fn from_safe<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N, IntoIter: Clone>) -> Self {
        let names = names.into_iter();
        let length = names.clone().map(|name| name.as_ref().len() + 1).sum::<usize>();
        let mut bytes = Vec::with_capacity(length.saturating_sub(1));
        for (index, name) in names.enumerate() {
            if index > 0 {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(name.as_ref());
        }
        Self { bytes: bytes.into() }
    }

    /// The elements as text, at least one. For the disk take [`to_path_buf`](Self::to_path_buf).
    pub fn elements(&self) -> impl Iterator<Item = String> + '_ {
        self.names().map(clean::text)
    }

    /// The path as this system writes it.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        #[cfg(unix)]
        {
            self.as_path().to_path_buf()
        }
        // Elsewhere names were made UTF-8.
        #[cfg(not(unix))]
        self.elements().collect()
    }

    /// The path as this system writes it, in place.
    #[cfg(unix)]
    #[must_use]
    pub fn as_path(&self) -> &Path {
        use std::os::unix::ffi::OsStrExt as _;
        Path::new(std::ffi::OsStr::from_bytes(&self.bytes))
    }

    /// The path of the first `count` elements: a folder on the way to this file.
    pub(crate) fn folder(&self, count: usize) -> Self {
        Self::from_safe(self.names().take(count))
    }

    /// The order element by element: what lies in a folder comes right after the folder's own path.
    pub(crate) fn cmp_by_elements(&self, other: &Self) -> Ordering {
        // No element contains NUL, which is less than anything that one does contain.
        let order = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        self.bytes.iter().map(order).cmp(other.bytes.iter().map(order))
    }

    /// Whether the other path is that of a folder on the way to this one.
    pub(crate) fn is_beneath(&self, other: &Self) -> bool {
        self.bytes.strip_prefix(&*other.bytes).is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.bytes.split(|&byte| byte == b'/')
    }
}

impl std::fmt::Display for SafePath {
    /// The elements joined by `/`, not escaped for a terminal: see [`display_safe`].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&clean::text(&self.bytes))
    }
}
