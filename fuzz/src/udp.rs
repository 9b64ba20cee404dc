//! UDP trackers (BEP 15): who has not proved his address never gets more than he sent, what is written is read, and a
//! client asks only so often.

use std::net::SocketAddr;
use std::time::Duration;

use ::metainfo::InfoHash;
use tracker_proto::connection_id::{ConnectionId, ConnectionIds};
use tracker_proto::http::{MAX_REPLY_PEERS, MAX_SCRAPE_HASHES, ScrapeStats};
use tracker_proto::udp::{
    Announce, Ask, Family, Header, Kind, MAX_REPLY_BYTES, Query, Refusal, Reply, Request, ScrapeHashes, Step,
    Swarms, TransactionId, UrlData, respond,
};
use tracker_proto::{PeerId, Time, compact, interval, swarm};

use crate::input::Input;

/// The first byte chooses what the rest is: a question to the tracker, an answer to a client, or a conversation.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => asked(&mut input, false),
        1 => asked(&mut input, true),
        2 => answered(input.rest()),
        _ => conversation(&mut input),
    }
}

/// Swarms in which there is always somebody.
#[derive(Default)]
struct Full {
    announces: usize,
    scrapes: usize,
}

impl Swarms for Full {
    fn interval(&self) -> Duration {
        interval::DEFAULT
    }

    fn announce(
        &mut self,
        announce: &swarm::Announce,
        url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal> {
        self.announces += 1;
        assert_ne!(announce.address.port(), 0);
        if url_data.to_vec().ends_with(b"no") {
            return Err(Refusal("no"));
        }
        let one = Family::of(announce.address.ip()).stride();
        let wanted =
            usize::try_from(announce.numwant.expect("a number is always asked for")).unwrap_or(usize::MAX);
        peers.extend(std::iter::repeat_n(9, wanted * one));
        Ok(ScrapeStats::default())
    }

    fn scrape(&mut self, _: InfoHash) -> ScrapeStats {
        self.scrapes += 1;
        ScrapeStats::default()
    }
}

/// A packet to a tracker, with the sender's proof of address put into its place if it has one.
fn asked(input: &mut Input<'_>, proved: bool) {
    let from: SocketAddr =
        if input.flag() { ([192, 0, 2, 1], 7).into() } else { ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 7).into() };
    let (ids, now) = (ConnectionIds::new(&[3; 16]), Duration::from_secs(1_800_000_000));
    let mut packet = input.rest().to_vec();
    if proved && let Some(place) = packet.first_chunk_mut() {
        *place = ids.issue(from.ip(), now).0.to_be_bytes();
    }
    let (mut swarms, mut out) = (Full::default(), vec![1; 3]);
    let kind = respond(&packet, from, now, &ids, &mut swarms, &mut out);
    assert!(swarms.announces <= 1 && swarms.scrapes <= MAX_SCRAPE_HASHES);
    let header = Header::parse(&packet);
    let is_proved = header.is_some_and(|(header, _)| ids.accepts(header.connection, from.ip(), now));
    if !is_proved {
        assert!(swarms.announces + swarms.scrapes == 0, "a stranger counts nothing");
        assert!(
            out.len() <= packet.len().min(16),
            "a stranger gets {} bytes for {}",
            out.len(),
            packet.len()
        );
        assert!(matches!(kind, None | Some(Kind::Connect)));
    }
    assert_eq!(kind.is_none(), out.is_empty());
    assert!(out.len() <= MAX_REPLY_BYTES);
    if let Some(kind) = kind {
        let (transaction, reply) = Reply::parse(&out, Family::of(from.ip())).expect("an answer is one");
        assert_eq!(Some(transaction), header.map(|(header, _)| header.transaction));
        match (kind, reply) {
            (Kind::Connect, Reply::Connect(id)) => assert!(ids.accepts(id, from.ip(), now)),
            (Kind::Announce, Reply::Announce(_) | Reply::Error(_))
            | (Kind::Scrape, Reply::Scrape(_))
            | (Kind::Error, Reply::Error(_)) => {}
            (kind, reply) => panic!("{kind:?} is {reply:?}"),
        }
    }
    if let Some((header, body)) = header {
        rewritten(header, body);
    }
}

/// What is read of a question is written as a question of the same meaning.
fn rewritten(header: Header, body: &[u8]) {
    if let Some((announce, url_data)) = Announce::parse(body) {
        let url_data = url_data.to_vec();
        assert!(url_data.len() <= body.len());
        let request =
            Request::Announce { connection: header.connection, announce: &announce, url_data: &url_data };
        let packet = request.encode(header.transaction);
        let (_, body) = Header::parse(&packet).expect("a question has a header");
        let (read, options) = Announce::parse(body).expect("our announce is whole");
        assert_eq!((read, options.to_vec()), (announce, url_data));
    }
    if let Some(hashes) = ScrapeHashes::parse(body) {
        let hashes: Vec<InfoHash> = hashes.iter().collect();
        let packet =
            Request::Scrape { connection: header.connection, hashes: &hashes }.encode(header.transaction);
        let (_, body) = Header::parse(&packet).expect("a question has a header");
        assert!(ScrapeHashes::parse(body).expect("our scrape is whole").iter().eq(hashes));
    }
}

/// An answer of a tracker, as clients over either family read it.
fn answered(packet: &[u8]) {
    for family in [Family::V4, Family::V6] {
        match Reply::parse(packet, family) {
            Some((_, Reply::Announce(reply))) => {
                assert!((interval::MIN..=interval::MAX).contains(&reply.interval));
                assert!(reply.peers.len() <= MAX_REPLY_PEERS);
                assert!(reply.peers.iter().all(|&peer| compact::is_dialable(peer)));
            }
            Some((_, Reply::Scrape(stats))) => assert!(stats.len() <= MAX_SCRAPE_HASHES),
            Some((_, Reply::Error(error))) => crate::assert_one_line(&error.to_string()),
            Some((_, Reply::Connect(_))) | None => {}
        }
    }
}

/// A client's question and whatever answers come, most of them with the right transaction.
fn conversation(input: &mut Input<'_>) {
    let announce = Announce {
        info_hash: InfoHash::new([1; 20]),
        peer_id: PeerId([2; 20]),
        downloaded: 0,
        left: 1,
        uploaded: 0,
        event: tracker_proto::http::Event::Started,
        key: 3,
        numwant: None,
        port: 6881,
    };
    let ask = if input.flag() {
        Ask::Scrape(vec![announce.info_hash])
    } else {
        Ask::Announce { announce, url_data: b"/announce".to_vec() }
    };
    let mut query = Query::new(ask, Family::V4, None);
    let (mut now, mut last, mut sent, mut packets) = (Time::ZERO, TransactionId(0), 0_usize, 0_usize);
    let mut next = 100;
    loop {
        let step = query.poll(now, || {
            next += 1;
            TransactionId(next)
        });
        match step {
            Step::Send(packet) => {
                sent += 1;
                let (header, _) = Header::parse(&packet).expect("a question has a header");
                assert!(header.connection != ConnectionId(0));
                last = header.transaction;
            }
            Step::Wait(until) => {
                assert!(until > now);
                if input.is_empty() || input.byte().is_multiple_of(4) {
                    now = until;
                    continue;
                }
                let length = input.below(64);
                let mut packet = input.take(length).to_vec();
                if !input.byte().is_multiple_of(8)
                    && let Some(place) = packet.get_mut(4..8)
                {
                    place.copy_from_slice(&last.0.to_be_bytes());
                }
                if packet.get(..4) == Some(&[0; 4])
                    && let Some(place) = packet.get_mut(8..16)
                {
                    // A tracker's ids are never 0.
                    place[7] |= 1;
                }
                packets += 1;
                if query.handle_packet(now, &packet).is_some() {
                    return;
                }
            }
            Step::GiveUp => break,
        }
        // The first, its repetition, and one more for each answer that leads on.
        assert!(sent <= 2 + packets, "{sent} packets are sent and {packets} came");
    }
}
