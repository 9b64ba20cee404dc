use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;
use crate::StorageErrorKind;
use crate::testing::fifo;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

fn names(walked: &Walked) -> Vec<String> {
    let name = |file: &WalkedFile| {
        String::from_utf8_lossy(&file.elements().collect::<Vec<_>>().join(&b'/')).into_owned()
    };
    walked.files.iter().map(name).collect()
}

fn walk_names(folder: &Path, options: &WalkOptions) -> Vec<String> {
    names(&walk(folder, options).unwrap())
}

#[test]
fn files_come_in_the_byte_order_of_their_whole_path_as_in_mktorrent() {
    let folder = tree(&["a/x", "a-b", "a.b/y", "aä", "A/z", ".hidden", ".h/h", "b/c/d"]);
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), [".h/h", ".hidden", "A/z", "a-b", "a.b/y", "a/x", "aä", "b/c/d"]);
    assert_eq!(walked.name, folder.path().file_name().unwrap().as_bytes());
    assert_eq!(walked.total, walked.files.iter().map(|f| f.length).sum::<u64>());
    assert!(!walked.single_file && walked.warnings.is_empty());
}

#[test]
fn a_single_file_has_no_elements_and_a_link_that_the_user_names_is_followed() {
    let folder = tree(&["movie.bin"]);
    symlink("movie.bin", folder.path().join("link")).unwrap();
    for name in ["movie.bin", "link"] {
        let walked = walk(&folder.path().join(name), &WalkOptions::default()).unwrap();
        assert!(walked.single_file);
        assert_eq!((walked.name.as_slice(), walked.total), (name.as_bytes(), 9));
        assert_eq!(walked.files.len(), 1);
        assert_eq!(walked.files[0].elements().count(), 0);
        assert_eq!(fs::read(walked.path_of(&walked.files[0])).unwrap(), b"movie.bin");
    }
}

#[test]
fn a_folder_named_by_a_dot_or_through_a_link_is_walked() {
    let folder = tree(&["real/inner/x"]);
    let walked = walk(&folder.path().join("real/inner/.."), &WalkOptions::default()).unwrap();
    assert_eq!((walked.name.as_slice(), names(&walked)), (b"real".as_slice(), vec!["inner/x".to_owned()]));
    symlink("real", folder.path().join("link")).unwrap();
    let walked = walk(&folder.path().join("link"), &WalkOptions::default()).unwrap();
    assert_eq!((walked.name.as_slice(), names(&walked)), (b"link".as_slice(), vec!["inner/x".to_owned()]));
}

#[test]
fn hidden_files_and_junk_are_left_out_only_when_asked() {
    let files =
        [".DS_Store", ".config", "Desktop.ini", "a~", "sub/._x", "sub/Thumbs.db", "sub/file", ".git/HEAD"];
    let folder = tree(&files);
    assert_eq!(walk_names(folder.path(), &WalkOptions::default()).len(), files.len());
    let no_hidden = WalkOptions { no_hidden: true, ..WalkOptions::default() };
    assert_eq!(walk_names(folder.path(), &no_hidden), ["Desktop.ini", "a~", "sub/Thumbs.db", "sub/file"]);
    let no_junk = WalkOptions { no_junk: true, ..WalkOptions::default() };
    assert_eq!(walk_names(folder.path(), &no_junk), [".config", ".git/HEAD", "sub/file"]);
}

#[test]
fn patterns_match_names_and_paths_and_leave_out_whole_folders() {
    let folder = tree(&["a.tmp", "sub/b.tmp", "sub/c", "target/x/y", "docs/a.txt", "docs/deep/b.txt"]);
    let without = |globs: &[&str]| {
        let exclude = globs.iter().map(|&glob| glob.to_owned()).collect();
        walk_names(folder.path(), &WalkOptions { exclude, ..WalkOptions::default() })
    };
    assert_eq!(without(&["*.tmp", "target"]), ["docs/a.txt", "docs/deep/b.txt", "sub/c"]);
    assert_eq!(without(&["docs/*.txt", "{target,sub}"]), ["a.tmp", "docs/deep/b.txt"]);
    assert_eq!(without(&["docs/**", "*"]), [""; 0]);
}

#[test]
fn a_wrong_pattern_is_named() {
    let folder = tree(&["x"]);
    let options = WalkOptions { exclude: vec!["[".to_owned()], ..WalkOptions::default() };
    let error = walk(folder.path(), &options).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid);
    assert!(error.to_string().starts_with("cannot use the pattern [: "), "{error}");
}

#[test]
fn h80_the_torrent_being_written_is_left_out_of_itself() {
    let folder = tree(&["out.torrent", "sub/out.torrent", "x"]);
    let options = WalkOptions { output: Some(folder.path().join("out.torrent")), ..WalkOptions::default() };
    assert_eq!(walk_names(folder.path(), &options), ["sub/out.torrent", "x"]);
    let by_another_way = folder.path().join("sub/../out.torrent");
    let options = WalkOptions { output: Some(by_another_way), ..WalkOptions::default() };
    assert_eq!(walk_names(folder.path(), &options), ["sub/out.torrent", "x"]);
}

#[test]
fn h79_links_fifos_and_sockets_are_skipped_with_a_warning_that_names_them() {
    let folder = tree(&["x"]);
    symlink("x", folder.path().join("link")).unwrap();
    symlink(".", folder.path().join("loop")).unwrap();
    fifo(&folder.path().join("fifo"));
    let _listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), ["x"]);
    assert_eq!(walked.warnings.len(), 4);
    for name in
        ["link: it is a symbolic link", "loop: it is a symbolic link", "fifo: it is a FIFO", "socket: it"]
    {
        assert!(walked.warnings.iter().any(|w| w.contains(name)), "{name}: {:?}", walked.warnings);
    }
}

#[test]
fn h79_loops_and_links_that_lead_nowhere_are_skipped_with_a_warning_when_links_are_followed() {
    let folder = tree(&["x", "sub/y"]);
    symlink("x", folder.path().join("link")).unwrap();
    symlink("sub", folder.path().join("dir")).unwrap();
    symlink("..", folder.path().join("sub/up")).unwrap();
    symlink("self", folder.path().join("self")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    let options = WalkOptions { follow_symlinks: true, ..WalkOptions::default() };
    let walked = walk(folder.path(), &options).unwrap();
    assert_eq!(names(&walked), ["dir/y", "link", "sub/y", "x"]);
    for name in ["sub/up: it leads back", "self: ", "dangling: No such file"] {
        assert!(walked.warnings.iter().any(|w| w.contains(name)), "{name}: {:?}", walked.warnings);
    }
}

#[test]
fn h79_names_that_are_not_utf8_are_kept_byte_for_byte_and_warnings_can_be_printed() {
    let folder = tree(&["x"]);
    let raw = OsStr::from_bytes(b"bad\xff\xfename");
    fs::write(folder.path().join(raw), b"1").unwrap();
    fifo(&folder.path().join("a\nb\u{1b}[2J"));
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    assert_eq!(walked.files[0].elements().collect::<Vec<_>>(), [b"bad\xff\xfename"]);
    assert_eq!(fs::read(walked.path_of(&walked.files[0])).unwrap(), b"1");
    assert_eq!(walked.warnings.len(), 1);
    assert!(!walked.warnings[0].contains(char::is_control), "{:?}", walked.warnings);
}

#[test]
fn h79_what_cannot_be_read_is_skipped_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tree(&["x", "secret", "closed/y"]);
    for name in ["secret", "closed"] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root: then all of it goes in, and without a word.
        assert_eq!((names(&walked).len(), walked.warnings.len()), (3, 0));
    } else {
        assert_eq!(names(&walked), ["x"]);
        for name in ["secret: Permission denied", "closed: Permission denied"] {
            assert!(walked.warnings.iter().any(|w| w.contains(name)), "{name}: {:?}", walked.warnings);
        }
    }
    fs::set_permissions(folder.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn h79_many_things_to_skip_make_a_bounded_number_of_warnings() {
    let folder = tree(&["x"]);
    for number in 0..MAX_WARNINGS + 5 {
        symlink("x", folder.path().join(format!("link{number}"))).unwrap();
    }
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    assert_eq!(walked.warnings.len(), MAX_WARNINGS + 1);
    assert_eq!(walked.warnings.last().unwrap(), "and 5 more were skipped");
}

#[test]
fn h79_a_path_that_is_missing_or_no_file_is_an_error_that_names_it() {
    let folder = tree(&[]);
    let error = walk(&folder.path().join("nothing"), &WalkOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("nothing: No such file or directory"), "{error}");
    fifo(&folder.path().join("fifo"));
    let error = walk(&folder.path().join("fifo"), &WalkOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("fifo: it is no file and no folder"), "{error}");
}

#[test]
fn an_empty_folder_gives_no_files() {
    let walked = walk(tree(&[]).path(), &WalkOptions::default()).unwrap();
    assert_eq!((walked.files.len(), walked.total), (0, 0));
}

#[test]
fn h16_what_lies_deeper_than_any_torrent_may_is_skipped_with_a_warning() {
    let deep = format!("{}x", "d/".repeat(MAX_ELEMENTS - 1));
    let deeper = format!("{}y", "d/".repeat(MAX_ELEMENTS));
    let folder = tree(&[&deep, &deeper]);
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    assert_eq!(names(&walked), [deep]);
    assert_eq!(walked.warnings.len(), 1);
    assert!(walked.warnings[0].ends_with("it lies too deep"), "{:?}", walked.warnings);
}
