//! A tracker on real UDP sockets. The clients block, so the tracker has a thread besides.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use metainfo::InfoHash;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracker::{Access, ConnectionKey, Tracker, TrackerConfig, TrackerHandle};
use tracker_proto::PeerId;
use tracker_proto::connection_id::ConnectionId;
use tracker_proto::http::{AnnounceReply, AnnounceRequest, Event, ReplyError, ScrapeStats};
use tracker_proto::udp::{Announce, Family, Reply, Request, TransactionId};

const HASH: InfoHash = InfoHash::new([0x25; 20]);
/// Longer than any answer takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    udp: Vec<SocketAddr>,
    handle: TrackerHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(config: TrackerConfig) -> Self {
        let tracker = Tracker::bind(config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            udp: tracker.local_udp_addrs(),
            handle: tracker.handle(),
            stop,
            task: tokio::spawn(tracker.run(async { drop(stopped.await) })),
        }
    }

    async fn local(addresses: &[&str]) -> Self {
        Self::start(config(addresses)).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn config(addresses: &[&str]) -> TrackerConfig {
    let udp = addresses.iter().map(|address| address.parse().unwrap()).collect();
    TrackerConfig { http: Vec::new(), udp, udp_workers: 2, ..TrackerConfig::open() }
}

/// A client with a socket of its own.
struct Client {
    socket: UdpSocket,
    family: Family,
}

impl Client {
    fn of(tracker: SocketAddr) -> Self {
        let own: SocketAddr = if tracker.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap();
        let socket = UdpSocket::bind(own).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(tracker).unwrap();
        Self { socket, family: Family::of(tracker.ip()) }
    }

    fn ask(&self, request: Request<'_>) -> Reply {
        self.socket.send(&request.encode(TransactionId(7))).unwrap();
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).expect("an answer");
        let (transaction, reply) = Reply::parse(&buffer[..length], self.family).unwrap();
        assert_eq!(transaction, TransactionId(7));
        reply
    }

    fn connect(&self) -> ConnectionId {
        match self.ask(Request::Connect) {
            Reply::Connect(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn try_announce(&self, port: u16, left: u64, event: Event) -> Reply {
        self.announce_to(b"", port, left, event)
    }

    fn announce_to(&self, url_data: &[u8], port: u16, left: u64, event: Event) -> Reply {
        let request = AnnounceRequest {
            left,
            event,
            ..AnnounceRequest::new(HASH, PeerId([left.to_be_bytes()[7]; 20]), port)
        };
        let connection = self.connect();
        self.ask(Request::Announce { connection, announce: &Announce::from(&request), url_data })
    }

    fn announce(&self, port: u16, left: u64, event: Event) -> AnnounceReply {
        match self.try_announce(port, left, event) {
            Reply::Announce(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn scrape(&self) -> ScrapeStats {
        let connection = self.connect();
        match self.ask(Request::Scrape { connection, hashes: &[HASH] }) {
            Reply::Scrape(stats) => stats[0],
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn peers_of_both_families_find_each_other_and_are_counted_together() {
    let tracker = Running::local(&["127.0.0.1:0", "[::1]:0"]).await;
    let (four, six) = (Client::of(tracker.udp[0]), Client::of(tracker.udp[1]));
    four.announce(1001, 0, Event::Started);
    six.announce(1002, 0, Event::Started);
    let reply = four.announce(1003, 9, Event::Started);
    assert_eq!(reply.peers, ["127.0.0.1:1001".parse().unwrap()]);
    assert_eq!((reply.complete, reply.incomplete), (Some(2), Some(1)));
    let reply = six.announce(1004, 9, Event::Started);
    assert_eq!(reply.peers, ["[::1]:1002".parse().unwrap()]);
    assert_eq!(four.scrape(), ScrapeStats { complete: 2, incomplete: 2, downloaded: 0, downloaders: None });
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_that_completes_is_counted_and_one_that_stops_is_gone() {
    let tracker = Running::local(&["127.0.0.1:0"]).await;
    let client = Client::of(tracker.udp[0]);
    client.announce(1001, 9, Event::Started);
    client.announce(1001, 0, Event::Completed);
    assert_eq!(client.scrape(), ScrapeStats { complete: 1, incomplete: 0, downloaded: 1, downloaders: None });
    let reply = client.announce(1001, 0, Event::Stopped);
    assert_eq!((reply.peers.len(), client.scrape().complete), (0, 0));
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_comes_from_the_address_that_was_asked() {
    // A connected socket takes answers from nowhere else.
    let tracker = Running::local(&["0.0.0.0:0"]).await;
    let port = tracker.udp[0].port();
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        Client::of(SocketAddr::new(ip.parse().unwrap(), port)).connect();
    }
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_clients_at_once_are_all_answered() {
    let tracker = Running::local(&["127.0.0.1:0"]).await;
    let clients: Vec<_> = (0..1000).map(|_| Client::of(tracker.udp[0])).collect();
    // As many as a small receive buffer holds at a time: the kernel may drop what is more.
    for clients in clients.chunks(100) {
        for (n, client) in (0_u32..).zip(clients) {
            client.socket.send(&Request::Connect.encode(TransactionId(n))).unwrap();
        }
        for (n, client) in (0_u32..).zip(clients) {
            let mut buffer = [0; 100];
            let length = client.socket.recv(&mut buffer).unwrap();
            let (transaction, _) = Reply::parse(&buffer[..length], Family::V4).unwrap();
            assert_eq!(transaction, TransactionId(n));
        }
    }
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn h59_a_made_up_connection_id_is_answered_with_nothing() {
    let tracker = Running::local(&["127.0.0.1:0"]).await;
    let client = Client::of(tracker.udp[0]);
    let announce = Announce::from(&AnnounceRequest::new(HASH, PeerId([1; 20]), 1001));
    let forged = Request::Announce { connection: ConnectionId(1), announce: &announce, url_data: b"" };
    client.socket.send(&forged.encode(TransactionId(1))).unwrap();
    client.socket.send(b"junk").unwrap();
    // The worker that got those gets this too, behind them: it is the first that is answered.
    client.connect();
    assert_eq!(tracker.handle.stats().peers, 0);
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn trackers_that_share_a_key_accept_each_others_clients() {
    let key = Some(ConnectionKey([3; 16]));
    let one = Running::start(TrackerConfig { connection_key: key, ..config(&["127.0.0.1:0"]) }).await;
    let other = Running::start(TrackerConfig { connection_key: key, ..config(&["127.0.0.1:0"]) }).await;
    let connection = Client::of(one.udp[0]).connect();
    let reply = Client::of(other.udp[0]).ask(Request::Scrape { connection, hashes: &[HASH] });
    assert_eq!(reply, Reply::Scrape(vec![ScrapeStats::default()]));
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_torrent_that_is_not_served_is_refused_in_words() {
    let access = Access::Registered;
    let tracker = Running::start(TrackerConfig { access, ..config(&["127.0.0.1:0"]) }).await;
    let client = Client::of(tracker.udp[0]);
    let Reply::Error(ReplyError::Failure(failure)) = client.try_announce(1001, 9, Event::Started) else {
        panic!()
    };
    assert_eq!(failure.reason, "this tracker does not serve that torrent");
    tracker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_tracker_that_has_stopped_leaves_its_port() {
    // Not where other tests are given ports: one of them may be given this one.
    let tracker = Running::local(&["127.0.0.77:0"]).await;
    let address = tracker.udp[0];
    Client::of(address).connect();
    tracker.stop().await;
    UdpSocket::bind(address).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_rules_of_who_may_hold_over_udp_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("list");
    let failed = |reply: Reply| match reply {
        Reply::Error(ReplyError::Failure(failure)) => failure.reason,
        other => panic!("{other:?}"),
    };

    std::fs::write(&file, "0123456789abcdef").unwrap();
    let mut private = config(&["127.0.0.1:0"]);
    private.lists.passkeys = Some(file.clone());
    let tracker = Running::start(private).await;
    let client = Client::of(tracker.udp[0]);
    let needs = "this tracker needs a passkey: download the torrent again from where you got it";
    assert_eq!(failed(client.try_announce(1001, 9, Event::Started)), needs);
    let wrong = "this passkey is not valid: download the torrent again from where you got it";
    let reply = client.announce_to(b"/fedcba9876543210/announce", 1001, 9, Event::Started);
    assert_eq!(failed(reply), wrong);
    assert_eq!(tracker.handle.stats().peers, 0);
    let reply = client.announce_to(b"/0123456789abcdef/announce", 1001, 9, Event::Started);
    assert!(matches!(reply, Reply::Announce(_)), "{reply:?}");
    assert_eq!((tracker.handle.stats().peers, client.scrape()), (1, ScrapeStats::default()));
    tracker.stop().await;

    std::fs::write(&file, "127.0.0.0/8").unwrap();
    let mut denying = config(&["127.0.0.1:0"]);
    denying.lists.deny_networks = Some(file);
    let tracker = Running::start(denying).await;
    let reply = Client::of(tracker.udp[0]).try_announce(1001, 9, Event::Started);
    assert_eq!(failed(reply), "this tracker does not serve your network");
    assert_eq!(tracker.handle.stats().peers, 0);
    tracker.stop().await;
}
