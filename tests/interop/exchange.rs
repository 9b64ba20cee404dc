//! Peer exchange with libtorrent, both ways: who knows only of a leecher finds the seed by its word.
//!
//! There is no tracker, and the leecher in between is held down so far that nobody would ever get the whole from it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::support::SHOAL;
use super::support::clients::Client::{self, Libtorrent, Shoal};
use super::support::data::{LIBRARY, library};
use super::support::net::{Host, Network};
use super::support::process::Process;
use super::support::programs::{PYTHON, require_libtorrent};
use super::support::{SCRIPTS, readers};
use crate::support::data::{assert_same, noise, write};

/// Too much to come from one that gives [`SLOW`] while a test waits.
const LARGE_FILE: usize = 24_000_000;

/// Bytes a second.
const SLOW: &str = "2000";

/// A leecher that knows of one other peer, as fast as it can be or [`SLOW`].
fn leech(client: Client, host: &Host, torrent: &Path, data: &Path, knows: &Host, is_slow: bool) -> Process {
    let logs = data.with_extension("logs");
    fs::create_dir_all(data).and_then(|()| fs::create_dir_all(&logs)).expect("folders can be made");
    let peer = format!("{}:6881", knows.address());
    let mut command: Vec<OsString> = match client {
        Libtorrent => {
            require_libtorrent();
            let (script, listen) =
                (Path::new(SCRIPTS).join("lt_peer.py"), format!("{}:6881", host.address()));
            vec![PYTHON.into(), script.into(), "leech".into(), torrent.into(), data.into(), listen.into()]
        }
        _ => {
            let args = ["--port", "6881", "--peer"].map(OsString::from);
            [vec![SHOAL.into(), "download".into(), torrent.into(), "-d".into(), data.into()], args.to_vec()]
                .concat()
        }
    };
    command.push(peer.into());
    match (is_slow, client) {
        (false, _) => {}
        (true, Libtorrent) => command.push(SLOW.into()),
        (true, _) => command.extend(["--limit-up", SLOW, "--limit-down", SLOW].map(OsString::from)),
    }
    Process::start(host, "leecher", &logs, &command)
}

fn finds_the_seed(between: Client, last: Client) {
    let network = Network::new(3);
    let scratch = TempDir::new().expect("a folder can be made");
    let (original, logs) = (scratch.path().join("original"), scratch.path().join("logs"));
    fs::create_dir(&logs).expect("a folder can be made");
    library(&original);
    write(&original.join(LIBRARY).join("large"), &noise(99, LARGE_FILE));
    let torrent = scratch.path().join("library.torrent");
    readers::shoal_create(&original.join(LIBRARY), &torrent, &["-p", "64KiB"]);

    let _seeder = Shoal.seed(network.host(0), &torrent, &original, &logs);
    let [slow, copy] = ["slow", "copy"].map(|name| scratch.path().join(name));
    let _between = leech(between, network.host(1), &torrent, &slow, network.host(0), true);
    leech(last, network.host(2), &torrent, &copy, network.host(1), false).finish();
    assert_same(&original.join(LIBRARY), &copy.join(LIBRARY));
}

#[test]
#[ignore = "needs a real client: apt-get install iproute2 python3-libtorrent, be root, and run with --ignored"]
fn shoal_finds_the_seed_by_the_word_of_libtorrent() {
    finds_the_seed(Libtorrent, Shoal);
}

#[test]
#[ignore = "needs a real client: apt-get install iproute2 python3-libtorrent, be root, and run with --ignored"]
fn libtorrent_finds_the_seed_by_the_word_of_shoal() {
    finds_the_seed(Shoal, Libtorrent);
}
