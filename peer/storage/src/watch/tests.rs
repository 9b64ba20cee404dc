use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::testing::{Placed, age, in_memory};
use crate::{Cancel, Fault, FaultKind, Journal, MemoryDisk, StorageErrorKind};

/// Two files, written long ago.
fn two() -> Placed {
    let two = Placed::two();
    two.put(two.dir.path(), &two.content).unwrap();
    ["a", "b"].iter().for_each(|name| long_ago(&two.path(name)));
    two
}

fn long_ago(path: &Path) {
    age(path, 1000);
}

fn read(storage: &Storage, offset: u64, length: usize) -> Result<Vec<u8>, StorageErrorKind> {
    let mut buffer = vec![0; length];
    storage.read(offset, &mut buffer).map(|()| buffer).map_err(|error| error.kind)
}

/// What can be done to a file, and what it is called.
type Done = (fn(&Path), Change);

fn changes() -> [Done; 6] {
    [
        (
            |path| File::options().write(true).open(path).unwrap().write_all_at(b"x", 7).unwrap(),
            Change::Edited,
        ),
        (|path| File::options().write(true).open(path).unwrap().set_len(10).unwrap(), Change::Resized(10)),
        (|path| fs::remove_file(path).unwrap(), Change::Removed),
        (
            |path| {
                fs::copy(path, path.with_extension("new")).unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
            Change::Replaced,
        ),
        (
            |path| File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap(),
            Change::Edited,
        ),
        (
            |path| {
                // As a program does that hides what it did; until the clock of the file system has ticked.
                let then = fs::metadata(path).unwrap();
                let changed = |now: &fs::Metadata| (now.ctime(), now.ctime_nsec());
                while changed(&fs::metadata(path).unwrap()) == changed(&then) {
                    let file = File::options().write(true).open(path).unwrap();
                    file.write_all_at(b"x", 7).unwrap();
                    file.set_modified(then.modified().unwrap()).unwrap();
                }
            },
            Change::Edited,
        ),
    ]
}

#[test]
fn h70_nothing_is_read_of_a_file_that_changed_while_it_was_open_until_it_is_accepted() {
    for (change, due) in changes() {
        let two = two();
        let storage = two.watched();
        assert_eq!(read(&storage, 0, 3000).unwrap(), two.content[..3000], "both are open now");
        change(&two.path("a"));
        let mut cached = vec![0; 100];
        assert!(!storage.read_cached(0, &mut cached), "{due:?}");
        assert_eq!(read(&storage, 0, 100), Err(StorageErrorKind::NotWhatItWas), "{due:?}");
        assert_eq!(storage.changed_files(), [0], "{due:?}");
        assert_eq!(read(&storage, 2400, 200), Err(StorageErrorKind::NotWhatItWas), "{due:?}");
        assert_eq!(read(&storage, 2500, 2500).unwrap(), two.content[2500..], "the other is served");
        assert_eq!(storage.accept(0), due);
        assert!(storage.changed_files().is_empty() && storage.is_unchanged(0));
    }
}

#[test]
fn h70_a_file_that_changed_while_it_was_not_open_is_noticed_when_it_is_opened() {
    for (change, due) in changes() {
        let two = two();
        let storage = two.watched();
        change(&two.path("a"));
        assert_eq!(read(&storage, 0, 5), Err(StorageErrorKind::NotWhatItWas), "{due:?}");
        assert_eq!(storage.accept(0), due);
    }
}

#[test]
fn h70_a_look_notices_what_nobody_reads_and_what_came_back() {
    let two = two();
    let storage = two.watched();
    storage.look();
    assert!(storage.changed_files().is_empty());
    let aside = two.dir.path().join("aside");
    fs::rename(two.path("b"), &aside).unwrap();
    storage.look();
    assert_eq!(storage.changed_files(), [1]);
    assert_eq!(storage.accept(1), Change::Removed);
    storage.look();
    assert!(storage.changed_files().is_empty(), "it is known to be gone");
    fs::rename(&aside, two.path("b")).unwrap();
    storage.look();
    assert_eq!((storage.changed_files(), storage.accept(1)), (vec![1], Change::Returned));
    assert_eq!(read(&storage, 2500, 2500).unwrap(), two.content[2500..]);
}

#[test]
fn h70_of_a_file_that_was_accepted_the_new_one_is_read() {
    let two = two();
    let storage = two.watched();
    assert!(read(&storage, 0, 10).is_ok());
    fs::write(two.path("new"), vec![9; 2500]).unwrap();
    fs::rename(two.path("new"), two.path("a")).unwrap();
    assert!(read(&storage, 0, 10).is_err());
    storage.accept(0);
    assert_eq!(read(&storage, 0, 10).unwrap(), [9; 10]);
}

#[test]
fn h70_a_file_that_changes_again_while_it_is_hashed_again_is_not_taken_for_right() {
    let two = two();
    let storage = two.watched();
    long_ago(&two.path("a"));
    storage.look();
    storage.accept(0);
    let right = storage.recheck(&two.info, storage.pieces_of(0), 1, &Cancel::new()).unwrap();
    assert_eq!(right, [0, 1, 2]);
    fs::write(two.path("a"), vec![9; 2500]).unwrap();
    assert!(!storage.is_unchanged(0));
    assert_eq!(storage.changed_files(), [0]);
}

#[test]
fn pieces_are_hashed_again_where_they_are_asked_for() {
    let two = two();
    let storage = two.watched();
    fs::write(two.path("b"), [&two.content[2500..4500], &[0; 500]].concat()).unwrap();
    let right = |pieces| storage.recheck(&two.info, pieces, 2, &Cancel::new()).unwrap();
    assert_eq!((right(2..5), right(3..4), right(4..5)), (vec![2, 3], vec![3], vec![]));
    fs::remove_file(two.path("b")).unwrap();
    assert_eq!(right(0..5), [0, 1]);
}

#[test]
fn what_we_write_ourselves_is_no_change_and_is_watched_again_when_all_is_done() {
    let two = two();
    let storage = two.watched();
    let part = &two.content[2000..3000];
    storage.write(2000, &[part]).unwrap();
    assert_eq!(read(&storage, 0, 5000).unwrap(), two.content);
    storage.look();
    assert!(storage.changed_files().is_empty());
    storage.finish().unwrap();
    storage.watch_ours().unwrap();
    long_ago(&two.path("b"));
    assert!(read(&storage, 4000, 10).is_err());
    assert_eq!(storage.changed_files(), [1]);
}

#[test]
fn files_that_nobody_told_about_are_not_watched() {
    let two = two();
    let storage = two.storage();
    assert!(read(&storage, 0, 10).is_ok());
    fs::write(two.path("a"), vec![9; 2500]).unwrap();
    storage.look();
    assert_eq!(read(&storage, 0, 10).unwrap(), [9; 10]);
    assert!(storage.changed_files().is_empty());
}

#[test]
fn h70_a_change_that_nobody_noticed_before_the_end_is_noticed_at_the_next_start() {
    let two = two();
    let storage = two.watched();
    let journal = Journal::begin(&storage, &two.info, |_| true, |_| true).unwrap();
    // With the time set back, and no look at it.
    fs::write(two.path("a"), vec![9; 2500]).unwrap();
    long_ago(&two.path("a"));
    journal.end(&storage).unwrap();
    let next = two.storage();
    let past = next.past(&two.info).0.unwrap();
    let proof = past.prove(&next, &two.info, 1, &Cancel::new(), &|_| {}).unwrap();
    assert_eq!((proof.pieces, proof.hashed), (vec![false, false, false, true, true], 3000));
}

#[test]
fn h70_a_download_that_is_incomplete_again_has_its_journal_again() {
    let two = two();
    let storage = two.watched();
    let journal = Journal::begin(&storage, &two.info, |_| true, |_| true).unwrap();
    journal.remove(&storage).unwrap();
    assert!(storage.past(&two.info).0.is_none() && !journal.is_kept());
    journal.begin_again(&storage, |piece| piece != 1, |_| false).unwrap();
    let claims = || storage.past(&two.info).0.unwrap().claims();
    assert_eq!(claims(), (vec![], vec![0, 2, 3, 4]));
    journal.written(&storage, &[1]);
    journal.sync(&storage).unwrap();
    assert_eq!(claims(), (vec![0, 1, 2, 3, 4], vec![]));
    journal.lost(&[2, 3]);
    assert_eq!(claims().0, [0, 1, 4]);
    journal.remove(&storage).unwrap();
    assert!(storage.past(&two.info).0.is_none());
}

#[test]
fn h70_h76_a_file_that_nobody_can_look_at_is_not_taken_for_removed() {
    let (disk, two) = (MemoryDisk::new(7), Placed::two());
    let storage = in_memory(&disk, &two.info);
    storage.write(0, &[&two.content]).unwrap();
    storage.watch(&storage.files_now());
    for kind in [FaultKind::OpenFiles, FaultKind::Io] {
        disk.plan(Some(Fault { kind, after: 0, lasting: true }));
        storage.look();
        assert!(storage.changed_files().is_empty(), "{kind:?}");
        disk.plan(None);
    }
    storage.doubt(0);
    let noticed = storage.changes_noticed();
    disk.plan(Some(Fault { kind: FaultKind::OpenFiles, after: 0, lasting: true }));
    assert_ne!(storage.accept(0), Change::Removed);
    assert_eq!((storage.changed_files(), storage.changes_noticed()), (vec![0], noticed + 1), "it is put off");
    disk.plan(None);
    assert_eq!(storage.accept(0), Change::Nothing);
    assert!(storage.changed_files().is_empty() && storage.is_unchanged(0));
}

#[test]
fn h70_what_was_read_before_a_file_was_accepted_is_not_taken_for_what_it_is_now() {
    let two = two();
    let storage = two.watched();
    // One reads, and that takes longer ...
    let edits = storage.refuse_changed(0).unwrap();
    let handle = storage.handle(0, false).unwrap();
    File::options().write(true).open(two.path("a")).unwrap().write_all_at(b"wrong", 0).unwrap();
    handle.read_exact_at(&mut [0; 5], 0).unwrap();
    // ... than it takes others to notice and accept the change.
    storage.look();
    storage.accept(0);
    let refused = storage.refuse_if_changed(0, &*handle, edits).unwrap_err();
    assert_eq!((refused.kind, storage.changed_files()), (StorageErrorKind::NotWhatItWas, vec![]));
    read(&storage, 0, 10).unwrap();
}

#[test]
fn what_is_read_while_a_download_is_called_complete_is_not_refused() {
    let two = Placed::two();
    let storage = two.watched();
    (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
    let edits = storage.refuse_changed(0).unwrap();
    let handle = storage.handle(0, false).unwrap();
    two.write(&storage, 0).unwrap();
    storage.watch_ours().unwrap();
    storage.refuse_if_changed(0, &*handle, edits).unwrap();
}

#[test]
fn h76_running_out_of_open_files_for_a_moment_does_not_have_a_complete_download_hashed_again() {
    let (two, disk) = (Placed::two(), MemoryDisk::new(7));
    let storage = in_memory(&disk, &two.info);
    storage.watch(&storage.files_now());
    (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
    disk.plan(Some(Fault { kind: FaultKind::OpenFiles, after: 0, lasting: false }));
    storage.watch_ours().unwrap();
    assert!(disk.has_struck() && storage.changed_files().is_empty());
}
