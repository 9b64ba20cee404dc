//! A tracker on real sockets, and strangers who mean it no good.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

use std::net::SocketAddr;
use std::time::Duration;

use metainfo::InfoHash;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracker::{Tracker, TrackerConfig, TrackerHandle};
use tracker_proto::http::{AnnounceReply, AnnounceRequest, MAX_SCRAPE_HASHES, ScrapeReply, ScrapeRequest};

struct Running {
    addresses: Vec<SocketAddr>,
    handle: TrackerHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(config: TrackerConfig) -> Self {
        let tracker = Tracker::bind(config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            addresses: tracker.local_addrs().to_vec(),
            handle: tracker.handle(),
            stop,
            task: tokio::spawn(tracker.run(async { drop(stopped.await) })),
        }
    }

    async fn local(max_connections: usize) -> Self {
        let http = vec!["127.0.0.1:0".parse().unwrap()];
        let udp = Vec::new();
        Self::start(TrackerConfig { http, http_workers: 0, udp, max_connections, ..TrackerConfig::open() })
            .await
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }
}

/// Fetches from a new connection: status and body.
async fn get(address: SocketAddr, target: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    split(&answer)
}

fn split(answer: &[u8]) -> (u16, Vec<u8>) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end..].to_vec())
}

async fn announce(address: SocketAddr, id: u8, left: u64) -> AnnounceReply {
    let request = AnnounceRequest {
        left,
        ..AnnounceRequest::new(
            InfoHash::new([0x25; 20]),
            tracker_proto::PeerId([id; 20]),
            6880 + u16::from(id),
        )
    };
    let (status, body) = get(address, &request.to_url("/announce")).await;
    AnnounceReply::parse(status, &body).unwrap()
}

/// Everything until the other side closes, which a reset does as well.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn both_families_announce_on_one_port_and_meet() {
    let http = tracker::default_addresses(0);
    let tracker = Running::start(TrackerConfig { http, udp: Vec::new(), ..TrackerConfig::open() }).await;
    let port = tracker.address().port();
    let v4 = SocketAddr::from(([127, 0, 0, 1], port));
    announce(v4, 1, 0).await;
    assert_eq!(announce(v4, 2, 1).await.peers, ["127.0.0.1:6881".parse().unwrap()]);
    // A machine without IPv6 has no such listener, and the IPv4 half was shown.
    if tracker.addresses.iter().any(SocketAddr::is_ipv6) {
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        announce(v6, 3, 1).await;
        let peers = announce(v6, 4, 1).await.peers;
        assert_eq!(peers.len(), 3);
        assert_eq!(peers.iter().filter(|peer| peer.is_ipv6()).count(), 1);
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let tracker = Running::local(4).await;
    let mut stream = tracker.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        assert_eq!(split(&answer[..length]).0, 200);
    }
}

#[tokio::test]
async fn the_largest_scrape_is_answered() {
    let tracker = Running::local(4).await;
    announce(tracker.address(), 1, 0).await;
    let mut info_hashes: Vec<_> =
        (0..).take(MAX_SCRAPE_HASHES - 1).map(|n| InfoHash::new([0xf0 | n; 20])).collect();
    info_hashes.push(InfoHash::new([0x25; 20]));
    let (status, body) = get(tracker.address(), &ScrapeRequest { info_hashes }.to_url("/scrape")).await;
    assert_eq!(ScrapeReply::parse(status, &body).unwrap().files.len(), 1);
}

#[tokio::test]
async fn h57_silent_connections_do_not_keep_others_out() {
    let tracker = Running::local(8).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = tracker.connect().await;
        stream.write_all(b"GET /announce?").await.unwrap();
        silent.push(stream);
    }
    announce(tracker.address(), 1, 0).await;
    assert_eq!(announce(tracker.address(), 2, 1).await.peers.len(), 1);
    assert_eq!(until_closed(&mut silent[0]).await, b"");
}

#[tokio::test(start_paused = true)]
async fn h57_a_byte_a_second_does_not_prolong_the_deadline_of_the_head() {
    let tracker = Running::local(8).await;
    let (mut from, mut to) = tracker.connect().await.into_split();
    let dripping = tokio::spawn(async move {
        let mut sent = 0;
        while to.write_all(b"G").await.is_ok() {
            sent += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        sent
    });
    let mut answer = Vec::new();
    let _ = from.read_to_end(&mut answer).await;
    drop(from);
    // Seconds of the paused clock, with room for the writes that nobody reads any more.
    assert!(dripping.await.unwrap() < 10);
    assert_eq!(tracker.handle.stats().peers, 0);
}

#[tokio::test]
async fn h57_a_head_without_end_is_cut_off_and_others_are_served_meanwhile() {
    let tracker = Running::local(8).await;
    let mut stream = tracker.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    announce(tracker.address(), 1, 0).await;
    // Written until the tracker closes: it reads no more than its buffer.
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(&[b'x'; 4096]).await.is_ok() {
        sent += 4096;
    }
    assert!(sent < 64 << 20, "it reads on for ever");
    assert_eq!(announce(tracker.address(), 2, 1).await.peers.len(), 1);
}

#[tokio::test]
async fn h57_a_url_of_a_megabyte_is_refused() {
    let tracker = Running::local(8).await;
    let mut stream = tracker.connect().await;
    let url = format!("GET /announce?info_hash={} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
    let _ = stream.write_all(url.as_bytes()).await;
    let answer = until_closed(&mut stream).await;
    assert!(
        answer.is_empty() || matches!(split(&answer).0, 414 | 431),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(tracker.handle.stats().peers, 0);
}

#[tokio::test]
async fn h57_too_many_headers_are_refused() {
    let tracker = Running::local(8).await;
    let mut stream = tracker.connect().await;
    let request = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(split(&until_closed(&mut stream).await).0, 431);
}

#[tokio::test]
async fn what_is_not_http_is_closed() {
    let tracker = Running::local(8).await;
    let mut stream = tracker.connect().await;
    stream.write_all(b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0\r\n\r\n").await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.is_empty() || split(&answer).0 == 400);
}

#[tokio::test]
async fn it_ends_when_told_to_although_somebody_keeps_a_connection_open() {
    let tracker = Running::local(8).await;
    let mut idle = tracker.connect().await;
    announce(tracker.address(), 1, 0).await;
    let address = tracker.address();
    tracker.stop.send(()).unwrap();
    tracker.task.await.unwrap();
    assert_eq!(until_closed(&mut idle).await, b"");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_operators_address_counts_what_the_trackers_addresses_answer() {
    let http = vec!["127.0.0.1:0".parse().unwrap()];
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let tracker = Tracker::bind(TrackerConfig { http, udp: Vec::new(), metrics, ..TrackerConfig::open() })
        .await
        .unwrap();
    let (address, operator) = (tracker.local_addrs()[0], tracker.metrics_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(tracker.run(async { drop(stopped.await) }));
    announce(address, 1, 0).await;
    announce(address, 2, 1).await;
    assert_eq!(get(address, "/announce?x=1").await.0, 200);
    assert_eq!(get(address, "/nothing").await.0, 404);
    assert_eq!(get(operator, "/ready").await, (200, b"ready\n".to_vec()));
    let page = String::from_utf8(get(operator, "/metrics").await.1).unwrap();
    for line in [
        "shoal_tracker_requests_total{protocol=\"http\",kind=\"announce\",outcome=\"answered\"} 2",
        "shoal_tracker_requests_total{protocol=\"http\",kind=\"announce\",outcome=\"invalid\"} 1",
        "shoal_tracker_requests_total{protocol=\"http\",kind=\"other\",outcome=\"invalid\"} 1",
        "shoal_tracker_request_seconds_count{protocol=\"http\"} 4",
        "shoal_tracker_connections_total 4",
        "shoal_tracker_peers 2",
        "shoal_tracker_swarms 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in {page}");
    }
    stop.send(()).unwrap();
    task.await.unwrap();
    assert!(TcpStream::connect(operator).await.is_err(), "it ends with the tracker");
}

#[tokio::test]
async fn h56_of_a_trusted_network_headers_say_who_asks_on_real_connections_too() {
    let request = |id: u8| {
        let (hash, peer) = (InfoHash::new([0x25; 20]), tracker_proto::PeerId([id; 20]));
        let request = AnnounceRequest::new(hash, peer, 6880 + u16::from(id));
        AnnounceRequest { left: 1, ..request }.to_url("/announce")
    };
    let proxied = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x05\xc0\x00\x02\x01\x12\x34\x1b\x39";
    for (proxy_protocol, before, header) in
        [(false, &b""[..], "X-Forwarded-For: 198.51.100.66, 203.0.113.5\r\n"), (true, &proxied[..], "")]
    {
        let http = vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = TrackerConfig { http, udp: Vec::new(), ..TrackerConfig::open() };
        config.lists.trusted = tracker_proto::access::Networks::parse(b"127.0.0.0/8").unwrap();
        config.lists.proxy_protocol = proxy_protocol;
        let tracker = Running::start(config).await;
        let send = async |id| {
            let mut stream = tracker.connect().await;
            stream.write_all(before).await.unwrap();
            let head =
                format!("GET {} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n", request(id));
            stream.write_all(head.as_bytes()).await.unwrap();
            let (status, body) = split(&until_closed(&mut stream).await);
            AnnounceReply::parse(status, &body).unwrap()
        };
        send(1).await;
        let reply = send(2).await;
        assert_eq!(reply.peers, ["203.0.113.5:6881".parse().unwrap()], "PROXY header: {proxy_protocol}");
        assert_eq!(reply.external_ip, Some("203.0.113.5".parse().unwrap()));
    }
}
