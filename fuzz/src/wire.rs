//! The wire codec: however a stream is cut it means the same, what comes out lies within the torrent, and what is written
//! is read.

use peer_proto::Geometry;
use peer_proto::wire::{
    Decoder, HANDSHAKE_LENGTH, Handshake, Item, MAX_EXTENDED, Message, WireError, encode, piece_header,
};

use crate::input::Input;

/// What a stream says, with the payloads of blocks in one piece.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Message(Message),
    Block(peer_proto::Block, Vec<u8>),
}

/// The first byte chooses the torrent, the next how the rest is cut.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let geometry =
        [None, Some((0, 16_384)), Some((100_000, 40_000)), Some((5_000_000, 16_384)), Some((7, 3))];
    let geometry = geometry[input.below(geometry.len())];
    let geometry = geometry.map(|(total, piece)| Geometry::new(total, piece).expect("these are sound"));
    let decoder = || geometry.map_or_else(Decoder::without_geometry, Decoder::new);
    let mut cut = u64::from(input.byte());
    let stream = input.rest();
    handshake(stream);

    let (whole, error) = read(decoder(), std::iter::once(stream));
    // Every cut from the first byte on is between one and sixteen bytes, or of a length that grows.
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        cut = cut.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let length = usize::try_from((cut >> 60) + 1).unwrap_or(1);
        let (now, later) = rest.split_at(length.min(rest.len()));
        rest = later;
        (!now.is_empty()).then_some(now)
    });
    assert_eq!(read(decoder(), pieces), (whole, error), "how a stream is cut means nothing");

    let (whole, _) = read(decoder(), std::iter::once(stream));
    let mut again = Vec::new();
    for said in &whole {
        match said {
            Said::Message(message) => {
                within(geometry, message);
                encode(message, &mut again);
            }
            Said::Block(block, payload) => {
                assert!(geometry.is_some_and(|geometry| geometry.contains(*block)));
                // The last one may have been cut off.
                if u32::try_from(payload.len()) == Ok(block.length) {
                    again.extend_from_slice(&piece_header(*block));
                    again.extend_from_slice(payload);
                }
            }
        }
    }
    let (read_again, error) = read(decoder(), std::iter::once(&again[..]));
    assert_eq!(error, None);
    let complete = |said: &&Said| !matches!(said, Said::Block(block, bytes) if bytes.len() as u64 != u64::from(block.length));
    assert!(read_again.iter().eq(whole.iter().filter(complete)), "what is written is read");
}

fn read<'a>(mut decoder: Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Said>, Option<WireError>) {
    let mut said = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Item::Message(message))) => said.push(Said::Message(message)),
                Ok(Some(Item::BlockStart(block))) => said.push(Said::Block(block, Vec::new())),
                Ok(Some(Item::BlockData(bytes))) => {
                    let Some(Said::Block(block, payload)) = said.last_mut() else {
                        panic!("bytes of no block")
                    };
                    assert!(!bytes.is_empty());
                    payload.extend_from_slice(bytes);
                    assert!(payload.len() as u64 <= u64::from(block.length));
                }
                Ok(Some(Item::BlockEnd)) => {
                    let Some(Said::Block(block, payload)) = said.last() else {
                        panic!("the end of no block")
                    };
                    assert_eq!(payload.len() as u64, u64::from(block.length));
                }
                Err(error) => {
                    assert_eq!(decoder.next(&mut piece), Err(error), "an error stays");
                    crate::assert_one_line(&error.to_string());
                    return (said, Some(error));
                }
            }
        }
        assert!(piece.is_empty(), "all is taken before more is wanted");
    }
    (said, None)
}

fn within(geometry: Option<Geometry>, message: &Message) {
    let count = geometry.map_or(0, |geometry| geometry.piece_count());
    match message {
        Message::Have(piece) | Message::Suggest(piece) | Message::AllowedFast(piece) => {
            assert!(*piece < count);
        }
        Message::Bitfield(bytes) => {
            peer_proto::Bitfield::from_bytes(count, bytes).expect("a bitfield is of the torrent's size");
        }
        Message::Request(block) | Message::Cancel(block) | Message::Reject(block) => {
            let size = geometry.map_or(0, |geometry| geometry.piece_size(block.piece));
            assert!(
                block.piece < count && block.begin.checked_add(block.length).is_some_and(|end| end <= size)
            );
        }
        Message::Extended(_, payload) => assert!(payload.len() as u64 <= u64::from(MAX_EXTENDED)),
        _ => {}
    }
}

fn handshake(stream: &[u8]) {
    let Some(bytes) = stream.first_chunk::<HANDSHAKE_LENGTH>() else { return };
    let decoded = Handshake::decode(bytes);
    assert_eq!(decoded.is_ok(), Handshake::check_prefix(bytes).is_ok());
    if let Ok(handshake) = decoded {
        assert_eq!(&handshake.encode(), bytes);
    }
}
