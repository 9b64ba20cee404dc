//! Torrents that are giants, each in its own way, at a size that a test can bear. `benches/giants` measures whole ones.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use metainfo::{BuildFile, InfoBuilder, MAX_PIECE_COUNT, TorrentBuilder, TorrentFile};
use tempfile::tempdir;

use crate::support::data::{assert_same, noise, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};

/// How long something that must come may take on a busy machine. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// The port in the message of an event that a torrent is seeded.
fn port_of(event: &serde_json::Value) -> String {
    event["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
}

/// Descriptors that a process has open.
fn descriptors(process: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count()
}

#[test]
fn a_hundred_torrents_in_one_process_are_all_announced_and_any_one_is_downloaded() {
    const COUNT: usize = 100;
    let source = tempdir().unwrap();
    let mut tracker = start(source.path(), &["tracker", "--http", "127.0.0.1:0"]);
    let announce = tracker.line();
    let mut hashes = Vec::new();
    for number in 0..COUNT {
        let name = format!("file-{number}");
        write(&source.path().join(&name), &noise(number as u64, 40_000));
        let made = inside(source.path()).run(&["create", &name, "-a", &announce, "--json"]).done().json();
        hashes.push(made["info_hash_v1"].as_str().unwrap().to_owned());
    }
    let torrents: Vec<_> = (0..COUNT).map(|number| format!("file-{number}.torrent")).collect();
    let options = ["seed", "--no-verify", "--port", "0"].map(str::to_owned);
    let mut seed = start(source.path(), &[&options[..], &torrents].concat());
    let mut waiting: BTreeSet<_> = (0..COUNT).map(|number| format!("file-{number}")).collect();
    while !waiting.is_empty() {
        let event = seed.event("seeding");
        assert!(waiting.remove(event["name"].as_str().unwrap()), "each is told once: {event}");
    }
    let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
    let scrape = [&["scrape", "--json", &announce][..], &hashes].concat();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scraped = inside(source.path()).run(&scrape).done().json();
        let seeded = |torrent: &&serde_json::Value| torrent["seeders"] == 1;
        if scraped["torrents"].as_array().unwrap().iter().filter(seeded).count() == COUNT {
            break;
        }
        assert!(Instant::now() < deadline, "not all are announced: {scraped}");
    }
    // Those that rest have no descriptors of their own: what is left is the program's own and a socket or two.
    // The connections of the announces go once their ends are read.
    while descriptors(&seed) >= 50 {
        assert!(Instant::now() < deadline, "{} descriptors", descriptors(&seed));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    for number in [0, 57, COUNT - 1] {
        let target = tempdir().unwrap();
        let torrent = source.path().join(&torrents[number]).into_os_string().into_string().unwrap();
        let mut download = start(target.path(), &["download", &torrent, "--port", "0"]);
        download.event("complete");
        assert_eq!(download.finish().0, Some(0));
        let name = format!("file-{number}");
        assert_eq!(std::fs::read(target.path().join(&name)).unwrap(), noise(number as u64, 40_000));
    }
    seed.signal("TERM");
    assert_eq!(seed.finish().0, Some(0));
    let left = inside(source.path()).run(&scrape).done().json();
    // Of a swarm without peers and downloads the tracker soon knows nothing at all.
    let seeders = |torrent: &serde_json::Value| torrent["seeders"].as_u64().unwrap_or(0);
    assert!(left["torrents"].as_array().unwrap().iter().all(|torrent| seeders(torrent) == 0), "{left}");
}

#[test]
fn thousands_of_small_files_are_made_into_a_torrent_shown_verified_and_downloaded() {
    const COUNT: usize = 3000;
    let source = tempdir().unwrap();
    for number in 0..COUNT {
        let path = format!("many/folder-{:02}/file-{number:04}", number / 100);
        write(&source.path().join(path), &noise(number as u64, number % 300));
    }
    inside(source.path()).run(&["create", "many", "--piece-length", "32KiB"]).done();
    let shown = inside(source.path()).run(&["show", "many.torrent", "--json"]).done().json();
    let files = shown["files"].as_array().unwrap();
    assert_eq!((files.len(), &files[COUNT - 1]["path"]), (COUNT, &"many/folder-29/file-2999".into()));
    inside(source.path()).run(&["verify", "many.torrent"]).done();

    let mut seed = start(source.path(), &["seed", "many.torrent", "--no-verify", "--port", "0"]);
    let peer = format!("127.0.0.1:{}", port_of(&seed.event("seeding")));
    let target = tempdir().unwrap();
    let torrent = source.path().join("many.torrent").into_os_string().into_string().unwrap();
    let mut download = start(target.path(), &["download", &torrent, "--peer", &peer, "--port", "0"]);
    download.event("complete");
    assert_eq!(download.finish().0, Some(0));
    assert_same(&source.path().join("many"), &target.path().join("many"));
}

/// A torrent of 1 TiB in as many pieces as there may be: two small files, and a hole between them.
fn tebibyte(folder: &Path) -> [Vec<u8>; 2] {
    const PIECE: u32 = 512 * 1024;
    let total = u64::from(MAX_PIECE_COUNT) * u64::from(PIECE);
    let ends = [noise(1, PIECE as usize), noise(2, 2 * PIECE as usize)];
    let lengths = [ends[0].len() as u64, total - 3 * u64::from(PIECE), ends[1].len() as u64];
    let file = |name: &str, length| {
        std::fs::create_dir_all(folder.join("huge")).unwrap();
        let file = File::create(folder.join("huge").join(name)).unwrap();
        file.set_len(length).unwrap();
        file
    };
    file("a", lengths[0]).write_all_at(&ends[0], 0).unwrap();
    file("b", lengths[1]);
    file("c", lengths[2]).write_all_at(&ends[1], 0).unwrap();
    let end = folder.join("end");
    std::fs::write(&end, ends.concat()).unwrap();
    inside(folder).run(&["create", "end", "--piece-length", "512KiB"]).done();
    let end = TorrentFile::parse(&std::fs::read(folder.join("end.torrent")).unwrap()).unwrap().info;
    // No digest of the hole is right, and nobody asks.
    let mut digests = vec![0; MAX_PIECE_COUNT as usize * 20];
    for (from, to) in (0..).zip([0, MAX_PIECE_COUNT - 2, MAX_PIECE_COUNT - 1]) {
        digests[to as usize * 20..][..20].copy_from_slice(end.piece_hash(from).unwrap().as_bytes());
    }
    let files = ["a", "b", "c"].into_iter().zip(lengths);
    let files: Vec<_> = files.map(|(name, length)| BuildFile { path: vec![name.into()], length }).collect();
    let info = InfoBuilder { name: b"huge".to_vec(), piece_length: PIECE, private: false, source: None };
    let torrent = TorrentBuilder::default().build(info.folder(&files, &digests).unwrap()).unwrap();
    std::fs::write(folder.join("huge.torrent"), torrent.to_parts().concat()).unwrap();
    ends
}

#[test]
fn of_a_tebibyte_in_two_million_pieces_the_few_that_are_wanted_are_downloaded() {
    let source = tempdir().unwrap();
    let [first, last] = tebibyte(source.path());
    let shown = inside(source.path()).run(&["show", "huge.torrent", "--json"]).done().json();
    assert_eq!((&shown["piece_count"], &shown["total_size"]), (&2_097_152.into(), &(1u64 << 40).into()));

    let mut seed = start(source.path(), &["seed", "huge.torrent", "--no-verify", "--port", "0"]);
    let peer = format!("127.0.0.1:{}", port_of(&seed.event("seeding")));
    let target = tempdir().unwrap();
    let torrent = source.path().join("huge.torrent").into_os_string().into_string().unwrap();
    let args = ["download", &torrent, "--select", "1,3", "--peer", &peer, "--port", "0"];
    let mut download = start(target.path(), &args);
    download.event("complete");
    assert_eq!(download.finish().0, Some(0));
    let there = |name: &str| std::fs::read(target.path().join("huge").join(name)).unwrap();
    assert!(there("a") == first && there("c") == last);
    assert!(!target.path().join("huge/b").exists(), "nothing is made of what nobody wants");
}
