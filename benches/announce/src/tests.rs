//! Trackers that lie, each in its own way: every lie has to make a run fail, and to be named.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use clap::Parser as _;

use crate::{Command, Options, Phase, Report, load};

/// A run against this tracker: one swarm of eight peers, of which two are seeds, announced once and then asked for
/// peers, two at most.
fn run(url: &str, more: &[&str]) -> Report {
    let words =
        "--connections 1 --peers 8 --swarms 1 --preload --numwant 2 --requests 40 --seconds 60 --timeout 0.3";
    let words = ["announce", "load", url].into_iter().chain(words.split(' ')).chain(more.iter().copied());
    let Command::Load(options) = Options::try_parse_from(words).unwrap().command else { panic!("no load") };
    load(&options).unwrap()
}

fn measured(report: &Report) -> &Phase {
    let preload = report.preload.as_ref().unwrap();
    assert_eq!((preload.answered, preload.wrong, preload.lost, preload.failed), (8, 0, 0, 0), "{report}");
    report.measured.as_ref().unwrap()
}

/// What a false tracker knows of its swarm: ports, and whether a seed is there.
type Swarm = BTreeMap<u16, bool>;

/// An announce or scrape as a false tracker sees it.
#[derive(Debug, Clone)]
struct Asked {
    port: u16,
    seed: bool,
    first: bool,
    info_hash: [u8; 20],
}

impl Asked {
    /// One peer that the asker can use.
    fn good(&self, swarm: &Swarm) -> u16 {
        *swarm.iter().find(|&(&port, &seed)| port != self.port && !(seed && self.seed)).unwrap().0
    }

    /// One that it cannot use, if it is a seed.
    fn other_seed(&self, swarm: &Swarm) -> Option<u16> {
        swarm.iter().find(|&(&port, &seed)| port != self.port && seed && self.seed).map(|(port, _)| *port)
    }
}

fn compact(ports: &[u16]) -> Vec<u8> {
    ports.iter().flat_map(|port| [&Ipv4Addr::LOCALHOST.octets()[..], &port.to_be_bytes()].concat()).collect()
}

/// A tracker's answer over HTTP, as its parts.
#[derive(Clone)]
struct HttpAnswer {
    status: &'static str,
    headers: String,
    interval: i64,
    complete: i64,
    incomplete: i64,
    peers: Vec<u8>,
    /// In place of the dictionary that the parts make.
    body: Option<Vec<u8>>,
    /// After the answer.
    tail: &'static str,
    /// Nothing is answered.
    silent: bool,
    /// The answer ends in the middle, and so does the connection.
    cut: bool,
}

impl HttpAnswer {
    fn bytes(&self) -> Vec<u8> {
        let body = self.body.clone().unwrap_or_else(|| {
            let Self { interval, complete, incomplete, peers, .. } = self;
            let mut body = format!(
                "d8:completei{complete}e10:incompletei{incomplete}e8:intervali{interval}e5:peers{}:",
                peers.len()
            )
            .into_bytes();
            body.extend_from_slice(peers);
            body.push(b'e');
            body
        });
        let head =
            format!("HTTP/1.1 {}\r\n{}Content-Length: {}\r\n\r\n", self.status, self.headers, body.len());
        [head.as_bytes(), &body, self.tail.as_bytes()].concat()
    }
}

/// What an HTTP tracker does to the answers to announces after the first ones.
type HttpLie = fn(&mut HttpAnswer, &Asked, &Swarm);

/// Starts a tracker that lies so; gives its URL. It answers one connection after another until the tests end.
fn http_tracker(lie: HttpLie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut swarm = Swarm::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some(request) = request(&mut stream) {
                let asked = asked(&request);
                if asked.first {
                    swarm.insert(asked.port, asked.seed);
                }
                let mut answer = HttpAnswer {
                    status: "200 OK",
                    headers: String::new(),
                    interval: 60,
                    complete: 2,
                    incomplete: 6,
                    peers: Vec::new(),
                    body: None,
                    tail: "",
                    silent: false,
                    cut: false,
                };
                if request.starts_with("GET /scrape") {
                    let counts = &b"d8:completei2e10:incompletei6eeee"[..];
                    answer.body = Some([&b"d5:filesd20:"[..], &asked.info_hash, counts].concat());
                }
                if !asked.first {
                    if answer.body.is_none() {
                        answer.peers = compact(&[asked.good(&swarm)]);
                    }
                    lie(&mut answer, &asked, &swarm);
                }
                if answer.cut {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd");
                    break;
                }
                if !answer.silent && stream.write_all(&answer.bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

fn request(stream: &mut impl std::io::Read) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

fn asked(request: &str) -> Asked {
    let query = request.split_once('?').unwrap().1.split(' ').next().unwrap();
    let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut escaped = field("info_hash").unwrap().bytes();
    let info_hash = std::array::from_fn(|_| match escaped.next().unwrap() {
        b'%' => {
            let digits = [escaped.next().unwrap(), escaped.next().unwrap()];
            u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
        }
        byte => byte,
    });
    Asked {
        port: field("port").map_or(0, |port| port.parse().unwrap()),
        seed: field("left") == Some("0"),
        first: field("event") == Some("started"),
        info_hash,
    }
}

#[test]
fn an_honest_tracker_over_http_passes() {
    for more in [&["--scrapes", "50"][..], &["--rate", "2000"], &["--stops", "0"]] {
        let report = run(&http_tracker(|_, _, _| {}), more);
        assert!(report.is_good(), "{report}");
        let phase = measured(&report);
        assert_eq!((phase.answered, phase.known), (40, Some(1.0)));
        assert!((phase.peers_a_reply - 1.0).abs() < 1e-9, "{report}");
    }
}

#[test]
fn every_lie_over_http_makes_the_run_fail() {
    let lies: &[(&str, HttpLie)] = &[
        ("its status is 500", |answer, _, _| answer.status = "500 Oh"),
        ("it is no answer of HTTP: its head is wrong", |answer, _, _| answer.status = "OK"),
        ("it comes in an encoding that nobody asked for", |answer, _, _| {
            answer.headers = "Transfer-Encoding: chunked\r\n".to_owned();
        }),
        ("something follows the answer", |answer, _, _| answer.tail = "x"),
        ("its body is wrong: it is no dictionary", |answer, _, _| answer.body = Some(b"hello".to_vec())),
        ("its body is wrong: there is no interval", |answer, _, _| answer.body = Some(b"de".to_vec())),
        ("it is a failure: not you", |answer, _, _| {
            answer.body = Some(b"d14:failure reason7:not youe".to_vec());
        }),
        ("interval 0", |answer, _, _| answer.interval = 0),
        ("interval -1", |answer, _, _| answer.interval = -1),
        ("the peers end in the middle of one", |answer, _, _| answer.peers.push(1)),
        ("3 peers where 2 were asked for", |answer, _, swarm| {
            answer.peers = compact(&swarm.keys().copied().take(3).collect::<Vec<_>>());
        }),
        ("127.0.0.1 port 1023 was not announced", |answer, _, _| answer.peers = compact(&[1023])),
        ("was not announced to this swarm", |answer, _, swarm| {
            let stranger = (1024..).find(|port| !swarm.contains_key(port)).unwrap();
            answer.peers = compact(&[stranger]);
        }),
        ("127.0.0.2 port", |answer, _, _| answer.peers[3] = 2),
        ("a peer is there twice", |answer, asked, swarm| {
            answer.peers = compact(&[asked.good(swarm), asked.good(swarm)]);
        }),
        ("the asker itself is among the peers", |answer, asked, _| answer.peers = compact(&[asked.port])),
        ("a seed is given a seed", |answer, asked, swarm| {
            answer.peers = compact(asked.other_seed(swarm).as_slice());
        }),
        ("3 seeders where 2 were announced", |answer, _, _| answer.complete = 3),
        ("7 leechers where 6 were announced", |answer, _, _| answer.incomplete = 7),
        ("-1 leechers where 6 were announced", |answer, _, _| answer.incomplete = -1),
    ];
    for (wrong, lie) in lies {
        let report = run(&http_tracker(*lie), &[]);
        assert!(!report.is_good(), "nobody noticed: {wrong}");
        let phase = measured(&report);
        assert!(phase.wrongs.iter().any(|told| told.contains(wrong)), "{wrong}: {report}");
        assert!(phase.wrong > 0 && phase.lost == 0 && phase.failed == 0, "{report}");
    }
}

#[test]
fn a_scrape_of_another_torrent_is_wrong() {
    let report =
        run(&http_tracker(|answer, _, _| answer.body.as_mut().unwrap()[20] ^= 1), &["--scrapes", "100"]);
    assert!(!report.is_good());
    assert!(measured(&report).wrongs[0].contains("it tells of another torrent"), "{report}");
}

#[test]
fn an_answer_that_does_not_come_is_lost_and_a_closed_connection_is_a_failure() {
    let report = run(&http_tracker(|answer, _, _| answer.silent = true), &["--requests", "1"]);
    assert!(!report.is_good());
    assert_eq!((measured(&report).lost, measured(&report).failed), (1, 0), "{report}");
    let report = run(&http_tracker(|answer, _, _| answer.cut = true), &["--requests", "1"]);
    assert!(!report.is_good());
    assert_eq!((measured(&report).lost, measured(&report).failed), (0, 1), "{report}");
    let failure = measured(&report).failure.as_deref().unwrap();
    assert_eq!(failure, "the tracker closed the connection before it had answered");
    assert!(
        run(&http_tracker(|answer, _, _| answer.silent = true), &["--requests", "1", "--may-lose", "1"])
            .measured
            .is_some_and(|phase| phase.lost == 1)
    );
}

#[test]
fn a_lenient_run_counts_peers_of_no_use_and_passes() {
    let report = run(&http_tracker(|answer, asked, _| answer.peers = compact(&[asked.port])), &["--lenient"]);
    assert!(report.is_good(), "{report}");
    assert_eq!(measured(&report).useless_peers, 40);
}

#[test]
fn a_tracker_that_is_not_there_is_an_error() {
    // Bound and not listening: nobody else can have the port.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = taken.local_addr().unwrap().as_socket().unwrap();
    let words = ["announce", "load", &format!("http://{address}/announce")].map(str::to_owned);
    let Command::Load(options) = Options::try_parse_from(words).unwrap().command else { panic!("no load") };
    let error = load(&options).unwrap_err().to_string();
    assert!(error.starts_with("the tracker is gone: Connection refused"), "{error}");
}

/// A tracker's answer over UDP.
#[derive(Clone)]
struct UdpAnswer {
    action: u32,
    transaction: u32,
    numbers: Vec<u32>,
    peers: Vec<u8>,
    /// How often it is sent.
    times: u32,
}

type UdpLie = fn(&mut UdpAnswer, &Asked, &Swarm);

fn udp_tracker(lie: UdpLie) -> String {
    const ID: u64 = 0x0102_0304_0506_0708;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut swarm = Swarm::new();
        let mut packet = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
            let (action, transaction) = (number(8), number(12));
            let mut answer =
                UdpAnswer { action, transaction, numbers: Vec::new(), peers: Vec::new(), times: 1 };
            if action == 0 {
                assert_eq!(packet[..8], 0x0417_2710_1980u64.to_be_bytes());
                answer.numbers = vec![0x0102_0304, 0x0506_0708];
            } else {
                assert_eq!(packet[..8], ID.to_be_bytes());
                let info_hash = packet[16..36].try_into().unwrap();
                let mut asked = Asked { port: 0, seed: false, first: false, info_hash };
                answer.numbers = vec![2, 0, 6];
                if action == 1 {
                    assert_eq!(length, 98);
                    asked.port = u16::from_be_bytes([packet[96], packet[97]]);
                    asked.seed = packet[64..72] == [0; 8];
                    asked.first = number(80) == 2;
                    answer.numbers = vec![60, 6, 2];
                }
                if asked.first {
                    swarm.insert(asked.port, asked.seed);
                } else {
                    if action == 1 {
                        answer.peers = compact(&[asked.good(&swarm)]);
                    }
                    lie(&mut answer, &asked, &swarm);
                }
            }
            let UdpAnswer { action, transaction, numbers, peers, times } = answer;
            let mut bytes: Vec<u8> =
                [action, transaction].iter().chain(&numbers).flat_map(|n| n.to_be_bytes()).collect();
            bytes.extend_from_slice(&peers);
            for _ in 0..times {
                let _ = socket.send_to(&bytes, from);
            }
        }
    });
    url
}

#[test]
fn an_honest_tracker_over_udp_passes() {
    for more in [&["--scrapes", "50"][..], &["--rate", "2000"], &["--depth", "8"]] {
        let report = run(&udp_tracker(|_, _, _| {}), more);
        assert!(report.is_good(), "{report}");
        assert_eq!((measured(&report).answered, measured(&report).known), (40, Some(1.0)));
    }
}

#[test]
fn every_lie_over_udp_makes_the_run_fail() {
    let lies: &[(&str, UdpLie)] = &[
        ("a packet of 12 bytes", |answer, _, _| {
            (answer.numbers, answer.peers) = (vec![60], Vec::new());
        }),
        ("it is a failure: \0\0\0<", |answer, _, _| answer.action = 3),
        ("which is no answer to that", |answer, _, _| answer.action = 2),
        ("interval 0", |answer, _, _| answer.numbers[0] = 0),
        ("7 leechers where 6 were announced", |answer, _, _| answer.numbers[1] = 7),
        ("3 seeders where 2 were announced", |answer, _, _| answer.numbers[2] = 3),
        ("the peers end in the middle of one", |answer, _, _| answer.peers.push(1)),
        ("the asker itself is among the peers", |answer, asked, _| answer.peers = compact(&[asked.port])),
        ("a seed is given a seed", |answer, asked, swarm| {
            answer.peers = compact(asked.other_seed(swarm).as_slice());
        }),
        ("127.0.0.1 port 80 was not announced", |answer, _, _| answer.peers = compact(&[80])),
    ];
    for (wrong, lie) in lies {
        let report = run(&udp_tracker(*lie), &[]);
        assert!(!report.is_good(), "nobody noticed: {wrong}");
        let phase = measured(&report);
        assert!(phase.wrongs.iter().any(|told| told.contains(wrong)), "{wrong}: {report}");
        assert_eq!(phase.lost, 0, "{report}");
    }
}

#[test]
fn a_transaction_that_nobody_began_is_wrong_and_an_answer_that_comes_twice_is_only_late() {
    let report = run(&udp_tracker(|answer, _, _| answer.transaction ^= 0x8000_0000), &["--requests", "1"]);
    assert!(measured(&report).wrongs[0].contains("it answers what nobody asked"), "{report}");
    assert!(!report.is_good());
    let report = run(&udp_tracker(|answer, _, _| answer.times = 2), &[]);
    assert!(report.is_good() && measured(&report).late > 0, "{report}");
}

#[test]
fn the_hashes_for_a_list_are_those_that_are_asked_about() {
    let options = crate::Hashes { swarms: 3, giant: true, seed: 9 };
    let sources = vec![Ipv4Addr::LOCALHOST.into()];
    let population = crate::Population::new(9, (3, 3, 7), sources).unwrap();
    let hex = |hash: [u8; 20]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let asked: Vec<_> = (0..population.swarms()).map(|swarm| hex(population.info_hash(swarm))).collect();
    assert_eq!(crate::hashes(&options).collect::<Vec<_>>(), asked);
    assert_eq!(asked.len(), 4);
}

/// A tracker that reads nothing, which is all that slow connections need.
#[test]
fn slow_connections_that_are_ended_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
            if n % 2 == 0 {
                let _ = stream.read(&mut [0]);
            } else {
                kept.push(stream);
            }
        }
    });
    let words = ["announce", "dribble", &url, "--connections", "4", "--seconds", "2.5"];
    let Command::Dribble(options) = Options::try_parse_from(words).unwrap().command else {
        panic!("no dribble")
    };
    let told = crate::dribble(&options).unwrap();
    assert!(told.opened > 4 && told.cut > 0 && told.bytes > 0, "{told}");
    assert_eq!(told.refused, 0, "{told}");
}
