//! A tracker: it knows who is there and names some of them at random.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::node::address;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub struct TrackerConfig {
    /// The most peers in one answer.
    pub sample: usize,
    /// A peer that wants more asks again so long after its last time.
    pub interval: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self { sample: 50, interval: Duration::from_secs(30) }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    peers: Vec<u32>,
}

impl Tracker {
    pub(super) fn join(&mut self, node: u32) {
        self.peers.push(node);
    }

    pub(super) fn leave(&mut self, node: u32) {
        self.peers.retain(|&peer| peer != node);
    }

    /// Up to `most` peers other than the one that asks.
    pub(super) fn sample(&mut self, asks: u32, most: usize, rng: &mut ChaCha8Rng) -> Vec<SocketAddr> {
        let mut named = Vec::new();
        // The first part of a shuffle; where the rest lies does not matter to the next one.
        for at in 0..self.peers.len() {
            if named.len() == most {
                break;
            }
            let other = rng.random_range(at..self.peers.len());
            self.peers.swap(at, other);
            if self.peers[at] != asks {
                named.push(address(self.peers[at]));
            }
        }
        named
    }
}
