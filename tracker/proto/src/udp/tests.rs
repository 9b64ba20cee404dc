//! Packets as they are on the wire, and a tracker that is spoken to by honest clients and others.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use metainfo::InfoHash;
use proptest::prelude::*;

use super::*;
use crate::PeerId;
use crate::connection_id::{ConnectionId, ConnectionIds};
use crate::http::{
    AnnounceReply, AnnounceRequest, Event, MAX_NUMWANT, MAX_SCRAPE_HASHES, ReplyError, ScrapeStats,
};
use crate::swarm;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const HASH: InfoHash = InfoHash::new([0x11; 20]);

/// A tracker with as many peers as anybody wants; it keeps what it was told.
#[derive(Default)]
struct Fake {
    announced: Vec<swarm::Announce>,
    paths: Vec<Vec<u8>>,
    scraped: BTreeMap<InfoHash, ScrapeStats>,
    refuses: bool,
}

impl Swarms for Fake {
    fn interval(&self) -> Duration {
        Duration::from_secs(1800)
    }

    fn announce(
        &mut self,
        announce: &swarm::Announce,
        url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal> {
        if self.refuses {
            return Err(Refusal("not here"));
        }
        self.announced.push(*announce);
        self.paths.push(url_data.to_vec());
        let from = announce.address.ip();
        let peer: std::net::IpAddr =
            if from.is_ipv4() { [192, 0, 2, 1].into() } else { Ipv6Addr::from_bits(1 << 120).into() };
        for n in 1..=announce.numwant.unwrap() {
            let port = u16::try_from(n).unwrap();
            crate::compact::encode((peer, port).into(), peers);
        }
        Ok(ScrapeStats { complete: 3, incomplete: 4, downloaded: 5, downloaders: None })
    }

    fn scrape(&mut self, info_hash: InfoHash) -> ScrapeStats {
        self.scraped.get(&info_hash).copied().unwrap_or_default()
    }
}

/// A tracker, and what came of a packet.
struct Server {
    ids: ConnectionIds,
    swarms: Fake,
}

impl Server {
    fn new() -> Self {
        Self { ids: ConnectionIds::new(&[7; 16]), swarms: Fake::default() }
    }

    fn respond(&mut self, packet: &[u8], from: &str) -> Option<(Kind, Vec<u8>)> {
        let mut out = b"left from before".to_vec();
        let kind = respond(packet, from.parse().unwrap(), NOW, &self.ids, &mut self.swarms, &mut out);
        assert!(kind.is_some() || out.is_empty(), "nothing is sent where nothing is said");
        kind.map(|kind| (kind, out))
    }

    fn ask(&mut self, request: Request<'_>, from: &str) -> Reply {
        let packet = request.encode(TransactionId(9));
        let (_, answer) = self.respond(&packet, from).expect("an answer");
        let family = Family::of(from.parse::<SocketAddr>().unwrap().ip());
        let (transaction, reply) = Reply::parse(&answer, family).unwrap();
        assert_eq!(transaction, TransactionId(9));
        reply
    }

    fn connect(&mut self, from: &str) -> ConnectionId {
        match self.ask(Request::Connect, from) {
            Reply::Connect(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn announce(&mut self, announce: &Announce, from: &str) -> Reply {
        let connection = self.connect(from);
        self.ask(Request::Announce { connection, announce, url_data: b"" }, from)
    }
}

fn announce() -> Announce {
    Announce::from(&AnnounceRequest::new(HASH, PeerId([0x22; 20]), 6881))
}

fn announced(reply: Reply) -> AnnounceReply {
    match reply {
        Reply::Announce(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_layout_of_questions_is_that_of_the_bep() {
    let connect = Request::Connect.encode(TransactionId(0x0102_0304));
    assert_eq!(connect, [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4]);
    let announce = Announce {
        downloaded: 1,
        left: 2,
        uploaded: 3,
        event: Event::Started,
        key: 5,
        numwant: None,
        port: 0x1ae1,
        ..announce()
    };
    let request = Request::Announce { connection: ConnectionId(1), announce: &announce, url_data: b"/a" };
    let packet = request.encode(TransactionId(2));
    let mut wanted = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
    wanted.extend([0x11; 20]);
    wanted.extend([0x22; 20]);
    for number in [1, 2, 3] {
        wanted.extend([0, 0, 0, 0, 0, 0, 0, number]);
    }
    wanted.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x1a, 0xe1]);
    assert_eq!(wanted.len(), 98);
    wanted.extend(b"\x02\x02/a\x00");
    assert_eq!(packet, wanted);
    let scrape = Request::Scrape { connection: ConnectionId(1), hashes: &[HASH] }.encode(TransactionId(2));
    assert_eq!(scrape[8..16], [0, 0, 0, 2, 0, 0, 0, 2]);
    assert_eq!(scrape[16..], [0x11; 20]);
}

#[test]
fn the_layout_of_answers_is_that_of_the_bep() {
    let stats = ScrapeStats { complete: 7, incomplete: 8, downloaded: 9, downloaders: None };
    let header = encode_announce_header(TransactionId(1), Duration::from_secs(1800), stats);
    assert_eq!(header, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 7, 8, 0, 0, 0, 8, 0, 0, 0, 7]);
    let mut scrape = Vec::new();
    encode_scrape(TransactionId(1), [stats], &mut scrape);
    assert_eq!(scrape, [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 8]);
    let mut error = Vec::new();
    encode_error(TransactionId(1), "no", &mut error);
    assert_eq!(error, b"\0\0\0\x03\0\0\0\x01no");
}

#[test]
fn an_announce_is_counted_at_the_address_it_came_from_and_answered_with_peers() {
    let mut server = Server::new();
    let sent = Announce { left: 5, event: Event::Started, numwant: Some(2), ..announce() };
    let reply = announced(server.announce(&sent, "192.0.2.7:4000"));
    assert_eq!((reply.complete, reply.incomplete, reply.interval.as_secs()), (Some(3), Some(4), 1800));
    assert_eq!(reply.peers, ["192.0.2.1:1", "192.0.2.1:2"].map(|peer| peer.parse().unwrap()));
    let counted = server.swarms.announced[0];
    assert_eq!(counted.address, "192.0.2.7:6881".parse().unwrap());
    assert_eq!((counted.info_hash, counted.left), (HASH, 5));
    assert_eq!((counted.event, counted.numwant), (Event::Started, Some(2)));
}

#[test]
fn over_ipv6_the_peers_have_ipv6_addresses_and_fit_into_one_packet() {
    let mut server = Server::new();
    let sent = Announce { numwant: Some(u32::MAX), ..announce() };
    let reply = announced(server.announce(&sent, "[2001:db8::9]:4000"));
    assert_eq!(reply.peers.len(), 67);
    assert!(reply.peers.iter().all(SocketAddr::is_ipv6));
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_answered_in_ipv4() {
    let mut server = Server::new();
    let connection = server.connect("192.0.2.7:1");
    let request = Request::Announce { connection, announce: &announce(), url_data: b"" };
    let (kind, answer) = server.respond(&request.encode(TransactionId(1)), "[::ffff:192.0.2.7]:1").unwrap();
    assert_eq!((kind, answer.len()), (Kind::Announce, 20 + 6 * 50));
    assert_eq!(server.swarms.announced[0].address, "192.0.2.7:6881".parse().unwrap());
}

#[test]
fn the_path_of_the_url_reaches_the_swarms() {
    let mut server = Server::new();
    let connection = server.connect("192.0.2.7:1");
    server.ask(
        Request::Announce { connection, announce: &announce(), url_data: b"/key/announce" },
        "192.0.2.7:1",
    );
    assert_eq!(server.swarms.paths, [b"/key/announce"]);
}

#[test]
fn h54_as_many_peers_as_are_wanted_are_given_and_no_more_than_over_http() {
    let mut server = Server::new();
    for (numwant, given) in
        [(None, 50), (Some(0), 0), (Some(7), 7), (Some(0x7fff_ffff), MAX_NUMWANT as usize)]
    {
        let sent = Announce { numwant, ..announce() };
        let reply = announced(server.announce(&sent, "192.0.2.7:4000"));
        assert_eq!(reply.peers.len(), given, "{numwant:?}");
    }
}

#[test]
fn a_scrape_is_answered_in_the_order_of_its_hashes_with_zeros_for_unknown_ones() {
    let mut server = Server::new();
    let known = ScrapeStats { complete: 1, incomplete: 2, downloaded: 3, downloaders: None };
    server.swarms.scraped.insert(HASH, known);
    let connection = server.connect("192.0.2.7:1");
    let hashes = [InfoHash::new([0; 20]), HASH];
    let reply = server.ask(Request::Scrape { connection, hashes: &hashes }, "192.0.2.7:1");
    assert_eq!(reply, Reply::Scrape(vec![ScrapeStats::default(), known]));
}

#[test]
fn h54_a_scrape_of_everything_or_of_too_much_is_refused() {
    let mut server = Server::new();
    let connection = server.connect("192.0.2.7:1");
    let most = vec![HASH; MAX_SCRAPE_HASHES];
    let most = Request::Scrape { connection, hashes: &most };
    assert!(
        matches!(server.ask(most, "192.0.2.7:1"), Reply::Scrape(stats) if stats.len() == MAX_SCRAPE_HASHES)
    );
    let mut packet = most.encode(TransactionId(1));
    packet.extend([0x33; 20]);
    assert_eq!(server.respond(&packet, "192.0.2.7:1").unwrap().0, Kind::Error);
    assert_eq!(server.respond(&packet[..16], "192.0.2.7:1").unwrap().0, Kind::Error);
    assert_eq!(server.respond(&packet[..35], "192.0.2.7:1").unwrap().0, Kind::Error);
}

#[test]
fn h53_port_0_and_a_torrent_that_is_not_served_are_told_to_those_whose_address_is_proved() {
    let mut server = Server::new();
    let refused = |reply| match reply {
        Reply::Error(ReplyError::Failure(failure)) => failure.reason,
        other => panic!("{other:?}"),
    };
    let sent = Announce { port: 0, ..announce() };
    assert_eq!(refused(server.announce(&sent, "192.0.2.7:1")), "port 0 cannot be connected to");
    server.swarms.refuses = true;
    assert_eq!(refused(server.announce(&announce(), "192.0.2.7:1")), "not here");
    assert!(server.swarms.announced.is_empty());
}

#[test]
fn h59_a_forged_stolen_or_old_connection_id_is_dropped_in_silence() {
    let mut server = Server::new();
    let own = server.connect("192.0.2.7:1");
    let old = server.ids.issue("192.0.2.7".parse().unwrap(), NOW - Duration::from_secs(240));
    let announce = announce();
    for (connection, from) in [
        (ConnectionId(0), "192.0.2.7:1"),
        (ConnectionId(PROTOCOL_ID), "192.0.2.7:1"),
        (ConnectionId(own.0 ^ 1), "192.0.2.7:1"),
        (own, "192.0.2.8:1"),
        (own, "[2001:db8::7]:1"),
        (old, "192.0.2.7:1"),
    ] {
        let announce = Request::Announce { connection, announce: &announce, url_data: b"" };
        let scrape = Request::Scrape { connection, hashes: &[HASH] };
        for request in [announce, scrape] {
            assert_eq!(
                server.respond(&request.encode(TransactionId(1)), from),
                None,
                "{connection:?} {from}"
            );
        }
    }
    assert!(server.swarms.announced.is_empty());
}

#[test]
fn h59_a_short_packet_counts_nothing() {
    let mut server = Server::new();
    let connection = server.connect("192.0.2.7:1");
    let announce = announce();
    let whole = Request::Announce { connection, announce: &announce, url_data: b"" }.encode(TransactionId(1));
    for length in 0..whole.len() {
        let answered = server.respond(&whole[..length], "192.0.2.7:1");
        assert_eq!(answered.map(|(kind, _)| kind), (length >= 16).then_some(Kind::Error), "{length}");
    }
    let connect = Request::Connect.encode(TransactionId(1));
    for length in 0..connect.len() {
        assert_eq!(server.respond(&connect[..length], "192.0.2.7:1"), None, "{length}");
    }
    assert!(server.swarms.announced.is_empty());
}

#[test]
fn a_packet_with_something_unknown_behind_it_is_read_as_far_as_it_is_known() {
    let mut server = Server::new();
    let mut connect = Request::Connect.encode(TransactionId(1));
    connect.extend([0xff; 40]);
    assert_eq!(server.respond(&connect, "192.0.2.7:1").unwrap().0, Kind::Connect);
    let connection = server.connect("192.0.2.7:1");
    let request = Request::Announce { connection, announce: &announce(), url_data: b"" };
    let mut packet = request.encode(TransactionId(1));
    packet.extend([0xff; 40]);
    assert_eq!(server.respond(&packet, "192.0.2.7:1").unwrap().0, Kind::Announce);
}

#[test]
fn h60_an_answer_to_somebody_whose_address_is_not_proved_is_no_larger_than_what_he_sent() {
    let mut server = Server::new();
    let connect = Request::Connect.encode(TransactionId(1));
    let (_, answer) = server.respond(&connect, "192.0.2.7:1").unwrap();
    assert_eq!((answer.len(), connect.len()), (16, 16));
}

#[test]
fn h60_an_answer_is_never_larger_than_what_goes_unfragmented_everywhere() {
    assert_eq!((Family::V4.most_peers(), Family::V6.most_peers()), (202, 67));
    let mut server = Server::new();
    for from in ["192.0.2.7:1", "[2001:db8::7]:1"] {
        let connection = server.connect(from);
        let sent = Announce { numwant: Some(u32::MAX), ..announce() };
        let request = Request::Announce { connection, announce: &sent, url_data: b"" };
        let (_, answer) = server.respond(&request.encode(TransactionId(1)), from).unwrap();
        assert!(answer.len() <= MAX_REPLY_BYTES);
    }
}

#[test]
fn h49_a_client_skips_bad_peers_and_refuses_an_answer_of_nothing_else() {
    let header = encode_announce_header(TransactionId(1), Duration::from_secs(60), ScrapeStats::default());
    let parse = |peers: &[u8]| Reply::parse(&[&header[..], peers].concat(), Family::V4).unwrap().1;
    let good: SocketAddr = "1.2.3.4:5".parse().unwrap();
    assert_eq!(announced(parse(b"\0\0\0\0\0\x01\x01\x02\x03\x04\0\x05")).peers, [good]);
    assert_eq!(announced(parse(b"\x01\x02\x03\x04\0\x05\x07")).peers, [good]);
    assert_eq!(announced(parse(b"")).peers, []);
    for junk in [&b"\x01"[..], b"\x01\x02\x03\x04\0\0", b"\0\0\0\0\0\x01"] {
        assert!(matches!(parse(junk), Reply::Error(ReplyError::Unexpected(_))), "{junk:?}");
    }
}

#[test]
fn h48_an_interval_that_makes_no_sense_is_clamped() {
    for (sent, kept) in
        [(0, 60), (59, 60), (900, 900), (0x7fff_ffff, 3600), (0x8000_0000, 60), (u64::MAX, 60)]
    {
        let interval = Duration::from_secs(sent);
        let header = encode_announce_header(TransactionId(1), interval, ScrapeStats::default());
        let reply = announced(Reply::parse(&header, Family::V4).unwrap().1);
        assert_eq!(reply.interval.as_secs(), kept, "{sent}");
    }
}

#[test]
fn h50_an_answer_too_short_for_what_it_says_it_is_is_none() {
    for packet in [
        &b""[..],
        b"\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
        b"\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(Reply::parse(packet, Family::V4), None, "{packet:?}");
    }
}

#[test]
fn an_error_is_shown_on_one_line_escaped_and_cut_short() {
    let mut packet = Vec::new();
    encode_error(TransactionId(1), &format!("no\x1b[2J\n{}", "x".repeat(5000)), &mut packet);
    let Some((_, Reply::Error(error))) = Reply::parse(&packet, Family::V4) else { panic!() };
    let text = error.to_string();
    assert!(text.starts_with("the tracker says: no") && text.len() < 300, "{text}");
    assert!(!text.contains(['\x1b', '\n']), "{text}");
}

#[test]
fn the_key_of_an_http_announce_is_kept_as_a_number() {
    let key = |key: &[u8]| {
        Announce::from(&AnnounceRequest {
            key: Some(key.to_vec()),
            ..AnnounceRequest::new(HASH, PeerId([0; 20]), 1)
        })
        .key
    };
    assert_eq!([key(b"00c0ffee"), key(b"not hex"), key(b"123456789"), key(b"\xff")], [0x00c0_ffee, 0, 0, 0]);
}

fn any_announce() -> impl Strategy<Value = Announce> {
    let event = prop_oneof![
        Just(Event::None),
        Just(Event::Completed),
        Just(Event::Started),
        Just(Event::Stopped),
        Just(Event::Paused),
    ];
    let numwant = proptest::option::of(0..=0x7fff_ffff_u32);
    (any::<[u8; 20]>(), any::<[u8; 20]>(), any::<[u64; 3]>(), event, any::<u32>(), numwant, any::<u16>())
        .prop_map(|(info_hash, peer_id, [downloaded, left, uploaded], event, key, numwant, port)| Announce {
            info_hash: InfoHash::new(info_hash),
            peer_id: PeerId(peer_id),
            downloaded,
            left,
            uploaded,
            event,
            key,
            numwant,
            port,
        })
}

proptest! {
    #[test]
    fn an_announce_survives(announce in any_announce(), id: u64, transaction: u32, path: Vec<u8>) {
        let connection = ConnectionId(id);
        let request = Request::Announce { connection, announce: &announce, url_data: &path };
        let packet = request.encode(TransactionId(transaction));
        let (header, body) = Header::parse(&packet).unwrap();
        prop_assert_eq!((header.connection, header.transaction), (connection, TransactionId(transaction)));
        let (read, url_data) = Announce::parse(body).unwrap();
        prop_assert_eq!(read, announce);
        prop_assert_eq!(url_data.to_vec(), path);
    }

    #[test]
    fn a_scrape_survives(hashes in proptest::collection::vec(any::<[u8; 20]>(), 1..=74), id: u64) {
        let hashes: Vec<InfoHash> = hashes.into_iter().map(InfoHash::new).collect();
        let packet = Request::Scrape { connection: ConnectionId(id), hashes: &hashes }.encode(TransactionId(1));
        let (_, body) = Header::parse(&packet).unwrap();
        prop_assert_eq!(ScrapeHashes::parse(body).unwrap().iter().collect::<Vec<_>>(), hashes);
    }

    #[test]
    fn the_numbers_of_a_scrape_survive(numbers in proptest::collection::vec(any::<[u32; 3]>(), 0..=74)) {
        let stats = |[complete, incomplete, downloaded]: [u32; 3]| ScrapeStats {
            complete,
            incomplete,
            downloaded,
            downloaders: None,
        };
        let stats: Vec<_> = numbers.into_iter().map(stats).collect();
        let mut packet = Vec::new();
        encode_scrape(TransactionId(1), stats.iter().copied(), &mut packet);
        prop_assert_eq!(Reply::parse(&packet, Family::V6), Some((TransactionId(1), Reply::Scrape(stats))));
    }

    #[test]
    fn h50_any_packet_at_all_is_answered_within_bounds_or_not(
        mut packet in proptest::collection::vec(any::<u8>(), 0..200), action in 0_u8..4, proved: bool, v6: bool
    ) {
        let from = if v6 { "[2001:db8::7]:1" } else { "192.0.2.7:1" };
        let mut server = Server::new();
        let id = server.connect(from);
        if let Some(place) = packet.get_mut(8..12) {
            place.copy_from_slice(&[0, 0, 0, action]);
        }
        if let Some(place) = packet.get_mut(..8).filter(|_| proved) {
            place.copy_from_slice(&id.0.to_be_bytes());
        }
        let answer = server.respond(&packet, from).map_or(0, |(_, answer)| answer.len());
        let most = if proved { MAX_REPLY_BYTES } else { packet.len() };
        prop_assert!(answer <= most);
        let _ = Reply::parse(&packet, Family::V4);
        let _ = Reply::parse(&packet, Family::V6);
    }
}
