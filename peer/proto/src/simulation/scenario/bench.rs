//! A swarm as it is measured with real programs: hosts in network namespaces of one machine, joined by a bridge, each
//! with `tbf rate 80mbit burst 512kb latency 200ms` on what it sends and BBR above that; one process a host.
//!
//! Invariant: with it, a run takes as long as a real one does, within a tenth (the module's tests hold the real times).
//! `docs/swarm.md` tells what was compared, and what this cannot show.

use std::time::Duration;

use super::{Shape, flash};
use crate::simulation::network::NetworkConfig;
use crate::simulation::node::NodeSpec;

/// `burst 512kb` is in tc's kibibytes.
const BURST: u32 = 512 * 1024;

/// Bytes on the wire for a thousand of stream. `tbf` counts frames: 1,514 bytes for 1,448 of stream make 1,046, and
/// acknowledgements of what a peer receives, 66 bytes for about every third packet, leave by the same uplink. The sum of
/// what all `tbf`s counted in a real run was 1,066 for a thousand bytes of content, 6 of which this counts as messages
/// and as blocks that came twice.
const OVERHEAD_PERMILLE: u32 = 1060;

/// From a host to another, chosen so that both settings of the tests agree with the real times; anything from 10 to 20 ms
/// does. The wire itself takes some 0.05 ms; the rest stands for the queue of `tbf`, which all connections of a host share.
/// Looks at it in one real run found 184 kB on the average, 18 ms at 80 Mbit/s, but from nothing (a quarter of the looks) to
/// more than 300 kB (another quarter): a constant is a simplification.
const LATENCY: Duration = Duration::from_millis(15);

/// From the start of the clock to the exit of a process that downloads next to nothing: it starts, reads the torrent,
/// binds, asks the tracker and dials, and at the end tells the tracker and exits. All of it is taken before the first byte,
/// since nothing that follows depends on where it stands.
const PROCESS: Duration = Duration::from_millis(40);

/// From the start of a process to that of the next one: the mean of twelve `ip netns exec`.
const SPAWN: Duration = Duration::from_millis(3);

/// 64 MiB in pieces of 256 KiB to eight.
pub(super) fn shape() -> Shape {
    Shape {
        burst: BURST,
        latency: LATENCY,
        network: NetworkConfig { overhead_permille: OVERHEAD_PERMILLE, ..NetworkConfig::default() },
        ..Shape::default()
    }
}

/// The seed is there when the clock starts, the leechers are started one after the other.
pub(super) fn specs(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    let mut specs = flash(shape);
    for (index, spec) in (0..).zip(specs.iter_mut().skip(1)) {
        spec.joins = PROCESS + SPAWN * index;
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::report::{Report, median};
    use crate::simulation::scenario::named;

    /// Seconds from the start of the first leecher to the exit of the last one: the middle one of three real runs on
    /// 2026-11-25 (7.38, 7.42 and 7.43; 7.75, 7.78 and 7.88). Strategies that change what a swarm does want these
    /// measured again.
    const REAL_WITH_SLOTS_OF_A_SESSION: f64 = 7.42;
    const REAL_WITH_FOUR_SLOTS: f64 = 7.78;

    fn simulated(slots: Option<usize>) -> f64 {
        let scenario = named("bench").unwrap();
        let shape = Shape { slots, ..scenario.shape };
        let ends = (1..=3).map(|seed| {
            let mut swarm = scenario.swarm(&shape, seed).unwrap();
            assert!(swarm.run(Duration::from_secs(60), |swarm| swarm.incomplete() == 0), "seed {seed}");
            Report::of(&swarm).end.unwrap()
        });
        median(ends.collect()).unwrap()
    }

    #[track_caller]
    fn is_within_a_tenth(simulated: f64, real: f64) {
        assert!((simulated / real - 1.0).abs() <= 0.1, "simulated {simulated:.2} s, real {real:.2} s");
    }

    #[test]
    fn a_simulated_run_takes_as_long_as_a_real_one() {
        is_within_a_tenth(simulated(None), REAL_WITH_SLOTS_OF_A_SESSION);
    }

    #[test]
    fn a_simulated_run_with_four_slots_takes_as_long_as_a_real_one() {
        is_within_a_tenth(simulated(Some(4)), REAL_WITH_FOUR_SLOTS);
    }
}
