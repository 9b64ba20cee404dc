//! Payloads mutated from valid ones, with a fixed seed: nothing panics, what is taken is within the limits, and enough
//! of them are still taken for the mutations to reach behind the first checks.

use std::net::SocketAddr;

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tracker_proto::compact::is_dialable;

use super::*;

const PAYLOADS: usize = 110_000;

fn valid(rng: &mut impl Rng) -> Vec<u8> {
    match rng.random_range(0..4) {
        0 => ExtensionHandshake {
            extensions: ExtensionIds::ours(&Extension::ALL),
            port: Some(rng.random_range(1..=u16::MAX)),
            version: Some("client 1.2.3".to_owned()),
            your_ip: Some(rng.random::<[u8; 4]>().into()),
            reqq: Some(rng.random_range(1..=MAX_REQQ)),
            metadata_size: Some(rng.random_range(1..=MAX_METADATA_LENGTH)),
            upload_only: Some(rng.random()),
        }
        .to_bytes(),
        1 => {
            let total_size = rng.random_range(1..40_000);
            let piece = rng.random_range(0..metadata_piece_count(total_size));
            let bytes = vec![b'e'; metadata_piece_length(total_size, piece).unwrap() as usize].into();
            MetadataMessage::Data { piece, total_size, bytes }.to_bytes()
        }
        2 => MetadataMessage::Request { piece: rng.random_range(0..1000) }.to_bytes(),
        _ => {
            let address = |rng: &mut dyn Rng| match rng.random() {
                true => SocketAddr::from((rng.random::<[u8; 4]>(), rng.random())),
                false => SocketAddr::from((rng.random::<[u16; 8]>(), rng.random())),
            };
            let peer = |rng: &mut dyn Rng| PexPeer { address: address(rng), flags: PexFlags(rng.random()) };
            Pex {
                added: (0..rng.random_range(0..8)).map(|_| peer(rng)).collect(),
                dropped: (0..rng.random_range(0..8)).map(|_| address(rng)).collect(),
            }
            .to_bytes()
        }
    }
}

fn mutate(payload: &mut Vec<u8>, rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..3) {
        // Most mutations hit the dictionary, which is short, rather than a piece behind it.
        let end = if rng.random_ratio(1, 4) { payload.len() } else { payload.len().min(120) };
        let at = rng.random_range(0..end);
        // Bencode is brittle: what moves or cuts it is mostly refused at once, so most mutations replace, and a digit
        // mostly with another.
        match rng.random_range(0..12) {
            0 => payload[at] ^= 1 << rng.random_range(0..8),
            1 => payload[at] = rng.random(),
            2 => payload[at] = b"0123456789eild:-"[rng.random_range(0..16)],
            3 => payload.insert(at, rng.random_range(b'0'..=b'9')),
            4 if payload.len() > 1 => _ = payload.remove(at),
            5 => payload.truncate(at.max(1)),
            _ if payload[at].is_ascii_digit() => payload[at] = rng.random_range(b'0'..=b'9'),
            _ => payload[at] = payload[at].wrapping_add(1),
        }
    }
}

/// Hands a payload to every parser; `true` if one takes it that looks for keys which it has.
fn accepted(payload: &[u8]) -> bool {
    let mut taken = false;
    if let Ok(read) = ExtensionHandshake::parse(payload) {
        assert!(read.reqq.is_none_or(|reqq| (1..=MAX_REQQ).contains(&reqq)));
        assert!(read.metadata_size.is_none_or(|size| (1..=MAX_METADATA_LENGTH).contains(&size)));
        assert!(read.port != Some(0));
        assert!(read.version.as_ref().is_none_or(|shown| !shown.contains(char::is_control)));
        assert_eq!(ExtensionHandshake::parse(&read.to_bytes()).map(|again| again.port), Ok(read.port));
        taken |= payload.starts_with(b"d1:m");
    }
    if let Ok(read) = MetadataMessage::parse(&Bytes::copy_from_slice(payload)) {
        if let MetadataMessage::Data { piece, total_size, bytes } = &read {
            assert_eq!(metadata_piece_length(*total_size, *piece), u32::try_from(bytes.len()).ok());
        }
        taken = true;
    }
    if let Ok(read) = Pex::parse(payload) {
        assert!(read.added.len() <= MAX_PEX_ENTRIES && read.dropped.len() <= MAX_PEX_ENTRIES);
        assert!(read.added.iter().map(|peer| peer.address).chain(read.dropped).all(is_dialable));
        taken |= payload.starts_with(b"d5:added");
    }
    taken
}

#[test]
fn a_hundred_and_ten_thousand_mutated_payloads_are_read_or_refused_without_a_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(0x5a0a2);
    let mut taken = 0;
    for _ in 0..PAYLOADS {
        let mut payload = valid(&mut rng);
        assert!(accepted(&payload), "the payload to mutate is valid");
        mutate(&mut payload, &mut rng);
        taken += usize::from(accepted(&payload));
    }
    assert!(taken * 10 >= PAYLOADS * 3, "only {taken} of {PAYLOADS} still taken");
    assert!(taken * 10 <= PAYLOADS * 9, "{taken} of {PAYLOADS} still taken: the mutations do nothing");
}
