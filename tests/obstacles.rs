//! Pipes and links in the place of every file that a download makes: nothing is followed, nothing waits, nothing that is
//! another's goes away.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, photos, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};

/// Bytes of the folder that is shared, about.
const SIZE: usize = 600_000;

/// A folder `photos` with its torrent, and who seeds it.
struct Source {
    folder: TempDir,
    /// The digits in the names of our own files.
    digits: String,
    peer: String,
    _seed: Running,
}

impl Source {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        photos(folder.path(), SIZE);
        inside(folder.path()).run(&["create", "photos", "-p", "64KiB"]).done();
        let shown = inside(folder.path()).run(&["show", "photos.torrent", "--json"]).done().json();
        let digits = shown["info_hash_v1"].as_str().unwrap()[..8].to_owned();
        let mut seed =
            start(folder.path(), &["seed", "photos.torrent", "--port", "0", "--bind", "127.0.0.1"]);
        let seeding = seed.event("seeding");
        let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap();
        let peer = format!("127.0.0.1:{port}");
        Self { folder, digits, peer, _seed: seed }
    }

    fn download(&self, target: &Path) -> Running {
        let torrent = self.folder.path().join("photos.torrent").into_os_string().into_string().unwrap();
        let args = ["download", &torrent, "--port", "0", "--bind", "127.0.0.1", "--peer", &self.peer];
        start(target, &args)
    }

    /// The name of one of our own files beside the data.
    fn own(&self, ending: &str) -> String {
        format!(".photos.{}.{ending}", self.digits)
    }

    fn assert_complete(&self, target: &Path) {
        assert_same(&self.folder.path().join("photos"), &target.join("photos"));
    }
}

/// What stands in the way.
#[derive(Clone, Copy, Debug)]
enum Thing {
    Fifo,
    LinkToFile,
    LinkToFolder,
    LinkToNothing,
}

const THINGS: [Thing; 4] = [Thing::Fifo, Thing::LinkToFile, Thing::LinkToFolder, Thing::LinkToNothing];

impl Thing {
    /// Puts it there; links lead to `elsewhere`, a folder with a file.
    fn put(self, path: &Path, elsewhere: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Self::Fifo => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            Self::LinkToFile => symlink(elsewhere.join("precious"), path).unwrap(),
            Self::LinkToFolder => symlink(elsewhere, path).unwrap(),
            Self::LinkToNothing => symlink(elsewhere.join("nothing"), path).unwrap(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fifo => "is a FIFO, socket or device",
            _ => "is a symbolic link",
        }
    }

    fn is_there(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| match self {
            Self::Fifo => found.file_type().is_fifo(),
            _ => found.is_symlink(),
        })
    }
}

/// A folder that must stay as it is.
fn elsewhere() -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("precious"), "precious").unwrap();
    folder
}

fn assert_untouched(elsewhere: &TempDir, what: &str) {
    let names: Vec<_> =
        fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["precious"], "{what}");
    assert_eq!(fs::read(elsewhere.path().join("precious")).unwrap(), b"precious", "{what}");
}

#[test]
fn h71_what_stands_in_the_way_of_a_download_is_named_left_alone_and_once_it_is_gone_all_comes() {
    let source = Source::new();
    let marker = source.own("shoal");
    // The top folder, a folder below it, a file, a file of no bytes, and the marker.
    for place in ["photos", "photos/a", "photos/a/one.raw", "photos/a/empty", &marker] {
        for thing in THINGS {
            let (target, elsewhere, what) =
                (tempdir().unwrap(), elsewhere(), format!("{thing:?} at {place}"));
            let path = target.path().join(place);
            thing.put(&path, elsewhere.path());
            let mut refused = source.download(target.path());
            let error = refused.event("error")["message"].as_str().unwrap().to_owned();
            let place = fs::canonicalize(target.path()).unwrap().join(place);
            let due = format!("{}; move it away or choose another folder", thing.name());
            assert!(error.contains(place.to_str().unwrap()) && error.ends_with(&due), "{what}: {error}");
            assert_eq!(refused.finish().0, Some(5), "{what}");
            assert!(thing.is_there(&path), "{what}");
            assert_untouched(&elsewhere, &what);
            fs::remove_file(&path).unwrap();
            assert_eq!(source.download(target.path()).finish().0, Some(0), "{what}");
            source.assert_complete(target.path());
        }
    }
}

#[test]
fn h71_what_stands_in_the_place_of_a_journal_costs_the_journal_and_nothing_else() {
    let source = Source::new();
    for ending in ["journal", "journal.old", "journal.new"] {
        for thing in THINGS {
            let (target, elsewhere, what) =
                (tempdir().unwrap(), elsewhere(), format!("{thing:?} at {ending}"));
            thing.put(&target.path().join(source.own(ending)), elsewhere.path());
            assert_eq!(source.download(target.path()).finish().0, Some(0), "{what}");
            source.assert_complete(target.path());
            assert_untouched(&elsewhere, &what);
        }
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn h71_what_stands_in_the_place_of_a_seal_is_replaced_and_costs_one_hashing() {
    let source = Source::new();
    let (state, elsewhere) = (tempdir().unwrap(), elsewhere());
    let hashed = || {
        let state = state.path().to_str().unwrap();
        let args = ["seed", "photos.torrent", "--port", "0", "--bind", "127.0.0.1", "--state-dir", state];
        let seeding = start(source.folder.path(), &args).event("seeding");
        seeding["hashed_bytes"].as_u64().unwrap() > 0
    };
    assert!(hashed() && !hashed(), "it is known the second time");
    let seals = files(state.path());
    let [seal] = seals.as_slice() else { panic!("{seals:?}") };
    for thing in THINGS {
        fs::remove_file(seal).unwrap();
        thing.put(seal, elsewhere.path());
        assert!(hashed(), "{thing:?}");
        assert_untouched(&elsewhere, &format!("{thing:?}"));
        assert!(!hashed(), "{thing:?}");
    }
}

#[test]
fn h75_of_two_torrents_with_one_file_that_are_downloaded_at_once_one_is_complete_and_right_and_the_other_says_why_not()
 {
    let (sources, target) = ([tempdir().unwrap(), tempdir().unwrap()], tempdir().unwrap());
    let mut seeds = Vec::new();
    let mut args = ["download", "--port", "0", "--bind", "127.0.0.1", "-d", "."].map(str::to_owned).to_vec();
    let mut torrents = Vec::new();
    for (number, source) in (0..).zip(&sources) {
        write(&source.path().join("same.bin"), &noise(number, 3_000_000));
        inside(source.path()).run(&["create", "same.bin", "-p", "32KiB"]).done();
        let mut seed =
            start(source.path(), &["seed", "same.bin.torrent", "--port", "0", "--bind", "127.0.0.1"]);
        let seeding = seed.event("seeding");
        let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap();
        args.extend(["--peer".to_owned(), format!("127.0.0.1:{port}")]);
        torrents.push(source.path().join("same.bin.torrent").into_os_string().into_string().unwrap());
        seeds.push(seed);
    }
    let (status, said) = start(target.path(), &[&args[..], &torrents].concat()).end();
    assert_eq!(status.code(), Some(3), "{said:#?}");
    let is_named = |line: &String| line.contains("same.bin") && line.contains("\"error\"");
    assert_eq!(said.iter().filter(|line| is_named(line)).count(), 1, "{said:#?}");
    let there = std::fs::read(target.path().join("same.bin")).unwrap();
    let is_right = |number| there == noise(number, 3_000_000);
    assert!(is_right(0) || is_right(1), "{said:#?}");
}
