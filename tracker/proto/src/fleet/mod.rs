//! Sharing swarms between trackers over an engine such as Redis, without the engine: what is told to it, under which
//! names, when it is asked, and what of its answers is believed.
//!
//! Memory stays the truth of each node. A node tells what its clients announced and asks about swarms that are thin; whom
//! it learns of goes into its memory, from which the next announce is answered. Nobody waits for the engine.
//!
//! A swarm is a hash a time slice, `shoal:{HASH}:SLICE`, whose fields are peers: an engine forgets it by itself some time
//! after its slice, and each command has one key, as a cluster wants it. See [`Slices`] and [`Sighting`].
//!
//! Invariants: what comes from the engine is a stranger's: lengths, roles, ports and addresses are checked, and nobody is
//! believed to have been heard outside the slice that says so. A peer keeps the time when it was heard, so that passing it on
//! never prolongs its life. Queues and caches here have bounds, and what does not fit is counted and left out.

mod backoff;
mod batch;
mod foreign;
mod outbox;
mod sighting;
mod slices;

pub use self::backoff::Backoff;
pub use self::batch::{Batch, Command};
pub use self::foreign::Foreign;
pub use self::outbox::{News, Outbox, Told, is_thin};
pub use self::sighting::Sighting;
pub use self::slices::{Key, Slice, Slices};

use std::time::Duration;

/// A swarm with fewer peers is thin: what clients ask for by custom cannot be given.
pub const THIN: u32 = crate::http::DEFAULT_NUMWANT;

/// How many peers of a slice are asked for at once: enough for a swarm that is [thin](THIN).
pub const SAMPLE: usize = THIN as usize;

/// The engine is asked about the same swarm at most this often by one node: those who come soon after one another have the
/// same to learn.
pub const ASK_EVERY: Duration = Duration::from_secs(15);

/// When a peer should come back whose swarm the engine was just asked about: a minute, the least that clients obey. By
/// then its answer is in memory.
pub const COME_BACK: Duration = Duration::from_secs(60);
