//! `shoal tracker` and `shoal scrape`.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use shoal::Exit;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, photos};
use crate::support::inside::inside;
use crate::support::process::{Running, shoal, spawn, start};

/// A tracker that has brought photos from a seed to a download.
struct Passed {
    source: TempDir,
    tracker: Running,
    announce: String,
    hash: String,
    seed: Running,
}

/// Passes photos of so many bytes by a tracker over `http` or `udp` alone.
fn pass(scheme: &str, size: usize) -> Passed {
    let source = tempdir().unwrap();
    photos(source.path(), size);
    let mut tracker = start(source.path(), &["tracker", &format!("--{scheme}"), "127.0.0.1:0"]);
    let announce = tracker.line();
    assert!(announce.starts_with(&format!("{scheme}://127.0.0.1:")), "{announce}");
    assert!(announce.ends_with("/announce"), "{announce}");
    let json = inside(source.path()).run(&["create", "photos", "-a", &announce, "--json"]).done().json();
    let hash = json["info_hash_v1"].as_str().unwrap().to_owned();

    let mut seed = start(source.path(), &["seed", "photos.torrent", "--port", "0"]);
    seed.event("seeding");
    let target = tempdir().unwrap();
    let torrent = source.path().join("photos.torrent").into_os_string().into_string().unwrap();
    let mut download = start(target.path(), &["download", &torrent, "--port", "0"]);
    download.event("complete");
    assert_eq!(download.finish().0, Some(0));
    assert_same(&source.path().join("photos"), &target.path().join("photos"));
    Passed { source, tracker, announce, hash, seed }
}

#[test]
fn a_tracker_brings_peers_together_counts_them_and_ends_in_order() {
    let Passed { source, tracker, announce, hash, seed } = pass("http", 2_000_000);
    let hash = hash.as_str();

    // Its announces are answered before it ends: it came, completed and left.
    let scraped = inside(source.path()).run(&["scrape", "photos.torrent", "--json"]).done().json();
    let numbers = serde_json::json!([{
        "info_hash_v1": hash, "info_hash_v2": null, "seeders": 1, "leechers": 0, "completed": 1
    }]);
    assert_eq!((&scraped["tracker"], &scraped["torrents"]), (&announce.as_str().into(), &numbers));

    let link = inside(source.path()).run(&["magnet", "photos.torrent"]).done();
    let by_link = inside(source.path()).run(&["scrape", link.out().trim(), "--json"]).done().json();
    assert_eq!(by_link, scraped);

    let unknown = "ab".repeat(20);
    let by_url = inside(source.path()).run(&["scrape", &announce, hash, &unknown]).done();
    let lines: Vec<_> = by_url.out().lines().collect();
    assert_eq!(lines[0], announce);
    assert_eq!(lines[1], format!("  {hash}  1 seeder, 0 leechers, 1 completed"));
    assert!(lines[2].starts_with(&format!("  {unknown}  ")), "{lines:?}");

    seed.signal("TERM");
    assert_eq!(seed.finish().0, Some(0));
    let left = inside(source.path()).run(&["scrape", &announce, hash, "--json"]).done().json();
    assert_eq!(left["torrents"][0]["seeders"], 0, "a seeder that ends says so");
    tracker.signal("INT");
    assert_eq!(tracker.end().0.code(), Some(0));
}

#[test]
fn a_tracker_on_udp_alone_brings_peers_together_and_counts_them() {
    let Passed { source, tracker, announce, hash, seed } = pass("udp", 300_000);
    let hash = hash.as_str();

    let lines = inside(source.path()).run(&["scrape", &announce, hash]).done();
    let lines: Vec<_> = lines.out().lines().map(str::to_owned).collect();
    assert_eq!(lines, [announce.clone(), format!("  {hash}  1 seeder, 0 leechers, 1 completed")]);
    seed.signal("TERM");
    assert_eq!(seed.finish().0, Some(0));
    let left = inside(source.path()).run(&["scrape", "photos.torrent", "--json"]).done().json();
    assert_eq!(left["torrents"][0]["seeders"], 0, "a seeder that ends says so");
    tracker.signal("INT");
    assert_eq!(tracker.end().0.code(), Some(0));
}

#[test]
fn a_udp_address_that_is_taken_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempdir().unwrap();
    let outcome = inside(folder.path()).run(&["tracker", "--udp", &address]);
    assert_eq!(outcome.exit, Exit::Error);
    let start = format!("error: cannot listen on {address} over UDP: ");
    assert!(outcome.stderr.starts_with(&start), "{outcome:?}");
    assert!(outcome.stderr.contains("choose another with --udp"), "{outcome:?}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempdir().unwrap();
    let outcome = inside(folder.path()).run(&["tracker", "--http", &address]);
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.starts_with(&format!("error: cannot listen on {address}: ")), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn what_cannot_be_scraped_is_told() {
    let folder = tempdir().unwrap();
    photos(folder.path(), 1000);
    inside(folder.path()).run(&["create", "photos"]).done();
    inside(folder.path())
        .run(&["scrape", "photos.torrent"])
        .failed(Exit::Error, "photos.torrent: it has no http, https or udp tracker to ask");
    inside(folder.path())
        .run(&["scrape", "http://127.0.0.1:1/announce"])
        .failed(Exit::Usage, "name the info-hashes to ask the tracker about");
    inside(folder.path())
        .run(&["scrape", "wss://127.0.0.1:1/announce"])
        .failed(Exit::Usage, "name the info-hashes to ask the tracker about");
    let hash = "ab".repeat(20);
    inside(folder.path())
        .run(&["scrape", "udp://127.0.0.1/announce", &hash])
        .failed(Exit::Error, "udp://127.0.0.1/announce: it is not of the form udp://HOST:PORT");
    let outcome = inside(folder.path()).run(&["scrape", "http://127.0.0.1:1/announce", &hash]);
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.starts_with("error: http://127.0.0.1:1/announce: "), "{outcome:?}");
}

#[test]
fn a_tracker_that_is_killed_knows_at_its_next_start_who_was_there() {
    let folder = tempdir().unwrap();
    let arguments = ["tracker", "--http", "127.0.0.1:0", "--state-dir", "state", "--snapshot-interval", "1s"];
    let hash = "ab".repeat(20);
    let announced = |tracker: &str| {
        let scraped = inside(folder.path()).run(&["scrape", tracker, &hash, "--json"]).done().json();
        scraped["torrents"][0]["seeders"].as_u64().unwrap_or(0)
    };
    let mut first = start(folder.path(), &arguments);
    let tracker = first.line();
    announce(&tracker, &"%AB".repeat(20));
    assert_eq!(announced(&tracker), 1);
    // The second snapshot from here on was begun after the announce.
    let snapshot = folder.path().join("state/tracker.snapshot");
    let written = || std::fs::metadata(&snapshot).and_then(|file| file.modified()).ok();
    for _ in 0..2 {
        let before = written();
        wait_until(|| written() != before);
    }
    first.signal("KILL");
    first.end();

    let mut second = start(folder.path(), &arguments);
    let tracker = second.line();
    // It answers while it reads.
    wait_until(|| announced(&tracker) == 1);
    second.signal("TERM");
    assert_eq!(second.end().0.code(), Some(0));
}

/// A seeder's announce, on a connection of its own.
fn announce(url: &str, escaped_hash: &str) {
    use std::io::{Read as _, Write as _};
    let authority = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/announce")).unwrap();
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    let query = format!("info_hash={escaped_hash}&peer_id=-XX0001-000000000000&port=6881&left=0");
    write!(stream, "GET /announce?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("8:completei1e"), "{answer}");
}

/// Waits for something that is sure to come.
fn wait_until(there: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !there() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "it does not come");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_hangup_reads_the_lists_again_and_a_wrong_one_changes_nothing() {
    let folder = tempdir().unwrap();
    let list = folder.path().join("denied.txt");
    let hash = "ab".repeat(20);
    std::fs::write(&list, &hash).unwrap();
    let config = "[tracker]\nhttp = [\"127.0.0.1:0\"]\ndeny-hashes = \"denied.txt\"\n";
    std::fs::write(folder.path().join("tracker.toml"), config).unwrap();
    let mut tracker = start(folder.path(), &["tracker", "--config", "tracker.toml"]);
    let address = tracker.line().replace("http://", "").replace("/announce", "");
    let announced = || {
        let escaped = "%ab".repeat(20);
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let target = format!("/announce?info_hash={escaped}&peer_id={}&port=6881&left=1", "x".repeat(20));
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        !answer.contains("this tracker does not serve that torrent")
    };
    let mut told = |text: &str| {
        let is_told = |message: &str| message.contains("denied.txt") && message.ends_with(text);
        tracker.signal("HUP");
        tracker.object(|object| object["message"].as_str().is_some_and(is_told));
    };
    assert!(!announced());
    std::fs::write(&list, "nonsense").unwrap();
    told(
        "denied.txt: line 1: 'nonsense' is not an info-hash of 40 or 64 hexadecimal digits; the list before stays in force",
    );
    assert!(!announced());
    std::fs::write(&list, format!("# not {hash}\n")).unwrap();
    told("denied.txt: 0 entries, 0 new, 1 gone");
    assert!(announced());
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}

/// Asks a UDP tracker (BEP 15) and gives its answer, without the transaction.
fn ask_over_udp(announce: &str, connection: [u8; 8], action: u8, body: &[u8]) -> (u8, Vec<u8>) {
    let address = announce.strip_prefix("udp://").and_then(|rest| rest.strip_suffix("/announce")).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send(&[&connection[..], &[0, 0, 0, action, 1, 2, 3, 4], body].concat()).unwrap();
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).expect("an answer");
    (answer[3], answer[8..length].to_vec())
}

#[test]
fn trackers_of_a_fleet_that_share_a_key_accept_each_others_connection_ids() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("fleet.key");
    std::fs::write(&file, "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let allow = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let arguments = ["tracker", "--udp", "127.0.0.1:0", "--udp-key", "fleet.key"];
    allow(0o640);
    let mut one = start(folder.path(), &arguments);
    let one_url = one.line();
    allow(0o644);
    let mut other = start(folder.path(), &arguments);
    let other_url = other.line();
    let magic = 0x417_2710_1980_u64.to_be_bytes();
    let (action, id) = ask_over_udp(&one_url, magic, 0, b"");
    assert_eq!(action, 0, "a connection id");
    let (action, numbers) = ask_over_udp(&other_url, id.try_into().unwrap(), 2, &[7; 20]);
    assert_eq!((action, numbers), (2, vec![0; 12]), "a scrape is answered by the other");
    for (tracker, warns) in [(one, false), (other, true)] {
        tracker.signal("TERM");
        let (status, said) = tracker.end();
        assert_eq!(status.code(), Some(0));
        let warned = said.iter().any(|line| line.contains("others may read fleet.key"));
        assert_eq!(warned, warns, "{said:?}");
    }
}

#[test]
fn h75_a_second_tracker_on_one_state_says_so_and_stops_and_h74_what_is_no_snapshot_is_kept_aside() {
    let folder = tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("tracker.snapshot"), "garbage").unwrap();
    let arguments = ["tracker", "--http", "127.0.0.1:0", "--state-dir", "state"];
    let mut first = start(folder.path(), &arguments);
    first.line();
    let told = first.object(|object| object["event"] == "warning");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("it is cut short") && message.ends_with("tracker.snapshot.bad"), "{message}");
    assert_eq!(std::fs::read(state.join("tracker.snapshot.bad")).unwrap(), b"garbage");

    let (status, lines) = start(folder.path(), &arguments).end();
    assert_eq!(status.code(), Some(1));
    assert!(lines.iter().any(|line| line.contains("another tracker keeps its swarms there")), "{lines:?}");
    first.signal("TERM");
    assert_eq!(first.end().0.code(), Some(0));
    let mut next = start(folder.path(), &arguments);
    next.line();
    next.signal("TERM");
    assert_eq!(next.end().0.code(), Some(0));
}

#[test]
fn a_log_is_kept_as_json_where_results_are() {
    let folder = tempdir().unwrap();
    let arguments =
        ["tracker", "--http", "127.0.0.1:0", "--json", "--log-file", "log", "--state-dir", "state"];
    let tracker = start(folder.path(), &arguments);
    let snapshot = folder.path().join("state/tracker.snapshot");
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    wait_until(|| log().contains("the tracker runs"));
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
    assert!(snapshot.exists());
    let lines: Vec<serde_json::Value> =
        log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told =
        |text: &str| lines.iter().find(|line| line["message"].as_str().unwrap().contains(text)).cloned();
    let started = told("the tracker runs").unwrap();
    assert_eq!((&started["level"], &started["target"]), (&"INFO".into(), &"shoal::said".into()));
    let time = started["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.contains('T') && time.ends_with('Z'), "{started}");
    assert!(told("the tracker ended with 0 peers in 0 swarms").is_some(), "{lines:?}");
    assert!(lines.iter().all(|line| line["target"] == "shoal::said"), "-v was not given: {lines:?}");
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew_on_a_hangup() {
    let folder = tempdir().unwrap();
    let (log, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let tracker = start(folder.path(), &["tracker", "--http", "127.0.0.1:0", "--log-file", "log"]);
    wait_until(|| read(&log).contains("the tracker runs"));
    std::fs::rename(&log, &moved).unwrap();
    tracker.signal("HUP");
    wait_until(|| log.exists());
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
    assert!(read(&log).contains("the tracker ended"), "{}", read(&log));
    assert!(!read(&moved).contains("the tracker ended"), "{}", read(&moved));
}

#[test]
fn a_variable_may_name_several_addresses() {
    let folder = tempdir().unwrap();
    let mut command = shoal(folder.path());
    command.arg("tracker").env("SHOAL_HTTP", "127.0.0.1:0,127.0.0.2:0");
    let mut tracker = spawn(command);
    let hosts = [tracker.line(), tracker.line()].map(|url| url.rsplit_once(':').unwrap().0.to_owned());
    assert_eq!(hosts, ["http://127.0.0.1", "http://127.0.0.2"]);
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}

#[test]
fn what_a_tracker_knows_from_before_is_told_at_its_start() {
    let folder = tempdir().unwrap();
    let arguments = ["tracker", "--udp", "127.0.0.1:0", "--state-dir", "state"];
    let mut tracker = start(folder.path(), &arguments);
    let announce = tracker.line();
    let (_, id) = ask_over_udp(&announce, 0x417_2710_1980_u64.to_be_bytes(), 0, b"");
    let rest = [&[0; 8][..], &[0, 0, 0, 0, 0, 0, 0, 1], &[0; 8], &[0, 0, 0, 2], &[0; 8], &[255; 4], &[1, 2]]
        .concat();
    let (action, _) = ask_over_udp(&announce, id.try_into().unwrap(), 1, &[&[7; 40][..], &rest].concat());
    assert_eq!(action, 1, "an answer to an announce");
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
    let mut next = start(folder.path(), &arguments);
    let is_told = |message: &str| message.ends_with("tracker.snapshot: 1 peer is known from before");
    next.object(|object| object["message"].as_str().is_some_and(is_told));
    next.signal("TERM");
    assert_eq!(next.end().0.code(), Some(0));
}

#[test]
fn why_a_tracker_refuses_is_what_a_download_waits_for() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("passkeys.txt"), "0123456789abcdef0123").unwrap();
    let mut tracker =
        start(folder.path(), &["tracker", "--http", "127.0.0.1:0", "--passkeys", "passkeys.txt"]);
    let announce = tracker.line();
    let link = format!("magnet:?xt=urn:btih:{}&dn=name", "ab".repeat(20));
    let args = ["download", &link, "--tracker", &announce, "--port", "0", "--timeout", "1s"];
    let error = start(folder.path(), &args).event("error");
    assert_eq!(
        error["message"],
        "name: no progress for 1s: the tracker refused: this tracker needs a passkey: download the torrent again from \
         where you got it"
    );
}

#[test]
fn what_a_tracker_cannot_be_told_is_named() {
    let folder = tempdir().unwrap();
    inside(folder.path())
        .run(&["tracker", "--udp-key", "none.key"])
        .failed(Exit::Error, "none.key: No such file or directory");
    std::fs::write(folder.path().join("short.key"), "0011").unwrap();
    inside(folder.path()).run(&["tracker", "--udp-key", "short.key"]).failed(
        Exit::Usage,
        "short.key: a key is 32 hexadecimal digits and nothing else (openssl rand -hex 16 makes one)",
    );
    for (option, value, said) in [
        ("--limit-announces", "50", "write a rate like 50/s, 3000/min or 36000/h, or none"),
        ("--limit-announces", "0/s", "a rate is from 1/min to 1000000/s, or none"),
        ("--limit-swarm-peers", "0", "it is from 1 to 256, or none"),
    ] {
        let outcome = inside(folder.path()).run(&["tracker", option, value]);
        assert_eq!(outcome.exit, Exit::Usage);
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
    let outcome = inside(folder.path()).run(&["tracker", "--passkeys", "none.txt"]);
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.contains("none.txt: No such file or directory"), "{outcome:?}");
    for (option, value, told) in [
        ("--http", "localhost:6969", "write an IP address and a port, like 0.0.0.0:6969 or [::]:6969"),
        ("--max-memory", "256", "a tracker takes 32MiB at least; write it like 256MiB"),
    ] {
        let outcome = inside(folder.path()).run(&["tracker", option, value]);
        assert_eq!(outcome.exit, Exit::Usage);
        assert!(outcome.stderr.contains(told), "{outcome:?}");
    }
    let outcome = inside(folder.path()).run(&["tracker", "--trust", "10.0.0.1/8"]);
    assert_eq!(outcome.exit, Exit::Usage);
    assert!(outcome.stderr.contains("the network of 10.0.0.1/8 is 10.0.0.0/8"), "{outcome:?}");
    inside(folder.path()).run(&["tracker", "--proxy-protocol"]).failed(
        Exit::Usage,
        "--proxy-protocol needs the network that it is to be expected from: name it with --trust",
    );
    let printed = inside(folder.path()).run(&["tracker", "--print-config"]).done();
    assert!(printed.out().contains("\ninterval = \"30m\"\n"), "{printed:?}");
}

#[test]
fn the_operators_address_has_a_page_for_people_and_its_data() {
    let folder = tempdir().unwrap();
    let arguments = ["tracker", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut tracker = start(folder.path(), &arguments);
    let http = tracker.line();
    let said =
        |object: &serde_json::Value| object["message"].as_str().is_some_and(|text| text.contains("/metrics"));
    let said = tracker.object(said)["message"].as_str().unwrap().to_owned();
    let operators = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    announce(&http, &"%AB".repeat(20));
    let ask = |method: &str, path: &str, host: &str| {
        let mut stream = std::net::TcpStream::connect(&operators).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let page = ask("GET", "/", &operators);
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>shoal tracker</title>"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'; script-src 'self';"), "{page}");
    let data = || {
        let answer = ask("GET", "/status.json?span=5m", &operators);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap();
        serde_json::from_str::<serde_json::Value>(&body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    };
    // Both come with time: the busiest swarms by the expiry, the points by the second.
    wait_until(|| data()["busiest"][0]["info_hash"] == "ab".repeat(20));
    wait_until(|| data()["history"]["at"].as_array().is_some_and(|at| at.len() >= 2));
    assert_eq!(data()["requests"]["rows"][0]["counts"][0], 1);
    assert!(ask("GET", "/announce", &operators).starts_with("HTTP/1.1 404 "));
    assert!(ask("POST", "/status.json", &operators).starts_with("HTTP/1.1 405 "));
    assert!(ask("GET", "/", "evil.example").starts_with("HTTP/1.1 421 "));
    let head = ask("HEAD", "/", &operators);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}
