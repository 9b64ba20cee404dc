//! Choosing files of a torrent, and fetching in sequence.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shoal::Exit;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, tree, write};
use crate::support::inside::{Outcome, inside};
use crate::support::process::{Running, start};
use crate::support::relay::Relay;

const PIECE: usize = 65_536;

/// Five files, none of whose borders is one of a piece.
const FILES: [(&str, usize); 5] =
    [("a.bin", 300_000), ("b.bin", 2_000_000), ("c.bin", 50_000), ("d/d.bin", 1_500_000), ("e.bin", 400_000)];

struct Source {
    folder: TempDir,
    seed: Running,
    port: u16,
}

fn source() -> Source {
    let folder = tempdir().unwrap();
    for (number, (path, length)) in (1..).zip(FILES) {
        write(&folder.path().join("five").join(path), &noise(number, length));
    }
    inside(folder.path()).run(&["create", "five", "-p", "64KiB"]).done();
    let (seed, port) = seeding(folder.path(), &["seed", "five.torrent"]);
    Source { folder, seed, port }
}

/// Starts something that seeds; the port that it can be reached on.
fn seeding(folder: &Path, args: &[&str]) -> (Running, u16) {
    let mut running = start(folder, &[args, &["--port", "0", "--bind", "127.0.0.1"]].concat());
    let seeding = running.event("seeding");
    let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    (running, port)
}

impl Source {
    fn torrent(&self) -> String {
        self.folder.path().join("five.torrent").into_os_string().into_string().unwrap()
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("five").join(path)).unwrap()
    }

    /// Downloads from a peer on this port, to the end; the result, and the event of its completion.
    fn download(&self, target: &Path, port: u16, args: &[&str]) -> (Value, Value) {
        let peer = format!("127.0.0.1:{port}");
        let torrent = self.torrent();
        let args = [&["download", &torrent, "--port", "0", "--peer", &peer, "--json"], args].concat();
        let mut running = start(target, &args);
        let complete = running.event("complete");
        let result = serde_json::from_str(&running.line()).unwrap();
        let (status, _) = running.end();
        assert_eq!(status.code(), Some(0));
        (result, complete)
    }

    /// Asserts that these files and no others are there, and right.
    #[track_caller]
    fn assert_only(&self, target: &Path, names: &[&str]) {
        let there = tree(&target.join("five"));
        assert_eq!(
            there.keys().cloned().collect::<Vec<_>>(),
            names.iter().map(PathBuf::from).collect::<Vec<_>>()
        );
        for name in names {
            assert!(there[Path::new(name)] == self.bytes(name), "{name} differs");
        }
    }
}

/// What lies beside the data.
fn beside(target: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "five").collect()
}

/// Bytes of the pieces that hold these bytes of the content.
fn in_pieces(from: usize, to: usize) -> u64 {
    let total: usize = FILES.iter().map(|(_, length)| length).sum();
    ((to.div_ceil(PIECE) * PIECE).min(total) - from / PIECE * PIECE) as u64
}

#[test]
fn two_files_of_five_are_downloaded_and_nothing_of_the_others_is_made() {
    let source = source();
    let target = tempdir().unwrap();
    let (result, complete) = source.download(target.path(), source.port, &["--select", "2,4"]);
    assert_eq!(complete["message"], "complete, 2 of 5 files");
    source.assert_only(target.path(), &["b.bin", "d/d.bin"]);
    let due = in_pieces(300_000, 2_300_000) + in_pieces(2_350_000, 3_850_000);
    assert_eq!(result["total_bytes"], due - PIECE as u64, "the two have a piece together");
    assert_eq!(
        (&result["complete"], &result["downloaded_bytes"]),
        (&Value::Bool(true), &result["total_bytes"])
    );
    let kept = beside(target.path());
    assert!(
        matches!(kept.as_slice(), [name] if name.starts_with(".five.") && name.ends_with(".parts")),
        "{kept:?}"
    );

    // The same again: all is there. One more: what had come with its neighbours is not fetched again.
    let (again, _) = source.download(target.path(), source.port, &["--select", "2,4"]);
    assert_eq!(again["downloaded_bytes"], 0);
    let (more, _) = source.download(target.path(), source.port, &["--select", "2-4"]);
    assert_eq!(more["downloaded_bytes"], 0, "the third file lies within the pieces of its neighbours");
    source.assert_only(target.path(), &["b.bin", "c.bin", "d/d.bin"]);
    let (all, _) = source.download(target.path(), source.port, &[]);
    let total = FILES.iter().map(|(_, length)| *length as u64).sum::<u64>();
    assert_eq!(all["downloaded_bytes"], total - more["total_bytes"].as_u64().unwrap());
    assert_same(&source.folder.path().join("five"), &target.path().join("five"));
    assert_eq!(beside(target.path()), [""; 0], "nothing but the data stays");
    source.seed.signal("INT");
}

#[test]
fn chosen_files_are_seeded_with_the_pieces_that_they_share() {
    let source = source();
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let peer = format!("127.0.0.1:{}", source.port);
    let args = ["download", &source.torrent(), "--select", "2", "--seed", "--peer", &peer];
    let (seed, port) = seeding(first.path(), &args);
    let (result, _) = source.download(second.path(), port, &["--select", "2"]);
    assert_eq!(result["total_bytes"], in_pieces(300_000, 2_300_000));
    source.assert_only(second.path(), &["b.bin"]);
    seed.signal("INT");
    let (code, last) = seed.finish();
    assert_eq!((code, &last["uploaded_bytes"]), (Some(0), &result["total_bytes"]));
}

#[test]
fn h73_a_download_of_chosen_files_that_is_killed_goes_on_where_it_was() {
    let source = source();
    let target = tempdir().unwrap();
    let relay = Relay::start(source.port, 1_200_000);
    let args = ["download", &source.torrent(), "--select", "2,5", "--port", "0", "--peer", &relay.address()];
    let mut first = start(target.path(), &args);
    first
        .object(|object| object["event"] == "progress" && object["done_bytes"].as_u64().unwrap() > 1_000_000);
    first.signal("KILL");
    first.finish();
    let (result, _) = source.download(target.path(), source.port, &["--select", "2,5"]);
    let (fetched, total) =
        (result["downloaded_bytes"].as_u64().unwrap(), result["total_bytes"].as_u64().unwrap());
    assert!(fetched < total * 8 / 10, "{fetched} of {total} were fetched in the second run");
    source.assert_only(target.path(), &["b.bin", "e.bin"]);
}

#[test]
fn h72_a_file_that_is_not_chosen_is_left_as_it_is() {
    let source = source();
    let target = tempdir().unwrap();
    write(&target.path().join("five/a.bin"), b"mine");
    write(&target.path().join("five/c.bin"), &source.bytes("c.bin"));
    source.download(target.path(), source.port, &["--select", "2"]);
    assert_eq!(std::fs::read(target.path().join("five/a.bin")).unwrap(), b"mine");
    assert!(std::fs::read(target.path().join("five/b.bin")).unwrap() == source.bytes("b.bin"));
    assert_eq!(tree(&target.path().join("five")).len(), 3);
}

#[test]
fn a_download_in_sequence_completes() {
    let source = source();
    let target = tempdir().unwrap();
    source.download(target.path(), source.port, &["--sequential"]);
    assert_same(&source.folder.path().join("five"), &target.path().join("five"));
    assert_eq!(beside(target.path()), [""; 0]);
}

#[test]
fn a_single_file_is_number_1_and_empty_files_alone_are_made_at_once() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("one.bin"), &noise(1, 10_000));
    write(&folder.path().join("two/a.bin"), &noise(2, 10_000));
    write(&folder.path().join("two/nothing"), b"");
    for name in ["one.bin", "two"] {
        inside(folder.path()).run(&["create", name]).done();
    }
    let select = |torrent: &str, number: &str, to: &str| {
        let args = ["download", torrent, "--select", number, "-d", to, "--port", "0", "--bind", "127.0.0.1"];
        inside(folder.path()).run(&args).done()
    };
    select("one.bin.torrent", "1", ".");
    let said = select("two.torrent", "2", "to").stderr;
    assert!(said.contains("two (1 of 2 files): "), "{said}");
    assert_eq!(tree(&folder.path().join("to/two")).into_keys().collect::<Vec<_>>(), [Path::new("nothing")]);
}

fn fixture(args: &[&str]) -> Outcome {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    inside(fixtures).run(&[&["download"], args].concat())
}

#[test]
fn the_list_numbers_the_files_from_1_on_and_downloads_nothing() {
    let folder = tempdir().unwrap();
    for (number, (path, length)) in (1..).zip(FILES) {
        write(&folder.path().join("five").join(path), &noise(number, length / 1000));
    }
    inside(folder.path()).run(&["create", "five"]).done();
    std::fs::remove_dir_all(folder.path().join("five")).unwrap();
    let list = |args: &[&str]| {
        inside(folder.path()).run(&[&["get", "five.torrent", "--list", "-d", "x"], args].concat())
    };
    let plain = list(&[]).done();
    let lines: Vec<_> = plain.out().lines().collect();
    assert_eq!((lines[0], lines[3], lines.len()), ("file: 1 300 five/a.bin", "file: 4 1500 five/d/d.bin", 5));
    let json = list(&["--select", "2,4", "--json"]).done().json();
    assert_eq!(json["name"], "five");
    assert_eq!(json["files"][1], serde_json::json!({"number": 4, "path": "five/d/d.bin", "length": 1500}));
    assert_eq!(json["files"].as_array().unwrap().len(), 2);
    let shown =
        inside(folder.path()).terminal(80).run(&["get", "five.torrent", "--list", "--color", "never"]).done();
    assert!(shown.out().starts_with("1    300 B  five/a.bin\n2  2.0 KiB  "), "{}", shown.out());
    assert!(!folder.path().join("x").exists() && !folder.path().join("five").exists());

    let padded = fixture(&["libtorrent-v1-padded.torrent", "--list"]).done();
    assert!(!padded.out().contains("pad"), "{}", padded.out());
}

#[test]
fn numbers_of_no_file_and_of_several_torrents_are_mistakes_of_usage() {
    let folder = "mktorrent-folder.torrent";
    let count = fixture(&[folder, "--list"]).done().out().lines().count();
    let beyond = (count + 1).to_string();
    let error = fixture(&[folder, "--select", &format!("1-{beyond}")]);
    assert!(error.stderr.starts_with(&format!("error: --select {beyond}: ")), "{error:?}");
    assert!(error.stderr.ends_with(&format!(" has {count} files, 1 to {count}\n")), "{error:?}");
    assert_eq!(error.exit, Exit::Usage);
    let twice = fixture(&[folder, "--select", "1,1"]);
    assert!(twice.stderr.contains("file 1 is named twice") && twice.exit == Exit::Usage, "{twice:?}");
    for option in [&["--list"][..], &["--select", "1"]] {
        let outcome = fixture(&[&[folder, "mktorrent-single.torrent"], option].concat());
        outcome.failed(Exit::Usage, &format!("{} is for one torrent; there are 2", option[0]));
    }
}
