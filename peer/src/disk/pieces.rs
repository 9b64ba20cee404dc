//! The hashes of the pieces that are under way on one writer.
//!
//! Purpose: a processor takes several hashes at once for little more than the price of one (`storage::sha`). So blocks
//! stay in memory until their piece is whole, and whole pieces wait a moment for others to be hashed with.
//!
//! Invariant: a piece is hashed over the very bytes that were given to the disk, in order, and told of once (those of padding,
//! BEP 47, are not kept there and read as zeros). Blocks held here and
//! by the other writers are bounded by [`HELD_BLOCKS`]: beyond that, what can be hashed is, and the rest is read
//! back when its turn has come. It writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metainfo::Block;
use storage::sha::{MOST_LANES, Sha1, lanes, update_all};
use storage::{StorageError, StorageErrorKind};

use super::{BlockBuffer, TorrentDisk};
use crate::limits::HELD_BLOCKS;

/// How long a whole piece waits for the next, if the one before it came as shortly before: at a rate where that
/// matters, pieces of a megabyte come every few milliseconds.
const PATIENCE: Duration = Duration::from_millis(3);

/// How long blocks are held while nothing comes. After that they are others' to hold: a download that has stalled, or whose
/// disk is full, must not have all others read back what they write.
const IDLE: Duration = Duration::from_secs(1);

/// The torrent's key and the piece.
type Key = (u32, u32);

/// Where a block that has not been hashed is.
#[derive(Debug)]
enum Place {
    Held(BlockBuffer),
    /// On disk alone; so many bytes.
    OnDisk(u32),
}

/// Bytes that are next to be hashed.
enum Next {
    Held(BlockBuffer),
    ReadBack(Vec<u8>),
}

impl Next {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Held(buffer) => buffer.as_slice(),
            Self::ReadBack(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Piece {
    disk: Arc<TorrentDisk>,
    index: u32,
    sha: Sha1,
    /// How far the hash is, in bytes.
    hashed: u32,
    /// Blocks beyond that, by where they begin.
    blocks: BTreeMap<u32, Place>,
    /// Bytes of them.
    waiting: u32,
    /// Why a block could not be read back.
    failed: Option<StorageError>,
    /// [`storage::Storage::edits_of`] when its first block was written.
    edits: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pieces {
    under_way: BTreeMap<Key, Piece>,
    /// Those that are whole, in the order in which they became so.
    whole: Vec<Key>,
    /// When the last one did.
    last_whole: Option<Instant>,
    /// Whether it came so shortly after the one before that another is waited for.
    patient: bool,
    /// Blocks that this writer holds, and that all do.
    held: usize,
    held_by_all: Arc<AtomicUsize>,
    /// When blocks came last.
    last_came: Option<Instant>,
    /// Pieces that were right, for their journals.
    right: Vec<(Arc<TorrentDisk>, u32)>,
}

impl Pieces {
    /// With the count of blocks held that all writers share.
    pub(super) fn new(held_by_all: Arc<AtomicUsize>) -> Self {
        Self {
            under_way: BTreeMap::new(),
            whole: Vec::new(),
            last_whole: None,
            patient: false,
            held: 0,
            held_by_all,
            last_came: None,
            right: Vec::new(),
        }
    }

    /// Takes the pieces that turned out right since the last call, of torrents that have a journal.
    pub(super) fn take_right(&mut self) -> std::vec::Drain<'_, (Arc<TorrentDisk>, u32)> {
        self.right.drain(..)
    }

    /// Takes adjacent blocks of a piece that are on disk now. Whether they make it whole: its last block then counts
    /// as written once it has been hashed.
    pub(super) fn take(
        &mut self,
        disk: &Arc<TorrentDisk>,
        run: impl Iterator<Item = (Block, BlockBuffer)>,
        now: Instant,
    ) -> bool {
        let mut whole = false;
        self.last_came = Some(now);
        for (block, buffer) in run {
            let key = (disk.key, block.piece);
            if self.whole.contains(&key) {
                // It comes once more: what came first is judged first.
                self.hash_whole();
            }
            let piece = self.under_way.entry(key).or_insert_with(|| Piece::new(disk, block.piece));
            let size = disk.info().geometry().piece_size(block.piece);
            if piece.add(block, buffer) {
                self.held += 1;
                self.held_by_all.fetch_add(1, Ordering::Relaxed);
            }
            if piece.hashed.saturating_add(piece.waiting) >= size {
                self.whole.push(key);
                self.patient = self.last_whole.is_some_and(|last| now.duration_since(last) <= PATIENCE);
                self.last_whole = Some(now);
                whole = true;
            }
        }
        whole
    }

    /// Hashes what need not wait. Answers when to look again if no more blocks come.
    pub(super) fn settle(&mut self, now: Instant) -> Option<Instant> {
        let due = self.last_whole.map(|last| last + PATIENCE);
        let due = due.filter(|&due| self.patient && now < due && self.whole.len() < lanes());
        if due.is_none() {
            self.hash_whole();
        }
        let idle = self.last_came.map(|last| last + IDLE);
        if self.held_by_all.load(Ordering::Relaxed) > HELD_BLOCKS || idle.is_some_and(|idle| idle <= now) {
            self.hash_whole();
            self.release();
        }
        due.filter(|_| !self.whole.is_empty()).or(idle.filter(|_| self.held > 0))
    }

    /// Gives up the pieces of a torrent.
    pub(super) fn forget(&mut self, torrent: u32) {
        self.hash_whole();
        self.under_way.retain(|(key, _), _| *key != torrent);
        self.count_held();
    }

    /// Hashes all pieces that are whole, and tells of them.
    pub(super) fn hash_whole(&mut self) {
        let keys = std::mem::take(&mut self.whole);
        let mut pieces: Vec<Piece> = keys.into_iter().filter_map(|key| self.under_way.remove(&key)).collect();
        for together in pieces.chunks_mut(lanes()) {
            let mut together: Vec<&mut Piece> = together.iter_mut().collect();
            advance(&mut together);
        }
        self.count_held();
        for piece in pieces {
            let (disk, index) = (Arc::clone(&piece.disk), piece.index);
            if piece.tell() && disk.journal.is_some() {
                self.right.push((disk, index));
            }
        }
    }

    /// Hashes all that can be, and leaves the rest on disk alone.
    fn release(&mut self) {
        let mut pieces: Vec<&mut Piece> =
            self.under_way.values_mut().filter(|piece| piece.blocks.contains_key(&piece.hashed)).collect();
        for together in pieces.chunks_mut(lanes()) {
            advance(together);
        }
        for place in self.under_way.values_mut().flat_map(|piece| piece.blocks.values_mut()) {
            if let Place::Held(buffer) = place {
                *place = Place::OnDisk(u32::try_from(buffer.as_slice().len()).unwrap_or(0));
            }
        }
        self.count_held();
    }

    fn count_held(&mut self) {
        let places = self.under_way.values().flat_map(|piece| piece.blocks.values());
        let held = places.filter(|place| matches!(place, Place::Held(_))).count();
        self.held_by_all.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        self.held = held;
    }
}

/// Hashes the blocks that follow on what has been hashed, of each piece.
fn advance(pieces: &mut [&mut Piece]) {
    loop {
        let next: [Option<Next>; MOST_LANES] =
            std::array::from_fn(|at| pieces.get_mut(at).and_then(|piece| piece.next()));
        if next.iter().all(Option::is_none) {
            return;
        }
        let given = pieces.iter_mut().zip(&next);
        update_all(given.filter_map(|(piece, next)| Some((&mut piece.sha, next.as_ref()?.as_slice()))));
    }
}

impl Piece {
    fn new(disk: &Arc<TorrentDisk>, index: u32) -> Self {
        Self {
            disk: Arc::clone(disk),
            index,
            sha: Sha1::default(),
            hashed: 0,
            blocks: BTreeMap::new(),
            waiting: 0,
            failed: None,
            edits: disk.storage.edits_of(index),
        }
    }

    /// Keeps a block until its turn has come. `false` if that is over, or it is here.
    fn add(&mut self, block: Block, buffer: BlockBuffer) -> bool {
        if block.begin < self.hashed || self.blocks.contains_key(&block.begin) {
            return false;
        }
        self.waiting += u32::try_from(buffer.as_slice().len()).unwrap_or(0);
        self.blocks.insert(block.begin, Place::Held(buffer));
        true
    }

    /// The block that follows on what has been hashed, if it is here.
    fn next(&mut self) -> Option<Next> {
        if self.failed.is_some() {
            return None;
        }
        let next = match self.blocks.remove(&self.hashed)? {
            Place::Held(buffer) => Next::Held(buffer),
            Place::OnDisk(length) => {
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                let at = self.disk.info().geometry().piece_offset(self.index) + u64::from(self.hashed);
                if let Err(error) = self.disk.storage.read(at, &mut bytes) {
                    self.failed = Some(error);
                    return None;
                }
                Next::ReadBack(bytes)
            }
        };
        let length = u32::try_from(next.as_slice().len()).unwrap_or(0);
        self.hashed += length;
        self.waiting -= length;
        Some(next)
    }

    /// Tells the torrent whether the piece is right, and that its last block is written. Whether it is.
    fn tell(self) -> bool {
        let Self { disk, index, sha, failed, edits, .. } = self;
        // A file that is in doubt only for a piece that it shares with one that was edited counts no edit itself.
        let is_in_doubt = failed.as_ref().is_some_and(|error| error.kind == StorageErrorKind::NotWhatItWas);
        if disk.storage.edits_of(index) != edits || is_in_doubt {
            // Somebody has changed a file of it between its blocks: what we hashed may not be what is there, and nobody who
            // sent it is to blame. All of the file is hashed again, and this piece with it.
            disk.storage.doubt_piece(index);
            disk.inbox.add(|results| {
                results.written += 1;
                results.pieces.push((index, true));
                results.edits.insert(index, edits);
            });
            return false;
        }
        if let Some(error) = failed {
            disk.inbox.add(|results| {
                results.lost += 1;
                results.failed.get_or_insert(error);
            });
            return false;
        }
        let good = disk.info().piece_hash(index).is_some_and(|due| *due.as_bytes() == sha.finish());
        disk.inbox.add(|results| {
            results.written += 1;
            results.pieces.push((index, good));
            results.edits.insert(index, edits);
        });
        good
    }
}

#[cfg(test)]
mod tests;
