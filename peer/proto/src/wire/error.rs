//! Why a peer's bytes are not the protocol. All of these are the peer's doing: the connection is closed.

use super::message::{MAX_EXTENDED, MAX_FRAME, name};
use crate::BLOCK_LENGTH;
use crate::bitfield::BitfieldError;

/// What was wrong with what a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The handshake begins with something else than BEP 3's protocol string.
    #[error("does not speak the BitTorrent protocol")]
    Protocol,
    /// A length prefix over [`MAX_FRAME`].
    #[error("sent a message of {0} bytes, over the limit of {MAX_FRAME}")]
    FrameTooLong(u32),
    /// A message whose kind has another length; the length counts the id.
    #[error("sent a {} message of the wrong length ({length} bytes)", name(*.id))]
    MessageLength {
        /// Which message.
        id: u8,
        /// The length it gave.
        length: u32,
    },
    /// A bitfield that is not one of this torrent.
    #[error("sent a {0}")]
    Bitfield(#[from] BitfieldError),
    /// A have, suggest, allowed fast, request, cancel, reject or piece of bytes that the torrent does not have.
    #[error("sent a {} message past the end (piece {piece}, offset {begin}, {length} bytes)", name(*.id))]
    PastEnd {
        /// Which message.
        id: u8,
        /// The piece it named.
        piece: u32,
        /// The offset in it; 0 where only a piece is named.
        begin: u32,
        /// The number of bytes; 0 where only a piece is named.
        length: u32,
    },
    /// A block of no bytes or of more than [`BLOCK_LENGTH`], which is the most that we ever ask for.
    #[error("sent a block of {0} bytes, where 1 to {BLOCK_LENGTH} are allowed")]
    BlockLength(u32),
    /// An extended message with a payload over [`MAX_EXTENDED`].
    #[error("sent an extended message of {0} bytes, over the limit of {MAX_EXTENDED}")]
    ExtendedTooLong(u32),
}
