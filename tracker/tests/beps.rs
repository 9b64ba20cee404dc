//! What the BEPs ask of an HTTP tracker, over a real server. The clients come through a proxy on loopback that the
//! tracker trusts, so that they can be anywhere.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

use std::net::SocketAddr;
use std::time::Duration;

use metainfo::InfoHash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracker::{Tracker, TrackerConfig};
use tracker_proto::PeerId;
use tracker_proto::access::Networks;
use tracker_proto::http::{AnnounceReply, AnnounceRequest, Event, ReplyError, ScrapeReply, ScrapeRequest};

const HASH: InfoHash = InfoHash::new([0x25; 20]);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut TrackerConfig)) -> Self {
        let http = vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = TrackerConfig { http, udp: Vec::new(), http_workers: 2, ..TrackerConfig::open() };
        config.lists.trusted = Networks::parse(b"127.0.0.0/8").unwrap();
        change(&mut config);
        let tracker = Tracker::bind(config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            address: tracker.local_addrs()[0],
            stop,
            task: tokio::spawn(tracker.run(async { drop(stopped.await) })),
        }
    }

    /// The body of what is answered to a client at `from`.
    async fn get(&self, from: &str, target: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
        answer.split_off(end)
    }

    async fn announce(&self, from: &str, request: &AnnounceRequest) -> AnnounceReply {
        AnnounceReply::parse(200, &self.get(from, &request.to_url("/announce")).await).unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn request(port: u16, left: u64, event: Event) -> AnnounceRequest {
    AnnounceRequest { left, event, ..AnnounceRequest::new(HASH, PeerId([1; 20]), port) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn bep_3_a_reply_has_an_interval_a_least_one_and_the_trackers_id_which_is_taken_back() {
    let tracker = Running::start().await;
    let first = tracker.announce("203.0.113.5", &request(1, 5, Event::Started)).await;
    assert!((1620..=1980).contains(&first.interval.as_secs()), "{:?}", first.interval);
    assert_eq!(first.min_interval, Some(Duration::from_secs(300)));
    let again = AnnounceRequest { tracker_id: first.tracker_id.clone(), ..request(1, 5, Event::None) };
    assert_eq!(tracker.announce("203.0.113.5", &again).await.tracker_id, first.tracker_id);
    assert!(first.tracker_id.is_some());
    tracker.stop().await;
}

#[tokio::test]
async fn bep_7_one_swarm_for_both_families_each_address_as_it_announced_and_replies_carry_both() {
    let tracker = Running::start().await;
    // One client announces over each of its addresses.
    tracker.announce("203.0.113.5", &request(1, 5, Event::Started)).await;
    tracker.announce("2001:db8::5", &request(1, 5, Event::Started)).await;
    for asker in ["203.0.113.9", "2001:db8::9"] {
        let reply = tracker.announce(asker, &request(2, 0, Event::Started)).await;
        let given = |peer: &str| reply.peers.contains(&peer.parse().unwrap());
        assert!(given("203.0.113.5:1") && given("[2001:db8::5]:1"), "{asker}: {:?}", reply.peers);
        assert_eq!(reply.incomplete, Some(2));
    }
    let body = tracker.get("203.0.113.7", &request(3, 5, Event::None).to_url("/announce")).await;
    assert!(text(&body).contains("5:peers12:") && text(&body).contains("6:peers636:"), "{}", text(&body));
    tracker.stop().await;
}

#[tokio::test]
async fn bep_21_a_partial_seed_is_no_downloader_and_is_given_to_downloaders_only() {
    let tracker = Running::start().await;
    tracker.announce("203.0.113.5", &request(1, 5, Event::Paused)).await;
    tracker.announce("203.0.113.6", &request(2, 5, Event::Started)).await;
    tracker.announce("203.0.113.7", &request(3, 0, Event::Started)).await;
    let target = ScrapeRequest { info_hashes: vec![HASH] }.to_url("/scrape");
    let stats = ScrapeReply::parse(200, &tracker.get("203.0.113.8", &target).await).unwrap().files[&HASH];
    assert_eq!((stats.complete, stats.incomplete, stats.downloaders), (1, 2, Some(1)));
    let paused = tracker.announce("203.0.113.5", &request(1, 5, Event::Paused)).await;
    assert_eq!(paused.peers, ["203.0.113.6:2".parse().unwrap()]);
    let downloader = tracker.announce("203.0.113.6", &request(2, 5, Event::None)).await;
    assert_eq!(downloader.peers.len(), 2);
    tracker.stop().await;
}

#[tokio::test]
async fn bep_23_peers_are_compact_unless_the_client_wants_dictionaries_which_have_no_ids() {
    let tracker = Running::start().await;
    tracker.announce("203.0.113.5", &request(6881, 5, Event::Started)).await;
    let asker = request(2, 5, Event::Started);
    let compact = tracker.get("203.0.113.6", &asker.to_url("/announce")).await;
    assert!(compact.windows(14).any(|window| window == b"5:peers6:\xcb\0\x71\x05\x1a"), "{}", text(&compact));
    // Whatever is said of ids.
    for no_peer_id in [true, false] {
        let asker = AnnounceRequest { compact: false, no_peer_id, ..asker.clone() };
        let body = text(&tracker.get("203.0.113.6", &asker.to_url("/announce")).await);
        assert!(body.contains("5:peersld2:ip11:203.0.113.54:porti6881eee"), "{body}");
    }
    let silent = asker.to_url("/announce").replace("&compact=1", "");
    let body = tracker.get("203.0.113.6", &silent).await;
    assert!(text(&body).contains("5:peers6:"), "{}", text(&body));
    tracker.stop().await;
}

#[tokio::test]
async fn bep_24_a_client_is_told_the_address_that_it_is_seen_at() {
    let tracker = Running::start().await;
    for (from, seen) in
        [("203.0.113.5", Some("203.0.113.5")), ("2001:db8::5", Some("2001:db8::5")), ("192.168.1.5", None)]
    {
        let reply = tracker.announce(from, &request(1, 5, Event::Started)).await;
        assert_eq!(reply.external_ip, seen.map(|ip| ip.parse().unwrap()), "{from}");
    }
    tracker.stop().await;
}

#[tokio::test]
async fn bep_31_who_announces_too_often_is_told_when_to_try_again_and_who_asks_for_what_is_denied_never() {
    let folder = tempfile::TempDir::new().unwrap();
    let denied = folder.path().join("denied.txt");
    std::fs::write(&denied, InfoHash::new([9; 20]).to_string()).unwrap();
    let tracker = Running::with(|config| {
        config.limit_announces = Some("2/min".parse().unwrap());
        config.lists.deny_hashes = Some(denied);
    })
    .await;
    let failure = async |request: AnnounceRequest, from| {
        let body = tracker.get(from, &request.to_url("/announce")).await;
        match AnnounceReply::parse(200, &body) {
            Err(ReplyError::Failure(failure)) => (failure.reason, failure.retry_in),
            other => panic!("{other:?}"),
        }
    };
    for port in [1, 2] {
        tracker.announce("203.0.113.5", &request(port, 5, Event::Started)).await;
    }
    let (reason, retry_in) = failure(request(3, 5, Event::Started), "203.0.113.5").await;
    assert_eq!(reason, "too many announces from your address or network: try again in a minute");
    assert_eq!(retry_in, Some(Duration::from_secs(60)));
    let other = AnnounceRequest { info_hash: InfoHash::new([9; 20]), ..request(3, 5, Event::Started) };
    let (reason, retry_in) = failure(other, "203.0.113.6").await;
    assert_eq!(reason, "this tracker does not serve that torrent");
    assert_eq!(retry_in, Some(Duration::MAX));
    tracker.stop().await;
}

#[tokio::test]
async fn bep_48_a_scrape_names_its_torrents_and_one_of_everything_is_refused() {
    let tracker = Running::start().await;
    tracker.announce("203.0.113.5", &request(1, 0, Event::Completed)).await;
    let other = InfoHash::new([9; 20]);
    let leecher = AnnounceRequest { info_hash: other, ..request(1, 5, Event::Started) };
    tracker.announce("203.0.113.5", &leecher).await;
    let unknown = InfoHash::new([8; 20]);
    let target = ScrapeRequest { info_hashes: vec![HASH, other, unknown] }.to_url("/scrape");
    let files = ScrapeReply::parse(200, &tracker.get("203.0.113.8", &target).await).unwrap().files;
    let counts =
        |hash: InfoHash| files.get(&hash).map(|stats| (stats.complete, stats.incomplete, stats.downloaded));
    assert_eq!([HASH, other, unknown].map(counts), [Some((1, 0, 1)), Some((0, 1, 0)), None]);
    let body = tracker.get("203.0.113.8", "/scrape").await;
    assert_eq!(text(&body), "d14:failure reason41:a scrape must name at least one info_hashe");
    tracker.stop().await;
}
