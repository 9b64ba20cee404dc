//! Torrents by others are read as their makers and every other program read them, and ours are read by all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::support::data::{LIBRARY, library};
use super::support::programs::run;
use super::support::readers::{
    Reading, aria2_show, libtorrent_show, lt_torrent, shoal_create, shoal_show, transmission_show,
};
use crate::support::data::{noise, write};

/// What the makers are told to write, in tiers of one URL: not every maker can put two into one.
const TRACKERS: [&str; 2] = ["http://tracker.example:6969/announce", "udp://second.example:80/announce"];

/// What the makers are told to write; not plain ASCII.
const COMMENT: &str = "two words – жук";

/// A scratch folder with something to make torrents of.
struct Desk {
    scratch: TempDir,
}

impl Desk {
    fn new() -> Self {
        let scratch = TempDir::new().expect("a folder can be made");
        library(scratch.path());
        write(&scratch.path().join("single file.bin"), &noise(99, 300_001));
        Self { scratch }
    }

    /// A folder and a file, with the name of the torrent that is to be made of each.
    fn inputs(&self) -> [(PathBuf, PathBuf); 2] {
        [(LIBRARY, "multi.torrent"), ("single file.bin", "single.torrent")]
            .map(|(input, torrent)| (self.scratch.path().join(input), self.scratch.path().join(torrent)))
    }
}

/// Ends the test unless shoal and all others read the same in a torrent; answers what that is.
fn assert_all_agree(torrent: &Path) -> Reading {
    let ours = shoal_show(torrent);
    ours.assert_agrees("transmission-show", &transmission_show(torrent));
    ours.assert_agrees("aria2c", &aria2_show(torrent));
    ours.assert_agrees("libtorrent", &libtorrent_show(torrent));
    ours
}

/// Makes torrents of a folder and of a file, and ends the test unless all agree on what they hold.
fn torrents_by(make: impl Fn(&Path, &Path)) {
    let desk = Desk::new();
    for (input, torrent) in desk.inputs() {
        make(&input, &torrent);
        let reading = assert_all_agree(&torrent);
        assert_eq!(reading.tiers, TRACKERS.map(|url| vec![url.to_owned()]));
        assert_eq!(reading.comment, COMMENT);
    }
}

#[test]
#[ignore = "needs real clients: apt-get install mktorrent transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn torrents_by_mktorrent_are_read_as_others_read_them() {
    torrents_by(|input, torrent| {
        let mut command = Command::new("mktorrent");
        command.args(["-p", "-l", "16", "-c", COMMENT, "-a", TRACKERS[0], "-a", TRACKERS[1], "-o"]);
        run(command.arg(torrent).arg(input));
    });
}

#[test]
#[ignore = "needs real clients: apt-get install transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn torrents_by_transmission_are_read_as_others_read_them() {
    torrents_by(|input, torrent| {
        let mut command = Command::new("transmission-create");
        command.args(["-s", "64", "-c", COMMENT, "-t", TRACKERS[0], "-t", TRACKERS[1], "-o"]);
        run(command.arg(torrent).arg(input));
    });
}

/// `layout` is `plain`, or `padded`: then padding files (BEP 47) start every file on a piece of its own.
fn torrents_by_libtorrent(layout: &str) {
    torrents_by(|input, torrent| {
        let options = ["65536", COMMENT, TRACKERS[0], TRACKERS[1]].map(Path::new);
        lt_torrent(["create".as_ref(), layout.as_ref(), input, torrent].into_iter().chain(options));
    });
}

#[test]
#[ignore = "needs real clients: apt-get install transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn torrents_by_libtorrent_are_read_as_others_read_them() {
    torrents_by_libtorrent("plain");
}

#[test]
#[ignore = "needs real clients: apt-get install transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn torrents_with_padding_files_are_read_as_others_read_them() {
    torrents_by_libtorrent("padded");
}

#[test]
#[ignore = "needs real clients: apt-get install mktorrent transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn our_torrents_are_read_by_others_and_have_the_info_hash_of_mktorrent() {
    let desk = Desk::new();
    let theirs = desk.scratch.path().join("by-mktorrent.torrent");
    for (input, torrent) in desk.inputs() {
        for (length, log2) in [("32KiB", "15"), ("64KiB", "16"), ("1MiB", "20")] {
            shoal_create(
                &input,
                &torrent,
                &["-f", "-p", length, "-c", COMMENT, "-a", TRACKERS[0], "-a", TRACKERS[1]],
            );
            let ours = assert_all_agree(&torrent);
            assert_eq!(ours.tiers, TRACKERS.map(|url| vec![url.to_owned()]));
            assert_eq!(ours.comment, COMMENT);
            assert_eq!(ours.private, Some(false));

            run(Command::new("mktorrent").args(["-l", log2, "-o"]).arg(&theirs).arg(&input));
            assert_eq!(ours.info_hash, shoal_show(&theirs).info_hash, "{} in {length}", input.display());
            fs::remove_file(&theirs).expect("the torrent can be removed");
        }
    }
}

#[test]
#[ignore = "needs real clients: apt-get install mktorrent transmission-cli aria2 python3-libtorrent, and run with --ignored"]
fn our_private_torrents_with_a_source_have_the_info_hash_of_mktorrent() {
    let desk = Desk::new();
    let theirs = desk.scratch.path().join("by-mktorrent.torrent");
    let [(input, torrent), _] = desk.inputs();
    // Two URLs make one tier.
    let tier = TRACKERS.join(",");
    shoal_create(&input, &torrent, &["-p", "64KiB", "-P", "-s", "SITE", "-a", &tier]);
    let ours = assert_all_agree(&torrent);
    assert_eq!(ours.tiers, [TRACKERS.map(str::to_owned).to_vec()]);
    assert_eq!(ours.private, Some(true));

    run(Command::new("mktorrent").args(["-l", "16", "-p", "-s", "SITE", "-o"]).arg(&theirs).arg(&input));
    assert_eq!(ours.info_hash, shoal_show(&theirs).info_hash);
}
