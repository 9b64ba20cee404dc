//! Whether those that give more get more.

use super::median;
use super::progress::{Progress, Sample};
use crate::simulation::swarm::Swarm;

/// Stretches into which a run is cut.
const STRETCHES: usize = 10;

/// Spearman's rank correlation of two rows of values: 1 if they rise together, -1 if one falls where the other rises.
/// `None` if one of them does not vary.
#[must_use]
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranks = |values: Vec<f64>| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
        let mut ranks = vec![0.0; values.len()];
        for same in order.chunk_by(|&one, &other| values[one] == values[other]) {
            // Equals share the middle of their places.
            let below = values.iter().filter(|&&value| value < values[same[0]]).count() as f64;
            same.iter().for_each(|&at| ranks[at] = below + (same.len() as f64 - 1.0) / 2.0);
        }
        ranks
    };
    let (one, other) =
        (ranks(pairs.iter().map(|pair| pair.0).collect()), ranks(pairs.iter().map(|pair| pair.1).collect()));
    let middle = (pairs.len() as f64 - 1.0) / 2.0;
    let product =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum() };
    let scale = (product(&one, &one) * product(&other, &other)).sqrt();
    (scale > 0.0).then(|| product(&one, &other) / scale)
}

/// How well download rates follow upload rates among those that still download: the run until half of all peers are
/// complete is cut into stretches, of which the first, when nobody knows anybody, does not count. The median of the rest.
#[must_use]
pub fn fairness(swarm: &Swarm, progress: &Progress) -> Option<f64> {
    let pieces = swarm.geometry().piece_count();
    let takers: Vec<usize> =
        (0..swarm.nodes.len()).filter(|&node| swarm.nodes[node].is_to_complete()).collect();
    let is_busy = |sample: &Sample, node: usize| {
        sample.nodes.get(node).is_some_and(|state| state.alive && state.pieces < pieces)
    };
    let half_done =
        |sample: &&Sample| takers.iter().filter(|&&node| is_busy(sample, node)).count() * 2 >= takers.len();
    let busy: Vec<&Sample> =
        progress.samples.iter().filter(|sample| sample.at > 0.0).take_while(half_done).collect();
    let marks: Vec<&Sample> = (1..=STRETCHES)
        .filter_map(|stretch| busy.get((busy.len() * stretch / STRETCHES).checked_sub(1)?))
        .copied()
        .collect();
    let correlation = |pair: &[&Sample]| {
        let [before, after] = pair else { return None };
        let moved = takers.iter().filter(|&&node| is_busy(after, node)).filter_map(|&node| {
            let (before, after) = (before.nodes.get(node)?, after.nodes.get(node)?);
            let up = after.uploaded.saturating_sub(before.uploaded) as f64;
            Some((after.downloaded.saturating_sub(before.downloaded) as f64, up))
        });
        spearman(&moved.collect::<Vec<_>>())
    };
    median(marks.windows(2).filter_map(correlation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_that_agree_correlate_and_equals_share_theirs() {
        assert_eq!(spearman(&[(1.0, 10.0), (2.0, 11.0), (30.0, 500.0)]), Some(1.0));
        assert_eq!(spearman(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), Some(-1.0));
        assert_eq!(spearman(&[(1.0, 3.0), (2.0, 3.0)]), None);
        assert_eq!(spearman(&[]), None);
        // Ranks 0, 1, 2, 3 and 0, 1.5, 1.5, 3.
        let correlation = spearman(&[(1.0, 1.0), (2.0, 5.0), (3.0, 5.0), (4.0, 9.0)]).unwrap();
        assert!((correlation - 4.5 / (5.0f64 * 4.5).sqrt()).abs() < 1e-12, "{correlation}");
    }
}
