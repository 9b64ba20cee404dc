//! The BitTorrent tracker protocol and swarm store, without I/O.
//!
//! Purpose: both directions of the tracker protocol over HTTP ([`http`]: BEP 3, 7, 21, 23, 24, 31, 48) and over UDP
//! ([`udp`]: BEP 15, 41), the compact form of addresses ([`compact`]), the store behind a tracker ([`swarm`]), and
//! what trackers that share their swarms tell each other ([`fleet`]).
//!
//! Invariant: nothing from outside is allocated for, looped over or multiplied before it is held against a named
//! constant, and no input makes anything here panic. The same calls with the same times and the same generator
//! give the same answers.
//!
//! This package opens no socket, reads no clock ([`Time`] is an argument) and has no randomness of its own.

pub mod access;
pub mod address;
pub mod compact;
pub mod connection_id;
pub mod fleet;
pub mod http;
pub mod interval;
pub mod limit;
pub mod pace;
mod peer_id;
mod percent;
pub mod swarm;
mod time;
pub mod udp;

pub use peer_id::PeerId;
pub use time::Time;
