//! A BitTorrent tracker over HTTP and UDP: sockets, a clock and a generator around [`tracker_proto::swarm`].
//!
//! Purpose: `shoal tracker` runs one that is open to everybody; `shoal share` runs one inside itself that serves
//! only its own torrents, and hands out the torrent files too.
//!
//! Invariant: a stranger holds a connection, a few kilobytes and a deadline, never more. A request that is wrong is
//! told why in the tracker's own way (a bencoded failure) and counts nothing.
//!
//! It decides nothing about swarms: who is given to whom is `tracker_proto`'s. [`Tracker::run`] runs where it is
//! awaited; UDP, and HTTP with more than one worker, is answered on threads of their own, which end with it.

mod access;
mod activation;
mod answer;
mod clock;
mod config;
mod connection;
mod connections;
mod error;
mod fleet;
mod gathering;
mod limits;
mod listen;
mod load;
mod memory;
mod metrics;
mod quick;
mod registry;
mod routes;
mod serve;
mod snapshot;
mod state;
mod status;
mod udp;
mod worker;

pub use access::{AccessConfig, ListChange, ListError, ListFault, ListName, ListReport};
pub use activation::GivenSockets;
pub use config::{
    Access, ConnectionKey, DEFAULT_MAX_MEMORY, DEFAULT_PORT, KeyError, TrackerConfig, default_addresses,
};
pub use error::TrackerError;
pub use fleet::StoreUrl;
/// For fuzzers.
#[doc(hidden)]
pub use fleet::read_sample;
pub use serve::Tracker;
pub use state::{TrackerHandle, TrackerStats};
pub use udp::is_secret;

/// The target of events that an operator hears of even if he asked for warnings only: what ends a warning, and what a
/// start has found.
pub const NEWS: &str = "tracker::news";
