//! Asks a tracker as many peers would, over HTTP or UDP, and checks every answer.
//!
//! Purpose: to say how fast a tracker is, and that what it answers meanwhile is right. Which peers there are follows from
//! a number (the module `population`): whether a peer in an answer may be there is calculated, not looked up, so that a million
//! peers cost the generator no memory and little time; it shares the machine with what it measures.
//!
//! Invariant: a figure is never printed without the count of wrong answers beside it, and a run with one fails. In
//! an open loop a latency begins when its request was due, not when there was a connection free to send it.
//!
//! One thread around one `epoll`, nothing allocated a request. It asks nobody but the tracker that it is told to. It is
//! no part of what users install, and needs Linux.

#![cfg(target_os = "linux")]

mod check;
mod desk;
mod dribble;
mod engine;
mod histogram;
mod http;
mod keyed;
mod options;
mod population;
mod process;
mod report;
mod script;
mod target;
mod udp;

pub use dribble::{Dribbled, dribble};
pub use engine::load;
pub use options::{Command, Dribble, Hashes, Load, Options};
pub use report::{Latency, Phase, Report};

use population::Population;

/// The info-hashes that a load of the same numbers asks about, as 40 hexadecimal digits each, in order.
pub fn hashes(options: &Hashes) -> impl Iterator<Item = String> {
    let population = Population::of_swarms(options.seed, options.swarms, options.giant);
    (0..population.swarms()).map(move |swarm| {
        population.info_hash(swarm).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    })
}

#[cfg(test)]
mod tests;
