//! Trackers over UDP (BEP 15): name, sockets and timers around [`tracker_proto::udp::Query`].
//!
//! A tracker that has an IPv4 and an IPv6 address is asked at both, for it knows us by either and gives peers of either
//! alone. The first answer is not kept waiting for long by a family that does not work.
//!
//! A torrent from outside may name any address: what is sent there is 16 bytes that mean nothing to other services, and
//! more only to one that answers them as a tracker does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peer_proto::Time;
use rand::TryRng as _;
use rand::rngs::SysRng;
use reqwest::Url;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracker_proto::udp::{Ask, Connection, FIRST_WAIT, Family, LAST_WAIT, Query, Reply, Step, TransactionId};

use super::http::FetchError;
use crate::net::SharedSocket;

/// How long the answer of one family waits for that of the other.
const SECOND_FAMILY_WAIT: Duration = Duration::from_secs(1);
/// The most connection ids kept: more trackers than answer in one minute.
const MAX_CONNECTIONS: usize = 1000;

/// What stands in a tracker's URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UdpUrl {
    host: String,
    port: u16,
    /// Path and query, as the tracker gets them (BEP 41).
    pub(super) url_data: Vec<u8>,
}

impl UdpUrl {
    /// Reads a URL; `None` if it is not of the form `udp://HOST:PORT/...`.
    fn read(url: &str) -> Result<Self, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::UdpUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FetchError::UdpUrl)?;
        let port = url.port().filter(|port| *port != 0).ok_or(FetchError::UdpUrl)?;
        let mut url_data = url.path().as_bytes().to_vec();
        if let Some(query) = url.query() {
            url_data.push(b'?');
            url_data.extend_from_slice(query.as_bytes());
        }
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, url_data })
    }
}

/// Whether a URL is one of a UDP tracker.
pub(crate) fn is_udp(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("udp"))
}

/// An answer, and which of the tracker's addresses it came from.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) from: SocketAddr,
    pub(super) reply: Reply,
}

/// Asks trackers. Sockets come when they are needed.
#[derive(Debug)]
pub(super) struct Udp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Our address for each family that is used.
    ours: [Option<IpAddr>; 2],
    sockets: [OnceCell<SharedSocket>; 2],
    connections: Mutex<BTreeMap<SocketAddr, Connection>>,
    started: Instant,
    deadline: Duration,
}

impl Udp {
    /// Asks from the first of these addresses of ours in each family; never of a family that has none.
    pub(super) fn new(ours: &[IpAddr], deadline: Duration) -> Self {
        let first = |v4: bool| ours.iter().copied().find(|ip| ip.is_ipv4() == v4);
        Self(Arc::new(Inner {
            ours: [first(true), first(false)],
            sockets: Default::default(),
            connections: Mutex::default(),
            started: Instant::now(),
            deadline,
        }))
    }

    /// Asks at all addresses at once. Gives one answer or one of each family.
    pub(super) async fn ask(
        &self,
        url: &str,
        ask: impl FnOnce(&UdpUrl) -> Ask,
    ) -> Result<Vec<Answered>, FetchError> {
        let deadline = self.0.deadline;
        timeout(deadline, self.ask_all(url, ask)).await.unwrap_or(Err(FetchError::TimedOut(deadline)))
    }

    async fn ask_all(
        &self,
        url: &str,
        ask: impl FnOnce(&UdpUrl) -> Ask,
    ) -> Result<Vec<Answered>, FetchError> {
        let url = UdpUrl::read(url)?;
        let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| network(&error))?.collect();
        let ask = ask(&url);
        let mut asked = JoinSet::new();
        for (v4, ours) in [true, false].into_iter().zip(self.0.ours) {
            let Some(address) = found.iter().copied().find(|address| address.is_ipv4() == v4) else {
                continue;
            };
            let Some(ours) = ours else { continue };
            let (inner, ask) = (Arc::clone(&self.0), ask.clone());
            asked.spawn(async move { inner.ask_one(ours, address, ask).await });
        }
        let mut answers = Vec::new();
        let mut error = FetchError::Network("none of its addresses is of a family that is used".to_owned());
        loop {
            let wait = if answers.is_empty() { Duration::MAX } else { SECOND_FAMILY_WAIT };
            match timeout(wait, asked.join_next()).await {
                Ok(Some(Ok(Ok(answer)))) => answers.push(answer),
                Ok(Some(Ok(Err(failed)))) => error = failed,
                Ok(Some(Err(broken))) => error = FetchError::Network(broken.to_string()),
                Ok(None) | Err(_) => break,
            }
        }
        if answers.is_empty() { Err(error) } else { Ok(answers) }
    }
}

impl Inner {
    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    async fn socket(&self, ours: IpAddr) -> Result<&SharedSocket, FetchError> {
        let [v4, v6] = &self.sockets;
        let cell = if ours.is_ipv4() { v4 } else { v6 };
        cell.get_or_try_init(|| SharedSocket::bind(ours)).await.map_err(|error| network(&error))
    }

    /// Asks at one address, until there is an answer or no hope of one.
    async fn ask_one(&self, ours: IpAddr, address: SocketAddr, ask: Ask) -> Result<Answered, FetchError> {
        let socket = self.socket(ours).await?;
        let mut packets = socket.packets_from(address);
        let mut query = Query::new(ask, Family::of(address.ip()), self.known(address));
        loop {
            match query.poll(self.now(), random_transaction) {
                Step::Send(packet) => {
                    socket.send_to(&packet, address).await.map_err(|error| network(&error))?;
                }
                Step::Wait(until) => {
                    let wait = until.saturating_since(self.now());
                    let Ok(packet) = timeout(wait, packets.next()).await else { continue };
                    let packet =
                        packet.ok_or_else(|| FetchError::Network("the socket is gone".to_owned()))?;
                    if let Some(reply) = query.handle_packet(self.now(), &packet) {
                        self.keep(address, query.connection());
                        return Ok(Answered { from: address, reply });
                    }
                }
                Step::GiveUp => {
                    self.keep(address, None);
                    return Err(FetchError::TimedOut(FIRST_WAIT + LAST_WAIT));
                }
            }
        }
    }

    fn known(&self, address: SocketAddr) -> Option<Connection> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(&address).copied()
    }

    /// Keeps a connection id, or forgets it.
    fn keep(&self, address: SocketAddr, connection: Option<Connection>) {
        let now = self.now();
        let mut all = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = connection else {
            all.remove(&address);
            return;
        };
        if all.len() >= MAX_CONNECTIONS {
            all.retain(|_, known| known.is_usable(now));
        }
        if all.len() < MAX_CONNECTIONS {
            all.insert(address, connection);
        }
    }
}

/// A number that nobody can guess; without randomness the source address is all that protects.
fn random_transaction() -> TransactionId {
    TransactionId(SysRng.try_next_u32().unwrap_or_default())
}

/// The system's words without the number of the error, which tells a user nothing.
fn network(error: &std::io::Error) -> FetchError {
    FetchError::Network(metainfo::display_safe(metainfo::without_os_error(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_ask_and_what_the_tracker_is_told_of_it() {
        let read = |url: &str| {
            let url = UdpUrl::read(url).unwrap();
            (url.host, url.port, String::from_utf8(url.url_data).unwrap())
        };
        let wanted = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
        assert_eq!(read("udp://tracker.example:6969/announce"), wanted("tracker.example", 6969, "/announce"));
        assert_eq!(read("UDP://192.0.2.1:80"), wanted("192.0.2.1", 80, ""));
        assert_eq!(read("udp://[2001:db8::1]:80/x?y=1#z"), wanted("2001:db8::1", 80, "/x?y=1"));
        for bad in
            ["udp://tracker.example/announce", "udp://:80/", "udp://x:0/", "udp:x", "", "udp://x:99999/"]
        {
            assert!(matches!(UdpUrl::read(bad), Err(FetchError::UdpUrl)), "{bad}");
        }
        assert!(is_udp("udp://x") && is_udp("UDP://x") && !is_udp("http://udp://") && !is_udp("udp"));
    }

    #[tokio::test]
    async fn no_more_connection_ids_are_kept_than_there_is_room_for() {
        let udp = Udp::new(&[], Duration::from_secs(1));
        let mut query = Query::new(Ask::Scrape(Vec::new()), Family::V4, None);
        let Step::Send(_) = query.poll(Time::ZERO, || TransactionId(1)) else { panic!() };
        let mut packet = Vec::new();
        tracker_proto::udp::encode_connect(
            TransactionId(1),
            tracker_proto::connection_id::ConnectionId(1),
            &mut packet,
        );
        query.handle_packet(udp.0.now(), &packet);
        for port in 1..=2 * u16::try_from(MAX_CONNECTIONS).unwrap() {
            udp.0.keep(([192, 0, 2, 1], port).into(), query.connection());
        }
        assert_eq!(udp.0.connections.lock().unwrap().len(), MAX_CONNECTIONS);
    }
}
