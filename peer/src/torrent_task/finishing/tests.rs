//! Downloads that are complete while their disk fails.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::{
    Access, Cancel, Fault, FaultKind, Journal, MemoryDisk, Seals, Storage, StorageErrorKind, StorageOptions,
};

use super::*;
use crate::disk::Inbox;
use crate::disk::stepped::Stepped;
use crate::tests::support::Sample;

const DATA: &str = "/data";
const STATE: &str = "/state";

/// What a power cut brings to the disk of what was not synced hangs on the seed.
const SEEDS: u64 = 20;

/// A download of eight pieces that is complete when its disk fails.
struct Story {
    sample: Sample,
    content: Vec<u8>,
    memory: MemoryDisk,
    disk: Arc<TorrentDisk>,
    marker: Marker,
    seals: Arc<Seals>,
    clock: Rc<Cell<Instant>>,
    threads: Stepped,
}

impl Story {
    /// All pieces are written, and told to the journal.
    fn new(seed: u64) -> Self {
        let sample = Sample::single(8 * 16_384, 16_384);
        let info = &sample.torrent.info;
        let memory = MemoryDisk::new(seed);
        let seals = Arc::new(Seals::among(&memory.roots(), Path::new(STATE)).unwrap());
        let storage = Arc::new(on(&memory, &sample));
        let mut marker = Marker::take(&storage, info).unwrap();
        marker.claim(&storage, info, &BTreeSet::new()).unwrap();
        storage.watch(&storage.files_now());
        let journal = Arc::new(Journal::begin(&storage, info, |_| false, |_| false).unwrap());
        let content = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
        storage.write(0, &[&content]).unwrap();
        journal.written(&storage, &(0..8).collect::<Vec<_>>());
        let add = Arc::new(AddTorrent::download(sample.torrent.clone(), DATA));
        let disk = TorrentDisk { key: 0, storage, journal: Some(journal), add, inbox: Inbox::default() };
        let clock = Rc::new(Cell::new(Instant::now()));
        let threads = Stepped::new(&clock);
        Self { content, memory, disk: Arc::new(disk), marker, seals, threads, clock, sample }
    }

    /// What is to be synced now is not, and the kernel tells of that once.
    fn fail(&self, sync: impl FnOnce(&TorrentDisk) -> Result<(), StorageError>) {
        self.memory.plan(Some(Fault { kind: FaultKind::Io, after: 0, lasting: false }));
        assert!(sync(&self.disk).is_err() && self.memory.has_struck());
        self.memory.plan(None);
    }

    fn finish(&mut self) -> Finished {
        let (disk, seals, threads) = (&self.disk, &self.seals, &mut self.threads);
        finish(disk, Some(&self.marker), || {
            let then = disk.storage.files_known();
            seals.save(&disk.storage, disk.info(), &then, false).unwrap();
            threads.seal(disk, Arc::clone(seals), then);
        })
    }

    /// The process goes on for a second, and is over.
    fn end(mut self) -> (Sample, MemoryDisk, Vec<u8>) {
        self.clock.set(self.clock.get() + Duration::from_secs(1));
        self.threads.turn();
        drop((self.threads, self.marker, self.disk));
        self.memory.kill();
        (self.sample, self.memory, self.content)
    }
}

fn on(disk: &MemoryDisk, sample: &Sample) -> Storage {
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    Storage::among(&disk.roots(), Path::new(DATA), &sample.torrent.info, options).unwrap()
}

#[test]
fn h69_a_download_that_is_complete_after_a_sync_failed_is_neither_finished_nor_sealed() {
    for seed in 0..SEEDS {
        let mut story = Story::new(seed);
        story.fail(|disk| disk.journal.as_ref().unwrap().sync(&disk.storage));
        assert_eq!(story.finish().map_err(|error| error.kind).err(), Some(StorageErrorKind::Io));
        let (sample, memory, _) = story.end();
        let (storage, info) = (on(&memory, &sample), &sample.torrent.info);
        let seals = Seals::among(&memory.roots(), Path::new(STATE)).unwrap();
        assert!(seals.past(&storage, info).is_none());
        assert!(Marker::take(&storage, info).unwrap().found);
        let proof = storage.past(info).0.unwrap().prove(&storage, info, 1, &Cancel::new(), &|_| {}).unwrap();
        assert_eq!((&proof.pieces, &proof.synced), (&vec![true; 8], &vec![false; 8]));
        assert_eq!(proof.hashed, 8 * 16_384);
    }
}

#[test]
fn h69_a_sync_that_fails_just_when_a_download_is_complete_puts_its_seal_in_doubt_at_once() {
    for seed in 0..SEEDS {
        let mut story = Story::new(seed);
        assert!(matches!(story.finish(), Ok(None)));
        story.fail(|disk| disk.storage.sync());
        let (sample, memory, content) = story.end();
        let (storage, info) = (on(&memory, &sample), &sample.torrent.info);
        let seals = Seals::among(&memory.roots(), Path::new(STATE)).unwrap();
        let past = seals.past(&storage, info).unwrap();
        assert!(past.is_in_doubt());
        // Now it is written once more, and that sync is about these bytes.
        let proof = past.prove(&storage, info, 1, &Cancel::new(), &|_| {}).unwrap();
        assert_eq!((proof.pieces, proof.hashed), (vec![true; 8], 8 * 16_384));
        assert!(storage.sync_all().unwrap());
        drop(storage);
        memory.pass(Duration::from_secs(60));
        memory.cut_power();
        let mut bytes = vec![0; content.len()];
        // That it is gone would be noticed.
        let is_gone = on(&memory, &sample).read(0, &mut bytes).is_err();
        assert!(is_gone || bytes == content, "seed {seed}: what was written again was synced");
    }
}

#[test]
fn h69_pieces_that_are_told_after_all_is_there_do_not_keep_it_from_being_sealed_as_synced() {
    let mut story = Story::new(0);
    assert!(matches!(story.finish(), Ok(None)));
    story.threads.turn();
    // As a batch of the last pieces is, some time after it was begun.
    story.threads.written(&story.disk);
    for _ in 0..10 {
        story.clock.set(story.clock.get() + Duration::from_secs(1));
        story.threads.turn();
    }
    assert!(story.seals.past(&story.disk.storage, story.disk.info()).unwrap().is_synced());
}
