//! The client against UDP trackers that answer, refuse, stay silent and lie.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use metainfo::InfoHash;
use tracker_proto::connection_id::ConnectionIds;
use tracker_proto::http::{AnnounceRequest, ReplyError, ScrapeStats};
use tracker_proto::swarm;
use tracker_proto::udp::{Kind, Refusal, Swarms, UrlData, respond};

use super::http::FetchError;
use super::{Announced, TrackerClient};

const HASH: InfoHash = InfoHash::new([1; 20]);
const PATIENCE: Duration = Duration::from_secs(20);

/// A tracker with one seed of each family; it tells what it was told.
struct Fake {
    refuses: bool,
    told: mpsc::Sender<(swarm::Announce, Vec<u8>)>,
}

impl Swarms for Fake {
    fn interval(&self) -> Duration {
        Duration::from_secs(900)
    }

    fn announce(
        &mut self,
        announce: &swarm::Announce,
        url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal> {
        if self.refuses {
            return Err(Refusal("not my swarm"));
        }
        let ip = announce.address.ip();
        // The test may have ended.
        let _ = self.told.send((*announce, url_data.to_vec()));
        tracker_proto::compact::encode(SocketAddr::new(ip, 7), peers);
        Ok(ScrapeStats {
            complete: if ip.is_ipv4() { 4 } else { 6 },
            incomplete: 5,
            downloaded: 0,
            downloaders: None,
        })
    }

    fn scrape(&mut self, info_hash: InfoHash) -> ScrapeStats {
        ScrapeStats {
            complete: info_hash.as_bytes()[0].into(),
            incomplete: 2,
            downloaded: 3,
            downloaders: None,
        }
    }
}

/// A tracker on a socket, which does with each answer as it is told before it sends it.
fn tracker(
    socket: UdpSocket,
    refuses: bool,
    mut handle: impl FnMut(Kind, &mut Vec<u8>, &UdpSocket, SocketAddr) -> bool + Send + 'static,
) -> mpsc::Receiver<(swarm::Announce, Vec<u8>)> {
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || {
        let (ids, mut fake) = (ConnectionIds::new(&[9; 16]), Fake { refuses, told });
        let (mut buffer, mut answer) = ([0; 4096], Vec::new());
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let packet = &buffer[..length];
            if let Some(kind) = respond(packet, from, Duration::ZERO, &ids, &mut fake, &mut answer)
                && handle(kind, &mut answer, &socket, from)
            {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    tells
}

fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn honest(_: Kind, _: &mut Vec<u8>, _: &UdpSocket, _: SocketAddr) -> bool {
    true
}

async fn announce(url: &str, deadline: Duration) -> Result<Announced, FetchError> {
    let request = AnnounceRequest::new(HASH, tracker_proto::PeerId([2; 20]), 6881);
    TrackerClient::new("test", deadline).announce(url, false, &request).await
}

#[tokio::test]
async fn an_announce_connects_first_and_gives_the_peers_of_the_answer() {
    let (socket, address) = bound("127.0.0.1:0");
    let tells = tracker(socket, false, honest);
    let announced = announce(&format!("udp://{address}/key?x=1"), PATIENCE).await.unwrap();
    assert_eq!(announced.peers, ["127.0.0.1:7".parse().unwrap()]);
    assert_eq!((announced.reply.interval.as_secs(), announced.reply.complete), (900, Some(4)));
    let (told, path) = tells.recv().unwrap();
    assert_eq!((told.info_hash, told.address.port(), path), (HASH, 6881, b"/key?x=1".to_vec()));
}

#[tokio::test]
async fn a_tracker_of_both_families_is_asked_at_both_and_the_answers_become_one() {
    let (four, address) = bound("127.0.0.1:0");
    let Ok(six) = UdpSocket::bind(("::1", address.port())) else { return };
    let _tells = (tracker(four, false, honest), tracker(six, false, honest));
    let announced =
        announce(&format!("udp://localhost:{}/announce", address.port()), PATIENCE).await.unwrap();
    let mut peers = announced.peers;
    peers.sort();
    let is_known_by_both =
        tokio::net::lookup_host("localhost:1").await.unwrap().any(|address| address.is_ipv6());
    let wanted: &[&str] = if is_known_by_both { &["127.0.0.1:7", "[::1]:7"] } else { &["127.0.0.1:7"] };
    assert_eq!(peers, wanted.iter().map(|peer| peer.parse().unwrap()).collect::<Vec<SocketAddr>>());
}

#[tokio::test]
async fn the_connection_id_is_kept_for_the_next_announce() {
    let (socket, address) = bound("127.0.0.1:0");
    let (counting, kinds) = mpsc::channel();
    let _tells = tracker(socket, false, move |kind, _, _, _| counting.send(kind).is_ok());
    let client = TrackerClient::new("test", PATIENCE);
    let request = AnnounceRequest::new(HASH, tracker_proto::PeerId([2; 20]), 6881);
    for _ in 0..2 {
        client.announce(&format!("udp://{address}"), false, &request).await.unwrap();
    }
    assert_eq!(kinds.try_iter().collect::<Vec<_>>(), [Kind::Connect, Kind::Announce, Kind::Announce]);
}

#[tokio::test]
async fn h46_a_refusal_is_told_in_the_trackers_words() {
    let (socket, address) = bound("127.0.0.1:0");
    let _tells = tracker(socket, true, honest);
    let error = announce(&format!("udp://{address}"), PATIENCE).await.unwrap_err();
    assert!(matches!(error, FetchError::Reply(ReplyError::Failure(_))));
    assert_eq!(error.to_string(), "the tracker says: not my swarm");
}

#[tokio::test]
async fn h48_a_silent_tracker_is_given_up() {
    let (_socket, address) = bound("127.0.0.1:0");
    let error = announce(&format!("udp://{address}"), Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 0.1 seconds");
}

#[tokio::test]
async fn h50_what_comes_from_elsewhere_or_to_another_question_is_ignored() {
    let (socket, address) = bound("127.0.0.1:0");
    let (stranger, _) = bound("127.0.0.1:0");
    let _tells = tracker(socket, false, move |kind, answer, own, to| {
        // Everything is right but the sender, and the counts.
        let mut forged = answer.clone();
        if kind == Kind::Announce {
            forged[16..20].copy_from_slice(&[0, 0, 0, 99]);
        }
        stranger.send_to(&forged, to).unwrap();
        // The right sender, but another transaction, too short, or nothing at all.
        let mut other = forged.clone();
        other[7] ^= 1;
        for junk in [&other[..], &forged[..forged.len().min(15)], b""] {
            own.send_to(junk, to).unwrap();
        }
        true
    });
    let announced = announce(&format!("udp://{address}"), PATIENCE).await.unwrap();
    assert_eq!((announced.reply.complete, announced.peers.len()), (Some(4), 1));
}

#[tokio::test]
async fn a_scrape_of_more_than_one_packet_holds_is_asked_in_several() {
    let (socket, address) = bound("127.0.0.1:0");
    let _tells = tracker(socket, false, honest);
    let hashes: Vec<_> = (0..100).map(|n| InfoHash::new([n; 20])).collect();
    let reply =
        TrackerClient::new("test", PATIENCE).scrape(&format!("udp://{address}"), &hashes).await.unwrap();
    assert_eq!(reply.files.len(), 100);
    assert!(reply.files.iter().all(|(hash, stats)| stats.complete == u32::from(hash.as_bytes()[0])));
}

#[tokio::test]
async fn a_url_without_a_port_is_told_as_such() {
    let error = announce("udp://127.0.0.1/announce", PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), "it is not of the form udp://HOST:PORT");
}
