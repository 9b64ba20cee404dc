//! Who connects to whom, how many, and for how long: the options that say so, in the whole program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, photos};
use crate::support::inside::inside;
use crate::support::process::{Running, start};
use crate::support::relay::Relay;

/// Bytes of the folder that is shared, about.
const SIZE: usize = 3_000_000;

/// A folder `photos` and its torrent.
fn shared() -> TempDir {
    let folder = tempdir().unwrap();
    photos(folder.path(), SIZE);
    inside(folder.path()).run(&["create", "photos", "-p", "64KiB"]).done();
    folder
}

fn torrent(folder: &TempDir) -> String {
    folder.path().join("photos.torrent").into_os_string().into_string().unwrap()
}

fn info_hash(folder: &TempDir) -> Vec<u8> {
    let shown = inside(folder.path()).run(&["show", "photos.torrent", "--json"]).done().json();
    let digits = shown["info_hash_v1"].as_str().unwrap();
    (0..20).map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// The port of a program that says that it seeds.
fn port(running: &mut Running) -> u16 {
    let seeding = running.event("seeding");
    seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn seed(folder: &TempDir, more: &[&str]) -> (Running, u16) {
    let args = ["seed", "photos.torrent", "--port", "0", "--bind", "127.0.0.1"];
    let mut running = start(folder.path(), &[&args[..], more].concat());
    let port = port(&mut running);
    (running, port)
}

/// A stranger who introduces himself; `None` if he is turned away before he is answered.
fn guest(port: u16, info_hash: &[u8], number: u8) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let hello = [&b"\x13BitTorrent protocol"[..], &[0; 8], info_hash, &[number; 20]].concat();
    // It may be closed already: that shows when it is read.
    let _ = stream.write_all(&hello);
    stream.read_exact(&mut [0; 68]).is_ok().then_some(stream)
}

#[test]
fn no_more_peers_are_taken_than_allowed_and_a_place_that_becomes_free_is_given_again() {
    let folder = shared();
    let hash = info_hash(&folder);
    let (mut seed, port) = seed(&folder, &["--max-peers", "2"]);
    let first = guest(port, &hash, 1).unwrap();
    let _second = guest(port, &hash, 2).unwrap();
    assert!(guest(port, &hash, 3).is_none(), "a third was answered");
    seed.object(|object| object["event"] == "progress" && object["peers"] == 2);
    drop(first);
    // That he has gone shows a little later; every try is a connection of its own.
    assert!((0..100_000).any(|_| guest(port, &hash, 4).is_some()), "nobody got the place that was free");
    seed.signal("INT");
    assert_eq!(seed.finish().0, Some(0));
}

/// What a program says of itself by the extension protocol (BEP 10) to a stranger who speaks it.
fn introduction(port: u16, info_hash: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let reserved = [0, 0, 0, 0, 0, 0x10, 0, 0];
    let hello = [&b"\x13BitTorrent protocol"[..], &reserved, info_hash, &[7; 20]].concat();
    stream.write_all(&hello).unwrap();
    stream.read_exact(&mut [0; 68]).unwrap();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut frame).unwrap();
        if let Some(payload) = frame.strip_prefix(&[20, 0]) {
            return payload.to_vec();
        }
    }
}

#[test]
fn a_limit_holds_back_what_goes_its_way_and_nothing_else() {
    let folder = shared();
    for (of_seed, of_download, completes) in [
        (&["--limit-down", "1"][..], &["--limit-up", "1"][..], true),
        (&["--limit-up", "1"], &[], false),
        (&[], &["--limit-down", "1"], false),
    ] {
        let (_seed, port) = seed(&folder, of_seed);
        let target = tempdir().unwrap();
        let (torrent, peer) = (torrent(&folder), format!("127.0.0.1:{port}"));
        let timeout = if completes { "60s" } else { "1s" };
        let args = ["download", &torrent, "--port", "0", "--peer", &peer, "--timeout", timeout];
        let (code, last) = start(target.path(), &[&args[..], of_download].concat()).finish();
        assert_eq!(code, Some(if completes { 0 } else { 4 }), "{of_seed:?} {of_download:?}: {last}");
        let came = last["downloaded_bytes"].as_u64().unwrap();
        // One block goes on credit; the next would come in hours.
        assert!(completes || came <= 2 * 16_384, "{of_seed:?} {of_download:?}: {last}");
    }
}

#[test]
fn peer_exchange_is_spoken_unless_it_is_switched_off() {
    let folder = shared();
    let hash = info_hash(&folder);
    for (args, due) in [(&[][..], true), (&["--no-pex"], false), (&["--no-pex", "--pex"], true)] {
        let (seed, port) = seed(&folder, args);
        let said = introduction(port, &hash);
        assert_eq!(said.windows(6).any(|key| key == b"ut_pex"), due, "{args:?}");
        seed.signal("INT");
        assert_eq!(seed.finish().0, Some(0));
    }
}

#[test]
fn a_download_with_a_ratio_gives_on_what_it_got_and_ends() {
    let folder = shared();
    let (seed, source) = seed(&folder, &[]);
    let targets = [tempdir().unwrap(), tempdir().unwrap()];
    let download = |target: &TempDir, port: u16, more: &[&str]| {
        let (torrent, peer) = (torrent(&folder), format!("127.0.0.1:{port}"));
        let args = ["download", &torrent, "--port", "0", "--bind", "127.0.0.1", "--peer", &peer];
        start(target.path(), &[&args[..], more].concat())
    };
    let mut first = download(&targets[0], source, &["--seed-ratio", "1"]);
    let its_port = port(&mut first);
    seed.signal("KILL");
    assert_eq!(download(&targets[1], its_port, &[]).finish().0, Some(0));
    let (code, last) = first.finish();
    assert_eq!(code, Some(0), "{last}");
    assert!(last["uploaded_bytes"].as_u64().unwrap() >= last["total_bytes"].as_u64().unwrap(), "{last}");
    for target in &targets {
        assert_same(&folder.path().join("photos"), &target.path().join("photos"));
    }
}

#[test]
fn a_download_with_a_seed_time_seeds_and_ends() {
    let folder = shared();
    let (_seed, port) = seed(&folder, &[]);
    let target = tempdir().unwrap();
    let (torrent, peer) = (torrent(&folder), format!("127.0.0.1:{port}"));
    let args = ["download", &torrent, "--port", "0", "--peer", &peer, "--seed-time", "300ms"];
    let mut running = start(target.path(), &args);
    running.event("seeding");
    let (code, last) = running.finish();
    assert_eq!(code, Some(0), "{last}");
    assert_same(&folder.path().join("photos"), &target.path().join("photos"));
}

#[test]
fn a_peer_that_stops_sending_lets_the_download_time_out_with_code_4() {
    let folder = shared();
    let (_seed, port) = seed(&folder, &[]);
    let relay = Relay::start(port, SIZE as u64 / 2);
    let target = tempdir().unwrap();
    let (torrent, peer) = (torrent(&folder), relay.address());
    let args = ["download", &torrent, "--port", "0", "--peer", &peer, "--timeout", "2s"];
    let mut running = start(target.path(), &args);
    let error = running.event("error");
    assert!(error["message"].as_str().unwrap().starts_with("photos: no progress for 2s: "), "{error}");
    let (code, last) = running.finish();
    assert_eq!(code, Some(4));
    assert!(last["done_bytes"].as_u64().unwrap() > 0, "it had begun: {last}");
    // What came is kept.
    relay.open();
    assert_eq!(start(target.path(), &args).finish().0, Some(0));
    assert_same(&folder.path().join("photos"), &target.path().join("photos"));
}

#[test]
fn a_peer_that_the_user_named_is_tried_until_it_is_there() {
    let folder = shared();
    // A port where nobody listens any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let relay = Relay::start(gone, u64::MAX);
    let target = tempdir().unwrap();
    let (torrent, peer) = (torrent(&folder), relay.address());
    let args = ["download", &torrent, "--port", "0", "--peer", "127.0.0.1:1", "--peer", &peer];
    let mut running = start(target.path(), &args);
    running.object(|object| object["event"] == "progress");
    let (_seed, port) = seed(&folder, &[]);
    relay.lead_to(port);
    assert_eq!(running.finish().0, Some(0));
    assert_same(&folder.path().join("photos"), &target.path().join("photos"));
}

#[test]
fn a_seed_connects_to_the_peers_and_asks_the_trackers_that_it_was_told_of() {
    let folder = shared();
    let hash = info_hash(&folder);
    // The torrent names neither; and a torrent could not name such a tracker.
    let [peer, tracker] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let address = peer.local_addr().unwrap().to_string();
    let url = format!("http://{}/odd", tracker.local_addr().unwrap());
    let (_seed, _) = seed(&folder, &["--peer", &address, "--tracker", &url]);
    let mut asked = [0; 15];
    tracker.accept().unwrap().0.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"GET /odd?info_h");
    let mut hello = [0; 68];
    peer.accept().unwrap().0.read_exact(&mut hello).unwrap();
    assert_eq!((&hello[..20], &hello[28..48]), (&b"\x13BitTorrent protocol"[..], &hash[..]));
}
