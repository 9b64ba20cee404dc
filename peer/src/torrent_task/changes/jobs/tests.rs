//! What is found of files that somebody has put in the place of ours, on disk.

use std::path::Path;
use std::sync::Arc;

use storage::{Access, Storage, StorageErrorKind, StorageOptions};

use super::*;
use crate::AddTorrent;
use crate::disk::Inbox;
use crate::tests::support::Sample;

const PIECE: usize = 16_384;

/// A download of two files of two pieces each, all of which is there, and never was complete before.
fn there(sample: &Sample, dir: &Path, overwrite: bool) -> TorrentDisk {
    sample.write_to(dir);
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    let storage = Storage::new(dir, &sample.torrent.info, options).unwrap();
    storage.watch(&storage.files_now());
    let add = AddTorrent { overwrite, ..AddTorrent::download(sample.torrent.clone(), dir) };
    let (storage, add) = (Arc::new(storage), Arc::new(add));
    TorrentDisk { key: 0, storage, journal: None, add, inbox: Inbox::default() }
}

/// Another file with these bytes takes the place of the first one, and is accepted and judged: what comes of that, and of
/// writing the first piece to it.
fn replaced(disk: &TorrentDisk, bytes: &[u8], right: &[u32]) -> (bool, Result<(), StorageErrorKind>) {
    let root = &disk.add.root;
    std::fs::write(root.join("new"), bytes).unwrap();
    std::fs::rename(root.join("new"), root.join("sample/a")).unwrap();
    disk.storage.look();
    assert_eq!(disk.storage.changed_files(), [0]);
    assert_eq!(disk.storage.accept(0), Change::Replaced);
    let (files, right) = (BTreeSet::from([0]), right.iter().copied().collect());
    let job = Job::Judge(Strangers { files, right });
    let Done::Judged(judged) = run(job, disk, None, &Cancel::new()) else { panic!("it was to judge") };
    let written = disk.storage.write(0, &[&[7; PIECE]]).map_err(|error| error.kind);
    (judged.is_ok(), written)
}

#[test]
fn h72_what_was_put_in_the_place_of_a_file_is_written_to_if_the_user_said_so_or_it_is_right_in_a_part() {
    let sample = Sample::folder(&[("a", 2 * PIECE), ("b", 2 * PIECE)], 16_384);
    let mut half = std::fs::read(sample.dir.path().join("sample/a")).unwrap();
    half[..PIECE].fill(0);
    let judged = |overwrite, bytes: &[u8], right: &[u32]| {
        let dir = tempfile::tempdir().unwrap();
        replaced(&there(&sample, dir.path(), overwrite), bytes, right)
    };
    assert_eq!(judged(false, b"precious", &[2, 3]), (false, Err(StorageErrorKind::NotOurs)));
    assert_eq!(judged(false, &half, &[1, 2, 3]), (true, Ok(())));
    assert_eq!(judged(true, b"precious", &[2, 3]), (true, Ok(())));
}
