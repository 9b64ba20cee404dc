//! The router without sockets: whoever asks, from wherever.

use std::net::SocketAddr;

use axum::http::Request;
use http_body_util::BodyExt as _;
use metainfo::InfoHash;
use tower::Service as _;
use tracker_proto::http::{
    AnnounceReply, AnnounceRequest, ReplyError, ScrapeReply, ScrapeRequest, ScrapeStats, encode_failure,
};

use super::*;
use crate::{TrackerConfig, TrackerHandle};

const HASH: InfoHash = InfoHash::new([7; 20]);

struct Bench {
    handle: TrackerHandle,
    router: Router,
}

impl Bench {
    fn new(config: TrackerConfig) -> Self {
        let state = Arc::new(State::new(config).unwrap());
        Self { router: router(Arc::clone(&state)), handle: TrackerHandle { state } }
    }

    async fn ask(&self, method: Method, target: &str, link: Link) -> (StatusCode, String, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        request.extensions_mut().insert(link);
        let response = self.router.clone().call(request).await.unwrap();
        let kind = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        let status = response.status();
        (status, kind, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    async fn get(&self, target: &str) -> (StatusCode, String, Vec<u8>) {
        self.ask(Method::GET, target, link("127.0.0.1:9", "127.0.0.1:6969")).await
    }

    async fn announce(&self, request: &AnnounceRequest, link: Link) -> Result<AnnounceReply, ReplyError> {
        let (status, _, body) = self.ask(Method::GET, &request.to_url("/announce"), link).await;
        AnnounceReply::parse(status.as_u16(), &body)
    }
}

fn link(remote: &str, local: &str) -> Link {
    Link { remote: remote.parse().unwrap(), local: local.parse().unwrap() }
}

fn request(id: u8, port: u16, left: u64) -> AnnounceRequest {
    AnnounceRequest { left, ..AnnounceRequest::new(HASH, tracker_proto::PeerId([id; 20]), port) }
}

fn peers(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_seeder_on_loopback_is_given_by_the_address_on_which_the_asker_came_in() {
    for (remote, local, given) in [
        ("192.168.1.9:5", "192.168.1.2:6969", "192.168.1.2:6881"),
        ("[2001:db8::9]:5", "[2001:db8::2]:6969", "[2001:db8::2]:6881"),
        ("127.0.0.1:6", "127.0.0.1:6969", "127.0.0.1:6881"),
    ] {
        let bench = Bench::new(TrackerConfig::open());
        bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
        let asker = AnnounceRequest { numwant: Some(200), ..request(2, 7000, 1) };
        let reply = bench.announce(&asker, link(remote, local)).await.unwrap();
        assert_eq!(reply.peers, peers(&[given]));
    }
}

#[tokio::test]
async fn an_advertised_address_goes_before_that() {
    let config = TrackerConfig { advertise: Some("203.0.113.5".parse().unwrap()), ..TrackerConfig::open() };
    let bench = Bench::new(config);
    bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
    let reply =
        bench.announce(&request(2, 6881, 1), link("192.168.1.9:5", "192.168.1.2:6969")).await.unwrap();
    assert_eq!(reply.peers, peers(&["203.0.113.5:6881"]));
}

#[tokio::test]
async fn a_machine_known_by_two_addresses_is_given_once_and_never_to_itself() {
    let bench = Bench::new(TrackerConfig::open());
    let here = link("192.168.1.2:5", "192.168.1.2:6969");
    bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
    bench.announce(&request(3, 6881, 0), link("[::1]:5", "[::1]:6969")).await.unwrap();
    let reply =
        bench.announce(&request(2, 6881, 1), link("192.168.1.9:5", "192.168.1.2:6969")).await.unwrap();
    assert_eq!(reply.peers, peers(&["192.168.1.2:6881"]));
    // Whatever it calls itself, 192.168.1.2:6881 is the asker's own address.
    let reply = bench.announce(&request(4, 6881, 1), here).await.unwrap();
    assert_eq!(reply.peers, peers(&["192.168.1.9:6881"]));
}

#[tokio::test]
async fn the_reply_says_how_the_swarm_is_when_to_come_back_and_where_the_asker_is() {
    let bench = Bench::new(TrackerConfig::open());
    let reply =
        bench.announce(&request(1, 6881, 0), link("203.0.113.5:1", "198.51.100.1:6969")).await.unwrap();
    assert_eq!((reply.complete, reply.incomplete, reply.downloaded), (Some(1), Some(0), Some(0)));
    assert!((1620..=1980).contains(&reply.interval.as_secs()), "{:?}", reply.interval);
    assert_eq!(reply.external_ip, Some("203.0.113.5".parse().unwrap()));
}

#[tokio::test]
async fn a_client_that_wants_dictionaries_gets_them_without_ids() {
    let bench = Bench::new(TrackerConfig::open());
    bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
    for no_peer_id in [true, false] {
        let asker = AnnounceRequest { compact: false, no_peer_id, ..request(2, 6882, 1) };
        let (_, _, body) = bench.get(&asker.to_url("/announce")).await;
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("5:peersld2:ip9:127.0.0.14:porti6881eee"), "{text}");
    }
}

#[tokio::test]
async fn h53_a_wrong_request_gets_a_failure_reason_and_counts_nothing() {
    let bench = Bench::new(TrackerConfig::open());
    let good = request(1, 6881, 5).to_url("/announce");
    let hash = good.split('&').next().unwrap();
    for (target, reason) in [
        ("/announce".to_owned(), "port is missing"),
        (good.replace(hash, "/announce?x"), "info_hash is missing"),
        (
            good.replace(hash, "/announce?info_hash=%07"),
            "info_hash must be 20 bytes, percent-encoded, but has 1",
        ),
        (good.replace(hash, "/announce?info_hash=%0"), "info_hash is not percent-encoded properly"),
        (good.replace("port=6881", "port=0"), "port 0 cannot be connected to"),
        (good.replace("left=5", "left=-1"), "left is not a number, is negative or is too large"),
        (format!("{good}&x={}", "y".repeat(8192)), "the query is longer than 8192 bytes"),
        ("/scrape".to_owned(), "a scrape must name at least one info_hash"),
    ] {
        let (status, _, body) = bench.get(&target).await;
        assert_eq!((status, body), (StatusCode::OK, encode_failure(reason, None)), "{target}");
    }
    assert_eq!((bench.handle.stats().swarms, bench.handle.stats().peers), (0, 0));
}

#[tokio::test]
async fn only_get_announces() {
    let bench = Bench::new(TrackerConfig::open());
    let target = request(1, 6881, 5).to_url("/announce");
    for method in [Method::POST, Method::PUT, Method::HEAD, Method::DELETE] {
        let (status, _, _) = bench.ask(method, &target, link("127.0.0.1:9", "127.0.0.1:1")).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (_, _, body) = bench.ask(Method::POST, &target, link("127.0.0.1:9", "127.0.0.1:1")).await;
    assert_eq!(body, encode_failure("an announce is a GET request", None));
    let (_, _, body) =
        bench.ask(Method::POST, "/scrape?info_hash=a", link("127.0.0.1:9", "127.0.0.1:1")).await;
    assert_eq!(body, encode_failure("a scrape is a GET request", None));
    assert_eq!(bench.handle.stats().peers, 0);
}

#[tokio::test]
async fn h55_an_address_in_the_request_is_not_believed() {
    let bench = Bench::new(TrackerConfig::open());
    let victim = AnnounceRequest { ip: Some("198.51.100.66".parse().unwrap()), ..request(1, 6881, 5) };
    bench.announce(&victim, link("203.0.113.5:1", "192.0.2.1:6969")).await.unwrap();
    let target = format!("{}&ipv4=198.51.100.66&ipv6=2001:db8::66", victim.to_query());
    bench.get(&format!("/announce?{target}")).await;
    let reply = bench.announce(&request(2, 6882, 5), link("203.0.113.6:1", "192.0.2.1:6969")).await.unwrap();
    // The second of these came in from loopback, and so is known by the address that was asked.
    assert!(!reply.peers.iter().any(|peer| peer.to_string().contains("66")), "{:?}", reply.peers);
    assert!(reply.peers.contains(&"203.0.113.5:6881".parse().unwrap()));
}

#[tokio::test]
async fn h56_forwarding_headers_of_strangers_are_not_believed() {
    let bench = Bench::new(TrackerConfig::open());
    let mut forged = Request::builder()
        .uri(request(1, 6881, 5).to_url("/announce"))
        .header("X-Forwarded-For", "198.51.100.66")
        .header("Forwarded", "for=198.51.100.66")
        .body(Body::empty())
        .unwrap();
    forged.extensions_mut().insert(link("203.0.113.5:1", "192.0.2.1:6969"));
    bench.router.clone().call(forged).await.unwrap();
    let reply = bench.announce(&request(2, 6882, 5), link("203.0.113.6:1", "192.0.2.1:6969")).await.unwrap();
    assert_eq!(reply.peers, peers(&["203.0.113.5:6881"]));
}

#[tokio::test]
async fn h54_a_scrape_is_answered_within_its_limits() {
    let bench = Bench::new(TrackerConfig::open());
    bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
    let mut scrape = ScrapeRequest { info_hashes: vec![HASH, InfoHash::new([8; 20])] };
    let (_, _, body) = bench.get(&scrape.to_url("/scrape")).await;
    let known = ScrapeStats { complete: 1, incomplete: 0, downloaded: 0, downloaders: Some(0) };
    assert_eq!(
        ScrapeReply::parse(200, &body).unwrap().files.into_iter().collect::<Vec<_>>(),
        [(HASH, known)]
    );
    scrape.info_hashes = vec![HASH; 75];
    let (_, _, body) = bench.get(&scrape.to_url("/scrape")).await;
    assert_eq!(body, encode_failure("more than 74 info-hashes in one scrape", None));
    let everything = format!("/scrape?info_hash={}", "%07".repeat(20).repeat(10_000));
    let (_, _, body) = bench.get(&everything[..60_000]).await;
    assert_eq!(body, encode_failure("the query is longer than 8192 bytes", None));
}

#[tokio::test]
async fn an_embedded_tracker_serves_its_own_torrents_and_no_others() {
    let bench = Bench::new(TrackerConfig::embedded());
    let asker = link("127.0.0.1:5", "127.0.0.1:6969");
    let error = bench.announce(&request(1, 6881, 5), asker).await.unwrap_err();
    assert_eq!(error.to_string(), "the tracker says: this tracker does not serve that torrent");
    let path = bench.handle.register("my folder/ü?", Bytes::from_static(b"d4:infodee"), HASH);
    assert_eq!(path, "/t/my%20folder%2F%C3%BC%3F.torrent");
    bench.announce(&request(1, 6881, 5), asker).await.unwrap();
    assert_eq!(bench.handle.scrape(&HASH).unwrap().incomplete, 1);
    let (status, kind, body) = bench.get(&path).await;
    assert_eq!(
        (status, kind.as_str(), body.as_slice()),
        (StatusCode::OK, "application/x-bittorrent", &b"d4:infodee"[..])
    );
}

#[tokio::test]
async fn a_torrent_registered_again_serves_its_old_swarm_only_under_another_name() {
    let bench = Bench::new(TrackerConfig::embedded());
    let asker = link("127.0.0.1:5", "127.0.0.1:6969");
    let other = InfoHash::new([8; 20]);
    let served = async |info_hash| {
        let request = AnnounceRequest { info_hash, ..request(1, 6881, 5) };
        bench.announce(&request, asker).await.is_ok()
    };
    let register = |name, info_hash| bench.handle.register(name, Bytes::new(), info_hash);
    register("x", HASH);
    register("y", HASH);
    register("x", other);
    assert!(served(HASH).await && served(other).await, "y still has it");
    register("y", other);
    assert!(!served(HASH).await && served(other).await);
    register("y", other);
    assert!(served(other).await, "replaced by itself");
}

#[tokio::test]
async fn a_registered_torrent_that_nobody_has_announced_scrapes_as_empty() {
    let bench = Bench::new(TrackerConfig::embedded());
    bench.handle.register("x", Bytes::new(), HASH);
    let (_, _, body) = bench.get(&ScrapeRequest { info_hashes: vec![HASH] }.to_url("/scrape")).await;
    assert_eq!(ScrapeReply::parse(200, &body).unwrap().files[&HASH], ScrapeStats::default());
}

#[tokio::test]
async fn h85_the_status_page_is_text_whatever_a_torrent_is_called() {
    let bench = Bench::new(TrackerConfig::embedded());
    bench.handle.register("<script>\u{1b}[2J\n", Bytes::new(), HASH);
    bench.announce(&request(1, 6881, 0), link("127.0.0.1:5", "127.0.0.1:6969")).await.unwrap();
    let (status, kind, body) = bench.get("/").await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert!(text.contains("<script>") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("seeders 1, leechers 0, completed 0"), "{text}");
    assert!(text.contains("/t/%3Cscript%3E%1B%5B2J%0A.torrent"), "{text}");
}

#[tokio::test]
async fn everything_else_is_not_there() {
    let bench = Bench::new(TrackerConfig::embedded());
    for target in [
        "/x",
        "/t/",
        "/t/x",
        "/t/x.torrent",
        "/t/../announce",
        "/t/..%2f..%2fetc%2fpasswd.torrent",
        "/announce/x",
    ] {
        let (status, kind, body) = bench.get(target).await;
        assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "text/plain; charset=utf-8"), "{target}");
        assert_eq!(body, b"There is nothing here.\n");
    }
}

/// A tracker with one list of its own.
fn listed(
    folder: &tempfile::TempDir,
    text: &str,
    set: fn(&mut crate::AccessConfig, std::path::PathBuf),
) -> Bench {
    let file = folder.path().join("list");
    std::fs::write(&file, text).unwrap();
    let mut config = TrackerConfig::open();
    set(&mut config.lists, file);
    Bench::new(config)
}

fn failed(reason: &str) -> Vec<u8> {
    encode_failure(reason, None)
}

/// What no time mends (BEP 31).
fn failed_for_good(reason: &str) -> Vec<u8> {
    encode_failure(reason, Some(std::time::Duration::MAX))
}

#[tokio::test]
async fn a_private_tracker_serves_the_paths_that_have_a_passkey() {
    let folder = tempfile::TempDir::new().unwrap();
    let bench = listed(&folder, "0123456789abcdef", |lists, file| lists.passkeys = Some(file));
    let request = request(1, 6881, 5);
    for (path, reason) in [
        ("/announce", "this tracker needs a passkey: download the torrent again from where you got it"),
        (
            "/fedcba9876543210/announce",
            "this passkey is not valid: download the torrent again from where you got it",
        ),
    ] {
        assert_eq!(bench.get(&request.to_url(path)).await.2, failed_for_good(reason));
        let scrape = ScrapeRequest { info_hashes: vec![HASH] }.to_url(&path.replace("announce", "scrape"));
        assert_eq!(bench.get(&scrape).await.2, failed_for_good(reason));
    }
    assert_eq!(bench.handle.stats().peers, 0);
    let (status, _, body) = bench.get(&request.to_url("/0123456789abcdef/announce")).await;
    assert!(AnnounceReply::parse(status.as_u16(), &body).is_ok());
    let scrape = ScrapeRequest { info_hashes: vec![HASH] }.to_url("/0123456789abcdef/scrape");
    assert_eq!(ScrapeReply::parse(200, &bench.get(&scrape).await.2).unwrap().files.len(), 1);
}

#[tokio::test]
async fn an_open_tracker_has_no_paths_with_a_passkey() {
    let bench = Bench::new(TrackerConfig::open());
    let (status, ..) = bench.get(&request(1, 6881, 5).to_url("/0123456789abcdef/announce")).await;
    assert_eq!((status, bench.handle.stats().peers), (StatusCode::NOT_FOUND, 0));
}

#[tokio::test]
async fn a_swarm_or_network_that_is_denied_is_told_so_and_counts_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let from = link("203.0.113.5:1", "192.0.2.1:6969");
    let bench = listed(&folder, &HASH.to_string(), |lists, file| lists.deny_hashes = Some(file));
    let error = bench.announce(&request(1, 6881, 5), from).await.unwrap_err();
    let ReplyError::Failure(failure) = error else { panic!("{error}") };
    assert_eq!(failure.reason, "this tracker does not serve that torrent");
    assert_eq!(failure.retry_in, Some(std::time::Duration::MAX));
    let scrape = ScrapeRequest { info_hashes: vec![HASH] }.to_url("/scrape");
    assert!(ScrapeReply::parse(200, &bench.get(&scrape).await.2).unwrap().files.is_empty());
    assert_eq!(bench.handle.stats().peers, 0);

    let bench = listed(&folder, "203.0.113.0/24", |lists, file| lists.deny_networks = Some(file));
    let error = bench.announce(&request(1, 6881, 5), from).await.unwrap_err();
    assert_eq!(error.to_string(), "the tracker says: this tracker does not serve your network");
    assert!(bench.announce(&request(1, 6881, 5), link("203.0.114.5:1", "192.0.2.1:6969")).await.is_ok());
    assert_eq!(bench.handle.stats().peers, 1);
}

#[tokio::test]
async fn h56_a_trusted_proxy_says_who_asks_and_h55_an_address_is_believed_of_its_own_machine() {
    let mut config = TrackerConfig::open();
    config.lists.trusted = tracker_proto::access::Networks::parse(b"10.0.0.0/8").unwrap();
    let bench = Bench::new(config);
    let send = async |request: &AnnounceRequest, forwarded: &str| {
        let mut sent = Request::builder()
            .uri(request.to_url("/announce"))
            .header("X-Forwarded-For", forwarded)
            .body(Body::empty())
            .unwrap();
        sent.extensions_mut().insert(link("10.0.0.1:5", "10.0.0.2:6969"));
        let response = bench.router.clone().call(sent).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    };
    let claiming = |id, port, ip: &str| AnnounceRequest { ip: ip.parse().ok(), ..request(id, port, 5) };
    send(&claiming(1, 1001, "198.51.100.66"), "198.51.100.66, 203.0.113.5").await;
    send(&claiming(2, 1002, "203.0.113.7"), "10.0.0.9").await;
    let body = send(&request(3, 1003, 5), "203.0.113.9").await;
    let mut given = AnnounceReply::parse(200, &body).unwrap().peers;
    given.sort_unstable();
    assert_eq!(given, peers(&["203.0.113.5:1001", "203.0.113.7:1002"]));
    let body = send(&request(4, 1004, 5), "unknown").await;
    assert_eq!(body, failed("the proxy before this tracker does not say who asks"));
}
