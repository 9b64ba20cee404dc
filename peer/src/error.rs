//! Why a session cannot start or a torrent cannot be added.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use metainfo::InfoHash;
use thiserror::Error;

/// Why a session cannot start.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The port or address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Nothing of the range is free.
    #[error("no port from {} to {} is free; choose another with --port", .0.start(), .0.end())]
    NoFreePort(RangeInclusive<u16>),
    /// No address was given.
    #[error("there is no address to listen on")]
    NoAddress,
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// Why a torrent cannot be added.
#[derive(Debug, Error)]
pub enum AddError {
    /// It is there already.
    #[error("the torrent {0} is already in this session")]
    Duplicate(InfoHash),
    /// The session has been shut down.
    #[error("the session has ended")]
    Ended,
}
