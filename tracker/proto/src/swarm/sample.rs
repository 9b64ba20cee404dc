//! Fair random samples, without a copy of what is sampled from and without an allocation.

use std::ops::Range;

use rand::{Rng, RngExt};

use crate::http::MAX_NUMWANT;

/// Calls `take` with `count` different numbers of `range`, never with `but`; with all of them when there are no more.
///
/// Every set is equally likely, and every number in every place. Robert Floyd's method: time follows `count`, which is
/// held to [`MAX_NUMWANT`].
pub(super) fn sample(
    rng: &mut impl Rng,
    range: Range<usize>,
    but: Option<usize>,
    count: usize,
    mut take: impl FnMut(usize),
) {
    let but = but.filter(|at| range.contains(at));
    let length = range.len() - usize::from(but.is_some());
    let count = count.min(MAX_NUMWANT as usize);
    if length == 0 || count == 0 {
        return;
    }
    // Numbers from `but` on are one further: what is sampled is the range without it.
    let place = |at: usize| range.start + at + usize::from(but.is_some_and(|but| range.start + at >= but));
    if length <= count {
        let first = rng.random_range(0..length);
        (first..length).chain(0..first).for_each(|at| take(place(at)));
        return;
    }
    let mut chosen = [usize::MAX; MAX_NUMWANT as usize];
    let Some(chosen) = chosen.get_mut(..count) else { return };
    for at in 0..count {
        let last = length - count + at;
        let candidate = rng.random_range(0..=last);
        // A linear search beats a set at the few hundred a reply can hold.
        let taken = chosen.get(..at).is_some_and(|before| before.contains(&candidate));
        if let Some(slot) = chosen.get_mut(at) {
            *slot = if taken { last } else { candidate };
        }
    }
    // The method's own order favours some places; a random start makes them equal.
    let (before, after) = chosen.split_at(rng.random_range(0..count));
    after.iter().chain(before).for_each(|&at| take(place(at)));
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn of(rng: &mut ChaCha8Rng, range: Range<usize>, but: Option<usize>, count: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        sample(rng, range, but, count, |number| numbers.push(number));
        numbers
    }

    #[test]
    fn a_sample_holds_different_numbers_in_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (length, count) in
            [(0, 5), (1, 1), (5, 5), (5, 50), (1000, 200), (1000, 1000), (usize::MAX - 9, 3)]
        {
            let mut numbers = of(&mut rng, 7..7 + length, None, count);
            assert!(numbers.iter().all(|&n| (7..7 + length).contains(&n)));
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count.min(length).min(200));
        }
    }

    #[test]
    fn one_that_is_left_out_makes_no_gap() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for but in 3..6 {
            let mut numbers = of(&mut rng, 3..6, Some(but), 9);
            numbers.sort_unstable();
            assert_eq!(numbers, (3..6).filter(|&n| n != but).collect::<Vec<_>>());
        }
        assert_eq!(of(&mut rng, 3..4, Some(3), 9), [0; 0]);
        assert_eq!(of(&mut rng, 3..4, Some(4), 9), [3]);
    }

    #[test]
    fn every_place_of_a_sample_is_fair() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for count in [3, 6] {
            let mut counts = [[0u32; 7]; 6];
            for _ in 0..60_000 {
                for (place, number) in of(&mut rng, 0..7, Some(2), count).into_iter().enumerate() {
                    counts[place][number] += 1;
                }
            }
            // 10,000 expected in each, standard deviation 91.
            let fair = |n: &u32| (9_500..10_500).contains(n);
            for place in &counts[..count] {
                assert_eq!(place[2], 0);
                assert!(place.iter().enumerate().all(|(number, n)| number == 2 || fair(n)), "{counts:?}");
            }
        }
    }
}
