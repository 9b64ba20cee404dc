//! The swarms as bytes, so that a tracker that starts again knows who was there.
//!
//! All integers are big-endian. A snapshot is a header, blocks of swarms, and a block that says it is whole:
//!
//! | bytes | header |
//! |---|---|
//! | 8 | `shoalswm` |
//! | 2 | version, 1 |
//! | 2 | milliseconds of a tick, 4000 |
//! | 8 | when it was begun, in seconds since 1970 |
//! | 4 | CRC-32 of the above |
//!
//! A block is the length of its payload (4 bytes), the payload's CRC-32 (4) and the payload: 1 and then swarms, or 2, the
//! number of swarms (8) and of peers (8), and nothing after. A swarm is its info-hash (20), its count of completed
//! downloads (4), the ticks since it was last announced (2), how many seeds, partial seeds and downloaders follow over
//! IPv4 (2 each) and over IPv6 (2 each), and these peers in that order: address and port as in compact replies, and the
//! ticks since it announced (2). A large swarm is there in several parts; any swarm can be there twice.
//!
//! Invariants: writing takes steps that are bounded by one swarm, with announces in between, and misses nobody who was
//! there from its beginning to its end. Reading checks every length and sum before it uses what they speak of, and what
//! was read before an error stands. Neither opens a file.

mod read;
mod restore;
mod write;

use thiserror::Error;

pub use self::read::{SnapshotReader, SwarmRecord};
pub use self::write::{SnapshotCursor, SnapshotWriter};

use super::clock::TICK;

const MAGIC: [u8; 8] = *b"shoalswm";
const VERSION: u16 = 1;
/// Milliseconds of a tick, which the format keeps ages in.
const TICK_MILLIS: u16 = 4000;
const _: () = assert!(TICK.as_millis() == TICK_MILLIS as u128);

/// Bytes of a snapshot's header.
pub const SNAPSHOT_HEADER_BYTES: usize = 24;
/// The most bytes of a block with its length and sum; a reader needs no more at once.
pub const MAX_SNAPSHOT_BLOCK_BYTES: usize = 64 << 10;

/// Bytes before a block's payload.
const BLOCK_HEAD: usize = 8;
/// Bytes of a swarm before its peers.
const RECORD_HEAD: usize = 38;

const SWARMS: u8 = 1;
const END: u8 = 2;

/// Why a snapshot cannot be read, or not further. What was read before can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It does not begin as a snapshot does.
    #[error("this is no snapshot of a shoal tracker")]
    NotASnapshot,
    /// It is of another version.
    #[error("the snapshot is of version {0}, and only version {VERSION} can be read")]
    Version(u16),
    /// The header's sum is wrong.
    #[error("the snapshot's header is damaged")]
    Header,
    /// A block's sum or length is wrong, or what is in it.
    #[error("the snapshot is damaged in block {block}; the {block} blocks before it were read")]
    Damaged {
        /// Which, counted from 0.
        block: u64,
    },
    /// It ends before its end.
    #[error("the snapshot is cut off after block {blocks}")]
    CutOff {
        /// How many blocks were read.
        blocks: u64,
    },
}

#[cfg(test)]
mod tests;
