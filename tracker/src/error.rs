//! Why a tracker cannot run.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::ListError;

/// An error that ends a tracker, or keeps it from starting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {}{}", plain(.source), advice(.source, "--http"))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An address cannot be listened on over UDP.
    #[error("cannot listen on {address} over UDP: {}{}", plain(.source), advice(.source, "--udp"))]
    ListenUdp {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address for metrics cannot be listened on.
    #[error("cannot serve metrics on {address}: {} (choose another with --metrics)", plain(.source))]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A socket that was handed over at the start cannot be used.
    #[error("socket {number} of those that this process was started with {reason}")]
    Given {
        /// Its place among them, from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no address to listen on.
    #[error("there is no address to listen on: name one with --http or --udp")]
    NoAddress,
    /// There is no folder for the tracker's state.
    #[error("cannot keep the tracker's state in {}: {}", folder.display(), plain(.source))]
    StateDir {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another tracker keeps its state there.
    #[error("{}: another tracker keeps its swarms there; choose another with --state-dir", folder.display())]
    StateInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A list of who may use it cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Randomness(String),
}

/// The system's words without the number of the error, which tells a user nothing.
fn plain(error: &io::Error) -> String {
    metainfo::without_os_error(&error.to_string()).to_owned()
}

fn advice(error: &io::Error, option: &str) -> String {
    let about = match error.kind() {
        io::ErrorKind::AddrInUse => "is another tracker running?",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges:",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has it:",
        _ => return String::new(),
    };
    format!(" ({about} choose another with {option})")
}
