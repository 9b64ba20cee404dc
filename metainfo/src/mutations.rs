//! Valid inputs, mutated: nothing panics, what is accepted is valid, and strict bencode agrees with `bendy`.
//!
//! The generator and its seeds are fixed, so a failure is found again; the error names the round.

use crate::bencode::tests::bendy_accepts;
use crate::bencode::{Limits, Value, scan_whole};
use crate::info::tests::assert_beneath;
use crate::torrent_file::tests::FIXTURES;
use crate::{Magnet, TorrentFile};

/// Inputs of each kind; together they are this package's 100,000.
const ROUNDS: u64 = 33_400;

/// The least share of mutated inputs that must pass the outer layer: with fewer, only the first check is tested.
const LEAST_ACCEPTED: u64 = ROUNDS * 3 / 10;

/// SplitMix64.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Pieces that bencode, torrents and links are made of, some of them wrong.
const DICTIONARY: &[&[u8]] = &[
    b"i-1e",
    b"i0e",
    b"i9223372036854775808e",
    b"i01e",
    b"de",
    b"le",
    b"e",
    b"1:a",
    b"0:",
    b"99999999:",
    b"..",
    b"/",
    b"\0",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"\xff",
    b"4:path",
    b"6:lengthi5e",
    b"4:attr1:l",
    b"4:attr1:p",
    b"&xt=",
    b"&tr=",
    b"%00",
    b"%",
    b"&so=0-4294967295",
    b"&x.pe=[::1]:1",
    b"urn:btih:",
    b"xn--",
    b"file://",
];

fn mutate(seed: &[u8], random: &mut Generator) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    // Mostly one change: several would make most inputs fail at the first check.
    for _ in 0..=random.below(2) * random.below(3) {
        let at = random.below(bytes.len());
        match random.below(10) {
            // Most keep the lengths as they are, so that what is inside gets tested too.
            0..=2 => bytes[at] ^= 1 << random.below(8),
            3 => {
                let is_content = |byte: u8| !byte.is_ascii_digit() && !b"dlie:-%&=".contains(&byte);
                let content: Vec<usize> = (0..bytes.len()).filter(|&i| is_content(bytes[i])).collect();
                if !content.is_empty() {
                    bytes[content[random.below(content.len())]] = u8::try_from(random.below(256)).unwrap();
                }
            }
            4 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            5 => {
                // A digit for a digit changes numbers and lengths.
                let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[random.below(digits.len())]] =
                        b'0' + u8::try_from(random.below(10)).unwrap();
                }
            }
            6 => {
                let piece = random.pick(DICTIONARY);
                let end = (at + piece.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&piece[..end - at]);
            }
            7 => drop(bytes.splice(at..at, random.pick(DICTIONARY).iter().copied())),
            8 => {
                let end = (at + random.below(16)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            _ => {
                let end = (at + random.below(40)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    bytes
}

#[test]
fn mutated_bencode_is_accepted_strictly_as_bendy_accepts_it() {
    let mut random = Generator(1);
    let reply = b"d8:completei3e8:intervali1800e5:peersl d2:ip9:127.0.0.14:porti6881eed2:ip3:::14:porti1eeee";
    let reply: Vec<u8> = reply.iter().copied().filter(|&byte| byte != b' ').collect();
    let seeds =
        [reply.as_slice(), b"d1:md11:ut_metadatai1e6:ut_pexi2ee1:pi6881e4:reqqi500e1:v5:shoale", FIXTURES[1]];
    let (mut accepted, mut strict) = (0, 0);
    for round in 0..ROUNDS {
        let bytes = mutate(random.pick(&seeds), &mut random);
        let is_strict = scan_whole(&bytes, &Limits::MESSAGE.strict()).is_ok();
        assert_eq!(is_strict, bendy_accepts(&bytes), "round {round}: {}", bytes.escape_ascii());
        strict += u64::from(is_strict);
        let Ok(value) = Value::parse(&bytes, &Limits::MESSAGE) else {
            assert!(!is_strict && scan_whole(&bytes, &Limits::MESSAGE).is_err(), "round {round}");
            continue;
        };
        accepted += 1;
        let written = value.to_bytes();
        assert_eq!(Value::parse(&written, &Limits::MESSAGE.strict()).unwrap(), value, "round {round}");
        assert!(!is_strict || written == bytes, "round {round}: canonical bytes are written as they came");
    }
    assert!(accepted >= LEAST_ACCEPTED && strict >= LEAST_ACCEPTED, "{accepted} accepted, {strict} strictly");
}

#[test]
fn mutated_torrents_are_refused_or_valid() {
    let mut random = Generator(2);
    let (mut scanned, mut accepted) = (0, 0);
    for round in 0..ROUNDS {
        let bytes = mutate(random.pick(FIXTURES), &mut random);
        scanned += u64::from(scan_whole(&bytes, &Limits::TORRENT).is_ok());
        let torrent = match TorrentFile::parse(&bytes) {
            Ok(torrent) => torrent,
            Err(e) => {
                assert!(!e.to_string().contains(['\n', '\x1b']), "round {round}: {e:?}");
                continue;
            }
        };
        accepted += 1;
        assert_beneath(&torrent.info);
        let lengths: u64 = torrent.info.files().iter().map(|f| f.length).sum();
        assert_eq!(lengths, torrent.info.geometry().total(), "round {round}");
        let last = torrent.info.geometry().piece_count();
        assert!(
            torrent.info.piece_hash(last).is_none()
                && (last == 0 || torrent.info.piece_hash(last - 1).is_some())
        );
        assert_eq!(TorrentFile::parse(&torrent.to_bytes()).unwrap(), torrent, "round {round}");
        assert_eq!(
            torrent.magnet().to_string().parse::<Magnet>().unwrap(),
            torrent.magnet(),
            "round {round}"
        );
    }
    assert!(
        scanned >= LEAST_ACCEPTED && accepted >= LEAST_ACCEPTED / 2,
        "{scanned} scanned, {accepted} accepted"
    );
}

#[test]
fn mutated_links_are_refused_or_valid() {
    let mut random = Generator(3);
    let seeds: [&[u8]; 2] = [
        b"magnet:?xt=urn:btih:cab507494d02ebb1178b38f2e9d7be299c86b862&dn=a%20name&tr=http%3A%2F%2Ft.example%2Fannounce\
          &tr=udp%3A%2F%2Fu.example%3A1337&ws=https%3A%2F%2Fs.example%2F&x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:1\
          &so=0,2,4-6",
        b"magnet:?dn=na%C3%AFve+name+that+goes+on+and+on+and+on&xt=urn:btih:ZK2QOSKNALV3CF4LHDZOTV56FGOINODC&so=1-3",
    ];
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let bytes = mutate(random.pick(&seeds), &mut random);
        let text = String::from_utf8_lossy(&bytes);
        match text.parse::<Magnet>() {
            Ok(magnet) => {
                accepted += 1;
                assert_eq!(magnet.to_string().parse::<Magnet>().unwrap(), magnet, "round {round}: {text}");
            }
            Err(e) => assert!(!e.to_string().contains(['\n', '\x1b']), "round {round}: {e:?}"),
        }
    }
    assert!(accepted >= LEAST_ACCEPTED, "{accepted} accepted");
}
