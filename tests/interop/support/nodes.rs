//! `shoal tracker` as a node of a fleet, and clients that announce to it as the protocol's own types do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use metainfo::InfoHash;
use serde_json::Value;
use tracker_proto::PeerId;
use tracker_proto::http::{AnnounceReply, AnnounceRequest, Event, ScrapeReply, ScrapeStats};
use tracker_proto::udp::{Announce, Family, Reply, Request, TransactionId};

use super::process::{PATIENCE, eventually};
use crate::support::process::{Running, shoal, spawn};

/// A running tracker, at loopback of both families.
pub(crate) struct Node {
    process: Running,
    /// Where clients find it.
    pub(crate) at: Addresses,
    metrics: SocketAddr,
}

/// The addresses of a tracker.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    http: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
}

/// Who announces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) swarm: InfoHash,
    pub(crate) port: u16,
    pub(crate) left: u64,
    /// Which family it comes from.
    pub(crate) v6: bool,
}

/// What a client announces by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Http,
    Udp,
}

impl Node {
    pub(crate) fn start(folder: &Path, store: &str) -> Self {
        Self::start_with(folder, store, &[])
    }

    /// With variables besides.
    pub(crate) fn start_with(folder: &Path, store: &str, variables: &[(&str, &Path)]) -> Self {
        let addresses = ["--http", "--udp"].map(|flag| [flag, "127.0.0.1:0", flag, "[::1]:0"]);
        let rest = ["--metrics", "127.0.0.1:0", "--store", store, "--json"];
        let mut command = shoal(folder);
        command.arg("tracker").args(addresses.as_flattened()).args(rest).args(["--progress", "json"]);
        command.envs(variables.iter().copied());
        let mut process = spawn(command);
        let listening: Value = serde_json::from_str(&process.line()).expect("--json prints JSON");
        let parse = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("an address");
        let all = |name: &str| listening[name].as_array().expect("addresses").iter().map(parse).collect();
        let at = Addresses { http: all("http"), udp: all("udp") };
        Self { at, metrics: parse(&listening["metrics"]), process }
    }

    /// See [`Addresses::announce`].
    pub(crate) fn announce(&self, by: By, client: Client, event: Event) -> AnnounceReply {
        self.at.announce(by, client, event)
    }

    /// What it knows of a swarm, without an announce.
    pub(crate) fn scrape(&self, swarm: InfoHash) -> ScrapeStats {
        let escaped: String = swarm.as_bytes().iter().map(|byte| format!("%{byte:02x}")).collect();
        let (_, body) = get(of_family(&self.at.http, false), &format!("/scrape?info_hash={escaped}"));
        let reply = ScrapeReply::parse(200, &body).expect("a scrape is answered");
        reply.files.get(&swarm).copied().unwrap_or_default()
    }

    /// A page for the operator: its status and text.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let (status, body) = get(self.metrics, path);
        (status, String::from_utf8(body).expect("text"))
    }

    /// A number of its metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {page}"))
    }

    /// Waits until a number of its metrics is as wanted.
    pub(crate) fn wait_for(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        eventually(name, || wanted(self.metric(name)).then_some(()));
    }

    /// Kills it as nothing can be prepared for.
    pub(crate) fn kill(self) {
        self.process.signal("KILL");
        self.process.end();
    }

    /// Ends it in order.
    pub(crate) fn end(self) {
        self.end_with_words();
    }

    /// Ends it in order; gives what it has said that was not waited for.
    pub(crate) fn end_with_words(self) -> Vec<String> {
        self.process.signal("TERM");
        let (status, words) = self.process.end();
        assert_eq!(status.code(), Some(0));
        words
    }

    /// Waits for something that it says.
    pub(crate) fn wait_for_words(&mut self, words: &str) {
        self.process
            .object(|object| object["message"].as_str().is_some_and(|message| message.contains(words)));
    }
}

impl Addresses {
    /// Announces; an answer that is none ends the test.
    pub(crate) fn announce(&self, by: By, client: Client, event: Event) -> AnnounceReply {
        let request = AnnounceRequest {
            left: client.left,
            event,
            ..AnnounceRequest::new(client.swarm, PeerId([7; 20]), client.port)
        };
        match by {
            By::Http => {
                let address = of_family(&self.http, client.v6);
                let url = request.to_url(&format!("http://{address}/announce"));
                let body = get(address, url.split_once(&address.to_string()).expect("its own address").1);
                AnnounceReply::parse(200, &body.1).unwrap_or_else(|error| panic!("{error}: {body:?}"))
            }
            By::Udp => match Asker::of(of_family(&self.udp, client.v6)).announce(&request) {
                Reply::Announce(reply) => reply,
                other => panic!("{other:?}"),
            },
        }
    }
}

impl Client {
    pub(crate) fn address(self) -> SocketAddr {
        let ip = if self.v6 { "::1" } else { "127.0.0.1" };
        SocketAddr::new(ip.parse().expect("an address"), self.port)
    }
}

fn of_family(addresses: &[SocketAddr], v6: bool) -> SocketAddr {
    *addresses.iter().find(|address| address.is_ipv6() == v6).expect("it listens on both families")
}

/// Asks for a page on a connection of its own; gives its status and body.
fn get(address: SocketAddr, target: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("it takes connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request can be written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer comes");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head comes");
    let status = std::str::from_utf8(&answer[9..12]).ok().and_then(|digits| digits.parse().ok());
    (status.expect("a status comes"), answer.split_off(head + 4))
}

/// A UDP client.
struct Asker {
    socket: UdpSocket,
    family: Family,
}

impl Asker {
    fn of(tracker: SocketAddr) -> Self {
        let own = if tracker.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(own).expect("a socket can be bound");
        socket.connect(tracker).expect("a socket can be connected");
        // BEP 15's clients ask again; these wait long enough that nothing was lost but the tracker's answer.
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
        Self { socket, family: Family::of(tracker.ip()) }
    }

    fn ask(&self, request: Request<'_>) -> Reply {
        self.socket.send(&request.encode(TransactionId(7))).expect("a packet can be sent");
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).expect("an answer comes");
        Reply::parse(&buffer[..length], self.family).expect("it is one").1
    }

    fn announce(&self, request: &AnnounceRequest) -> Reply {
        let connection = match self.ask(Request::Connect) {
            Reply::Connect(id) => id,
            other => panic!("{other:?}"),
        };
        self.ask(Request::Announce { connection, announce: &Announce::from(request), url_data: b"" })
    }
}
