//! The messages that follow the handshake (BEP 3; port: BEP 5), and their numbers.
//!
//! A piece message is not among them: its payload must not be held, so it has items of its own in
//! [`super::Item`], and [`super::piece_header`] to send it.

use crate::Block;

/// The longest frame taken, its length prefix not counted: 1 MiB. The longest that we use is the bitfield of a
/// torrent with the most pieces allowed, 256 KiB; the rest is room for messages that we skip.
pub const MAX_FRAME: u32 = 1024 * 1024;

pub(super) const CHOKE: u8 = 0;
pub(super) const UNCHOKE: u8 = 1;
pub(super) const INTERESTED: u8 = 2;
pub(super) const NOT_INTERESTED: u8 = 3;
pub(super) const HAVE: u8 = 4;
pub(super) const BITFIELD: u8 = 5;
pub(super) const REQUEST: u8 = 6;
pub(super) const PIECE: u8 = 7;
pub(super) const CANCEL: u8 = 8;
pub(super) const PORT: u8 = 9;

/// One message, all but blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing; it keeps the connection from being taken for dead.
    KeepAlive,
    /// Requests will not be answered until further notice.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender would request if it were unchoked.
    Interested,
    /// The sender would not.
    NotInterested,
    /// The sender has this piece.
    Have(u32),
    /// The pieces the sender has, in the layout of [`crate::Bitfield::to_bytes`]; of the right size when decoded.
    Bitfield(Vec<u8>),
    /// Send this block. When decoded it lies within its piece, but its length may be 0 or over
    /// [`crate::BLOCK_LENGTH`]: the link answers for that.
    Request(Block),
    /// This block is not wanted any more. Limits as for a request.
    Cancel(Block),
    /// The sender's DHT node listens on this UDP port (BEP 5).
    Port(u16),
    /// A message of a kind unknown here; its payload was skipped.
    Unknown(u8),
}

/// What people call a message.
pub(super) const fn name(id: u8) -> &'static str {
    match id {
        CHOKE => "choke",
        UNCHOKE => "unchoke",
        INTERESTED => "interested",
        NOT_INTERESTED => "not interested",
        HAVE => "have",
        BITFIELD => "bitfield",
        REQUEST => "request",
        PIECE => "piece",
        CANCEL => "cancel",
        PORT => "port",
        _ => "unknown",
    }
}
