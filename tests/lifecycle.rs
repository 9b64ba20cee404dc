//! Downloads that are interrupted, and swarms that lose somebody.
//!
//! A relay with a gate stands between downloader and seeder, so that "about half" is a number of bytes and not a
//! race.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use shoal::Exit;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, photos, write};
use crate::support::inside::inside;
use crate::support::process::{Running, shoal, spawn, start};
use crate::support::relay::Relay;

/// Bytes of the folder that is shared, about.
const SIZE: usize = 12_000_000;

/// A folder, its torrent, and who seeds it.
struct Source {
    folder: TempDir,
    seed: Option<Running>,
    port: u16,
}

impl Source {
    fn new(args: &[&str]) -> Self {
        let folder = tempdir().unwrap();
        photos(folder.path(), SIZE);
        inside(folder.path()).run(&[&["create", "photos", "-p", "64KiB"], args].concat()).done();
        let mut source = Self { folder, seed: None, port: 0 };
        source.start();
        source
    }

    /// Starts seeding, on a port of its own.
    fn start(&mut self) {
        let mut seed =
            start(self.folder.path(), &["seed", "photos.torrent", "--port", "0", "--bind", "127.0.0.1"]);
        let seeding = seed.event("seeding");
        self.port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        self.seed = Some(seed);
    }

    fn torrent(&self) -> String {
        self.folder.path().join("photos.torrent").into_os_string().into_string().unwrap()
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("photos")
    }
}

/// With a tracker that takes connections and never answers: ending in order waits for it a while.
fn source_with_a_stalled_tracker() -> (Source, (TcpListener, TcpStream)) {
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let announce = format!("http://{}/announce", stalled.local_addr().unwrap());
    let source = Source::new(&["-a", &announce]);
    // It has connected, so it may have been heard, and must be told that the peer leaves.
    let (held, _) = stalled.accept().unwrap();
    (source, (stalled, held))
}

fn download(folder: &Path, torrent: &str, relay: &Relay) -> Running {
    start(folder, &["download", torrent, "--port", "0", "--peer", &relay.address()])
}

fn done(object: &Value) -> u64 {
    object["done_bytes"].as_u64().unwrap_or(0)
}

/// Waits until so much is there.
fn until(download: &mut Running, bytes: u64) {
    download.object(|object| object["event"] == "progress" && done(object) >= bytes);
}

/// Interrupts a download at about half in this way, runs it again, and looks at what was fetched.
fn interrupted_and_resumed(signal: &str, code: Option<i32>) {
    let source = Source::new(&[]);
    let target = tempdir().unwrap();
    let half = SIZE as u64 / 2;
    let relay = Relay::start(source.port, half);
    let mut first = download(target.path(), &source.torrent(), &relay);
    // The gate lets half through, a little of which is not content.
    until(&mut first, half * 9 / 10);
    first.signal(signal);
    assert_eq!(first.finish().0, code);

    let relay = Relay::start(source.port, u64::MAX);
    let mut second = download(target.path(), &source.torrent(), &relay);
    let started = second.event("started");
    second.event("complete");
    let (code, last) = second.finish();
    assert_eq!(code, Some(0), "{last}");
    assert_same(&source.top(), &target.path().join("photos"));
    // What was fetched again are blocks of pieces that were not complete: the pieces in flight, and what was not
    // written yet when it was killed.
    let fetched = last["downloaded_bytes"].as_u64().unwrap();
    let total = done(&last);
    assert!(fetched < total * 7 / 10, "{fetched} of {total} were fetched in the second run: {started}");
    let left: Vec<_> =
        std::fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["photos"], "no marker stays");
}

#[test]
fn a_download_that_is_interrupted_by_ctrl_c_goes_on_where_it_was() {
    interrupted_and_resumed("INT", Some(130));
}

#[test]
fn a_download_that_is_terminated_goes_on_where_it_was() {
    interrupted_and_resumed("TERM", Some(143));
}

#[test]
fn a_download_whose_terminal_is_closed_goes_on_where_it_was() {
    interrupted_and_resumed("HUP", Some(129));
}

#[test]
fn a_seed_whose_terminal_is_closed_ends_in_order_though_it_is_told_twice() {
    let (source, _held) = source_with_a_stalled_tracker();
    let mut seed = source.seed.unwrap();
    seed.signal("HUP");
    seed.object(|object| {
        object["event"] == "log" && object["message"].as_str().unwrap().contains("Ctrl-C again")
    });
    // Both the shell and the system send it.
    seed.signal("HUP");
    let summary = seed.event("log");
    assert!(summary["message"].as_str().unwrap().contains("photos: seeded for "), "{summary}");
    assert_eq!(seed.finish().0, Some(0));
}

#[test]
fn what_is_started_to_outlive_its_terminal_does() {
    let (mut source, target) = (Source::new(&[]), tempdir().unwrap());
    source.seed.take().unwrap().signal("KILL");
    let program = shoal(source.folder.path());
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_shoal")).current_dir(source.folder.path());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["seed", "photos.torrent", "--port", "0", "--bind", "127.0.0.1", "--progress", "json"]);
    let mut seed = spawn(command);
    let seeding = seed.event("seeding");
    let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    seed.signal("HUP");
    let relay = Relay::start(port, u64::MAX);
    assert_eq!(download(target.path(), &source.torrent(), &relay).finish().0, Some(0));
    seed.signal("TERM");
    assert_eq!(seed.finish().0, Some(0));
}

#[test]
fn h73_a_download_that_is_killed_goes_on_where_it_was() {
    interrupted_and_resumed("KILL", None);
}

#[test]
fn a_swarm_that_has_formed_finishes_without_its_tracker() {
    let folder = tempdir().unwrap();
    let mut tracker = start(folder.path(), &["tracker", "--http", "127.0.0.1:0"]);
    let announce = tracker.line();
    // The seeder has a torrent without trackers: it is reached through the relay and by nobody else.
    let source = Source::new(&[]);
    let relay = Relay::start(source.port, SIZE as u64 / 2);
    let targets = [tempdir().unwrap(), tempdir().unwrap()];
    let args = ["download", &source.torrent(), "--port", "0", "--bind", "127.0.0.1", "--tracker", &announce];
    let peer = relay.address();
    let first_args = [&args[..], &["--seed", "--peer", &peer]].concat();
    let mut first = start(targets[0].path(), &first_args);
    let mut second = start(targets[1].path(), &args);
    // It got something, so it knows the first, which is all that the tracker was for.
    until(&mut second, 100_000);
    tracker.signal("KILL");
    drop(tracker);
    relay.open();
    first.event("complete");
    second.event("complete");
    assert_eq!(second.finish().0, Some(0));
    first.signal("INT");
    assert_eq!(first.finish().0, Some(0));
    for target in &targets {
        assert_same(&source.top(), &target.path().join("photos"));
    }
}

#[test]
fn a_download_finishes_when_its_only_seeder_comes_back() {
    let mut source = Source::new(&[]);
    let target = tempdir().unwrap();
    let relay = Relay::start(source.port, SIZE as u64 / 2);
    let mut running = download(target.path(), &source.torrent(), &relay);
    until(&mut running, SIZE as u64 / 3);
    source.seed.take().unwrap().signal("KILL");
    source.start();
    relay.lead_to(source.port);
    relay.open();
    running.event("complete");
    let (code, last) = running.finish();
    assert_eq!(code, Some(0), "{last}");
    assert_same(&source.top(), &target.path().join("photos"));
}

#[test]
fn a_second_ctrl_c_ends_at_once_what_the_first_ends_in_order() {
    let (source, _held) = source_with_a_stalled_tracker();
    let mut seed = source.seed.unwrap();
    seed.signal("INT");
    seed.object(|object| {
        object["event"] == "log" && object["message"].as_str().unwrap().contains("Ctrl-C again")
    });
    seed.signal("INT");
    assert_eq!(seed.finish().0, Some(130));
}

#[test]
fn h72_an_unrelated_file_in_the_way_is_kept_unless_it_may_be_overwritten() {
    let source = Source::new(&[]);
    let target = tempdir().unwrap();
    let mine = noise(99, SIZE / 2);
    write(&target.path().join("photos/a/one.raw"), &mine);
    let relay = Relay::start(source.port, u64::MAX);
    let mut refused = download(target.path(), &source.torrent(), &relay);
    let error = refused.event("error");
    assert!(error["message"].as_str().unwrap().contains("--overwrite"), "{error}");
    let (code, _) = refused.finish();
    assert_eq!(code, Some(3));
    assert!(std::fs::read(target.path().join("photos/a/one.raw")).unwrap() == mine, "it was touched");

    let args = ["download", &source.torrent(), "--port", "0", "--peer", &relay.address(), "--overwrite"];
    let (code, last) = start(target.path(), &args).finish();
    assert_eq!(code, Some(0), "{last}");
    assert_same(&source.top(), &target.path().join("photos"));
}

#[test]
fn h72_a_file_that_is_there_and_right_is_kept_and_not_fetched() {
    let source = Source::new(&[]);
    let target = tempdir().unwrap();
    let right = std::fs::read(source.top().join("a/one.raw")).unwrap();
    write(&target.path().join("photos/a/one.raw"), &right);
    let relay = Relay::start(source.port, u64::MAX);
    let (code, last) = download(target.path(), &source.torrent(), &relay).finish();
    assert_eq!(code, Some(0), "{last}");
    assert_same(&source.top(), &target.path().join("photos"));
    let fetched = last["downloaded_bytes"].as_u64().unwrap();
    assert!(fetched < done(&last) * 6 / 10, "{last}");
}

#[test]
fn h75_a_second_process_on_one_folder_says_so_and_stops() {
    let source = Source::new(&[]);
    let target = tempdir().unwrap();
    let relay = Relay::start(source.port, SIZE as u64 / 2);
    let mut first = download(target.path(), &source.torrent(), &relay);
    until(&mut first, 1);
    let mut second = download(target.path(), &source.torrent(), &relay);
    second.event("error");
    assert_eq!(second.finish().0, Some(1));
    relay.open();
    assert_eq!(first.finish().0, Some(0));
    assert_same(&source.top(), &target.path().join("photos"));
}

#[test]
fn without_peers_a_timeout_ends_it_with_code_4_and_the_reason() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 100_000);
    inside(folder.path()).run(&["create", "photos"]).done();
    let mut download =
        start(folder.path(), &["download", "photos.torrent", "-d", "to", "--port", "0", "--timeout", "1s"]);
    let error = download.event("error");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("photos: no progress for 1s: "), "{message}");
    assert_eq!(download.finish().0, Some(4));

    // Nobody listens on that port.
    let peer = "127.0.0.1:1";
    let args = ["download", "photos.torrent", "-d", "to", "--port", "0", "--timeout", "1s", "--peer", peer];
    let mut download = start(folder.path(), &args);
    let error = download.event("error");
    let due = "photos: no progress for 1s: no peers: no connection to those that --peer names";
    assert_eq!(error["message"], due);
    assert_eq!(download.finish().0, Some(4));
}

#[test]
fn seeding_what_is_something_else_is_refused_with_code_3() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1_000_000);
    inside(folder.path()).run(&["create", "photos"]).done();
    write(&folder.path().join("photos/z.raw"), &noise(5, 1_000_000 / 6 + 1));
    let mut seed = start(folder.path(), &["seed", "photos.torrent", "--port", "0"]);
    seed.event("error");
    assert_eq!(seed.finish().0, Some(3));
    std::fs::remove_dir_all(folder.path().join("photos")).unwrap();
    let seed = start(folder.path(), &["seed", "photos.torrent", "--port", "0"]);
    assert_eq!(seed.finish().0, Some(3));
}

#[test]
fn of_several_torrents_one_that_is_not_there_does_not_keep_the_others_from_being_seeded() {
    let source = Source::new(&[]);
    let args = ["seed", "gone.torrent", "photos.torrent", "--port", "0", "--seed-time", "1ms"];
    let mut seed = start(source.folder.path(), &args);
    assert_eq!(seed.event("error")["message"], "gone.torrent: No such file or directory");
    seed.event("seeding");
    assert_eq!(seed.finish().0, Some(1));
}

#[test]
fn a_torrent_that_is_named_twice_is_seeded_once_and_the_others_too() {
    let source = Source::new(&[]);
    write(&source.folder.path().join("other.bin"), &noise(7, 100_000));
    let named = ["photos.torrent", &source.torrent(), "other.bin"];
    let args = [&["seed"], &named[..], &["--port", "0", "--seed-time", "1ms", "--json"]].concat();
    let output = shoal(source.folder.path()).args(&args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let mut names = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["other.bin", "photos"], "{said}");
}

#[test]
fn a_path_is_made_into_a_torrent_and_seeded() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1_000_000);
    let args = ["seed", "photos", "-a", "http://127.0.0.1:1/announce", "--port", "0", "--bind", "127.0.0.1"];
    let mut seed = start(folder.path(), &args);
    let seeding = seed.event("seeding");
    let port: u16 = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let torrent = folder.path().join("photos.torrent").into_os_string().into_string().unwrap();
    let target = tempdir().unwrap();
    let relay = Relay::start(port, u64::MAX);
    assert_eq!(download(target.path(), &torrent, &relay).finish().0, Some(0));
    assert_same(&folder.path().join("photos"), &target.path().join("photos"));
    seed.signal("INT");
    assert_eq!(seed.finish().0, Some(0));
}

#[test]
fn a_seed_ratio_and_a_seed_time_end_seeding() {
    let source = Source::new(&[]);
    let torrent = source.torrent();
    // Less would let the only seeder leave before all is there.
    let args = ["seed", &torrent, "--port", "0", "--bind", "127.0.0.1", "--seed-ratio", "1"];
    let mut seed = start(source.folder.path(), &args);
    let seeding = seed.event("seeding");
    let port = seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let target = tempdir().unwrap();
    let relay = Relay::start(port, u64::MAX);
    assert_eq!(download(target.path(), &torrent, &relay).finish().0, Some(0));
    let (code, last) = seed.finish();
    assert_eq!(code, Some(0));
    assert!(last["uploaded_bytes"].as_u64().unwrap() >= done(&last), "{last}");
    let timed = start(source.folder.path(), &["seed", &torrent, "--port", "0", "--seed-time", "100ms"]);
    assert_eq!(timed.finish().0, Some(0));
}

#[test]
fn what_fails_is_told_once_and_a_file_in_the_place_of_the_folder_is_named() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 100_000);
    inside(folder.path()).run(&["create", "photos"]).done();
    write(&folder.path().join("to/photos/a/one.raw"), &noise(5, 100_000));
    let plain = ["--port", "0", "--bind", "127.0.0.1", "--progress", "plain"];
    let args = [&["download", "photos.torrent", "-d", "to"], &plain[..]].concat();
    let outcome = inside(folder.path()).run(&args);
    assert_eq!(outcome.exit, Exit::Mismatch);
    assert_eq!(outcome.stderr.matches("one.raw").count(), 1, "{outcome:?}");
    inside(folder.path())
        .run(&[&["download", "photos.torrent", "-d", "photos.torrent"], &plain[..]].concat())
        .failed(Exit::Error, "photos.torrent is a file, not a folder; choose another with -d");
    std::os::unix::fs::symlink("nothing", folder.path().join("link")).unwrap();
    inside(folder.path())
        .run(&[&["download", "photos.torrent", "-d", "link"], &plain[..]].concat())
        .failed(Exit::Error, "link is a symbolic link that leads nowhere; choose another with -d");
}

#[test]
fn a_folder_that_takes_no_files_is_named_and_not_the_file_that_was_to_go_there() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1000);
    inside(folder.path()).run(&["create", "photos"]).done();
    // Nobody can make files there, root included.
    let outcome = inside(folder.path()).run(&["download", "photos.torrent", "-d", "/proc", "--port", "0"]);
    assert_eq!(outcome.exit, Exit::Disk);
    assert!(
        outcome.stderr.contains("error: cannot write in /proc: No such file or directory\n"),
        "{outcome:?}"
    );
}

#[test]
fn a_torrent_with_web_seeds_is_told_to_be_fetched_from_peers_only() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 100_000);
    let download =
        ["download", "photos.torrent", "--port", "0", "--bind", "127.0.0.1", "--progress", "plain"];
    inside(folder.path()).run(&["create", "photos", "-w", "http://a.example/x/"]).done();
    let warning = "warning: photos: web seeds are not used yet; only peers are asked\n";
    let outcome = inside(folder.path()).run(&download).done();
    assert_eq!(outcome.stderr.matches(warning).count(), 1, "{outcome:?}");
    inside(folder.path()).run(&["create", "photos", "--force"]).done();
    let outcome = inside(folder.path()).run(&download).done();
    assert!(!outcome.stderr.contains("web seed"), "{outcome:?}");
}

#[test]
fn a_download_that_is_complete_already_says_only_that() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 100_000);
    inside(folder.path()).run(&["create", "photos"]).done();
    let args = ["download", "photos.torrent", "--port", "0", "--bind", "127.0.0.1", "--progress", "plain"];
    let outcome = inside(folder.path()).run(&args).done();
    assert!(outcome.stderr.ends_with("was complete already\n"), "{outcome:?}");
    assert!(!outcome.stderr.contains("seeding"), "{outcome:?}");
}

#[test]
fn a_torrent_file_that_is_there_is_used_if_it_is_of_the_same_data_and_else_left_alone() {
    let folder = tempdir().unwrap();
    photos(&folder.path().join("data"), 100_000);
    let seed = ["seed", "photos", "-d", "data", "--port", "0", "--bind", "127.0.0.1", "--seed-time", "1ms"];
    let first = inside(folder.path()).run(&seed).done();
    assert!(first.stderr.contains("made photos.torrent\n"), "{first:?}");
    let file = folder.path().join("photos.torrent");
    let made = std::fs::read(&file).unwrap();
    let again = inside(folder.path()).run(&seed).done();
    assert!(!again.stderr.contains("photos.torrent"), "{again:?}");
    write(&folder.path().join("data/photos/a/one.raw"), &noise(5, 50_000));
    let other = inside(folder.path()).run(&seed).done();
    let warning = "warning: photos.torrent is another torrent; it is left as it is\n";
    assert!(other.stderr.contains(warning), "{other:?}");
    assert_eq!(std::fs::read(&file).unwrap(), made);
}

#[test]
fn of_several_torrents_those_that_are_there_are_downloaded_once_each() {
    let source = Source::new(&[]);
    let target = tempdir().unwrap();
    let (torrent, peer) = (source.torrent(), format!("localhost:{}", source.port));
    let args = ["download", &torrent, "gone.torrent", &torrent, "--port", "0", "--peer", &peer];
    let mut running = start(target.path(), &args);
    assert_eq!(running.event("error")["message"], "gone.torrent: No such file or directory");
    running.event("complete");
    assert_eq!(running.finish().0, Some(1));
    assert_same(&source.top(), &target.path().join("photos"));
}

#[test]
fn seeding_that_is_told_to_end_has_the_code_of_what_had_failed() {
    let source = Source::new(&[]);
    write(&source.folder.path().join("other.bin"), &noise(7, 100_000));
    inside(source.folder.path()).run(&["create", "other.bin"]).done();
    let target = tempdir().unwrap();
    write(&target.path().join("other.bin"), &noise(8, 100_000));
    let other = source.folder.path().join("other.bin.torrent").into_os_string().into_string().unwrap();
    let (torrent, peer) = (source.torrent(), format!("127.0.0.1:{}", source.port));
    let mut running =
        start(target.path(), &["download", &other, &torrent, "--seed", "--port", "0", "--peer", &peer]);
    let (mut failed, mut complete) = (false, false);
    running.object(|object| {
        failed |= object["event"] == "error" && object["message"].as_str().unwrap().contains("--overwrite");
        complete |= object["event"] == "complete";
        failed && complete
    });
    running.signal("INT");
    assert_eq!(running.finish().0, Some(3));
    assert_same(&source.top(), &target.path().join("photos"));
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let source = Source::new(&[]);
    let port = source.port.to_string();
    let args = ["seed", "photos.torrent", "--port", &port, "--bind", "127.0.0.1"];
    let error = "Address already in use; choose another with --port (0 = any)";
    inside(source.folder.path())
        .run(&args)
        .failed(Exit::Error, &format!("cannot listen on 127.0.0.1:{port}: {error}"));
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_hashed() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1_000_000);
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let args = ["seed", "photos", "--port", &port, "--bind", "127.0.0.1"];
    let error = "Address already in use; choose another with --port (0 = any)";
    inside(folder.path())
        .run(&args)
        .failed(Exit::Error, &format!("cannot listen on 127.0.0.1:{port}: {error}"));
    // It is written as soon as all is hashed.
    assert!(!folder.path().join("photos.torrent").exists());
}

#[test]
fn a_page_in_the_place_of_a_torrent_is_told_as_none() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.torrent", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>").unwrap();
    });
    let folder = tempdir().unwrap();
    let outcome = inside(folder.path()).run(&["download", &url]);
    serving.join().unwrap();
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.starts_with(&format!("error: {url}: not a torrent: ")), "{outcome:?}");
}
