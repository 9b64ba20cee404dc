//! What goes over a connection between two peers (BEP 3, 6, 10): one [`Handshake`] each way, then [`Message`]s, some
//! of which carry the payloads of [`extension`].
//!
//! Invariant: what comes out of [`Handshake::decode`] and [`Decoder`] is well-formed and lies within the torrent, so
//! that nothing behind them checks lengths or piece numbers again.
//!
//! Whether a message makes sense at the moment (a request while choked, a block nobody asked for) is the link's to
//! judge, not the codec's.

mod decoder;
mod encode;
mod error;
pub mod extension;
mod handshake;
mod message;
mod reserved;

pub use decoder::{Decoder, Item};
pub use encode::{encode, piece_header};
pub use error::WireError;
pub use handshake::{HANDSHAKE_LENGTH, Handshake};
pub use message::{MAX_EXTENDED, MAX_FRAME, Message};
pub use reserved::{OUR_RESERVED, supports_extensions, supports_fast};

#[cfg(test)]
mod mutation_tests;
