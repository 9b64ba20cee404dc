//! The BitTorrent peer protocol and every decision a peer takes, without I/O.
//!
//! Purpose: [`Torrent`] is one torrent's engine. A driver hands it what happened (a message, a block, a time) and
//! asks it what to do next (send, dial, close). It is put together from small machines, each tested alone: the
//! [`picker`] decides which block to ask of whom, the [`choker`] who may ask us, a [`link`] holds what one peer and
//! we have said, [`announce`] when to ask which tracker, [`candidates`] whom to dial, [`turnover`] who makes room.
//! What all torrents of a session share, the [`allocator`] grants.
//!
//! Invariant: no clock, no sockets, no files, no global randomness. The same inputs with the same seed give the
//! same outputs in the same order.
//!
//! This package moves no payload: it sees which block arrived, never its bytes.

pub mod allocator;
mod allowed_fast;
pub mod announce;
mod backoff;
pub mod bitfield;
pub mod blame;
pub mod candidates;
pub mod canonical;
pub mod choker;
mod copies;
pub mod ids;
pub mod keepers;
pub mod link;
pub mod metadata;
mod pex;
pub mod picker;
pub mod rate;
pub mod rate_limit;
mod reveal;
pub mod scope;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
pub mod torrent;
pub mod turnover;
pub mod who;
pub mod wire;

pub use allocator::{Allocator, TorrentKey};
pub use bitfield::Bitfield;
pub use blame::{BlockDigest, PieceDigests};
pub use ids::LinkId;
pub use metainfo::{BLOCK_LENGTH, Block, Geometry};
pub use rate_limit::Limits;
pub use torrent::{Action, BlockVerdict, CloseReason, Torrent, TorrentConfig};
pub use tracker_proto::{PeerId, Time};
