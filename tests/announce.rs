//! The load generator against the tracker: every answer under load is checked.

use std::net::TcpListener;

use announce::{Command, Options, Report, load};
use clap::Parser as _;
use tempfile::tempdir;

use crate::support::process::{Running, start};

/// A tracker on this address, and its URLs for HTTP and UDP.
fn tracker(address: &str, cwd: &std::path::Path) -> (Running, [String; 2]) {
    let mut tracker = start(cwd, &["tracker", "--http", address, "--udp", address]);
    let urls = [tracker.line(), tracker.line()];
    (tracker, urls)
}

fn ask(url: &str, words: &str) -> Report {
    let words = ["announce", "load", url].into_iter().chain(words.split(' '));
    let Command::Load(options) = Options::try_parse_from(words).unwrap().command else {
        unreachable!("it is a load")
    };
    load(&options).unwrap()
}

/// All at once over HTTP, over a connection each, and over UDP: announces, scrapes and peers that stop.
fn every_way(address: &str, sources: &str) {
    let folder = tempdir().unwrap();
    let (tracker, [http, udp]) = tracker(address, folder.path());
    let ways = [(&http, ""), (&http, " --close"), (&udp, " --depth 4"), (&udp, " --rate 2000")];
    for (seed, (url, way)) in ways.into_iter().enumerate() {
        let words = format!(
            "--preload --peers 600 --swarms 20 --giant 100 --requests 600 --seconds 60 --connections 8 --numwant 20 \
             --scrapes 10 --stops 5 --timeout 60 --seed {seed}{sources}{way}"
        );
        let report = ask(url, &words);
        assert!(report.is_good(), "{url}{way}: {report}");
        let (preload, measured) = (report.preload.as_ref().unwrap(), report.measured.as_ref().unwrap());
        assert_eq!((preload.answered, measured.answered), (700, 600), "{report}");
        // There are always others to give, and whoever stopped is not counted.
        assert!(measured.peers_a_reply > 15.0, "{report}");
        assert!(measured.known.is_some_and(|known| known > 0.5 && known < 1.0), "{report}");
    }
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}

#[test]
fn every_answer_under_load_is_right_over_ipv4() {
    every_way("127.0.0.1:0", " --sources 3");
}

#[test]
fn every_answer_under_load_is_right_over_ipv6() {
    // A machine without IPv6 has nothing to show here.
    if TcpListener::bind("[::1]:0").is_ok() {
        every_way("[::1]:0", "");
    }
}
