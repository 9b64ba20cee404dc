//! The messages that follow the handshake, and their numbers (BEP 3; port: BEP 5; have all to allowed fast: BEP 6;
//! extended: BEP 10).
//!
//! A piece message is not among them: its payload must not be held, so it has items of its own in
//! [`super::Item`], and [`super::piece_header`] to send it.

use bytes::Bytes;

use crate::Block;

/// The longest frame taken, its length prefix not counted: 1 MiB. The longest that we use is the bitfield of a
/// torrent with the most pieces allowed, 256 KiB; the rest is room for messages that we skip.
pub const MAX_FRAME: u32 = 1024 * 1024;

/// The longest payload of an extended message that is taken: 128 KiB. It is gathered whole, so a link can hold this
/// much. The longest with a use is a piece of metadata, 16 KiB and a short dictionary (BEP 9); a peer exchange of ten
/// thousand peers fits too, and is cut when it is read.
pub const MAX_EXTENDED: u32 = 128 * 1024;

/// What a piece message's length counts besides the payload: the id, the piece and the offset.
pub(super) const PIECE_OVERHEAD: u32 = 9;

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
pub(super) const SUGGEST: u8 = 13;
pub(super) const HAVE_ALL: u8 = 14;
pub(super) const HAVE_NONE: u8 = 15;
pub(super) const REJECT: u8 = 16;
pub(super) const ALLOWED_FAST: u8 = 17;
pub(super) const EXTENDED: u8 = 20;

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
    /// The receiver might like to request this piece (BEP 6).
    Suggest(u32),
    /// The sender has every piece; in place of a bitfield (BEP 6).
    HaveAll,
    /// The sender has no piece; in place of a bitfield (BEP 6).
    HaveNone,
    /// This request will not be served (BEP 6). Limits as for a request.
    Reject(Block),
    /// Requests for this piece are served even while the sender chokes; it need not have the piece (BEP 6).
    AllowedFast(u32),
    /// A message of the extension protocol (BEP 10): the extended id, 0 for the handshake and otherwise a number that
    /// its receiver chose, and up to [`MAX_EXTENDED`] bytes that [`super::extension`] reads.
    Extended(u8, Bytes),
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
        SUGGEST => "suggest piece",
        HAVE_ALL => "have all",
        HAVE_NONE => "have none",
        REJECT => "reject request",
        ALLOWED_FAST => "allowed fast",
        EXTENDED => "extended",
        _ => "unknown",
    }
}
