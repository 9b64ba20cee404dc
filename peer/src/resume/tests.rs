//! Names and locks of markers; what a session makes of them is tested with sessions.

use metainfo::InfoBuilder;
use storage::{Access, Fault, FaultKind, Journal, MemoryDisk, StorageOptions};
use tempfile::tempdir;

use super::*;

fn storage(root: &std::path::Path, info: &Info) -> Storage {
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    Storage::new(root, info, options).unwrap()
}

fn info(name: &str) -> Info {
    let builder = InfoBuilder { name: name.into(), piece_length: 16_384, private: false, source: None };
    builder.single_file(1, &[0; 20]).unwrap()
}

#[test]
fn the_name_of_a_marker_fits_whatever_the_torrent_is_called() {
    let name = file_name(&info("movie.bin"));
    assert!(name.starts_with(".movie.bin.") && name.ends_with(".shoal") && name.len() == 25, "{name}");
    for long in ["x".repeat(240), "\u{e9}".repeat(120), "\u{1f433}".repeat(60)] {
        let name = file_name(&info(&long));
        assert!((210..=255).contains(&name.len()), "{} bytes", name.len());
    }
}

#[test]
fn a_marker_is_found_again_after_its_holder_is_gone() {
    let (dir, info) = (tempdir().unwrap(), info("movie.bin"));
    let storage = storage(dir.path(), &info);
    let mut first = Marker::take(&storage, &info).unwrap();
    assert!(!first.found);
    assert!(matches!(Marker::take(&storage, &info), Err(MarkerError::InUse)));
    first.claim(&storage, &info, &BTreeSet::new()).unwrap();
    drop(first);
    let second = Marker::take(&storage, &info).unwrap();
    assert!(second.found && second.warning.is_none());
    second.remove().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn h72_a_marker_whose_holder_is_killed_before_the_download_began_claims_nothing() {
    let (dir, info) = (tempdir().unwrap(), info("movie.bin"));
    drop(Marker::take(&storage(dir.path(), &info), &info).unwrap());
    assert!(!Marker::take(&storage(dir.path(), &info), &info).unwrap().found);
}

#[test]
fn the_marker_of_another_download_is_not_removed() {
    let (dir, info) = (tempdir().unwrap(), info("movie.bin"));
    let first = Marker::take(&storage(dir.path(), &info), &info).unwrap();
    first.remove().unwrap();
    let second = Marker::take(&storage(dir.path(), &info), &info).unwrap();
    first.remove().unwrap();
    assert!(dir.path().join(file_name(&info)).exists());
    second.remove().unwrap();
    assert!(!dir.path().join(file_name(&info)).exists());
}

#[test]
fn h71_a_link_in_place_of_the_marker_is_not_followed() {
    let (dir, elsewhere, info) = (tempdir().unwrap(), tempdir().unwrap(), info("movie.bin"));
    let target = elsewhere.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join(file_name(&info))).unwrap();
    assert!(matches!(Marker::take(&storage(dir.path(), &info), &info), Err(MarkerError::Io(_))));
    assert_eq!(std::fs::read_to_string(target).unwrap(), "precious");
}

#[test]
fn h71_a_second_name_of_somebodys_file_in_place_of_the_marker_is_given_up_and_the_file_is_as_it_was() {
    let (dir, info) = (tempdir().unwrap(), info("movie.bin"));
    let (mine, name) = (dir.path().join("mine"), dir.path().join(file_name(&info)));
    std::fs::write(&mine, "precious").unwrap();
    std::fs::hard_link(&mine, &name).unwrap();
    let storage = storage(dir.path(), &info);
    let mut marker = Marker::take(&storage, &info).unwrap();
    assert!(!marker.found && marker.warning.is_some());
    marker.claim(&storage, &info, &BTreeSet::new()).unwrap();
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "precious");
    assert!(matches!(Marker::take(&storage, &info), Err(MarkerError::InUse)));
    drop(marker);
    assert!(Marker::take(&storage, &info).unwrap().found);
}

#[test]
fn h72_a_journal_that_was_left_without_its_marker_is_gone_before_there_is_a_marker_again() {
    let (dir, info) = (tempdir().unwrap(), info("movie.bin"));
    let storage = storage(dir.path(), &info);
    drop(Journal::begin(&storage, &info, |_| false, |_| false).unwrap());
    let mut marker = Marker::take(&storage, &info).unwrap();
    assert!(storage.past(&info).0.is_some());
    marker.claim(&storage, &info, &BTreeSet::new()).unwrap();
    assert!(storage.past(&info).0.is_none());
    // One that stands beside its marker stays.
    drop((marker, Journal::begin(&storage, &info, |_| false, |_| false).unwrap()));
    Marker::take(&storage, &info).unwrap().claim(&storage, &info, &BTreeSet::new()).unwrap();
    assert!(storage.past(&info).0.is_some());
}

#[test]
fn h68_a_marker_that_cannot_be_read_is_not_taken_for_none() {
    let (disk, info) = (MemoryDisk::new(7), info("movie.bin"));
    let storage = || {
        let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
        Storage::among(&disk.roots(), std::path::Path::new("/data"), &info, options).unwrap()
    };
    Marker::take(&storage(), &info).unwrap().claim(&storage(), &info, &BTreeSet::new()).unwrap();
    let mut unreadable = 0;
    disk.plan(None);
    assert!(Marker::take(&storage(), &info).unwrap().found);
    for after in 0..disk.count(FaultKind::Io) {
        disk.plan(Some(Fault { kind: FaultKind::Io, after, lasting: false }));
        let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
        let opened = Storage::among(&disk.roots(), std::path::Path::new("/data"), &info, options);
        let taken = opened.map(|storage| Marker::take(&storage, &info));
        unreadable += u32::from(matches!(taken, Ok(Err(MarkerError::Unreadable(_)))));
        assert!(taken.is_err() || taken.is_ok_and(|taken| taken.is_err() || taken.unwrap().found));
        disk.plan(None);
        assert!(Marker::take(&storage(), &info).unwrap().found, "it is still there after {after}");
    }
    assert!(unreadable > 0);
}
