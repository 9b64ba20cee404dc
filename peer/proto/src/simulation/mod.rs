//! A swarm in one thread and in virtual time: real engines, a simulated network.
//!
//! Purpose: run many [`crate::Torrent`]s against each other without sockets, so that behaviour is tested by seeds and
//! strategies are compared before they are tried on a real network. [`network`] says when bytes arrive, a [`Node`] is an
//! engine with a disk and a way to behave, [`Swarm`] does for each what the real driver does, [`scenario`] describes
//! swarms worth looking at and [`report`] says how they did.
//!
//! Invariant: one seed makes one run: the same events in the same order ([`Swarm::digest`] tells two runs apart).
//!
//! It does not model lost packets, congestion between the nodes' own links, or a disk that is slow.

mod digest;
mod disk;
mod first_copy;
mod link;
pub mod network;
mod node;
pub mod report;
pub mod scenario;
mod swarm;
#[cfg(test)]
mod tests;
mod tracker;

pub use node::{Leaves, Node, NodeSpec};
pub use report::Report;
pub use swarm::{Swarm, SwarmConfig};
pub use tracker::TrackerConfig;
