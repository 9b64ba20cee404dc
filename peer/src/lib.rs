//! A BitTorrent session: the sockets, disk and timers around [`peer_proto`].
//!
//! Purpose: [`Session`] is what a program talks to. It listens, and for each torrent it runs one task that owns the
//! engine ([`peer_proto::Torrent`]) and does what the engine says. All decisions are the engine's; this package
//! moves bytes.
//!
//! How it runs. Everything asynchronous is spawned on the runtime from which [`Session::start`] was called: the
//! program uses one `current_thread` runtime, and the code is written for that (locks between tasks are never
//! contended there). Disk and hashing have threads of their own. Invariants:
//! - One task owns a torrent. Links, disk threads and tracker requests send it what happened; nothing else is shared.
//! - A turn of that task takes all that is ready, asks the engine once, and hands each socket its bytes once.
//! - Only a socket may wait for its torrent. A torrent never waits for a socket (what a peer does not take is
//!   bounded and then closes it) nor for the disk (the engine takes budget before it asks for a block).
//!
//! Memory is bounded: [`limits`] names the pools, together under 48 MiB whatever the number of torrents and links.
//!
//! It does not parse torrents ([`metainfo`]), decide what to ask of whom ([`peer_proto`]) or know files
//! ([`storage`]).

mod config;
mod descriptors;
mod discovery;
mod disk;
mod error;
mod event;
pub mod limits;
mod metadata_task;
mod net;
mod resume;
mod session;
mod shared;
mod stats;
mod torrent_task;

pub use config::{
    AddMagnet, AddTorrent, Deadlines, Listen, Next, OnFound, PortChoice, Purpose, SessionConfig, Verify,
};
pub use discovery::{FetchError, TrackerClient, fetch_torrent, scrape};
pub use error::{AddError, SessionError};
pub use event::{Event, EventStream};
pub use peer_proto::Limits;
/// What the marker of a download says: for fuzzers.
#[doc(hidden)]
pub use resume::text as marker_text;
pub use session::{Session, TorrentId};
pub use stats::{Failure, FailureKind, Note, State, TorrentStats, TrackerStatus};

#[cfg(test)]
mod tests;
