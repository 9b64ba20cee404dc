//! Valid queries and replies with a few bytes changed, through every decoder: none may panic, and what is accepted
//! keeps the decoder's promises. The seed is fixed, so a failure comes back; that a good part is still accepted
//! shows that the mutations get past the outermost check.

use std::net::SocketAddr;
use std::time::Duration;

use metainfo::InfoHash;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tracker_proto::http::{
    AnnounceReply, AnnounceRequest, Event, MAX_REPLY_PEERS, MAX_SCRAPE_HASHES, MAX_TOKEN_BYTES, ReplyError,
    ScrapeReply, ScrapeRequest, ScrapeStats, encode_failure,
};
use tracker_proto::{PeerId, compact, interval};

/// Mutated inputs for each of the four decoders: 92,000 in all.
const INPUTS: usize = 23_000;

/// Changes one to three places: a byte, a bit, a digit, a length, an order.
fn mutate(rng: &mut impl Rng, input: &mut Vec<u8>) {
    let places = [1, 1, 1, 1, 1, 1, 2, 3][rng.random_range(0..8)];
    for _ in 0..places {
        let at = rng.random_range(0..=input.len());
        match (rng.random_range(0..12), input.get_mut(at)) {
            (0, Some(byte)) => *byte = rng.random(),
            (1, Some(byte)) => *byte ^= 1 << rng.random_range(0..8),
            (2, Some(byte)) => *byte = b"0123456789-ield:%&=+"[rng.random_range(0..20)],
            (3, _) => input.insert(at, rng.random()),
            (4, Some(_)) => drop(input.remove(at)),
            (5, _) if rng.random_ratio(1, 4) => input.truncate(at),
            (6..=8, Some(byte)) if byte.is_ascii_digit() => *byte = rng.random_range(b'0'..=b'9'),
            (6..=8, Some(byte)) if byte.is_ascii_uppercase() => *byte = rng.random_range(b'A'..=b'F'),
            _ => {
                // Two stretches of the same length change places: lengths stay right.
                let length = rng.random_range(1..=3);
                if input.len() >= 2 * length {
                    let a = rng.random_range(0..=input.len() - 2 * length);
                    let b = rng.random_range(a + length..=input.len() - length);
                    (0..length).for_each(|n| input.swap(a + n, b + n));
                }
            }
        }
    }
}

/// Mutates what `valid` makes and asserts that 30% to 95% are accepted.
fn check(seed: u64, valid: impl Fn(&mut ChaCha8Rng) -> Vec<u8>, accepted: impl Fn(&[u8]) -> bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut count = 0;
    for _ in 0..INPUTS {
        let mut input = valid(&mut rng);
        assert!(accepted(&input), "the input is valid before it is mutated: {}", input.escape_ascii());
        mutate(&mut rng, &mut input);
        count += usize::from(accepted(&input));
    }
    println!("{count} of {INPUTS} mutated inputs were accepted");
    assert!(count >= INPUTS * 30 / 100, "only {count} of {INPUTS} were accepted");
    assert!(count <= INPUTS * 95 / 100, "{count} of {INPUTS} were accepted: the mutations do nothing");
}

fn request(rng: &mut impl Rng) -> AnnounceRequest {
    AnnounceRequest {
        uploaded: rng.random(),
        downloaded: rng.random(),
        left: rng.random(),
        event: [Event::None, Event::Started, Event::Stopped, Event::Completed][rng.random_range(0..4)],
        numwant: rng.random_ratio(1, 2).then(|| rng.random()),
        compact: rng.random(),
        key: Some(b"9f2c11ab".to_vec()),
        no_peer_id: rng.random(),
        tracker_id: rng.random_ratio(1, 3).then(|| vec![0xff; 8]),
        ip: rng.random_ratio(1, 3).then(|| std::net::Ipv4Addr::from_bits(rng.random()).into()),
        ..AnnounceRequest::new(
            InfoHash::new(rng.random()),
            PeerId(*b"-SH0001-abcdefghijkl"),
            rng.random_range(1..=u16::MAX),
        )
    }
}

fn peers(rng: &mut impl Rng) -> Vec<SocketAddr> {
    let (v4, v6) = (rng.random_range(1..30u8), rng.random_range(0..5u16));
    let v4 = (0..v4).map(|n| SocketAddr::from(([10, 0, 0, n], 6881)));
    v4.chain((0..v6).map(|n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 6881)))).collect()
}

#[test]
fn mutated_announce_queries_are_read_or_refused() {
    check(
        1,
        |rng| request(rng).to_query().into_bytes(),
        |query| match AnnounceRequest::parse_query(query) {
            Ok(request) => {
                assert_ne!(request.port, 0);
                assert!(request.key.is_none_or(|key| key.len() <= MAX_TOKEN_BYTES));
                true
            }
            Err(error) => {
                assert_one_line(&error.to_string());
                false
            }
        },
    );
}

#[test]
fn mutated_scrape_queries_are_read_or_refused() {
    check(
        2,
        |rng| {
            let info_hashes = (0..rng.random_range(1..20)).map(|_| InfoHash::new(rng.random())).collect();
            ScrapeRequest { info_hashes }.to_url("").split_off(1).into_bytes()
        },
        |query| match ScrapeRequest::parse_query(query) {
            Ok(request) => {
                assert!((1..=MAX_SCRAPE_HASHES).contains(&request.info_hashes.len()));
                true
            }
            Err(error) => {
                assert_one_line(&error.to_string());
                false
            }
        },
    );
}

#[test]
fn mutated_announce_replies_are_read_or_refused() {
    check(
        3,
        |rng| {
            let reply = AnnounceReply {
                interval: Duration::from_secs(1800),
                min_interval: Some(Duration::from_secs(60)),
                complete: Some(rng.random()),
                incomplete: Some(rng.random()),
                downloaded: Some(rng.random()),
                peers: peers(rng),
                external_ip: Some([1, 2, 3, 4].into()),
                warning: rng.random_ratio(1, 4).then(|| "mind the gap".to_owned()),
                tracker_id: rng.random_ratio(1, 4).then(|| b"abc".to_vec()),
            };
            match rng.random_range(0..8) {
                0 => encode_failure("no such torrent", Some(Duration::from_secs(600))),
                1 => reply.encode_dictionaries(&[]),
                2 => reply.encode_dictionaries(&[PeerId([7; 20]); 40]),
                _ => reply.encode(),
            }
        },
        |body| match AnnounceReply::parse(200, body) {
            Ok(reply) => {
                assert!(reply.interval >= interval::MIN && reply.interval <= interval::MAX);
                assert!(reply.peers.len() <= MAX_REPLY_PEERS);
                assert!(reply.peers.into_iter().all(compact::is_dialable));
                true
            }
            Err(error) => {
                assert_one_line(&error.to_string());
                matches!(error, ReplyError::Failure(_))
            }
        },
    );
}

#[test]
fn mutated_scrape_replies_are_read_or_refused() {
    check(
        4,
        |rng| {
            let files = (0..rng.random_range(1..20)).map(|_| {
                let stats = ScrapeStats {
                    complete: rng.random(),
                    incomplete: rng.random(),
                    downloaded: rng.random(),
                    downloaders: Some(rng.random()),
                };
                (InfoHash::new(rng.random()), stats)
            });
            ScrapeReply { files: files.collect() }.encode()
        },
        |body| match ScrapeReply::parse(200, body) {
            Ok(reply) => {
                assert!(reply.files.len() <= MAX_SCRAPE_HASHES);
                true
            }
            Err(error) => {
                assert_one_line(&error.to_string());
                false
            }
        },
    );
}

/// What a user is shown is one line of bounded length without control characters.
fn assert_one_line(text: &str) {
    assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
}
