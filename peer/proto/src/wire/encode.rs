//! Messages to bytes.
//!
//! What we send is ours to keep right: nothing is checked here.

use super::message::{
    ALLOWED_FAST, BITFIELD, CANCEL, CHOKE, EXTENDED, HAVE, HAVE_ALL, HAVE_NONE, INTERESTED, Message,
    NOT_INTERESTED, PIECE, PIECE_OVERHEAD, PORT, REJECT, REQUEST, SUGGEST, UNCHOKE,
};
use crate::Block;

/// Bytes of a piece message before its payload.
const PIECE_HEAD: usize = 13;

/// Appends a message to `out`. An unknown one is sent without payload.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::KeepAlive => out.extend_from_slice(&[0; 4]),
        Message::Choke => frame(out, CHOKE, &[]),
        Message::Unchoke => frame(out, UNCHOKE, &[]),
        Message::Interested => frame(out, INTERESTED, &[]),
        Message::NotInterested => frame(out, NOT_INTERESTED, &[]),
        Message::Have(piece) => frame(out, HAVE, &piece.to_be_bytes()),
        Message::Bitfield(bytes) => frame(out, BITFIELD, bytes),
        Message::Request(block) => frame(out, REQUEST, block_fields(*block).as_flattened()),
        Message::Cancel(block) => frame(out, CANCEL, block_fields(*block).as_flattened()),
        Message::Port(port) => frame(out, PORT, &port.to_be_bytes()),
        Message::Suggest(piece) => frame(out, SUGGEST, &piece.to_be_bytes()),
        Message::HaveAll => frame(out, HAVE_ALL, &[]),
        Message::HaveNone => frame(out, HAVE_NONE, &[]),
        Message::Reject(block) => frame(out, REJECT, block_fields(*block).as_flattened()),
        Message::AllowedFast(piece) => frame(out, ALLOWED_FAST, &piece.to_be_bytes()),
        Message::Extended(id, payload) => {
            open_frame(out, EXTENDED, 1 + payload.len());
            out.push(*id);
            out.extend_from_slice(payload);
        }
        Message::Unknown(id) => frame(out, *id, &[]),
    }
}

fn block_fields(block: Block) -> [[u8; 4]; 3] {
    [block.piece, block.begin, block.length].map(u32::to_be_bytes)
}

fn frame(out: &mut Vec<u8>, id: u8, payload: &[u8]) {
    open_frame(out, id, payload.len());
    out.extend_from_slice(payload);
}

/// The length prefix and the id. Our own payloads are far below [`super::MAX_FRAME`]: the longest is a bitfield.
fn open_frame(out: &mut Vec<u8>, id: u8, payload: usize) {
    let length = u32::try_from(1 + payload).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(id);
}

/// What goes before a block's payload: length prefix, id 7, piece, offset.
#[must_use]
pub fn piece_header(block: Block) -> [u8; PIECE_HEAD] {
    let [p0, p1, p2, p3] = block.length.saturating_add(PIECE_OVERHEAD).to_be_bytes();
    let [i0, i1, i2, i3] = block.piece.to_be_bytes();
    let [b0, b1, b2, b3] = block.begin.to_be_bytes();
    [p0, p1, p2, p3, PIECE, i0, i1, i2, i3, b0, b1, b2, b3]
}
