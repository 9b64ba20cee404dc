//! What the disk promises, and what it does not.

use std::fs::TryLockError;
use std::sync::Arc;

use super::*;
use crate::open::{Links, Purpose, Root};
use crate::system::Handle;

fn root(disk: &MemoryDisk) -> Arc<Root> {
    disk.roots().open(Path::new("/data"), true).unwrap()
}

fn make(root: &Root, name: &str, bytes: &[u8]) -> Handle {
    let (file, _) = root.file(Path::new(name), Purpose::Create, Links::Refuse).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn seen(disk: &MemoryDisk, name: &str) -> Option<Vec<u8>> {
    disk.file(&Path::new("/data").join(name))
}

/// What is on disks of many seeds after the power has failed.
fn after_cuts(prepare: impl Fn(&Root)) -> Vec<MemoryDisk> {
    (0..64)
        .map(|seed| {
            let disk = MemoryDisk::new(seed);
            prepare(&root(&disk));
            disk.cut_power();
            disk
        })
        .collect()
}

#[test]
fn what_is_synced_with_its_name_survives_a_power_cut_and_the_rest_may_not() {
    let disks = after_cuts(|root| {
        make(root, "safe", b"safe").sync().unwrap();
        root.sync_folder(Path::new("")).unwrap();
        make(root, "nameless", b"nameless").sync().unwrap();
        make(root, "safe", b"SAFE");
    });
    let count = |name: &str, due: Option<&[u8]>| {
        disks.iter().filter(|disk| seen(disk, name).as_deref() == due).count()
    };
    assert_eq!(count("safe", Some(b"safe")) + count("safe", Some(b"SAFE")), 64);
    assert!(count("safe", Some(b"safe")) > 9 && count("safe", Some(b"SAFE")) > 9);
    assert_eq!(count("nameless", Some(b"nameless")) + count("nameless", None), 64);
    assert!(count("nameless", None) > 9);
}

#[test]
fn pages_that_are_not_synced_come_through_each_for_itself() {
    let disks = after_cuts(|root| {
        let file = make(root, "file", &[1; 256]);
        file.sync().unwrap();
        root.sync_folder(Path::new("")).unwrap();
        file.write_all_at(&[2; 256], 0).unwrap();
        file.write_all_at(&[3; 64], 256).unwrap();
    });
    let contents: Vec<Vec<u8>> = disks.iter().map(|disk| seen(disk, "file").unwrap()).collect();
    let whole = |page: &[u8]| page.iter().all(|byte| *byte == page[0]);
    assert!(contents.iter().all(|bytes| bytes.chunks(64).all(whole)));
    assert!(contents.iter().any(|bytes| bytes[0] == 1 && bytes[64] == 2));
    assert!(contents.iter().any(|bytes| bytes[0] == 2 && bytes[64] == 1));
    assert!(contents.iter().any(|bytes| bytes.len() == 256));
    assert!(contents.iter().any(|bytes| bytes.len() == 320 && bytes[256] == 0), "longer than what came");
}

#[test]
fn a_sync_that_failed_is_told_once_and_never_made_good() {
    let mut lost = 0;
    for seed in 0..64 {
        let disk = MemoryDisk::new(seed);
        let file = make(&root(&disk), "file", &[1; 64]);
        disk.plan(Some(Fault { kind: FaultKind::Io, after: 0, lasting: false }));
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        assert_eq!(seen(&disk, "file").unwrap(), [1; 64], "memory still has it");
        disk.kill_and_evict();
        lost += usize::from(seen(&disk, "file").unwrap() != [1; 64]);
    }
    assert!((10..54).contains(&lost), "{lost} of 64 were lost");
}

#[test]
fn writing_once_more_after_a_sync_that_failed_brings_it_to_the_disk() {
    for seed in 0..16 {
        let disk = MemoryDisk::new(seed);
        let file = make(&root(&disk), "file", &[1; 64]);
        disk.plan(Some(Fault { kind: FaultKind::Io, after: 0, lasting: false }));
        assert!(file.sync().is_err());
        file.write_all_at(&[1], 7).unwrap();
        file.sync().unwrap();
        disk.kill_and_evict();
        assert_eq!(seen(&disk, "file").unwrap(), [1; 64], "the whole page is written: seed {seed}");
    }
}

#[test]
fn the_process_that_is_over_changes_nothing_and_holds_no_lock() {
    let disk = MemoryDisk::new(7);
    let old = make(&root(&disk), "file", b"old");
    old.try_lock().unwrap();
    disk.kill();
    let (new, _) = root(&disk).file(Path::new("file"), Purpose::Write, Links::Refuse).unwrap();
    new.try_lock().unwrap();
    assert!(old.write_all_at(b"ill", 0).is_err() && old.sync().is_err());
    drop(old);
    let (other, _) = root(&disk).file(Path::new("file"), Purpose::Read, Links::Refuse).unwrap();
    assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    assert_eq!(seen(&disk, "file").unwrap(), b"old");
}

#[test]
fn the_operation_that_is_named_fails_and_those_after_it_only_if_so_told() {
    for lasting in [false, true] {
        let disk = MemoryDisk::new(7);
        let file = make(&root(&disk), "file", b"");
        disk.plan(Some(Fault { kind: FaultKind::Full, after: 2, lasting }));
        let went: Vec<bool> = (0..5).map(|_| file.write_all_at(b"x", 0).is_ok()).collect();
        assert_eq!(went, [true, true, false, !lasting, !lasting]);
        assert_eq!((disk.count(FaultKind::Full), disk.has_struck()), (5, true));
    }
}

#[test]
fn a_short_write_goes_on_and_a_torn_one_leaves_its_front() {
    for (kind, goes_on) in [(FaultKind::Short, true), (FaultKind::Torn, false)] {
        let disk = MemoryDisk::new(7);
        let file = make(&root(&disk), "file", b"");
        disk.plan(Some(Fault { kind, after: 0, lasting: false }));
        assert_eq!(file.write_all_at(b"shoal", 0).is_ok(), goes_on);
        let there = seen(&disk, "file").unwrap();
        assert_eq!(there == b"shoal", goes_on);
        assert!(b"shoal".starts_with(&there));
    }
}

#[test]
fn an_edit_comes_between_two_operations_and_its_time_tells() {
    let disk = MemoryDisk::new(0);
    let root = root(&disk);
    let file = make(&root, "file", b"mine");
    let path = Path::new("/data/file");
    let before = file.status().unwrap().identity;
    disk.plan_edit(disk.operations() + 1, path, Edit::Byte(1));
    assert_eq!(file.status().unwrap().identity, before);
    assert!(!disk.is_edited(path) && !disk.is_left_alone());
    assert_eq!(file.read_at(&mut [0; 4], 0).unwrap(), 4);
    assert!(disk.is_edited(path) && disk.is_left_alone());
    assert_eq!(seen(&disk, "file").unwrap(), [b'm', b'i' ^ 0x2a, b'n', b'e']);
    let after = file.status().unwrap().identity;
    assert!(after.changed > before.changed && !disk.is_edit_hidden(path));
}

#[test]
fn an_edit_between_a_write_and_the_looks_around_it_is_hidden() {
    let path = Path::new("/data/file");
    for after in 0..4 {
        let disk = MemoryDisk::new(0);
        let root = root(&disk);
        let file = make(&root, "file", b"mine");
        file.status().unwrap();
        disk.plan_edit(disk.operations() + after, path, Edit::Byte(0));
        file.status().unwrap();
        file.write_at(&[std::io::IoSlice::new(b"x")], 3).unwrap();
        file.status().unwrap();
        file.status().unwrap();
        assert_eq!(disk.is_edit_hidden(path), after == 1 || after == 2, "{after}");
    }
}

#[test]
fn what_somebody_keeps_is_spoiled_by_a_write_to_it_and_by_nothing_else() {
    let disk = MemoryDisk::new(0);
    let root = root(&disk);
    let old = make(&root, "file", b"old");
    disk.edit(Path::new("/data/file"), &Edit::PutOwn(b"mine".to_vec()));
    old.write_all_at(b"new", 0).unwrap();
    assert_eq!((disk.spoiled(), seen(&disk, "file").unwrap()), (vec![], b"mine".to_vec()));
    let (own, _) = root.file(Path::new("file"), Purpose::Write, Links::Refuse).unwrap();
    own.write_all_at(b"t", 0).unwrap();
    assert_eq!(disk.spoiled(), [Path::new("/data/file")]);
    own.status().unwrap();
    // Who appends keeps only that.
    disk.edit(Path::new("/data/file"), &Edit::Append(b" and more".to_vec(), 6));
    own.status().unwrap();
    own.write_all_at(b"m", 0).unwrap();
    assert_eq!(disk.spoiled(), Vec::<std::path::PathBuf>::new());
    own.set_length(4).unwrap();
    assert_eq!(disk.spoiled().len(), 1);
}
