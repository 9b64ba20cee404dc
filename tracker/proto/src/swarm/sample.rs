//! Fair random samples without a copy of what is sampled from.

use rand::{Rng, RngExt, seq::SliceRandom};

/// `count` different numbers below `length` in random order, every set and order equally likely; all of them when
/// there are no more. Robert Floyd's method: time and memory follow `count`, which the caller bounds.
pub(super) fn sample(rng: &mut impl Rng, length: usize, count: usize) -> Vec<usize> {
    let count = count.min(length);
    let mut chosen = Vec::with_capacity(count);
    for last in length - count..length {
        let candidate = rng.random_range(0..=last);
        // A linear search beats a set at the few hundred a reply can hold.
        chosen.push(if chosen.contains(&candidate) { last } else { candidate });
    }
    chosen.shuffle(rng);
    chosen
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_sample_holds_different_numbers_in_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (length, count) in [(0, 5), (1, 1), (5, 5), (5, 50), (1000, 200), (usize::MAX, 3)] {
            let mut numbers = sample(&mut rng, length, count);
            assert!(numbers.iter().all(|&n| n < length));
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count.min(length));
        }
    }

    #[test]
    fn every_place_of_a_sample_is_fair() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [[0u32; 6]; 3];
        for _ in 0..60_000 {
            for (place, number) in sample(&mut rng, 6, 3).into_iter().enumerate() {
                counts[place][number] += 1;
            }
        }
        // 10,000 expected in each, standard deviation 91.
        assert!(counts.as_flattened().iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
    }
}
