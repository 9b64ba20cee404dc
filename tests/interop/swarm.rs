//! `share` on a host with a slow link, and three that download at once: they feed each other.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::support::SHOAL;
use super::support::data::{LIBRARY, library};
use super::support::net::{Host, Network};
use super::support::process::Process;
use crate::support::data::{assert_same, noise, tree, write};

/// A file that takes the slow link seconds to send once.
const LARGE_FILE: usize = 24_000_000;

/// What the sharing host can send: too little to feed three in the time that one takes.
const SLOW_LINK: &str = "40mbit";

fn start(
    host: &Host,
    logs: &Path,
    command: &[&str],
    path: impl Into<OsString>,
    more: &[OsString],
) -> Process {
    let command: Vec<OsString> = [SHOAL].iter().chain(command).map(OsString::from).collect();
    Process::start(host, "shoal", logs, &[command.as_slice(), &[path.into()], more].concat())
}

/// The address that `share` tells others to download from.
fn torrent_url(share: &Process) -> Option<String> {
    let printed = share.stdout();
    printed
        .split_whitespace()
        .find(|word| word.starts_with("http://") && word.contains("/t/"))
        .map(str::to_owned)
}

/// The bytes that a process last reported as uploaded and as downloaded.
fn reported(process: &Process) -> (u64, u64) {
    let lines = process.stderr();
    let mut objects = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = objects.find(|object| object["event"] == "progress").expect("progress was reported");
    let bytes = |key: &str| last[key].as_u64().unwrap_or_else(|| panic!("{last} has {key}"));
    (bytes("uploaded_bytes"), bytes("downloaded_bytes"))
}

#[test]
#[ignore = "needs network namespaces: apt-get install iproute2, be root, and run with --ignored"]
fn leechers_of_a_slow_share_feed_each_other() {
    let network = Network::new(4);
    let scratch = TempDir::new().expect("a folder can be made");
    let (original, logs) = (scratch.path().join("original"), scratch.path().join("logs"));
    fs::create_dir(&logs).expect("a folder can be made");
    library(&original);
    write(&original.join(LIBRARY).join("large"), &noise(99, LARGE_FILE));
    let size: u64 = tree(&original).values().map(|bytes| bytes.len() as u64).sum();
    let sharer = network.host(0);
    sharer.limit(SLOW_LINK);

    let mut share = start(sharer, &logs, &["share"], original.join(LIBRARY), &[]);
    let url = share.until("it prints where to download from", torrent_url);
    let folders = [1, 2, 3].map(|i| (i, scratch.path().join(format!("copy-{i}"))));
    let mut leechers = folders.clone().map(|(i, folder)| {
        start(network.host(i), &logs, &["download"], url.clone(), &["-d".into(), folder.into()])
    });
    leechers.iter_mut().for_each(Process::finish);
    let sent = sharer.sent_bytes();
    share.terminate();

    for (_, folder) in &folders {
        assert_same(&original.join(LIBRARY), &folder.join(LIBRARY));
    }
    assert!(sent * 2 <= size * 3, "the share sent {sent} bytes of {size}: more than 1.5 times the size");
    let all = leechers.iter().chain([&share]).map(reported);
    let (uploaded, downloaded) = all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(downloaded >= size * 3, "three downloads of {size} bytes took {downloaded} in all");
    assert!(
        uploaded.abs_diff(downloaded) * 100 <= downloaded,
        "{uploaded} bytes were reported as uploaded, and {downloaded} as downloaded"
    );
}
