//! Pieces whose blocks are on disk already, without a thread.

use metainfo::BLOCK_LENGTH;
use storage::Access;

use super::*;
use crate::disk::tests::{blocks, disk};
use crate::disk::{BlockPool, Results};
use crate::tests::support::Sample;

const BLOCK_BYTES: usize = BLOCK_LENGTH as usize;

struct Fixture {
    /// Holds the files.
    sample: Sample,
    pieces: Pieces,
    held: Arc<AtomicUsize>,
    disk: Arc<TorrentDisk>,
    blocks: Vec<Option<(Block, BlockBuffer)>>,
    start: Instant,
}

impl Fixture {
    /// Pieces of two blocks.
    fn new(pieces: usize) -> Self {
        let sample = Sample::single(2 * BLOCK_BYTES * pieces, 2 * BLOCK_LENGTH);
        let disk = disk(&sample, sample.dir.path(), Access::ReadOnly);
        let blocks =
            blocks(&sample, &BlockPool::new(2 * pieces, 2 * pieces).share()).into_iter().map(Some).collect();
        let held = Arc::new(AtomicUsize::new(0));
        let pieces = Pieces::new(Arc::clone(&held));
        Self { sample, pieces, held, disk, blocks, start: Instant::now() }
    }

    /// A block comes, so many milliseconds after the start. Whether it makes its piece whole.
    fn take(&mut self, block: usize, at: u64) -> bool {
        let (disk, now) = (Arc::clone(&self.disk), self.at(at));
        let block = self.blocks[block].take();
        self.pieces.take(&disk, block.into_iter(), now)
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn told(&self) -> Vec<(u32, bool)> {
        self.disk.inbox.take().unwrap_or_default().pieces
    }
}

#[test]
fn a_piece_that_comes_alone_is_hashed_at_once() {
    let mut fixture = Fixture::new(3);
    assert!(!fixture.take(0, 0));
    assert!(fixture.take(1, 0));
    assert_eq!(fixture.pieces.settle(fixture.at(0)), None);
    assert_eq!(fixture.told(), [(0, true)]);
    fixture.take(2, 100);
    fixture.take(3, 100);
    assert_eq!(fixture.pieces.settle(fixture.at(100)), None);
    assert_eq!(fixture.told(), [(1, true)]);
}

#[test]
fn pieces_that_come_quickly_wait_for_one_another_but_not_long() {
    let mut fixture = Fixture::new(2 + MOST_LANES);
    (0..4).for_each(|block| assert_eq!(fixture.take(block, 0), block % 2 == 1));
    let due = fixture.pieces.settle(fixture.at(0));
    if lanes() == 1 {
        assert_eq!((due, fixture.told()), (None, vec![(0, true), (1, true)]));
        return;
    }
    assert_eq!((due, fixture.told()), (Some(fixture.at(3)), vec![]));
    assert_eq!(fixture.pieces.settle(fixture.at(3)), None);
    assert_eq!(fixture.told(), [(0, true), (1, true)]);
    // As many as are hashed at once wait for nobody.
    (4..4 + 2 * MOST_LANES).for_each(|block| {
        fixture.take(block, 5);
    });
    assert_eq!(fixture.pieces.settle(fixture.at(5)), None);
    assert_eq!(fixture.told().len(), MOST_LANES);
    assert_eq!(fixture.held.load(Ordering::Relaxed), 0);
}

#[test]
fn a_last_block_counts_as_written_with_its_piece() {
    let mut fixture = Fixture::new(1);
    assert!(!fixture.take(1, 0));
    assert!(fixture.take(0, 0));
    fixture.pieces.hash_whole();
    let Some(Results { written: 1, pieces, .. }) = fixture.disk.inbox.take() else { panic!("not told") };
    assert_eq!(pieces, [(0, true)]);
}

#[test]
fn more_blocks_than_may_be_held_are_let_go_and_the_digests_stay_right() {
    // Every second block first: none of them can be hashed.
    let count = HELD_BLOCKS + 20;
    let mut fixture = Fixture::new(count);
    for piece in 0..count {
        fixture.take(2 * piece + 1, 0);
        fixture.pieces.settle(fixture.at(0));
        assert!(fixture.held.load(Ordering::Relaxed) <= HELD_BLOCKS);
    }
    for piece in 0..count {
        assert!(fixture.take(2 * piece, 0));
        fixture.pieces.settle(fixture.at(0));
    }
    fixture.pieces.hash_whole();
    let mut told = fixture.told();
    told.sort_unstable();
    assert!(told.into_iter().eq((0..).map(|piece| (piece, true)).take(count)));
    assert_eq!(fixture.held.load(Ordering::Relaxed), 0);
}

#[test]
fn what_can_be_hashed_already_is_when_too_much_is_held() {
    let mut fixture = Fixture::new(HELD_BLOCKS + 1);
    for piece in 0..=HELD_BLOCKS {
        fixture.take(2 * piece, 0);
    }
    fixture.pieces.settle(fixture.at(0));
    assert_eq!(fixture.held.load(Ordering::Relaxed), 0);
    // The files are not needed any more.
    std::fs::remove_file(fixture.sample.dir.path().join("sample.bin")).unwrap();
    assert!(fixture.take(1, 0));
    fixture.pieces.hash_whole();
    assert_eq!(fixture.told(), [(0, true)]);
}

#[test]
fn pieces_that_are_given_up_are_let_go() {
    let mut fixture = Fixture::new(2);
    fixture.take(0, 0);
    fixture.take(2, 0);
    assert_eq!(fixture.held.load(Ordering::Relaxed), 2);
    fixture.pieces.forget(fixture.disk.key + 1);
    assert_eq!(fixture.held.load(Ordering::Relaxed), 2);
    fixture.pieces.forget(fixture.disk.key);
    assert_eq!((fixture.held.load(Ordering::Relaxed), fixture.told()), (0, vec![]));
}

#[test]
fn blocks_of_a_download_that_has_stalled_are_let_go_and_the_digest_stays_right() {
    let mut fixture = Fixture::new(1);
    fixture.take(1, 0);
    assert_eq!(fixture.pieces.settle(fixture.at(0)), Some(fixture.at(1000)));
    assert_eq!(fixture.held.load(Ordering::Relaxed), 1);
    assert_eq!(fixture.pieces.settle(fixture.at(1000)), None);
    assert_eq!(fixture.held.load(Ordering::Relaxed), 0);
    assert!(fixture.take(0, 5000));
    fixture.pieces.settle(fixture.at(5000));
    assert_eq!(fixture.told(), [(0, true)]);
}

#[test]
fn h70_a_piece_that_cannot_be_read_back_from_a_file_in_doubt_is_hashed_again_and_fails_nothing() {
    let mut fixture = Fixture::new(3);
    let storage = Arc::clone(&fixture.disk.storage);
    storage.watch(&storage.files_now());
    fixture.take(3, 0);
    fixture.pieces.settle(fixture.at(2000));
    // Another piece was found in a file that was edited, and this file has the rest of it.
    storage.doubt_piece(0);
    assert!(fixture.take(2, 2000));
    fixture.pieces.settle(fixture.at(2000));
    let results = fixture.disk.inbox.take().unwrap();
    assert!(results.failed.is_none(), "{:?}", results.failed);
    assert_eq!((results.pieces, results.lost, storage.changed_files()), (vec![(1, true)], 0, vec![0]));
}
