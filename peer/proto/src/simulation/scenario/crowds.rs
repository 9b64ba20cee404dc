//! Who is in each scenario's swarm, and what becomes of them.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Shape;
use crate::simulation::network::HostSpec;
use crate::simulation::node::{Leaves, NodeSpec};

/// One seed, and all leechers come at once.
#[must_use]
pub fn flash(shape: &Shape) -> Vec<NodeSpec> {
    with_leechers(shape, |_| shape.leecher())
}

/// The seed comes first in every swarm.
fn with_leechers(shape: &Shape, leecher: impl FnMut(usize) -> NodeSpec) -> Vec<NodeSpec> {
    std::iter::once(shape.seed()).chain((0..shape.leechers).map(leecher)).collect()
}

/// The seed goes when it has sent 1.05 times the content.
pub(super) fn leave(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    let mut specs = flash(shape);
    specs[0].leaves = Leaves::AfterSending(shape.size() / 20 * 21);
    specs
}

/// As many as 5% of all go each minute and as many come, for as long as all would take at their best without that. Half
/// of those that go say so.
pub(super) fn churn(shape: &Shape, seed: u64) -> Vec<NodeSpec> {
    const A_MINUTE: f64 = 0.05;
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6368_7572_6E00);
    let mut specs = flash(shape);
    let mut there: Vec<usize> = (1..specs.len()).collect();
    let every = Duration::from_secs_f64(60.0 / (A_MINUTE * shape.leechers.max(1) as f64));
    let mut at = every;
    while at < shape.at_best() && !there.is_empty() {
        let goes = there.swap_remove(rng.random_range(0..there.len()));
        specs[goes].leaves = if rng.random() { Leaves::At(at) } else { Leaves::Crashes(at, None) };
        there.push(specs.len());
        specs.push(NodeSpec { joins: at, ..shape.leecher() });
        at += every;
    }
    specs
}

/// Every fifth leecher crashes at some time while all are busy, and is back ten seconds later.
pub(super) fn crashes(shape: &Shape, seed: u64) -> Vec<NodeSpec> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0063_7261_7368);
    let most = shape.at_best().as_secs().max(1);
    with_leechers(shape, |index| {
        let at = Duration::from_secs(rng.random_range(0..most));
        let crashes = Leaves::Crashes(at, Some(Duration::from_secs(10)));
        NodeSpec { leaves: if index % 5 == 0 { crashes } else { Leaves::Never }, ..shape.leecher() }
    })
}

/// Three of ten give nothing.
pub(super) fn free_riders(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    with_leechers(shape, |index| {
        let leecher = shape.leecher();
        NodeSpec { upload_slots: if index % 10 < 3 { Some(0) } else { leecher.upload_slots }, ..leecher }
    })
}

/// Uplinks from a tenth of the shape's rate to ten times as much, each as much faster than the one before as that than
/// its own; a seed of twice the fastest.
pub(super) fn spread(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    let host = |times: f64| {
        let leecher = shape.leecher().host;
        // A rate of no peer comes near the limits of these types.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        HostSpec { up: leecher.up.map(|rate| (rate as f64 * times) as u64), ..leecher }
    };
    let steps = (shape.leechers.max(2) - 1) as f64;
    let mut specs = with_leechers(shape, |index| NodeSpec {
        host: host(0.1 * 100f64.powf(index as f64 / steps)),
        ..shape.leecher()
    });
    specs[0].host = host(20.0);
    specs
}

/// Half of the peers have everything; half of those send nothing that is right, the others a wrong block out of ten.
pub(super) fn poison(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    with_leechers(shape, |index| match index % 4 {
        1 => NodeSpec { poisons: true, ..shape.seed() },
        3 => NodeSpec { poisons: true, lies: 100, ..shape.seed() },
        _ => shape.leecher(),
    })
}

/// Leechers come one after the other over ten seconds.
pub(super) fn stagger(shape: &Shape, _: u64) -> Vec<NodeSpec> {
    let steps = u32::try_from(shape.leechers.max(2) - 1).unwrap_or(u32::MAX);
    let every = Duration::from_secs(10) / steps;
    with_leechers(shape, |index| NodeSpec {
        joins: every * u32::try_from(index).unwrap_or(u32::MAX),
        ..shape.leecher()
    })
}
