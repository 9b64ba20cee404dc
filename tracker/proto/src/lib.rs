//! The BitTorrent tracker protocol and swarm store, without I/O.
//!
//! The time is an argument ([`Time`]), randomness comes from the caller's generator, and nothing here
//! opens a socket or a file.

mod time;

pub use time::Time;
