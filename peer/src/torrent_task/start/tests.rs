//! What a start makes of what an earlier run has left.

use std::collections::BTreeSet;
use std::time::Duration;

use storage::{Fault, FaultKind, MemoryDisk};

use super::*;
use crate::tests::support::Sample;

const DATA: &str = "/data";
const STATE: &str = "/state";
const SIZE: u64 = 8 * 16_384;

#[test]
fn sizes_are_written_for_people() {
    let texts = [0, 1023, 1024, 300 << 20, 1_288_490_189, u64::MAX].map(human);
    assert_eq!(texts, ["0 bytes", "1023 bytes", "1.0 KiB", "300 MiB", "1.2 GiB", "16383 PiB"]);
}

fn on(memory: &MemoryDisk, sample: &Sample) -> Storage {
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    Storage::among(&memory.roots(), Path::new(DATA), &sample.torrent.info, options).unwrap()
}

/// A start of a download.
fn start(memory: &MemoryDisk, add: &AddTorrent) -> Prepared {
    start_among(&memory.roots(), Path::new(STATE), add)
}

fn start_among(roots: &Roots, state: &Path, add: &AddTorrent) -> Prepared {
    let seals = Seals::among(roots, state).unwrap();
    let config = SessionConfig { state_dir: Some(state.to_owned()), ..SessionConfig::default() };
    let means = Means {
        config: &config,
        roots,
        seals: Some(&seals),
        threads: 1,
        cancel: &Cancel::new(),
        progress: &|_| (),
        warn: &|text| panic!("{text}"),
    };
    prepare(add, &means).unwrap()
}

/// A download that was killed when it had its first so many pieces, which a sync that failed left in doubt.
fn in_doubt(pieces: u32) -> (Sample, MemoryDisk, AddTorrent) {
    let (sample, memory) = (Sample::single(8 * 16_384, 16_384), MemoryDisk::new(7));
    let (storage, info) = (on(&memory, &sample), &sample.torrent.info);
    let mut marker = Marker::take(&storage, info).unwrap();
    marker.claim(&storage, info, &BTreeSet::new()).unwrap();
    storage.watch(&storage.files_now());
    let journal = Journal::begin(&storage, info, |_| false, |_| false).unwrap();
    let content = std::fs::read(sample.dir.path().join("sample.bin")).unwrap();
    storage.write(0, &[&content[..pieces as usize * 16_384]]).unwrap();
    journal.written(&storage, &(0..pieces).collect::<Vec<_>>());
    memory.plan(Some(Fault { kind: FaultKind::Io, after: 0, lasting: false }));
    assert!(journal.sync(&storage).is_err());
    memory.plan(None);
    drop((journal, marker, storage));
    memory.kill();
    memory.pass(Duration::from_secs(10));
    let add = AddTorrent::download(sample.torrent.clone(), DATA);
    (sample, memory, add)
}

#[test]
fn h69_what_a_start_writes_again_after_a_failed_sync_is_not_taken_for_an_edit() {
    let (_sample, memory, add) = in_doubt(5);
    let prepared = start(&memory, &add);
    assert_eq!(prepared.have.iter_ones().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(prepared.hashed, 5 * 16_384);
    prepared.storage.look();
    prepared.storage.read(0, &mut [0; 10]).unwrap();
    assert_eq!(prepared.storage.changes_noticed(), 0);
}

#[test]
fn h69_a_download_that_a_start_writes_again_and_completes_is_not_hashed_at_the_next() {
    let (_sample, memory, add) = in_doubt(8);
    let prepared = start(&memory, &add);
    assert_eq!((prepared.have.is_full(), prepared.hashed), (true, SIZE));
    assert_eq!((prepared.storage.changes_noticed(), prepared.unsynced.is_some()), (0, true));
    drop(prepared);
    memory.kill();
    assert_eq!(start(&memory, &add).hashed, 0);
}

#[test]
fn a_download_that_a_start_cuts_to_its_length_is_not_hashed_at_the_next() {
    let (sample, dir) = (Sample::single(8 * 16_384, 16_384), tempfile::tempdir().unwrap());
    sample.write_to(dir.path());
    let (path, state) = (dir.path().join("sample.bin"), dir.path().join("state"));
    let mut content = std::fs::read(&path).unwrap();
    content.extend(b"more");
    std::fs::write(&path, &content).unwrap();
    let add = AddTorrent { overwrite: true, ..AddTorrent::download(sample.torrent.clone(), dir.path()) };
    let prepared = start_among(&Roots::default(), &state, &add);
    assert_eq!((prepared.have.is_full(), prepared.hashed), (true, SIZE));
    drop(prepared);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), SIZE);
    assert_eq!(start_among(&Roots::default(), &state, &add).hashed, 0);
}
