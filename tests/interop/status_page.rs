//! The status page of a tracker in a real browser: it is drawn, nothing on it fails, and it fits a telephone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;

use super::support::process::eventually;
use super::support::programs::require;
use crate::support::process::start;

/// Swarms that are announced, of 1, 2 and so on peers.
const SWARMS: u8 = 25;
/// As many of them as the page shows.
const SHOWN: usize = 20;
/// A telephone and a laptop.
const SIZES: [(u32, u32); 2] = [(360, 800), (1280, 900)];

#[test]
#[ignore = "needs a real browser: apt-get install chromium, and run with --ignored"]
fn the_status_page_is_drawn_by_chromium_at_two_widths_without_an_error() {
    let folder = tempdir().expect("a folder can be made");
    let addresses = ["tracker", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut tracker = start(folder.path(), &addresses);
    let http = tracker.line().replace("http://", "").replace("/announce", "");
    let address = |message: &str| Some(message.split("http://").nth(1)?.split_once('/')?.0.to_owned());
    let told =
        tracker.object(|object| object["message"].as_str().is_some_and(|text| text.contains("/metrics")));
    let operators = told["message"].as_str().and_then(address).expect("the address is told");
    announce_all(&http);
    eventually("the page has points and swarms to draw", || {
        let data = get(&operators, "/status.json");
        let data: serde_json::Value = serde_json::from_str(&data).ok()?;
        let points = data["history"]["at"].as_array()?.len();
        (points >= 4 && data["busiest"].as_array()?.len() == SHOWN).then_some(())
    });
    for (width, height) in SIZES {
        let shot = folder.path().join(format!("{width}.png"));
        let page = browse(folder.path(), &operators, (width, height), &shot);
        assert!(
            page.contains("<p id=\"state\" class=\"up\""),
            "the page does not say that the tracker is up"
        );
        assert_eq!(page.matches("<code title=").count(), SHOWN, "rows of the busiest swarms");
        assert!(page.contains(&format!("{SWARMS:02x}").repeat(20)), "the largest swarm is not shown");
        assert_eq!(page.matches("class=\"graph\"").count(), 4, "graphs");
        let lines: Vec<_> = page.split("class=\"line ").skip(1).map(attributes).collect();
        assert!(lines.iter().any(|line| line.matches('L').count() >= 2), "no line has points: {lines:?}");
        let image = std::fs::read(&shot).expect("the screenshot is there");
        let sides: Vec<u8> = [width, height].iter().flat_map(|side| side.to_be_bytes()).collect();
        assert_eq!(image.get(16..24), Some(sides.as_slice()), "the screenshot has another size");
    }
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}

/// The attributes of an element, of what follows in a page.
fn attributes(rest: &str) -> &str {
    rest.split('>').next().unwrap_or_default()
}

/// Loads the page, lets its clock run for some seconds, draws it, and answers what has become of it. Ends the test if
/// the browser says that anything failed.
fn browse(folder: &Path, address: &str, (width, height): (u32, u32), shot: &Path) -> String {
    require("chromium");
    let profile = folder.join("profile");
    let arguments = [
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--enable-logging=stderr".to_owned(),
        "--v=0".to_owned(),
        "--virtual-time-budget=5000".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        format!("--window-size={width},{height}"),
        format!("--screenshot={}", shot.display()),
        "--dump-dom".to_owned(),
        format!("http://{address}/"),
    ];
    let out = Command::new("chromium").args(arguments).stdin(Stdio::null()).output().expect("chromium runs");
    let log = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "chromium ended with {}: {log}", out.status);
    let said: Vec<_> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "the page says on the console: {said:#?}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the tracker takes connections");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer)
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .expect("it answers with a head and a body")
}

fn announce_all(address: &str) {
    for swarm in 1..=SWARMS {
        let hash = format!("%{swarm:02x}").repeat(20);
        for peer in 1..=u32::from(swarm) {
            let (id, left) = ("-XX0001-000000000000", peer % 2);
            let query = format!("info_hash={hash}&peer_id={id}&port={}&left={left}", 1000 + peer);
            let answer = get(address, &format!("/announce?{query}"));
            assert!(answer.starts_with("d8:complete"), "{answer}");
        }
    }
}
