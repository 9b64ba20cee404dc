//! Messages of the extension protocol: what is read is within its limits, and reads the same when it is written.

use bytes::Bytes;
use peer_proto::wire::extension::{
    DontHave, ExtensionHandshake, MAX_METADATA_LENGTH, MAX_PEX_ENTRIES, MAX_REQQ, MAX_VERSION_CHARS,
    MetadataMessage, Pex, metadata_piece_count, metadata_piece_length,
};
use tracker_proto::compact;

use crate::input::Input;

/// Characters that one which acts on a terminal is escaped into, `\u{10ffff}`.
const MAX_ESCAPED: usize = 10;

/// The first byte chooses the kind of message.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => handshake(input.rest()),
        1 => metadata(input.rest()),
        2 => pex(input.rest()),
        _ => {
            let count = input.word();
            match DontHave::parse(input.clone().rest(), count) {
                Ok(lost) => {
                    assert!(lost.0 < count);
                    assert_eq!(lost.to_bytes(), input.rest());
                }
                Err(error) => crate::assert_one_line(&error.to_string()),
            }
        }
    }
}

fn handshake(payload: &[u8]) {
    let said = match ExtensionHandshake::parse(payload) {
        Ok(said) => said,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    assert!(said.reqq.is_none_or(|reqq| (1..=MAX_REQQ).contains(&reqq)));
    assert!(said.metadata_size.is_none_or(|size| (1..=MAX_METADATA_LENGTH).contains(&size)));
    assert!(said.port != Some(0));
    if let Some(version) = &said.version {
        crate::assert_one_line(version);
        assert!(version.chars().count() <= MAX_VERSION_CHARS * MAX_ESCAPED);
    }
    // A name is cut and escaped for the eye, so that it is not as it was.
    let sent = ExtensionHandshake { version: None, ..said };
    assert_eq!(ExtensionHandshake::parse(&sent.to_bytes()), Ok(sent));
}

fn metadata(payload: &[u8]) {
    let message = match MetadataMessage::parse(&Bytes::copy_from_slice(payload)) {
        Ok(message) => message,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    match &message {
        MetadataMessage::Data { piece, total_size, bytes } => {
            assert!((1..=MAX_METADATA_LENGTH).contains(total_size));
            let due = metadata_piece_length(*total_size, *piece).expect("the piece is one of it");
            assert_eq!(bytes.len() as u64, u64::from(due));
        }
        MetadataMessage::Request { piece } | MetadataMessage::Reject { piece } => {
            assert!(*piece < metadata_piece_count(MAX_METADATA_LENGTH));
        }
        MetadataMessage::Unknown => {}
    }
    assert_eq!(MetadataMessage::parse(&message.to_bytes().into()), Ok(message));
}

fn pex(payload: &[u8]) {
    let pex = match Pex::parse(payload) {
        Ok(pex) => pex,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    assert!(pex.added.len() <= MAX_PEX_ENTRIES && pex.dropped.len() <= MAX_PEX_ENTRIES);
    let named = pex.added.iter().map(|peer| peer.address).chain(pex.dropped.iter().copied());
    assert!(named.into_iter().all(compact::is_dialable));
    assert_eq!(Pex::parse(&pex.to_bytes()), Ok(pex));
}
