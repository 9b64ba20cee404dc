use std::sync::Arc;

use metainfo::InfoHash;
use proptest::prelude::*;
use tracker_proto::PeerId;
use tracker_proto::http::{AnnounceReply, AnnounceRequest, ScrapeReply, ScrapeRequest};

use super::*;
use crate::TrackerConfig;

const HASH: InfoHash = InfoHash::new([7; 20]);

struct Bench {
    state: Arc<State>,
    scratch: Scratch,
}

impl Bench {
    fn new() -> Self {
        Self::of(TrackerConfig::open())
    }

    fn of(config: TrackerConfig) -> Self {
        Self { state: Arc::new(State::new(config).unwrap()), scratch: Scratch::new(16 << 10) }
    }

    /// What is answered to these bytes, and how it goes on.
    fn give(&mut self, input: &[u8]) -> (Next, Vec<u8>) {
        self.scratch.input[..input.len()].copy_from_slice(input);
        let link = Link { remote: "127.0.0.1:9".parse().unwrap(), local: "127.0.0.1:6969".parse().unwrap() };
        let next = self.scratch.answer(&self.state, link, input.len());
        (next, self.scratch.output.clone())
    }

    fn peers(&self) -> usize {
        crate::TrackerHandle { state: Arc::clone(&self.state) }.stats().peers
    }
}

fn announce(port: u16, headers: &str) -> String {
    let target = AnnounceRequest::new(HASH, PeerId([1; 20]), port).to_url("/announce");
    format!("GET {target} HTTP/1.1\r\nHost: t\r\n{headers}\r\n")
}

/// The bodies of the responses, whose heads are as they have to be.
fn bodies(mut output: &[u8], close: bool) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !output.is_empty() {
        let mut headers = [EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut headers);
        let Status::Complete(head) = response.parse(output).unwrap() else { panic!("a head in pieces") };
        assert_eq!(response.code, Some(200));
        let value = |name| {
            let header = response.headers.iter().find(|header| header.name == name);
            header.map(|header| std::str::from_utf8(header.value).unwrap())
        };
        assert_eq!(value("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(value("x-content-type-options"), Some("nosniff"));
        assert_eq!(value("connection"), close.then_some("close"));
        let length: usize = value("content-length").unwrap().parse().unwrap();
        bodies.push(output[head..head + length].to_vec());
        output = &output[head + length..];
    }
    bodies
}

#[test]
fn announces_and_scrapes_are_answered_one_after_the_other() {
    let mut bench = Bench::new();
    let scrape = ScrapeRequest { info_hashes: vec![HASH] }.to_url("/scrape");
    let three =
        format!("{}{}GET {scrape} HTTP/1.1\r\n\r\n", announce(1001, ""), announce(1002, "Accept: */*\r\n"));
    let (next, output) = bench.give(three.as_bytes());
    assert_eq!(next, Next::Keep);
    let bodies = bodies(&output, false);
    assert_eq!(AnnounceReply::parse(200, &bodies[0]).unwrap().peers, []);
    assert_eq!(AnnounceReply::parse(200, &bodies[1]).unwrap().complete, Some(2));
    assert_eq!(ScrapeReply::parse(200, &bodies[2]).unwrap().files[&HASH].complete, 2);
}

#[test]
fn whoever_wants_no_more_is_told_that_there_is_no_more() {
    for request in [
        announce(1001, "Connection: close\r\n"),
        announce(1001, "connection: Close\r\n"),
        announce(1001, "").replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut bench = Bench::new();
        let (next, output) = bench.give(format!("{request}{}", announce(1002, "")).as_bytes());
        assert_eq!((next, bodies(&output, true).len(), bench.peers()), (Next::Close, 1, 1), "{request}");
    }
}

#[test]
fn what_is_not_plainly_an_announce_or_a_scrape_is_left_to_others() {
    let plain = announce(1001, "");
    for request in [
        plain.replace("GET", "POST"),
        plain.replace("GET", "HEAD"),
        plain.replace("/announce", "/announce/"),
        plain.replace("/announce", "/"),
        plain.replace("/announce", "http://t/announce"),
        plain.replace("HTTP/1.1", "HTTP/2.0"),
        announce(1001, "Content-Length: 5\r\n"),
        announce(1001, "Transfer-Encoding: chunked\r\n"),
        announce(1001, "Expect: 100-continue\r\n"),
        announce(1001, "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        announce(1001, "Connection: keep-alive, close\r\n"),
        announce(1001, "Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0"),
        announce(1001, &"A: b\r\n".repeat(MAX_HEADERS)),
        plain[..plain.len() - 1].to_owned(),
        "\u{13}BitTorrent protocol\r\n\r\n".to_owned(),
    ] {
        let mut bench = Bench::new();
        let before = announce(1002, "");
        let (next, output) = bench.give(format!("{before}{request}").as_bytes());
        assert_eq!(next, Next::Elsewhere(before.len()), "{request}");
        assert_eq!((bodies(&output, false).len(), bench.peers()), (1, 1), "{request}");
    }
}

#[test]
fn h56_a_forwarding_header_of_a_trusted_network_is_left_to_the_router_and_any_other_says_nothing() {
    let request = announce(1001, "X-Forwarded-For: 203.0.113.5\r\n");
    for (trusted, next, peers) in
        [("127.0.0.0/8", Next::Elsewhere(0), 0), ("10.0.0.0/8", Next::Keep, 1), ("", Next::Keep, 1)]
    {
        let mut config = TrackerConfig::open();
        config.lists.trusted = tracker_proto::access::Networks::parse(trusted.as_bytes()).unwrap();
        let mut bench = Bench::of(config);
        assert_eq!((bench.give(request.as_bytes()).0, bench.peers()), (next, peers), "{trusted}");
    }
}

#[test]
fn the_rules_of_who_may_hold_on_the_short_way() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("list");
    let never = Some(std::time::Duration::MAX);
    let refused = |config: TrackerConfig, reason, retry_in| {
        let mut bench = Bench::of(config);
        let (next, output) = bench.give(announce(1001, "").as_bytes());
        let failure = tracker_proto::http::encode_failure(reason, retry_in);
        assert_eq!((next, bodies(&output, false), bench.peers()), (Next::Keep, vec![failure], 0));
        bench
    };
    std::fs::write(&file, HASH.to_string()).unwrap();
    let mut denying = TrackerConfig::open();
    denying.lists.deny_hashes = Some(file.clone());
    refused(denying, "this tracker does not serve that torrent", never);
    std::fs::write(&file, "127.0.0.0/8").unwrap();
    let mut denying = TrackerConfig::open();
    denying.lists.deny_networks = Some(file.clone());
    refused(denying, "this tracker does not serve your network", None);
    std::fs::write(&file, "0123456789abcdef").unwrap();
    let mut private = TrackerConfig::open();
    private.lists.passkeys = Some(file);
    let reason = "this tracker needs a passkey: download the torrent again from where you got it";
    let mut bench = refused(private, reason, never);
    let keyed = announce(1001, "").replace("/announce", "/0123456789abcdef/announce");
    assert_eq!(bench.give(keyed.as_bytes()).0, Next::Elsewhere(0));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_with_responses_or_left(input in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0_usize..200) {
        let mut bench = Bench::new();
        let (_, output) = bench.give(&input);
        bodies(&output, false);
        // And within what is nearly a request.
        let mut request = announce(1001, "Accept: */*\r\n").into_bytes();
        let at = cut % request.len();
        request.splice(at..at, input.iter().take(5).copied());
        let (next, output) = bench.give(&request);
        bodies(&output, next == Next::Close);
    }
}
