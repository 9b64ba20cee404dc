//! A process that may have 64 files open, and a torrent of a thousand: seeding and downloading it, and twenty at once.

use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use super::support::SHOAL;
use super::support::programs::require;
use crate::support::data::{assert_same, noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, spawn};

/// What the system allows.
const LIMIT: &str = "64";

/// Files of the torrent: more than the limit, several to a piece, in many folders.
const FILES: usize = 1000;

/// Those that download at once, each connected with all others.
const PEERS: usize = 20;

/// Shoal with that limit.
fn limited(cwd: &Path, args: &[&str]) -> Running {
    require("prlimit");
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={LIMIT}")).arg(SHOAL).args(args).args(["--progress", "json"]);
    command.current_dir(cwd).env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_STATE_HOME", cwd.join("state"));
    spawn(command)
}

#[test]
#[ignore = "interop: needs prlimit (apt-get install util-linux); run with --ignored"]
fn h76_with_64_descriptors_a_thousand_files_are_seeded_to_twenty_who_have_no_more() {
    let folder = tempdir().expect("a folder can be made");
    for file in 0..FILES {
        write(
            &folder.path().join(format!("library/{}/{file}", file % 37)),
            &noise(file as u64, 3000 + 20 * file),
        );
    }
    inside(folder.path()).run(&["create", "library", "-p", "64KiB"]).done();
    let mut seed = limited(folder.path(), &["seed", "library.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let seeding = seed.event("seeding");
    let port =
        seeding["message"].as_str().and_then(|text| text.rsplit(' ').next()).expect("it says its port");
    let torrent =
        folder.path().join("library.torrent").into_os_string().into_string().expect("a path in UTF-8");
    let peer = format!("127.0.0.1:{port}");
    let folders: Vec<_> = (0..PEERS).map(|_| tempdir().expect("a folder can be made")).collect();
    // Slow enough that all are there at once.
    let rest = ["--port", "0", "--bind", "127.0.0.1", "--limit-down", "2MiB"];
    let args = [&["download", &torrent, "--peer", &peer], &rest[..]].concat();
    let downloads: Vec<_> = folders.iter().map(|folder| limited(folder.path(), &args)).collect();
    seed.object(|object| object["peers"] == PEERS);
    for (download, copy) in downloads.into_iter().zip(&folders) {
        let (status, said) = download.end();
        let complaints: Vec<_> =
            said.iter().filter(|line| line.contains("\"warning\"") || line.contains("\"error\"")).collect();
        assert!(status.success() && complaints.is_empty(), "{status}: {complaints:?}");
        assert_same(&folder.path().join("library"), &copy.path().join("library"));
    }
    seed.signal("TERM");
    let (status, said) = seed.end();
    assert!(status.success() && !said.iter().any(|line| line.contains("Too many open files")), "{said:?}");
}
