use metainfo::MAX_PIECE_COUNT;
use proptest::prelude::*;

use super::*;
use crate::bitfield::BitfieldError;
use crate::wire::{encode, piece_header};

/// Twelve pieces of 40,000 bytes, the last of 20,000.
fn geometry() -> Geometry {
    Geometry::new(11 * 40_000 + 20_000, 40_000).unwrap()
}

fn block(piece: u32, begin: u32, length: u32) -> Block {
    Block { piece, begin, length }
}

/// What a stream says, a block's payload put together again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Message(Message),
    Piece(Block, Vec<u8>),
}

/// Feeds the chunks one by one. Every payload slice is checked to be the caller's own memory.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Said>, WireError> {
    decode_with(Decoder::new(geometry()), chunks)
}

fn decode_with<'a>(
    mut decoder: Decoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Said>, WireError> {
    let (mut said, mut open) = (Vec::new(), None);
    for chunk in chunks {
        let mut input = chunk;
        while let Some(item) = decoder.next(&mut input)? {
            match item {
                Item::Message(message) => {
                    assert!(open.is_none(), "a message inside a block");
                    said.push(Said::Message(message));
                }
                Item::BlockStart(block) => assert!(open.replace((block, Vec::new())).is_none()),
                Item::BlockData(data) => {
                    assert!(!data.is_empty() && chunk.as_ptr_range().contains(&data.as_ptr()));
                    open.as_mut().unwrap().1.extend_from_slice(data);
                }
                Item::BlockEnd => {
                    let (block, data) = open.take().unwrap();
                    assert_eq!(data.len(), block.length as usize);
                    said.push(Said::Piece(block, data));
                }
            }
        }
        assert!(input.is_empty(), "bytes left without an item");
    }
    Ok(said)
}

fn encode_all(said: &[Said]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in said {
        match one {
            Said::Message(message) => encode(message, &mut out),
            Said::Piece(block, data) => {
                out.extend_from_slice(&piece_header(*block));
                out.extend_from_slice(data);
            }
        }
    }
    out
}

/// A frame by hand: length prefix, id, then what follows.
fn frame_of(id: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(payload.len() + 1).unwrap().to_be_bytes().to_vec();
    out.push(id);
    out.extend_from_slice(payload);
    out
}

fn words(fields: &[u32]) -> Vec<u8> {
    fields.iter().flat_map(|field| field.to_be_bytes()).collect()
}

#[test]
fn every_message_has_the_layout_of_its_bep() {
    let cases: [(Message, &[u8]); 18] = [
        (Message::KeepAlive, &[0, 0, 0, 0]),
        (Message::Choke, &[0, 0, 0, 1, 0]),
        (Message::Unchoke, &[0, 0, 0, 1, 1]),
        (Message::Interested, &[0, 0, 0, 1, 2]),
        (Message::NotInterested, &[0, 0, 0, 1, 3]),
        (Message::Have(11), &[0, 0, 0, 5, 4, 0, 0, 0, 11]),
        (Message::Bitfield(vec![0xff, 0xf0]), &[0, 0, 0, 3, 5, 0xff, 0xf0]),
        (Message::Request(block(1, 256, 16_384)), &[0, 0, 0, 13, 6, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0x40, 0]),
        (Message::Cancel(block(1, 256, 16_384)), &[0, 0, 0, 13, 8, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0x40, 0]),
        (Message::Port(6881), &[0, 0, 0, 3, 9, 0x1a, 0xe1]),
        (Message::Suggest(11), &[0, 0, 0, 5, 13, 0, 0, 0, 11]),
        (Message::HaveAll, &[0, 0, 0, 1, 14]),
        (Message::HaveNone, &[0, 0, 0, 1, 15]),
        (Message::Reject(block(1, 256, 16_384)), &[0, 0, 0, 13, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0x40, 0]),
        (Message::AllowedFast(11), &[0, 0, 0, 5, 17, 0, 0, 0, 11]),
        (Message::Extended(0, Bytes::from_static(b"de")), &[0, 0, 0, 4, 20, 0, b'd', b'e']),
        (Message::Extended(255, Bytes::new()), &[0, 0, 0, 2, 20, 255]),
        (Message::Unknown(200), &[0, 0, 0, 1, 200]),
    ];
    for (message, bytes) in cases {
        let mut out = Vec::new();
        encode(&message, &mut out);
        assert_eq!(out, bytes, "{message:?}");
        assert_eq!(decode([bytes]), Ok(vec![Said::Message(message)]));
    }
    assert_eq!(piece_header(block(1, 256, 4)), [0, 0, 0, 13, 7, 0, 0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn a_block_begins_as_soon_as_its_header_is_in_and_its_payload_is_passed_through() {
    let mut decoder = Decoder::new(geometry());
    let header = piece_header(block(2, 16_384, 10));
    let mut input = &header[..12];
    assert_eq!(decoder.next(&mut input), Ok(None));
    input = &header[12..];
    assert_eq!(decoder.next(&mut input), Ok(Some(Item::BlockStart(block(2, 16_384, 10)))));
    assert_eq!(decoder.next(&mut input), Ok(None));
    let first = [7; 4];
    input = &first;
    assert_eq!(decoder.next(&mut input), Ok(Some(Item::BlockData(&first))));
    assert_eq!(decoder.next(&mut input), Ok(None));
    let rest = [8, 8, 8, 8, 8, 8, 0, 0, 0, 0];
    input = &rest;
    assert_eq!(decoder.next(&mut input), Ok(Some(Item::BlockData(&rest[..6]))));
    assert_eq!(decoder.next(&mut input), Ok(Some(Item::BlockEnd)));
    assert_eq!(decoder.next(&mut input), Ok(Some(Item::Message(Message::KeepAlive))));
    assert_eq!(decoder.next(&mut input), Ok(None));
}

#[test]
fn an_unknown_message_is_skipped_however_long_it_is() {
    let mut stream = frame_of(200, &vec![9; MAX_FRAME as usize - 1]);
    stream.extend_from_slice(&[0, 0, 0, 1, 1]);
    let due = Ok(vec![Said::Message(Message::Unknown(200)), Said::Message(Message::Unchoke)]);
    assert_eq!(decode([stream.as_slice()]), due);
    assert_eq!(decode(stream.chunks(1000)), due);
}

#[test]
fn after_an_error_nothing_more_is_read() {
    for bad in [frame_of(5, &[0xff, 0xff]), frame_of(4, &words(&[12])), frame_of(0, &[0])] {
        let (mut decoder, mut input) = (Decoder::new(geometry()), bad.as_slice());
        let error = decoder.next(&mut input).unwrap_err();
        assert_eq!(decoder.next(&mut &[0, 0, 0, 1, 1][..]), Err(error));
    }
}

#[test]
fn the_bitfield_of_the_largest_torrent_fits_a_frame() {
    assert!(Bitfield::byte_len(MAX_PIECE_COUNT) < MAX_FRAME as usize);
}

#[test]
fn h25_a_length_prefix_over_the_limit_is_refused_before_anything_is_held() {
    for length in [u32::MAX, MAX_FRAME + 1, 1 << 31] {
        let mut decoder = Decoder::new(geometry());
        let prefix = length.to_be_bytes();
        assert_eq!(decoder.next(&mut &prefix[..]), Err(WireError::FrameTooLong(length)));
        assert_eq!(decoder.next(&mut &[0, 0, 0, 0][..]), Err(WireError::FrameTooLong(length)), "for good");
    }
    let said = WireError::FrameTooLong(u32::MAX).to_string();
    assert_eq!(said, "sent a message of 4294967295 bytes, over the limit of 1048576");
}

#[test]
fn h26_a_known_message_of_the_wrong_length_is_refused_when_its_id_is_in() {
    let bep_3 = [(0u8, 1u32), (1, 1), (2, 1), (3, 1), (4, 5), (6, 13), (8, 13), (9, 3)];
    let bep_6 = [(13, 5), (14, 1), (15, 1), (16, 13), (17, 5)];
    let right = [&bep_3[..], &bep_6].concat();
    for (id, due) in right {
        for length in (1..40).chain([MAX_FRAME]).filter(|&length| length != due) {
            let [a, b, c, d] = length.to_be_bytes();
            let got = decode([&[a, b, c, d, id][..]]);
            assert_eq!(got, Err(WireError::MessageLength { id, length }), "{id} of {length}");
        }
    }
    for length in 1..9 {
        let [a, b, c, d] = u32::to_be_bytes(length);
        assert_eq!(decode([&[a, b, c, d, 7][..]]), Err(WireError::MessageLength { id: 7, length }));
    }
    let said = WireError::MessageLength { id: 4, length: 4 }.to_string();
    assert_eq!(said, "sent a have message of the wrong length (4 bytes)");
}

#[test]
fn h26_a_block_of_no_bytes_or_more_than_we_ask_for_is_refused() {
    let piece = |payload: u32| [&(payload + 9).to_be_bytes()[..], &[7], &words(&[0, 0])].concat();
    assert_eq!(decode([piece(0).as_slice()]), Err(WireError::BlockLength(0)));
    assert_eq!(decode([piece(BLOCK_LENGTH + 1).as_slice()]), Err(WireError::BlockLength(BLOCK_LENGTH + 1)));
    assert_eq!(decode([piece(BLOCK_LENGTH).as_slice()]), Ok(vec![]));
}

#[test]
fn h27_a_bitfield_of_the_wrong_size_is_refused_before_its_payload() {
    for got in (0..10).chain([500_000]).filter(|&got| got != 2) {
        let [a, b, c, d] = u32::try_from(got + 1).unwrap().to_be_bytes();
        let due = WireError::Bitfield(BitfieldError::Size { expected: 2, got });
        assert_eq!(decode([&[a, b, c, d, 5][..]]), Err(due), "{got} bytes");
    }
}

#[test]
fn h27_a_bitfield_with_spare_bits_is_refused() {
    for bit in 0..4 {
        let bytes = frame_of(5, &[0xff, 0xf0 | 1 << bit]);
        assert_eq!(decode(bytes.chunks(1)), Err(WireError::Bitfield(BitfieldError::SpareBits)));
    }
    let said = WireError::Bitfield(BitfieldError::SpareBits).to_string();
    assert_eq!(said, "sent a bitfield with bits set past the last piece");
}

#[test]
fn h27_a_bitfield_sent_again_or_late_is_given_to_the_link_as_any_other() {
    let bitfield = Said::Message(Message::Bitfield(vec![0, 0x10]));
    let said = vec![bitfield.clone(), Said::Message(Message::Choke), bitfield];
    assert_eq!(decode([encode_all(&said).as_slice()]), Ok(said));
}

#[test]
fn h28_pieces_and_blocks_past_the_end_are_refused() {
    let past = |id, piece, begin, length| Err(WireError::PastEnd { id, piece, begin, length });
    for piece in [12, 13, u32::MAX] {
        for id in [4, 13, 17] {
            assert_eq!(decode([frame_of(id, &words(&[piece])).as_slice()]), past(id, piece, 0, 0));
        }
    }
    let outside = [
        (12, 0, 1),
        (u32::MAX, 0, 16_384),
        (0, 40_000, 1),
        (0, 39_999, 2),
        (11, 16_384, 16_384),
        (11, u32::MAX, 16_000),
        (0, u32::MAX, u32::MAX),
        (0, 0, u32::MAX),
        (12, 0, 0),
        (0, 40_001, 0),
    ];
    for (piece, begin, length) in outside {
        for id in [6, 8, 16] {
            let bytes = frame_of(id, &words(&[piece, begin, length]));
            assert_eq!(decode([bytes.as_slice()]), past(id, piece, begin, length));
        }
        if (1..=BLOCK_LENGTH).contains(&length) {
            let bytes = [&(length + 9).to_be_bytes()[..], &[7], &words(&[piece, begin])].concat();
            assert_eq!(decode([bytes.as_slice()]), past(7, piece, begin, length));
        }
    }
    let said = WireError::PastEnd { id: 6, piece: 12, begin: 0, length: 1 }.to_string();
    assert_eq!(said, "sent a request message past the end (piece 12, offset 0, 1 bytes)");
}

#[test]
fn h29_requests_of_no_bytes_or_too_many_within_a_piece_are_left_to_the_link() {
    for odd in
        [block(0, 0, 0), block(3, 40_000, 0), block(0, 0, 32_768), block(0, 0, 40_000), block(5, 1, 20_000)]
    {
        let said =
            [Message::Request(odd), Message::Cancel(odd), Message::Reject(odd)].map(Said::Message).to_vec();
        assert_eq!(decode([encode_all(&said).as_slice()]), Ok(said));
    }
}

#[test]
fn h35_an_extended_message_without_extended_id_is_refused() {
    assert_eq!(decode([&[0, 0, 0, 1, 20][..]]), Err(WireError::MessageLength { id: 20, length: 1 }));
}

#[test]
fn h35_an_extended_message_over_the_limit_is_refused_before_its_payload() {
    let most = MAX_EXTENDED as usize;
    let stream = frame_of(20, &vec![7; 1 + most]);
    let due = Said::Message(Message::Extended(7, vec![7; most].into()));
    assert_eq!(decode(stream.chunks(1000)), Ok(vec![due]));
    for payload in [MAX_EXTENDED + 1, MAX_FRAME - 2] {
        let [a, b, c, d] = (payload + 2).to_be_bytes();
        for decoder in [Decoder::new(geometry()), Decoder::without_geometry()] {
            let got = decode_with(decoder, [&[a, b, c, d, 20][..]]);
            assert_eq!(got, Err(WireError::ExtendedTooLong(payload)));
        }
    }
    let said = WireError::ExtendedTooLong(200_000).to_string();
    assert_eq!(said, "sent an extended message of 200000 bytes, over the limit of 131072");
}

#[test]
fn an_extended_message_takes_no_memory_ahead_of_its_bytes() {
    let mut decoder = Decoder::new(geometry());
    let [a, b, c, d] = (MAX_EXTENDED + 2).to_be_bytes();
    assert_eq!(decoder.next(&mut &[a, b, c, d, 20, 1, 9, 9][..]), Ok(None));
    let State::Gather(_, held, left) = &decoder.state else { panic!("{:?}", decoder.state) };
    assert!(held.capacity() < 100);
    assert_eq!((held.as_slice(), *left), (&[9, 9][..], MAX_EXTENDED - 2));
}

#[test]
fn without_geometry_a_bitfield_of_any_size_is_skipped() {
    let mut stream = frame_of(5, &vec![0xff; MAX_FRAME as usize - 1]);
    stream.extend_from_slice(&[0, 0, 0, 2, 20, 0]);
    let due = [Message::Unknown(5), Message::Extended(0, Bytes::new())].map(Said::Message).to_vec();
    assert_eq!(decode_with(Decoder::without_geometry(), stream.chunks(1000)), Ok(due));
    let too_long = [&u32::MAX.to_be_bytes()[..], &[5]].concat();
    let got = decode_with(Decoder::without_geometry(), [too_long.as_slice()]);
    assert_eq!(got, Err(WireError::FrameTooLong(u32::MAX)));
}

#[test]
fn an_empty_torrent_has_an_empty_bitfield_and_nothing_else() {
    let decoder = Decoder::new(Geometry::new(0, 16_384).unwrap());
    let mut input = &[0, 0, 0, 1, 5, 0, 0, 0, 5, 4, 0, 0, 0, 0][..];
    let mut after = decoder.clone();
    assert_eq!(after.next(&mut input), Ok(Some(Item::Message(Message::Bitfield(vec![])))));
    assert!(matches!(after.next(&mut input), Err(WireError::PastEnd { .. })));
}

/// A block or request that lies within [`geometry`], of any length allowed.
fn any_block(longest: u32) -> impl Strategy<Value = Block> {
    (0u32..12).prop_flat_map(move |piece| {
        let size = geometry().piece_size(piece);
        (0..size).prop_flat_map(move |begin| {
            (1..=longest.min(size - begin)).prop_map(move |length| Block { piece, begin, length })
        })
    })
}

fn any_said() -> impl Strategy<Value = Said> {
    let message = prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        (0u32..12).prop_map(Message::Have),
        any::<[u8; 2]>().prop_map(|[a, b]| Message::Bitfield(vec![a, b & 0xf0])),
        any_block(40_000).prop_map(Message::Request),
        any_block(40_000).prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        (0u32..12).prop_map(Message::Suggest),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        any_block(40_000).prop_map(Message::Reject),
        (0u32..12).prop_map(Message::AllowedFast),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(id, payload)| Message::Extended(id, payload.into())),
        (21u8..).prop_map(Message::Unknown),
    ];
    let piece = (any_block(300), any::<u8>()).prop_map(|(block, seed)| {
        Said::Piece(block, (0..block.length).map(|i| i.to_be_bytes()[3].wrapping_mul(seed)).collect())
    });
    prop_oneof![3 => message.prop_map(Said::Message), 1 => piece]
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_items_are_the_same(
        said in prop::collection::vec(any_said(), 0..20),
        sizes in prop::collection::vec(1usize..60, 1..50),
    ) {
        let stream = encode_all(&said);
        prop_assert_eq!(decode([stream.as_slice()]).unwrap(), said.clone());
        prop_assert_eq!(decode(stream.chunks(1)).unwrap(), said.clone());
        let (mut rest, mut chunks) = (stream.as_slice(), Vec::new());
        for size in sizes.iter().cycle().take_while(|_| !stream.is_empty()) {
            let (chunk, later) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decode(chunks).unwrap(), said);
    }

    #[test]
    fn without_geometry_the_rest_is_the_same(said in prop::collection::vec(any_said(), 0..20)) {
        let stream = encode_all(&said);
        let due: Vec<Said> = said
            .into_iter()
            .map(|said| match said {
                Said::Piece(..) => Said::Message(Message::Unknown(7)),
                Said::Message(Message::Have(_)) => Said::Message(Message::Unknown(4)),
                Said::Message(Message::Bitfield(_)) => Said::Message(Message::Unknown(5)),
                Said::Message(Message::Request(_)) => Said::Message(Message::Unknown(6)),
                Said::Message(Message::Cancel(_)) => Said::Message(Message::Unknown(8)),
                Said::Message(Message::Suggest(_)) => Said::Message(Message::Unknown(13)),
                Said::Message(Message::Reject(_)) => Said::Message(Message::Unknown(16)),
                Said::Message(Message::AllowedFast(_)) => Said::Message(Message::Unknown(17)),
                other => other,
            })
            .collect();
        prop_assert_eq!(decode_with(Decoder::without_geometry(), [stream.as_slice()]), Ok(due.clone()));
        prop_assert_eq!(decode_with(Decoder::without_geometry(), stream.chunks(1)), Ok(due));
    }

    #[test]
    fn junk_gives_the_same_items_or_the_same_error_however_it_is_cut(
        junk in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0u8..20, 1 => any::<u8>()], 0..200),
    ) {
        prop_assert_eq!(decode([junk.as_slice()]), decode(junk.chunks(1)));
    }
}
