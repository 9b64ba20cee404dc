//! Hashing some of the pieces again, while others are served.
//!
//! Invariant: as for [`crate::check()`]: right is what was read now and has the torrent's digest. It changes nothing.

use std::ops::Range;

use metainfo::Info;

use crate::cancel::Cancel;
use crate::check::check_pieces;
use crate::error::StorageError;
use crate::files::Storage;

impl Storage {
    /// Hashes these pieces, on up to `threads` threads; those that are right. What cannot be read is not.
    ///
    /// # Errors
    /// If the work was cancelled.
    pub fn recheck(
        &self,
        info: &Info,
        pieces: Range<u32>,
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Vec<u32>, StorageError> {
        let is_asked = |piece: &u32| pieces.contains(piece);
        let mut wanted: Vec<bool> =
            (0..self.geometry().piece_count()).map(|piece| is_asked(&piece)).collect();
        let mut has_aside = false;
        for piece in self.aside().into_iter().flat_map(crate::aside::Aside::used_pieces).filter(is_asked) {
            has_aside = true;
            if let Some(wanted) = wanted.get_mut(piece as usize) {
                *wanted = false;
            }
        }
        let (good, _) = check_pieces(self, info, &wanted, threads, cancel, &|_| {})?;
        let mut right: Vec<u32> = (0..).zip(good).filter(|(_, good)| *good).map(|(piece, _)| piece).collect();
        if has_aside {
            right.extend(self.check_aside(info, threads, cancel)?.into_iter().filter(is_asked));
        }
        Ok(right)
    }
}
