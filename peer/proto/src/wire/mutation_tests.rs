//! Streams mutated from valid ones, with a fixed seed: nothing panics, and enough of them are still taken for the
//! mutations to reach behind the first checks.

use metainfo::{Geometry, InfoHash};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{BLOCK_LENGTH, Block, PeerId};

const STREAMS: usize = 110_000;

fn geometry() -> Geometry {
    Geometry::new(1_000_000, 65_536).unwrap()
}

fn some_block(rng: &mut impl Rng) -> Block {
    let piece = rng.random_range(0..geometry().piece_count());
    geometry().block(piece, rng.random_range(0..geometry().block_count(piece)))
}

fn valid_stream(rng: &mut impl Rng) -> Vec<u8> {
    let handshake =
        Handshake { reserved: OUR_RESERVED, info_hash: InfoHash::new([1; 20]), peer_id: PeerId([2; 20]) };
    let mut out = handshake.encode().to_vec();
    for _ in 0..rng.random_range(1..12) {
        let message = match rng.random_range(0..18) {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 => Message::Unchoke,
            3 => Message::Interested,
            4 => Message::NotInterested,
            5 => Message::Have(rng.random_range(0..geometry().piece_count())),
            6 => Message::Bitfield(vec![0xf0, 0x0e]),
            7 => Message::Request(some_block(rng)),
            8 => Message::Cancel(some_block(rng)),
            9 => Message::Port(rng.random()),
            10 => Message::Unknown(rng.random_range(21..=255)),
            11 => Message::Suggest(rng.random_range(0..geometry().piece_count())),
            12 => Message::HaveAll,
            13 => Message::HaveNone,
            14 => Message::Reject(some_block(rng)),
            15 => Message::AllowedFast(rng.random_range(0..geometry().piece_count())),
            16 => Message::Extended(rng.random(), vec![0x65; rng.random_range(0..200)].into()),
            _ => {
                let length = rng.random_range(1..200);
                out.extend_from_slice(&piece_header(Block { length, ..some_block(rng) }));
                out.extend(std::iter::repeat_n(0xaa, length as usize));
                continue;
            }
        };
        encode(&message, &mut out);
    }
    out
}

fn mutate(stream: &mut Vec<u8>, rng: &mut impl Rng) {
    // Most mutations fall behind the handshake, which otherwise would refuse nearly all.
    let from = if rng.random_ratio(1, 10) { 0 } else { HANDSHAKE_LENGTH };
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(from.min(stream.len() - 1)..stream.len());
        match rng.random_range(0..6) {
            0 => stream[at] ^= 1 << rng.random_range(0..8),
            1 => stream[at] = rng.random(),
            2 => stream[at] = [0, 0xff, 0x7f, 0x80][rng.random_range(0..4)],
            3 => stream.insert(at, rng.random()),
            4 if stream.len() > 1 => _ = stream.remove(at),
            _ => stream.truncate(at.max(1)),
        }
    }
}

/// Reads a stream in chunks of random sizes; `true` if the protocol was kept to its end.
fn accepted(stream: &[u8], rng: &mut impl Rng) -> bool {
    let Some((handshake, mut rest)) = stream.split_first_chunk() else {
        return Handshake::check_prefix(stream).is_ok();
    };
    let whole = Handshake::decode(handshake);
    assert_eq!(whole.is_ok(), Handshake::check_prefix(handshake).is_ok());
    if whole.is_err() {
        return false;
    }
    let (mut decoder, mut open) = (Decoder::new(geometry()), None::<(Block, usize)>);
    while !rest.is_empty() {
        let (mut chunk, later) = rest.split_at(rng.random_range(1..=rest.len()));
        rest = later;
        loop {
            match decoder.next(&mut chunk) {
                Err(_) => return false,
                Ok(None) => break,
                Ok(Some(Item::Message(
                    Message::Have(piece) | Message::Suggest(piece) | Message::AllowedFast(piece),
                ))) => assert!(piece < geometry().piece_count()),
                Ok(Some(Item::Message(Message::Bitfield(bytes)))) => {
                    assert!(crate::Bitfield::from_bytes(geometry().piece_count(), &bytes).is_ok());
                }
                Ok(Some(Item::Message(
                    Message::Request(block) | Message::Cancel(block) | Message::Reject(block),
                ))) => {
                    assert!(block.length == 0 || geometry().contains(block));
                }
                Ok(Some(Item::Message(_))) => assert!(open.is_none()),
                Ok(Some(Item::BlockStart(block))) => {
                    assert!(geometry().contains(block) && block.length <= BLOCK_LENGTH);
                    open = Some((block, 0));
                }
                Ok(Some(Item::BlockData(data))) => open.as_mut().unwrap().1 += data.len(),
                Ok(Some(Item::BlockEnd)) => {
                    let (block, got) = open.take().unwrap();
                    assert_eq!(got, block.length as usize);
                }
            }
        }
        assert!(chunk.is_empty());
    }
    true
}

#[test]
fn a_hundred_and_ten_thousand_mutated_streams_are_read_or_refused_without_a_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(0x5a0a1);
    let mut taken = 0;
    for _ in 0..STREAMS {
        let mut stream = valid_stream(&mut rng);
        assert!(accepted(&stream, &mut rng), "the stream to mutate is valid");
        mutate(&mut stream, &mut rng);
        taken += usize::from(accepted(&stream, &mut rng));
    }
    assert!(taken * 10 >= STREAMS * 3, "only {taken} of {STREAMS} still taken");
    assert!(taken * 10 <= STREAMS * 9, "{taken} of {STREAMS} still taken: the mutations do nothing");
}
