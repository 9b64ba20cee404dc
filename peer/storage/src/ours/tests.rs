use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::testing::{Placed, content, file, folder, in_memory, writable};
use crate::{Cancel, Change, Fault, FaultKind, Journal, MemoryDisk, Storage, StorageErrorKind};

const PIECE: u32 = 1000;

/// One that has written so many pieces of two files.
fn written(two: &Placed, pieces: usize) -> Storage {
    let storage = two.watched();
    (0..pieces).for_each(|piece| two.write(&storage, piece).unwrap());
    storage
}

/// What is right by the journal, and what was hashed to know that.
fn proof(two: &Placed) -> (Vec<bool>, u64) {
    let proof = two.proof().0.unwrap();
    (proof.pieces, proof.hashed)
}

/// Changes a byte where a file stands, and its times for certain.
fn edit(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(b"!", 7).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
}

fn put_another(path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, [7; 3000]).unwrap();
    fs::rename(&new, path).unwrap();
}

#[test]
fn h70_a_file_that_is_edited_between_our_writes_is_not_called_complete_before_it_was_hashed() {
    let two = Placed::two();
    let storage = written(&two, 5);
    storage.watch_ours().unwrap();
    let storage = written(&two, 5);
    edit(&two.path("a"));
    let error = storage.watch_ours().unwrap_err();
    assert_eq!((error.kind, storage.changed_files()), (StorageErrorKind::NotWhatItWas, vec![0]));
    assert!(storage.read(0, &mut [0; 10]).is_err() && storage.read(2500, &mut [0; 10]).is_ok());
    assert_eq!(storage.accept(0), Change::Edited);
    let right = storage.recheck(&two.info, storage.pieces_of(0), 1, &Cancel::new()).unwrap();
    assert_eq!(right, [1, 2]);
    two.write(&storage, 0).unwrap();
    storage.watch_ours().unwrap();
}

#[test]
fn h70_an_edit_is_noticed_by_our_next_write_which_goes_where_it_belongs() {
    let two = Placed::two();
    let storage = written(&two, 2);
    let edits = storage.edits_of(1);
    edit(&two.path("a"));
    assert!(storage.changed_files().is_empty());
    two.write(&storage, 2).unwrap();
    assert_eq!(storage.changed_files(), [0]);
    assert_ne!(storage.edits_of(1), edits);
    assert_eq!(storage.edits_of(4), 0, "the other file is as it was");
    let there = fs::read(two.path("a")).unwrap();
    assert!(there[2000..] == two.content[2000..2500]);
}

#[test]
fn h70_a_resumed_file_that_was_edited_before_our_first_write_is_noticed_by_it() {
    let two = Placed::two();
    drop(written(&two, 2));
    let storage = two.watched();
    edit(&two.path("a"));
    two.write(&storage, 2).unwrap();
    assert_eq!(storage.changed_files(), [0]);
}

#[test]
fn h70_the_end_of_a_run_does_not_take_an_edit_for_what_we_wrote() {
    let two = Placed::two();
    let storage = two.watched();
    let journal = Journal::begin(&storage, &two.info, |_| false, |_| false).unwrap();
    (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
    journal.written(&storage, &[0, 1, 2, 3, 4]);
    edit(&two.path("a"));
    journal.end(&storage).unwrap();
    assert_eq!(proof(&two), (vec![false, true, true, true, true], 3000));
}

#[test]
fn what_we_wrote_ourselves_need_not_be_hashed_after_an_end_in_order() {
    let two = Placed::two();
    let storage = two.watched();
    let journal = Journal::begin(&storage, &two.info, |_| false, |_| false).unwrap();
    (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
    journal.written(&storage, &[0, 1, 2, 3, 4]);
    journal.end(&storage).unwrap();
    assert_eq!(proof(&two), (vec![true; 5], 0));
}

#[test]
fn h72_what_is_put_in_the_place_of_a_file_that_we_write_is_not_written_to() {
    let two = Placed::two();
    let storage = written(&two, 2);
    put_another(&two.path("a"));
    assert_eq!(two.write(&storage, 2), Err(StorageErrorKind::NotOurs));
    assert_eq!(storage.changed_files(), [0]);
    assert_eq!(storage.accept(0), Change::Replaced);
    assert_eq!(two.write(&storage, 1), Err(StorageErrorKind::NotOurs), "nor after it was looked at");
    assert!(storage.finish().is_err());
    assert_eq!(fs::read(two.path("a")).unwrap(), [7; 3000]);
    storage.take_over(0);
    two.write(&storage, 1).unwrap();
}

#[test]
fn h72_what_is_put_where_no_file_was_is_not_written_to() {
    let two = Placed::two();
    let storage = written(&two, 2);
    fs::write(two.path("b"), [7; 3000]).unwrap();
    assert_eq!(two.write(&storage, 3), Err(StorageErrorKind::NotOurs));
    assert_eq!(storage.changed_files(), [1]);
    assert_eq!(storage.accept(1), Change::Returned);
    assert_eq!(two.write(&storage, 3), Err(StorageErrorKind::NotOurs));
    assert_eq!(fs::read(two.path("b")).unwrap(), [7; 3000]);
}

#[test]
fn h72_what_is_put_where_an_empty_file_must_be_is_not_cut() {
    let (root, bytes) = (tempfile::tempdir().unwrap(), content(1000));
    let info = folder(&[file("a", 1000), file("b", 0)], PIECE, &bytes);
    let storage = writable(root.path(), &info);
    storage.watch(&storage.files_now());
    storage.write(0, &[&bytes]).unwrap();
    fs::write(root.path().join("top/b"), b"precious").unwrap();
    assert_eq!(storage.finish().unwrap_err().kind, StorageErrorKind::NotOurs);
    assert_eq!(fs::read(root.path().join("top/b")).unwrap(), b"precious");
}

#[test]
fn h70_a_file_that_is_removed_while_we_write_it_is_made_again_and_what_it_had_is_in_question() {
    let two = Placed::two();
    let storage = written(&two, 2);
    fs::remove_file(two.path("a")).unwrap();
    two.write(&storage, 2).unwrap();
    assert_eq!(storage.changed_files(), [0]);
    // Not replaced: what stands there is nobody else's.
    assert_eq!(storage.accept(0), Change::Removed);
    let right = storage.recheck(&two.info, storage.pieces_of(0), 1, &Cancel::new()).unwrap();
    assert_eq!(right, [2]);
    put_another(&two.path("a"));
    storage.look();
    assert_eq!(storage.accept(0), Change::Replaced);
    fs::remove_file(two.path("a")).unwrap();
    storage.look();
    storage.accept(0);
    (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
    storage.watch_ours().unwrap();
    assert_eq!(storage.recheck(&two.info, 0..5, 1, &Cancel::new()).unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn h72_what_somebody_appends_to_a_file_that_we_wrote_is_not_cut() {
    let two = Placed::two();
    let storage = written(&two, 5);
    let file = File::options().append(true).open(two.path("b")).unwrap();
    file.write_all_at(b"mine", 2500).unwrap();
    drop(file);
    assert!(storage.watch_ours().is_err() && storage.finish().is_err());
    assert_eq!(fs::metadata(two.path("b")).unwrap().len(), 2504);
}

#[test]
fn h68_h72_what_the_disk_could_not_tell_of_or_failed_while_we_made_it_is_not_taken_for_somebodys() {
    let (two, mut failed) = (Placed::two(), 0);
    for there in [false, true] {
        for after in 0..30 {
            let disk = MemoryDisk::new(7);
            let storage = in_memory(&disk, &two.info);
            if there {
                (0..2).for_each(|piece| two.write(&storage, piece).unwrap());
            }
            let storage = in_memory(&disk, &two.info);
            disk.plan(Some(Fault { kind: FaultKind::Io, after, lasting: false }));
            storage.watch(&storage.files_now());
            for piece in 0..5 {
                if let Err(kind) = two.write(&storage, piece) {
                    assert_eq!(kind, StorageErrorKind::Io, "there: {there}, after {after}");
                    failed += 1;
                    two.write(&storage, piece).unwrap();
                }
            }
            assert!(storage.new_strangers().is_empty());
        }
    }
    assert!(failed > 10);
}

#[test]
fn h72_what_is_put_in_the_place_of_a_file_that_was_taken_over_is_not_it() {
    let two = Placed::two();
    let storage = written(&two, 2);
    put_another(&two.path("a"));
    storage.look();
    assert_eq!(two.write(&storage, 2), Err(StorageErrorKind::NotOurs));
    assert_eq!(storage.strangers(), [0].into());
    storage.accept(0);
    storage.take_over(0);
    assert!(storage.strangers().is_empty());
    put_another(&two.path("a"));
    assert_eq!(two.write(&storage, 1), Err(StorageErrorKind::NotOurs));
    assert_eq!(fs::read(two.path("a")).unwrap(), [7; 3000]);
}

#[test]
fn h70_what_is_claimed_first_of_a_file_after_it_was_edited_is_hashed_at_the_next_start() {
    let two = Placed::two();
    let storage = two.watched();
    let journal = Journal::begin(&storage, &two.info, |_| false, |_| false).unwrap();
    two.write(&storage, 0).unwrap();
    fs::remove_file(two.path("a")).unwrap();
    // It is made again, and nobody has had the time to hear of that.
    two.write(&storage, 1).unwrap();
    journal.written(&storage, &[0, 1]);
    journal.end(&storage).unwrap();
    drop(storage);
    assert_eq!(proof(&two), (vec![false, true, false, false, false], 2000));
}

#[test]
fn h70_a_piece_that_is_in_question_counts_as_noticed_also_in_a_file_that_is() {
    let two = Placed::two();
    let storage = written(&two, 2);
    let edits = storage.edits_of(1);
    assert!(storage.is_piece_as_then(1, edits));
    storage.doubt(0);
    assert!(!storage.is_piece_as_then(1, edits) && storage.is_piece_as_then(4, storage.edits_of(4)));
    let noticed = storage.changes_noticed();
    storage.doubt_piece(1);
    assert!(storage.changes_noticed() > noticed);
}

#[test]
fn our_own_first_write_is_not_taken_for_an_edit_by_whoever_reads_meanwhile() {
    let two = Placed::two();
    for is_open in [false, true] {
        let disk = MemoryDisk::new(7);
        let storage = in_memory(&disk, &two.info);
        (0..5).for_each(|piece| two.write(&storage, piece).unwrap());
        let storage = if is_open { storage } else { in_memory(&disk, &two.info) };
        storage.watch(&storage.files_now());
        let read = storage.write_to(0, |handle| {
            handle.write_all_at(&two.content[1000..2000], 1000).unwrap();
            storage.read(0, &mut [0; 10]).map_err(|error| error.kind)
        });
        assert_eq!((read.unwrap(), storage.changed_files()), (Ok(()), vec![]), "open: {is_open}");
        storage.watch_ours().unwrap();
    }
}

#[test]
fn h72_what_is_put_where_a_file_was_gone_when_it_was_taken_over_is_not_written_to() {
    let two = Placed::two();
    let storage = written(&two, 2);
    fs::remove_file(two.path("a")).unwrap();
    storage.is_unchanged(0);
    storage.accept(0);
    storage.take_over(0);
    fs::write(two.path("a"), [7; 3000]).unwrap();
    assert_eq!(two.write(&storage, 0), Err(StorageErrorKind::NotOurs));
    assert_eq!(fs::read(two.path("a")).unwrap(), [7; 3000]);
}

#[test]
fn h72_another_file_that_was_given_the_number_of_ours_is_not_written_to() {
    let two = Placed::two();
    two.put(two.dir.path(), &two.content).unwrap();
    let storage = two.watched();
    let born = |path: &Path| fs::metadata(path).unwrap().created().ok();
    let (ours, probe) = (born(&two.path("a")), two.path("probe"));
    // Until the clock of the file system has ticked, if it keeps such a time at all.
    while ours.is_some() {
        fs::write(&probe, []).unwrap();
        let now = born(&probe);
        fs::remove_file(&probe).unwrap();
        if now != ours {
            break;
        }
    }
    fs::remove_file(two.path("a")).unwrap();
    fs::write(two.path("a"), [7; 2500]).unwrap();
    assert_eq!(two.write(&storage, 1), Err(StorageErrorKind::NotOurs));
    assert_eq!(fs::read(two.path("a")).unwrap(), [7; 2500]);
    assert_eq!((storage.changed_files(), storage.accept(0)), (vec![0], Change::Replaced));
}
