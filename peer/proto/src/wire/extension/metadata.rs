//! Messages of `ut_metadata` (BEP 9): an info dictionary, a piece of 16 KiB at a time.
//!
//! A data message is a dictionary and, behind it, the bytes. Whether they are right only the whole shows.

use bytes::Bytes;
use metainfo::bencode::Value;

use super::ExtensionError;
use super::handshake::MAX_METADATA_LENGTH;
use super::reader::Reader;

/// Bytes of every piece of metadata but the last.
pub const METADATA_PIECE_LENGTH: u32 = 16 * 1024;

const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

const MESSAGE: &str = "metadata message";

/// One message. When parsed, the piece is one that metadata of [`MAX_METADATA_LENGTH`] bytes can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage {
    /// Send this piece.
    Request {
        /// Its number, from 0.
        piece: u32,
    },
    /// Here it is.
    Data {
        /// Its number, from 0; when parsed less than [`metadata_piece_count`] of `total_size`.
        piece: u32,
        /// Bytes of the whole info dictionary; when parsed 1 to [`MAX_METADATA_LENGTH`].
        total_size: u32,
        /// The piece; when parsed of [`metadata_piece_length`] bytes.
        bytes: Bytes,
    },
    /// It will not be sent.
    Reject {
        /// Its number, from 0.
        piece: u32,
    },
    /// A kind that the BEP does not know; it asks to ignore it.
    Unknown,
}

impl MetadataMessage {
    /// Reads a payload; the bytes of a data message share its memory.
    ///
    /// # Errors
    /// If it is no bencoded dictionary, lacks a key, names a piece that cannot be, or is followed by another number
    /// of bytes than the piece has.
    pub fn parse(payload: &Bytes) -> Result<Self, ExtensionError> {
        let reader = Reader::new(MESSAGE, payload)?;
        let kind = reader.required_int("msg_type")?;
        if !(REQUEST..=REJECT).contains(&kind) {
            return Ok(Self::Unknown);
        }
        let piece = u32::try_from(reader.required_int("piece")?)
            .ok()
            .filter(|&piece| piece < metadata_piece_count(MAX_METADATA_LENGTH))
            .ok_or_else(|| reader.wrong("piece", "the number of a piece"))?;
        match kind {
            REQUEST => Ok(Self::Request { piece }),
            DATA => data(&reader, piece, payload),
            _ => Ok(Self::Reject { piece }),
        }
    }

    /// The payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = |kind: i64, piece: u32| [("msg_type", kind.into()), ("piece", i64::from(piece).into())];
        match self {
            Self::Request { piece } => Value::dict(head(REQUEST, *piece)).to_bytes(),
            Self::Reject { piece } => Value::dict(head(REJECT, *piece)).to_bytes(),
            Self::Data { piece, total_size, bytes } => {
                let total = [("total_size", i64::from(*total_size).into())];
                let mut out = Value::dict(head(DATA, *piece).into_iter().chain(total)).to_bytes();
                out.extend_from_slice(bytes);
                out
            }
            Self::Unknown => Value::dict([("msg_type", (REJECT + 1).into())]).to_bytes(),
        }
    }
}

fn data(reader: &Reader<'_>, piece: u32, payload: &Bytes) -> Result<MetadataMessage, ExtensionError> {
    let total_size = u32::try_from(reader.required_int("total_size")?)
        .ok()
        .filter(|size| (1..=MAX_METADATA_LENGTH).contains(size))
        .ok_or_else(|| reader.wrong("total_size", "the size of an info dictionary"))?;
    let Some(due) = metadata_piece_length(total_size, piece) else {
        return Err(ExtensionError::PastEnd { message: MESSAGE, piece });
    };
    let (due, got) = (usize::try_from(due).unwrap_or(usize::MAX), reader.rest().len());
    if due != got {
        return Err(ExtensionError::Length { message: MESSAGE, due, got });
    }
    Ok(MetadataMessage::Data { piece, total_size, bytes: payload.slice(payload.len() - got..) })
}

/// Pieces of an info dictionary of so many bytes.
#[must_use]
pub const fn metadata_piece_count(total_size: u32) -> u32 {
    total_size.div_ceil(METADATA_PIECE_LENGTH)
}

/// Bytes of one piece of an info dictionary of so many bytes; `None` past its end.
#[must_use]
pub fn metadata_piece_length(total_size: u32, piece: u32) -> Option<u32> {
    let left = total_size.checked_sub(piece.checked_mul(METADATA_PIECE_LENGTH)?)?;
    (left > 0).then_some(left.min(METADATA_PIECE_LENGTH))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(payload: &[u8]) -> Result<MetadataMessage, ExtensionError> {
        MetadataMessage::parse(&Bytes::copy_from_slice(payload))
    }

    fn error(payload: &str) -> String {
        parse(payload.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_examples_of_bep_9_are_written_and_read() {
        let bytes = Bytes::from(vec![b'x'; 3425]);
        let cases = [
            (MetadataMessage::Request { piece: 0 }, &b"d8:msg_typei0e5:piecei0ee"[..]),
            (MetadataMessage::Reject { piece: 0 }, b"d8:msg_typei2e5:piecei0ee"),
            (
                MetadataMessage::Data { piece: 0, total_size: 3425, bytes: bytes.clone() },
                &[&b"d8:msg_typei1e5:piecei0e10:total_sizei3425ee"[..], &bytes].concat(),
            ),
        ];
        for (message, payload) in cases {
            assert_eq!(message.to_bytes(), payload);
            assert_eq!(parse(payload), Ok(message));
        }
    }

    #[test]
    fn the_bytes_of_a_piece_are_not_copied() {
        let sent = MetadataMessage::Data { piece: 0, total_size: 5, bytes: Bytes::from_static(b"d0:ee") };
        let payload = Bytes::from(sent.to_bytes());
        let Ok(MetadataMessage::Data { bytes, .. }) = MetadataMessage::parse(&payload) else { panic!() };
        assert_eq!(bytes, "d0:ee", "even where they look like bencode");
        assert!(payload.as_ptr_range().contains(&bytes.as_ptr()));
    }

    #[test]
    fn a_kind_that_is_not_known_is_not_an_error() {
        for kind in [-1, 3, i64::MAX] {
            assert_eq!(parse(format!("d8:msg_typei{kind}ee").as_bytes()), Ok(MetadataMessage::Unknown));
        }
    }

    #[test]
    fn h35_a_message_that_makes_no_sense_is_refused() {
        assert_eq!(error("d5:piecei0ee"), "sent a bad metadata message: the key 'msg_type' is missing");
        assert_eq!(error("d8:msg_typei0ee"), "sent a bad metadata message: the key 'piece' is missing");
        assert_eq!(
            error("d8:msg_type1:0e"),
            "sent a bad metadata message: the key 'msg_type' must be an integer"
        );
        assert_eq!(error("le"), "sent a bad metadata message: it is no dictionary");
        assert_eq!(
            error("d8:msg_typei1e5:piecei0ee"),
            "sent a bad metadata message: the key 'total_size' is missing"
        );
        let short = "d8:msg_typei1e5:piecei0e10:total_sizei20000eexyz";
        assert_eq!(error(short), "sent a bad metadata message: 3 bytes where 16384 are due");
        let past = "d8:msg_typei1e5:piecei1e10:total_sizei16384ee";
        assert_eq!(error(past), "sent a bad metadata message: there is no piece 1");
    }

    #[test]
    fn h37_a_piece_or_size_over_the_limit_is_refused() {
        let last = metadata_piece_count(MAX_METADATA_LENGTH) - 1;
        assert_eq!(
            parse(format!("d8:msg_typei0e5:piecei{last}ee").as_bytes()),
            Ok(MetadataMessage::Request { piece: last })
        );
        for piece in [i64::from(last) + 1, 1 << 31, 1 << 40, -1] {
            assert!(
                error(&format!("d8:msg_typei0e5:piecei{piece}ee")).contains("'piece' must be"),
                "{piece}"
            );
        }
        for size in [0, -1, i64::from(MAX_METADATA_LENGTH) + 1, 1 << 31, i64::MAX] {
            let payload = format!("d8:msg_typei1e5:piecei0e10:total_sizei{size}ee");
            assert!(error(&payload).contains("'total_size' must be"), "{size}");
        }
    }

    #[test]
    fn the_last_piece_is_what_is_left() {
        assert_eq!(metadata_piece_count(1), 1);
        assert_eq!(metadata_piece_count(16_384), 1);
        assert_eq!(metadata_piece_count(16_385), 2);
        assert_eq!(metadata_piece_length(16_385, 0), Some(16_384));
        assert_eq!(metadata_piece_length(16_385, 1), Some(1));
        assert_eq!(metadata_piece_length(16_384, 1), None);
        assert_eq!(metadata_piece_length(u32::MAX, u32::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in 0..3,
            total_size in prop_oneof![1..60_000u32, 1..=MAX_METADATA_LENGTH],
            pick: u32,
            fill: u8,
        ) {
            let piece = pick % metadata_piece_count(total_size);
            let length = metadata_piece_length(total_size, piece).unwrap() as usize;
            let sent = match kind {
                0 => MetadataMessage::Request { piece },
                1 => MetadataMessage::Data { piece, total_size, bytes: vec![fill; length].into() },
                _ => MetadataMessage::Reject { piece },
            };
            prop_assert_eq!(parse(&sent.to_bytes()), Ok(sent));
        }
    }
}
