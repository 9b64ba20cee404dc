//! The disk threads with blocks in any order.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use metainfo::BLOCK_LENGTH;
use storage::{Access, Fault, FaultKind, MemoryDisk, StorageOptions};
use tempfile::tempdir;

use super::stepped::Stepped;
use super::*;
use crate::tests::support::Sample;

const BLOCK_SIZE: usize = BLOCK_LENGTH as usize;
const WAIT: Duration = Duration::from_secs(30);

pub(super) fn disk(sample: &Sample, root: &Path, access: Access) -> Arc<TorrentDisk> {
    let options = StorageOptions { access, ..StorageOptions::default() };
    let storage = Storage::new(root, &sample.torrent.info, options).unwrap();
    let add = Arc::new(AddTorrent::download(sample.torrent.clone(), root));
    Arc::new(TorrentDisk { key: 0, storage: Arc::new(storage), journal: None, add, inbox: Inbox::default() })
}

/// The same to write, with a journal.
pub(super) fn journaled(sample: &Sample, root: &Path, key: u32) -> Arc<TorrentDisk> {
    let disk = Arc::into_inner(disk(sample, root, Access::ReadWrite)).unwrap();
    let info = &sample.torrent.info;
    let journal = Journal::begin(&disk.storage, info, |_| false, |_| false).unwrap();
    Arc::new(TorrentDisk { key, journal: Some(Arc::new(journal)), ..disk })
}

/// Gathers results until `done`.
async fn gather(disk: &TorrentDisk, mut done: impl FnMut(&Results) -> bool) -> Results {
    let mut all = Results::default();
    while !done(&all) {
        if let Some(results) = disk.inbox.take() {
            all.written += results.written;
            all.lost += results.lost;
            all.pieces.extend(results.pieces);
            all.digests.extend(results.digests);
            all.reads.extend(results.reads);
            all.failed = all.failed.or(results.failed);
        } else {
            tokio::time::timeout(WAIT, disk.inbox.filled()).await.unwrap();
        }
    }
    all
}

pub(super) fn blocks(sample: &Sample, pool: &Arc<BlockShare>) -> Vec<(Block, BlockBuffer)> {
    let geometry = sample.torrent.info.geometry();
    let content = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    let all = (0..geometry.piece_count())
        .flat_map(|piece| (0..geometry.block_count(piece)).map(move |index| geometry.block(piece, index)));
    all.map(|block| {
        let start = usize::try_from(geometry.block_offset(block)).unwrap();
        let mut buffer = pool.try_take().unwrap();
        buffer.extend(&content[start..start + usize::try_from(block.length).unwrap()]);
        (block, buffer)
    })
    .collect()
}

#[tokio::test]
async fn pieces_are_right_in_whatever_order_and_company_their_blocks_come() {
    let sample = Sample::single(500_001, 4 * BLOCK_LENGTH);
    let threads = DiskThreads::start(2).unwrap();
    let pool = BlockPool::new(64, 64).share();
    for order in 0..6 {
        let dir = tempdir().unwrap();
        let disk = disk(&sample, dir.path(), Access::ReadWrite);
        let mut blocks = blocks(&sample, &pool);
        let count = u32::try_from(blocks.len()).unwrap();
        match order {
            0 => {}
            1 => blocks.reverse(),
            _ => blocks.sort_by_key(|(block, _)| block.begin.wrapping_mul(order * 7919) ^ block.piece),
        }
        while !blocks.is_empty() {
            let take = blocks.len().min(1 + usize::try_from(order).unwrap());
            threads.write(&disk, &mut blocks.drain(..take).collect());
        }
        let results = gather(&disk, |results| results.written == count).await;
        let mut pieces = results.pieces;
        pieces.sort_unstable();
        assert_eq!(pieces, (0..8).map(|piece| (piece, true)).collect::<Vec<_>>(), "order {order}");
        sample.assert_complete_in(dir.path());
        threads.end(&disk).await.unwrap();
    }
}

#[tokio::test]
async fn one_wrong_bit_makes_its_piece_wrong_and_it_can_come_again() {
    let sample = Sample::single(200_000, 2 * BLOCK_LENGTH);
    let (threads, pool, dir) =
        (DiskThreads::start(1).unwrap(), BlockPool::new(64, 64).share(), tempdir().unwrap());
    let disk = disk(&sample, dir.path(), Access::ReadWrite);
    let mut wrong = blocks(&sample, &pool);
    let (block, buffer) = &mut wrong[3];
    let mut bytes = buffer.as_slice().to_vec();
    bytes[7] ^= 1;
    *buffer = pool.try_take().unwrap();
    buffer.extend(&bytes);
    assert_eq!(block.piece, 1);
    let count = u32::try_from(wrong.len()).unwrap();
    threads.write(&disk, &mut wrong);
    let results = gather(&disk, |results| results.written == count).await;
    let bad: Vec<_> = results.pieces.iter().filter(|(_, good)| !good).collect();
    assert_eq!((results.pieces.len(), bad), (7, vec![&(1, false)]));
    let mut again: Vec<_> =
        blocks(&sample, &pool).into_iter().filter(|(block, _)| block.piece == 1).collect();
    threads.write(&disk, &mut again);
    assert_eq!(gather(&disk, |results| results.written == 2).await.pieces, [(1, true)]);
    sample.assert_complete_in(dir.path());
}

#[tokio::test]
async fn blocks_that_cannot_be_written_are_lost_with_the_reason_and_make_no_piece() {
    let sample = Sample::single(50_000, BLOCK_LENGTH);
    let (threads, pool) = (DiskThreads::start(1).unwrap(), BlockPool::new(64, 64).share());
    let disk = disk(&sample, sample.dir.path(), Access::ReadOnly);
    let mut blocks = blocks(&sample, &pool);
    threads.write(&disk, &mut blocks);
    assert!(blocks.is_empty());
    let results = gather(&disk, |results| results.lost == 4).await;
    assert_eq!((results.written, results.pieces), (0, vec![]));
    assert!(results.failed.unwrap().to_string().starts_with("cannot write "));
}

/// A torrent of four pieces on a disk in memory, of which the first two are claimed on the disk and the first is lost now.
fn with_a_loss(sample: &Sample) -> (MemoryDisk, Arc<TorrentDisk>, Stepped) {
    let memory = MemoryDisk::new(7);
    let info = &sample.torrent.info;
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    let storage = Storage::among(&memory.roots(), Path::new("/data"), info, options).unwrap();
    let content = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    storage.write(0, &[&content[..2 * BLOCK_SIZE]]).unwrap();
    let journal = Journal::begin(&storage, info, |piece| piece < 2, |_| false).unwrap();
    journal.sync(&storage).unwrap();
    let add = Arc::new(AddTorrent::download(sample.torrent.clone(), "/data"));
    let (storage, journal) = (Arc::new(storage), Some(Arc::new(journal)));
    let disk = Arc::new(TorrentDisk { key: 0, storage, journal, add, inbox: Inbox::default() });
    let mut threads = Stepped::new(&Rc::new(Cell::new(Instant::now())));
    threads.lost(&disk, vec![0]);
    (memory, disk, threads)
}

#[test]
fn h73_nothing_is_written_before_the_disk_knows_what_was_lost_and_other_torrents_do_not_wait() {
    let (sample, dir) = (Sample::single(4 * 16_384, BLOCK_LENGTH), tempdir().unwrap());
    let (memory, lossy, mut threads) = with_a_loss(&sample);
    let other = Arc::into_inner(disk(&sample, dir.path(), Access::ReadWrite)).unwrap();
    let other = Arc::new(TorrentDisk { key: 1, ..other });
    let pool = BlockPool::new(64, 64).share();
    for disk in [&lossy, &other] {
        blocks(&sample, &pool).into_iter().for_each(|(block, buffer)| threads.write(disk, block, buffer));
    }
    threads.digest(&lossy, 0);
    threads.write_only();
    assert_eq!(other.inbox.take().unwrap().pieces.len(), 4);
    assert!(lossy.inbox.take().is_none());
    let claims = || lossy.storage.past(&sample.torrent.info).0.unwrap().claims();
    let length = || memory.file(Path::new("/data/sample.bin")).unwrap().len();
    assert_eq!((claims().0, length()), (vec![1], 4 * BLOCK_SIZE));
    threads.turn();
    let results = lossy.inbox.take().unwrap();
    assert_eq!((results.pieces.len(), results.digests.len()), (4, 1), "all of it, in its order");
    assert!(results.digests[0].1.as_ref().unwrap().right);
    memory.cut_power();
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    let next = Storage::among(&memory.roots(), Path::new("/data"), &sample.torrent.info, options).unwrap();
    assert_eq!(next.past(&sample.torrent.info).0.unwrap().claims().0, [1]);
}

#[test]
fn h69_blocks_for_a_torrent_whose_loss_the_disk_does_not_take_are_lost_with_the_reason() {
    let sample = Sample::single(4 * 16_384, BLOCK_LENGTH);
    let (memory, disk, mut threads) = with_a_loss(&sample);
    memory.plan(Some(Fault { kind: FaultKind::Io, after: 0, lasting: true }));
    let pool = BlockPool::new(64, 64).share();
    blocks(&sample, &pool).into_iter().for_each(|(block, buffer)| threads.write(&disk, block, buffer));
    threads.end(&disk);
    threads.turn();
    memory.plan(None);
    let results = disk.inbox.take().unwrap();
    assert_eq!((results.written, results.lost), (0, 4));
    assert!(results.failed.unwrap().to_string().starts_with("cannot "));
    // It is tried again with what comes next.
    blocks(&sample, &pool).into_iter().for_each(|(block, buffer)| threads.write(&disk, block, buffer));
    threads.turn();
    assert_eq!(disk.inbox.take().unwrap().pieces.len(), 4);
}

#[test]
fn h73_a_piece_that_was_found_right_while_a_loss_waits_for_the_disk_is_claimed_after_it() {
    let sample = Sample::single(4 * 16_384, BLOCK_LENGTH);
    let (memory, disk, mut threads) = with_a_loss(&sample);
    let claims = || disk.storage.past(&sample.torrent.info).0.unwrap().claims();
    threads.lost(&disk, vec![1]);
    threads.right(&disk, &[0, 1]);
    threads.write_only();
    assert_eq!(claims(), (vec![1], vec![]), "the disk has not taken the loss yet");
    threads.turn();
    threads.end(&disk);
    threads.turn();
    assert_eq!(claims(), (vec![0, 1], vec![]));
    memory.cut_power();
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    let next = Storage::among(&memory.roots(), Path::new("/data"), &sample.torrent.info, options).unwrap();
    assert_eq!(next.past(&sample.torrent.info).0.unwrap().claims(), (vec![0, 1], vec![]));
}

#[test]
fn what_was_found_right_is_synced_in_its_time_though_nothing_else_comes() {
    let sample = Sample::single(4 * 16_384, BLOCK_LENGTH);
    let clock = Rc::new(Cell::new(Instant::now()));
    let (_memory, disk, _) = with_a_loss(&sample);
    let mut threads = Stepped::new(&clock);
    threads.right(&disk, &[0]);
    for _ in 0..10 {
        threads.turn();
        clock.set(clock.get() + Duration::from_secs(1));
    }
    assert_eq!(disk.storage.past(&sample.torrent.info).0.unwrap().claims(), (vec![0, 1], vec![]));
    assert!(!disk.journal.as_ref().unwrap().is_behind());
}

#[test]
fn h70_a_piece_that_was_edited_after_it_was_found_right_is_not_claimed() {
    let sample = Sample::single(4 * 16_384, BLOCK_LENGTH);
    let (_memory, disk, mut threads) = with_a_loss(&sample);
    disk.storage.watch(&disk.storage.files_now());
    threads.right(&disk, &[0]);
    // While it waits behind the loss its file changes, and is accepted to be hashed once more.
    disk.storage.doubt(0);
    disk.storage.accept(0);
    threads.turn();
    threads.right(&disk, &[1]);
    disk.storage.doubt(0);
    threads.end(&disk);
    threads.turn();
    assert_eq!(disk.storage.past(&sample.torrent.info).0.unwrap().claims(), (vec![1], vec![]));
}

#[tokio::test]
async fn h73_threads_settle_a_loss_and_go_on() {
    let (sample, dir) = (Sample::single(4 * 16_384, BLOCK_LENGTH), tempdir().unwrap());
    let (threads, pool) = (DiskThreads::start(2).unwrap(), BlockPool::new(64, 64).share());
    let disk = journaled(&sample, dir.path(), 0);
    threads.write(&disk, &mut blocks(&sample, &pool));
    threads.lost(&disk, vec![1, 2]);
    threads.write(
        &disk,
        &mut blocks(&sample, &pool).into_iter().filter(|(block, _)| block.piece == 1).collect(),
    );
    let results = gather(&disk, |results| results.pieces.len() == 5).await;
    assert_eq!((results.pieces[4], results.lost), ((1, true), 0));
    threads.end(&disk).await.unwrap();
    let claims = disk.storage.past(&sample.torrent.info).0.unwrap().claims();
    assert_eq!(claims, (vec![0, 1, 3], vec![]));
}

#[tokio::test]
async fn h68_a_run_that_cannot_be_read_as_a_whole_costs_only_the_blocks_that_are_gone() {
    let sample = Sample::single(3 * 16_384, BLOCK_LENGTH);
    std::fs::OpenOptions::new()
        .write(true)
        .open(sample.dir.path().join("sample.bin"))
        .unwrap()
        .set_len(2 * 16_384)
        .unwrap();
    let threads = DiskThreads::start(1).unwrap();
    let disk = disk(&sample, sample.dir.path(), Access::ReadOnly);
    let blocks: Vec<Block> = (0..3).map(|piece| sample.torrent.info.geometry().block(piece, 0)).collect();
    let job = |blocks: &[Block]| ReadJob {
        disk: Arc::clone(&disk),
        link: LinkId(7),
        epoch: 3,
        blocks: blocks.to_vec(),
    };
    threads.read(job(&blocks[..2]));
    threads.read(job(&blocks));
    let reads = gather(&disk, |results| results.reads.len() == 4).await.reads;
    let seen: Vec<_> = reads.iter().map(|read| (read.blocks.len(), read.run.is_ok())).collect();
    assert_eq!(seen, [(2, true), (1, true), (1, true), (1, false)]);
    assert!(reads.iter().all(|read| (read.link, read.epoch) == (LinkId(7), 3)));
    let content = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    assert!(reads[0].run.as_ref().unwrap().as_slice() == content);
}

#[tokio::test]
async fn h33_blocks_are_digested_after_the_writes_before_and_a_wrong_one_shows() {
    let sample = Sample::single(3 * 16_384 + 100, 4 * BLOCK_LENGTH);
    let (threads, pool, dir) =
        (DiskThreads::start(2).unwrap(), BlockPool::new(64, 64).share(), tempdir().unwrap());
    let disk = disk(&sample, dir.path(), Access::ReadWrite);
    threads.digest(&disk, 0);
    let mut wrong = blocks(&sample, &pool);
    let bytes = vec![7; BLOCK_SIZE];
    wrong[2].1 = pool.try_take().unwrap();
    wrong[2].1.extend(&bytes);
    threads.write(&disk, &mut wrong);
    threads.digest(&disk, 0);
    threads.write(&disk, &mut blocks(&sample, &pool));
    threads.digest(&disk, 0);
    let results = gather(&disk, |results| results.digests.len() == 3).await;
    let [(0, None), (0, Some(wrong)), (0, Some(right))] = &results.digests[..] else {
        panic!("{:?}", results.digests);
    };
    assert_eq!((wrong.right, right.right), (false, true));
    let differing: Vec<usize> = (0..4).filter(|&n| wrong.blocks[n] != right.blocks[n]).collect();
    assert_eq!((right.blocks.len(), differing), (4, vec![2]));
}

#[test]
fn pieces_that_were_told_just_before_others_were_lost_are_synced_too() {
    let (sample, dir) = (Sample::single(4 * 16_384, BLOCK_LENGTH), tempdir().unwrap());
    let clock = Rc::new(Cell::new(Instant::now()));
    let (disk, mut threads) = (journaled(&sample, dir.path(), 0), Stepped::new(&clock));
    let pool = BlockPool::new(64, 64).share();
    blocks(&sample, &pool)
        .into_iter()
        .take(2)
        .for_each(|(block, buffer)| threads.write(&disk, block, buffer));
    threads.lost(&disk, vec![3]);
    for _ in 0..10 {
        threads.turn();
        clock.set(clock.get() + Duration::from_secs(1));
    }
    assert!(!disk.journal.as_ref().unwrap().is_behind());
}
