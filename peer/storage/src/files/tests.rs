use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;
use crate::parts::MAX_PARTS;
use crate::testing::{Made, content, file, folder, folder_of, padding, readable, writable};
use crate::{Obstacle, SpaceShort, StorageErrorKind};

fn total(files: &[Made]) -> u64 {
    files.iter().map(|file| file.length).sum()
}

fn read(storage: &Storage, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
    let mut buffer = vec![0xee; length];
    storage.read(offset, &mut buffer).map(|()| buffer)
}

/// Three files, the middle one of no bytes, in 4 pieces.
fn three() -> (Vec<Made>, Info, Vec<u8>) {
    let files = vec![file("a", 100), file("sub/empty", 0), file("sub/b", 250)];
    let all = content(350);
    let info = folder(&files, 100, &all);
    (files, info, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn reads_and_writes_agree_with_one_flat_run_of_bytes(
        lengths in prop::collection::vec((prop_oneof![Just(0u64), 1u64..50, 1u64..5_000], prop::bool::weighted(0.2)), 1..12),
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..5, any::<u8>()), 1..40),
        open in 1usize..4,
    ) {
        let files: Vec<Made> = lengths.iter().enumerate().map(|(number, &(length, pad))| {
            if pad { padding(length) } else { file(&format!("{}/{number}", number % 3), length) }
        }).collect();
        let total = total(&files);
        prop_assume!(total > 0);
        let mut model = vec![0; usize::try_from(total).unwrap()];
        let info = folder(&files, 64, &model);
        let root = tempfile::tempdir().unwrap();
        let options = StorageOptions { access: Access::ReadWrite, follow_symlinks: false, max_open_files: open };
        let storage = Storage::new(root.path(), &info, options).unwrap();
        // So that all files exist and the model holds from the start.
        storage.write(0, &[&model]).unwrap();
        for (from, to, cuts, byte) in steps {
            let (from, to) = (from.index(model.len() + 1), to.index(model.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            let bytes: Vec<u8> = (from..to).map(|at| byte.wrapping_add(at.to_le_bytes()[0])).collect();
            let parts: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(cuts).max(1)).collect();
            storage.write(from as u64, &parts).unwrap();
            model[from..to].copy_from_slice(&bytes);
            let mut at = 0;
            for made in &files {
                let length = usize::try_from(made.length).unwrap();
                if made.attributes == "p" {
                    model[at..at + length].fill(0);
                }
                at += length;
            }
            prop_assert_eq!(read(&storage, from as u64, to - from).unwrap(), &model[from..to]);
            prop_assert!(storage.lock_pool().files().len() <= open);
        }
        storage.sync().unwrap();
        storage.finish().unwrap();
        prop_assert_eq!(read(&readable(root.path(), &info), 0, model.len()).unwrap(), model);
        prop_assert!(!root.path().join("top/.pad").exists(), "padding is never on disk");
    }
}

#[test]
fn any_number_of_threads_write_and_read_at_once() {
    const PART: usize = 700;
    let files = [file("a", 10_000), file("b", 1), file("c", 17_999)];
    let all = content(28_000);
    let info = folder(&files, 1_000, &all);
    let root = tempfile::tempdir().unwrap();
    let options = StorageOptions { access: Access::ReadWrite, follow_symlinks: false, max_open_files: 1 };
    let storage = Storage::new(root.path(), &info, options).unwrap();
    std::thread::scope(|scope| {
        for (number, part) in all.chunks(PART).enumerate() {
            let storage = &storage;
            scope.spawn(move || {
                let offset = (number * PART) as u64;
                storage.write(offset, &[part]).unwrap();
                assert_eq!(read(storage, offset, part.len()).unwrap(), part);
            });
        }
    });
    assert_eq!(read(&storage, 0, all.len()).unwrap(), all);
}

#[test]
fn nothing_is_made_until_the_first_byte_is_written_and_then_a_large_file_has_its_length_and_room() {
    let files = [file("small", 10), file("deep/down/big", 1 << 30)];
    let info = folder_of(&files, 1 << 24, &[0; 65 * 20]);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    storage.write(10 + (1 << 29), &[b"middle"]).unwrap();
    assert!(!root.path().join("top/small").exists());
    let metadata = fs::metadata(root.path().join("top/deep/down/big")).unwrap();
    assert_eq!(metadata.len(), 1 << 30);
    let probe = tempfile::tempfile_in(root.path()).unwrap();
    let can = rustix::fs::fallocate(&probe, rustix::fs::FallocateFlags::empty(), 0, 1 << 30).is_ok();
    assert_eq!(metadata.blocks() * 512 >= 1 << 30, can, "it takes {} blocks", metadata.blocks());
    assert_eq!(read(&storage, 10 + (1 << 29), 8).unwrap(), b"middle\0\0");
}

#[test]
fn a_file_for_which_there_is_no_room_in_plenty_takes_it_as_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    let stat = rustix::fs::statvfs(root.path()).unwrap();
    let length = stat.f_bavail * stat.f_frsize / (1 << 24) * (1 << 24);
    let info = folder_of(&[file("big", length)], 1 << 24, &vec![0; (length >> 24) as usize * 20]);
    let storage = writable(root.path(), &info);
    storage.write(0, &[b"begin"]).unwrap();
    let metadata = fs::metadata(root.path().join("top/big")).unwrap();
    assert_eq!(metadata.len(), length);
    assert!(metadata.blocks() * 512 < 1 << 20, "it takes {} blocks", metadata.blocks());
}

#[test]
fn h77_both_ends_of_a_file_of_a_terabyte_are_written_and_read() {
    let info = folder_of(&[file("disk.img", 1 << 40)], 1 << 24, &vec![0; (1 << 16) * 20]);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    match storage.write((1 << 40) - 3, &[b"end"]) {
        Err(error) if error.io_kind() == io::ErrorKind::FileTooLarge => {
            eprintln!("this file system has no files of a terabyte: nothing tested");
            return;
        }
        written => written.unwrap(),
    }
    storage.write(0, &[b"begin"]).unwrap();
    assert_eq!(read(&storage, (1 << 40) - 4, 4).unwrap(), b"\0end");
    assert_eq!(read(&storage, 0, 6).unwrap(), b"begin\0");
}

#[test]
fn a_write_of_more_parts_than_one_call_takes_arrives_whole() {
    let all = content(5_000);
    let info = folder(&[file("a", 2_000), file("b", 3_000)], 1_000, &all);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    let parts: Vec<&[u8]> = all.chunks(1).collect();
    assert!(parts.len() > 2 * MAX_PARTS);
    storage.write(0, &parts).unwrap();
    assert_eq!(read(&storage, 0, 5_000).unwrap(), all);
}

#[test]
fn a_missing_file_is_not_found_and_a_short_one_too_short() {
    let (_, info, all) = three();
    let root = tempfile::tempdir().unwrap();
    writable(root.path(), &info).write(0, &[&all]).unwrap();
    let b = root.path().join("top/sub/b");
    fs::File::options().write(true).open(&b).unwrap().set_len(249).unwrap();
    let storage = readable(root.path(), &info);
    assert_eq!(read(&storage, 100, 249).unwrap(), &all[100..349]);
    let error = read(&storage, 100, 250).unwrap_err();
    assert_eq!((error.kind, &error.path), (StorageErrorKind::TooShort, &b));
    fs::remove_file(&b).unwrap();
    let error = read(&readable(root.path(), &info), 99, 2).unwrap_err();
    assert_eq!((error.io_kind(), &error.path), (io::ErrorKind::NotFound, &b));
}

#[test]
fn bytes_past_the_end_are_refused() {
    let (_, info, _) = three();
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    for offset in [350, 349, u64::MAX] {
        assert_eq!(read(&storage, offset, 2).unwrap_err().kind, StorageErrorKind::Invalid);
        assert_eq!(storage.write(offset, &[b"x", b"y"]).unwrap_err().kind, StorageErrorKind::Invalid);
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    storage.write(350, &[]).unwrap();
}

#[test]
fn a_storage_to_read_makes_and_changes_nothing() {
    let (_, info, _) = three();
    let root = tempfile::tempdir().unwrap();
    let storage = readable(root.path(), &info);
    assert_eq!(storage.write(0, &[b"x"]).unwrap_err().io_kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(storage.finish().unwrap_err().io_kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    let missing = root.path().join("missing");
    let error = Storage::new(&missing, &info, StorageOptions::default()).unwrap_err();
    assert_eq!(error.io_kind(), io::ErrorKind::NotFound);
    drop(writable(&missing, &info));
    assert!(missing.is_dir(), "the folder of a download is made");
}

#[test]
fn h71_a_download_over_a_link_goes_nowhere() {
    let (_, info, all) = three();
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), root.path().join("top")).unwrap();
    let storage = writable(root.path(), &info);
    assert_eq!(storage.survey().unwrap().obstacle(), Some((0, Obstacle::SymbolicLink)));
    let error = storage.write(0, &[&all]).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unsafe(Obstacle::SymbolicLink));
    assert!(storage.finish().is_err());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn ones_own_folder_with_links_is_read_when_asked() {
    let (_, info, all) = three();
    let elsewhere = tempfile::tempdir().unwrap();
    writable(elsewhere.path(), &info).write(0, &[&all]).unwrap();
    let root = tempfile::tempdir().unwrap();
    symlink(elsewhere.path().join("top"), root.path().join("top")).unwrap();
    assert_eq!(
        read(&readable(root.path(), &info), 0, 350).unwrap_err().kind,
        StorageErrorKind::Unsafe(Obstacle::SymbolicLink)
    );
    let options = StorageOptions { follow_symlinks: true, ..StorageOptions::default() };
    let storage = Storage::new(root.path(), &info, options).unwrap();
    assert_eq!(read(&storage, 0, 350).unwrap(), all);
    let survey = storage.survey().unwrap();
    assert!(matches!(survey.files[2], Found::Present { length: 250, .. }));
}

#[test]
fn h76_few_files_stay_open_however_many_there_are() {
    let files: Vec<Made> = (0..300).map(|number| file(&format!("{number}"), 10)).collect();
    let all = content(3_000);
    let info = folder(&files, 100, &all);
    let root = tempfile::tempdir().unwrap();
    let options = StorageOptions { access: Access::ReadWrite, follow_symlinks: false, max_open_files: 7 };
    let storage = Storage::new(root.path(), &info, options).unwrap();
    storage.write(0, &[&all]).unwrap();
    assert_eq!(storage.lock_pool().files().len(), 7);
    assert_eq!(read(&storage, 0, 3_000).unwrap(), all);
    assert_eq!(storage.lock_pool().files().len(), 7);
}

#[test]
fn h77_finishing_makes_empty_files_cuts_long_ones_and_sets_executable_bits() {
    let mut files = vec![file("run", 3), file("none", 0), file("empty/folder/file", 0)];
    files[0].attributes = "x";
    let info = folder(&files, 100, b"abc");
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("run"), b"abc and more").unwrap();
    fs::write(top.join("none"), b"more").unwrap();
    fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o640)).unwrap();
    writable(root.path(), &info).finish().unwrap();
    assert_eq!(fs::read(top.join("run")).unwrap(), b"abc");
    assert_eq!(fs::metadata(top.join("run")).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(fs::metadata(top.join("none")).unwrap().len(), 0);
    assert_eq!(fs::metadata(top.join("empty/folder/file")).unwrap().len(), 0);
}

#[test]
fn h72_what_somebody_appended_is_not_cut_by_who_was_not_told_to() {
    let info = folder(&[file("run", 3), file("none", 0)], 100, b"abc");
    for name in ["run", "none"] {
        let root = tempfile::tempdir().unwrap();
        let storage = writable(root.path(), &info);
        storage.write(0, &[b"abc"]).unwrap();
        storage.finish_uncut().unwrap();
        let path = root.path().join("top").join(name);
        fs::write(&path, b"abc and more").unwrap();
        let error = storage.finish_uncut().unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::TooLong);
        assert!(error.to_string().contains("is longer than the torrent's"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"abc and more");
    }
}

#[test]
fn a_disk_without_executable_bits_does_not_fail_a_download_that_is_complete() {
    let mut files = vec![file("run", 3), file("none", 0)];
    files[0].attributes = "x";
    let info = folder(&files, 100, b"abc");
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    storage.write(0, &[b"abc"]).unwrap();
    storage.finish_with(|_, _| Err(io::ErrorKind::PermissionDenied.into())).unwrap();
    assert!(root.path().join("top/none").exists(), "the files after it are completed all the same");
}

#[test]
fn finishing_opens_no_file_that_is_as_it_should_be() {
    let mut files = vec![file("run", 3), file("none", 0)];
    files[0].attributes = "x";
    let info = folder(&files, 100, b"abc");
    let root = tempfile::tempdir().unwrap();
    writable(root.path(), &info).write(0, &[b"abc"]).unwrap();
    writable(root.path(), &info).finish().unwrap();
    let storage = writable(root.path(), &info);
    storage.finish_with(|_, _| panic!("the mode is right")).unwrap();
    assert_eq!(storage.lock_pool().files(), [0usize; 0], "nothing was opened to write");
}

#[test]
fn h69_a_sync_during_a_write_does_not_take_the_file_for_synced() {
    const LENGTH: u64 = 64 << 20;
    let info = folder_of(&[file("a", LENGTH)], 1 << 24, &[0; 4 * 20]);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    let all = vec![7; usize::try_from(LENGTH).unwrap()];
    std::thread::scope(|scope| {
        scope.spawn(|| storage.write(0, &[&all]).unwrap());
        while !storage.unsynced().written.contains(&0) {
            std::thread::yield_now();
        }
        // What a sync would take now is written to the last byte.
        assert_eq!(read(&storage, LENGTH - 1, 1).unwrap(), [7]);
    });
}

#[test]
fn finishing_does_not_hide_a_file_that_is_missing_or_short() {
    let (_, info, _) = three();
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    assert_eq!(storage.finish().unwrap_err().io_kind(), io::ErrorKind::NotFound);
    fs::create_dir(root.path().join("top")).unwrap();
    fs::write(root.path().join("top/a"), [0; 99]).unwrap();
    assert_eq!(storage.finish().unwrap_err().kind, StorageErrorKind::TooShort);
}

#[test]
fn h69_after_a_failed_sync_no_later_one_succeeds() {
    let (_, info, all) = three();
    let root = tempfile::tempdir().unwrap();
    let options = StorageOptions { access: Access::ReadWrite, follow_symlinks: false, max_open_files: 1 };
    let storage = Storage::new(root.path(), &info, options).unwrap();
    storage.write(0, &[&all]).unwrap();
    let a = root.path().join("top/a");
    fs::remove_file(&a).unwrap();
    let first = storage.sync().unwrap_err();
    assert_eq!((first.io_kind(), &first.path), (io::ErrorKind::NotFound, &a));
    assert!(!a.exists(), "syncing makes no files");
    fs::write(&a, &all[..100]).unwrap();
    let second = storage.sync().unwrap_err();
    assert_eq!(second.to_string(), first.to_string());
}

#[test]
fn h72_a_survey_tells_what_is_there_and_touches_nothing() {
    let files = [file("a", 100), padding(28), file("b", 10), file("c", 10), file("d", 10)];
    let info = folder(&files, 64, &[0; 158]);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    assert!(storage.survey().unwrap().is_empty());
    let top = root.path().join("top");
    fs::create_dir_all(top.join("b")).unwrap();
    fs::write(top.join("a"), [1; 7]).unwrap();
    crate::testing::fifo(&top.join("c"));
    let survey = storage.survey().unwrap();
    assert!(matches!(survey.files[0], Found::Present { length: 7, .. }));
    assert_eq!(
        survey.files[1..],
        [
            Found::Padding,
            Found::InTheWay(Obstacle::Folder),
            Found::InTheWay(Obstacle::Special),
            Found::Missing
        ]
    );
    assert_eq!(survey.obstacle(), Some((2, Obstacle::Folder)));
    assert!(!survey.is_empty());
    assert_eq!(fs::read(top.join("a")).unwrap(), [1; 7], "an unrelated file is as it was");
}

#[test]
fn h67_a_torrent_larger_than_the_disk_is_known_to_be_before_it_starts() {
    const HALF_A_PEBIBYTE: u64 = 1 << 49;
    let pieces = usize::try_from(HALF_A_PEBIBYTE >> 29).unwrap();
    let info = folder_of(&[file("big", HALF_A_PEBIBYTE)], 1 << 29, &vec![0; pieces * 20]);
    let root = tempfile::tempdir().unwrap();
    let short = writable(root.path(), &info).missing_space().unwrap();
    assert!(matches!(short, Some(SpaceShort { needed: HALF_A_PEBIBYTE, free }) if free < HALF_A_PEBIBYTE));
    let (_, info, _) = three();
    assert_eq!(writable(root.path(), &info).missing_space().unwrap(), None);
}

#[test]
fn h14_ones_own_folder_with_names_that_no_download_would_be_given_can_be_read() {
    // Names as they may be on disk, but not as a stranger may choose them: one deceives, one is not UTF-8.
    let names: [&[u8]; 2] = [b"bad\x1bname", b"latin\xe9"];
    let mut raw = b"d5:filesl".to_vec();
    for name in names {
        raw.extend_from_slice(format!("d6:lengthi3e4:pathl{}:", name.len()).as_bytes());
        raw.extend_from_slice(name);
        raw.extend_from_slice(b"ee");
    }
    raw.extend_from_slice(b"e4:name3:top12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
    let info = Info::parse(&raw).unwrap();
    let root = tempfile::tempdir().unwrap();
    let top = root.path().join("top");
    fs::create_dir(&top).unwrap();
    for name in names {
        use std::os::unix::ffi::OsStrExt;
        fs::write(top.join(std::ffi::OsStr::from_bytes(name)), b"own").unwrap();
    }
    assert_eq!(read(&readable(root.path(), &info), 0, 6).unwrap(), b"ownown");
    // A download into an empty folder gets the safe name.
    let fresh = tempfile::tempdir().unwrap();
    writable(fresh.path(), &info).write(0, &[b"newnew"]).unwrap();
    assert!(fresh.path().join("top/bad_name").exists());
}
