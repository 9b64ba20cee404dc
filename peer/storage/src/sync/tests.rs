//! Syncs of files that are not there any more, or cannot be opened at once.

use std::fs;
use std::path::Path;

use crate::files::{Access, Storage, StorageOptions};
use crate::testing::Placed;
use crate::{Fault, FaultKind, Journal, MemoryDisk};

/// So that nothing is open but the file that was written last.
const FEW: StorageOptions =
    StorageOptions { access: Access::ReadWrite, follow_symlinks: false, max_open_files: 1 };

/// Two files of five pieces, all of them written and told.
fn written(placed: &Placed, storage: &Storage) -> Journal {
    storage.watch(&storage.files_now());
    let journal = Journal::begin(storage, &placed.info, |_| false, |_| false).unwrap();
    (0..5).for_each(|piece| placed.write(storage, piece).unwrap());
    journal.written(storage, &[0, 1, 2, 3, 4]);
    journal
}

fn claims(placed: &Placed, storage: &Storage) -> (Vec<u32>, Vec<u32>) {
    storage.past(&placed.info).0.unwrap().claims()
}

#[test]
fn h68_h69_a_file_that_was_moved_away_is_not_said_to_be_synced_and_all_others_are() {
    let placed = Placed::two();
    let storage = Storage::new(placed.dir.path(), &placed.info, FEW).unwrap();
    let journal = written(&placed, &storage);
    let (first, aside) = (placed.path("a"), placed.dir.path().join("mine"));
    fs::rename(&first, &aside).unwrap();
    journal.sync(&storage).unwrap();
    assert_eq!(claims(&placed, &storage), (vec![3, 4], vec![0, 1, 2]), "the third has bytes of both");
    assert_eq!(storage.changed_files(), [0], "it is hashed when it is there again");
    assert!(!first.exists(), "syncing makes no files");
    // It is put back: what was written to it has still to be synced, and is.
    fs::rename(&aside, &first).unwrap();
    assert!(journal.is_behind());
    journal.sync(&storage).unwrap();
    assert_eq!(claims(&placed, &storage), (vec![0, 1, 2, 3, 4], vec![]));
}

#[test]
fn h68_h69_a_folder_that_was_moved_away_with_all_that_is_in_it_is_no_disk_that_fails() {
    let placed = Placed::two();
    let storage = Storage::new(placed.dir.path(), &placed.info, FEW).unwrap();
    let journal = written(&placed, &storage);
    let folder = placed.path("a").parent().unwrap().to_owned();
    fs::rename(&folder, placed.dir.path().join("mine")).unwrap();
    journal.sync(&storage).unwrap();
    assert_eq!(claims(&placed, &storage), (vec![], vec![0, 1, 2, 3, 4]));
}

#[test]
fn h69_h76_running_out_of_open_files_is_no_sync_that_failed() {
    let placed = Placed::two();
    for after in 0.. {
        let disk = MemoryDisk::new(after);
        let storage = Storage::among(&disk.roots(), Path::new("/data"), &placed.info, FEW).unwrap();
        let journal = written(&placed, &storage);
        disk.plan(Some(Fault { kind: FaultKind::OpenFiles, after, lasting: false }));
        let synced = storage.sync();
        if !disk.has_struck() {
            assert!(after > 2, "a file and two folders are opened");
            return;
        }
        disk.plan(None);
        assert!(synced.is_ok(), "at operation {after}: {synced:?}");
        journal.sync(&storage).unwrap();
        assert_eq!(claims(&placed, &storage), (vec![0, 1, 2, 3, 4], vec![]));
    }
}
