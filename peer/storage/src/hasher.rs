//! The digests that go into a new torrent.
//!
//! Invariant: what is returned are the digests of exactly the files that were walked, at the sizes that they had
//! then. A file that changed meanwhile, by its size or its time of change, ends the work with an error that names it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use metainfo::Geometry;

use crate::cancel::Cancel;
use crate::digests::{Digest, Job, Source, digest_pieces};
use crate::error::StorageError;
use crate::open::regular_file;
use crate::system::{Handle, Status};
use crate::walk::{Walked, WalkedFile};

/// Bytes of a SHA-1 digest.
const DIGEST: usize = 20;

/// The SHA-1 of every piece of the walked files, end to end (BEP 3: the value of `pieces`).
///
/// Uses up to `threads` threads (24 at most), the caller's among them, and a megabyte of memory each besides the
/// digests. `progress` is told how many bytes were done since it was told last; it is called from all threads.
///
/// # Errors
/// If a file cannot be read or changed since it was walked, the piece length is not allowed or makes too many pieces,
/// or the work was cancelled.
pub fn hash_files(
    walked: &Walked,
    piece_length: u32,
    threads: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<u8>, StorageError> {
    let mut offset = 0u64;
    let mut files = Vec::with_capacity(walked.files.len());
    for file in &walked.files {
        files.push((offset, file));
        let sum = offset.checked_add(file.length);
        let too_large =
            || StorageError::invalid("hash", &walked.path_of(file), "the files are too large together");
        offset = sum.ok_or_else(too_large)?;
    }
    let geometry = Geometry::new(offset, piece_length)
        .map_err(|e| StorageError::invalid("hash", &walked.path, e.to_string()))?;
    let digests = Mutex::new(vec![0; geometry.piece_count() as usize * DIGEST]);
    digest_pieces(&Hashing { walked, files, digests: &digests }, geometry, threads, cancel, progress)?;
    Ok(digests.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Hashing<'w> {
    walked: &'w Walked,
    /// Offset in the content, and the file.
    files: Vec<(u64, &'w WalkedFile)>,
    digests: &'w Mutex<Vec<u8>>,
}

impl Job for Hashing<'_> {
    fn extent(&self, file: usize) -> Option<(u64, u64)> {
        self.files.get(file).map(|(offset, file)| (*offset, file.length))
    }

    fn file_at(&self, offset: u64) -> usize {
        self.files.partition_point(|(start, file)| start + file.length <= offset)
    }

    fn path(&self, file: usize) -> PathBuf {
        self.files.get(file).map_or_else(PathBuf::new, |(_, file)| self.walked.path_of(file))
    }

    fn open(&self, file: usize) -> Result<Source, StorageError> {
        let path = self.path(file);
        let (handle, status) = regular_file(&path)?;
        if self.extent(file).is_none_or(|(_, length)| length != status.identity.length) {
            return Err(StorageError::changed(&path));
        }
        Ok(Source::File(handle, status))
    }

    fn close(&self, file: usize, handle: Handle, opened: &Status) -> Result<(), StorageError> {
        let path = || self.path(file);
        let now = handle.status().map_err(|e| StorageError::io("look at", &path(), e))?.identity;
        let then = opened.identity;
        if (now.length, now.modified) == (then.length, then.modified) {
            Ok(())
        } else {
            Err(StorageError::changed(&path()))
        }
    }

    fn wanted(&self, _piece: u32) -> bool {
        true
    }

    fn failed(&self, _file: usize, error: StorageError) -> Result<(), StorageError> {
        // A file that ends early had its full length when it was walked.
        Err(if error.kind == crate::StorageErrorKind::TooShort {
            StorageError::changed(&error.path)
        } else {
            error
        })
    }

    fn put(&self, first: u32, digests: &[Option<Digest>]) {
        let mut all = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let places = all.chunks_exact_mut(DIGEST).skip(first as usize);
        for (place, digest) in places.zip(digests) {
            // Without a digest the whole work fails: see `failed`.
            if let Some(digest) = digest {
                place.copy_from_slice(digest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
