//! How many peers have each piece, and which of the pieces on offer is the rarest that a peer has.
//!
//! Purpose: rarest first at 100,000 pieces and hundreds of peers. A piece is *on offer* while it is neither ours nor
//! under way. Pieces stand in one array, sorted into buckets by availability, with those not on offer in front: one
//! peer more or less moves a piece by one bucket, which is one swap and one boundary.
//!
//! Invariants: `order` is a permutation of the pieces, `position` its inverse, and the pieces of bucket `b` are
//! `order[starts[b]..starts[b + 1]]`. Peers that have everything are counted once, not once a piece.
//!
//! It does not know blocks or links.

use rand::{Rng, RngExt};

use crate::Bitfield;

/// Pieces on offer that a search looks at in order of rarity. A peer that has one piece in twenty is served from these
/// more often than not, and so many look-ups take less than a microsecond.
const WALK: u32 = 64;

/// Pieces that are compared when the walk found none: few enough to be cheap, enough that the rarest of them is rare.
const SAMPLE: usize = 32;

/// Where the pieces not on offer stand.
const WITHDRAWN: usize = 0;

/// See the module.
#[derive(Debug)]
pub(super) struct Availability {
    /// Peers that have this piece, those in `seeds` left out. More than 65,535 are not told apart.
    counts: Vec<u16>,
    order: Vec<u32>,
    position: Vec<u32>,
    /// Where in `order` each bucket begins, and the end of the last. Bucket `n + 1` holds what `n` peers have.
    starts: Vec<u32>,
    /// Peers that have every piece.
    seeds: u32,
}

impl Availability {
    /// Pieces that no peer has; on offer are those not in `have`.
    pub(super) fn new(have: &Bitfield) -> Self {
        let len = have.len();
        let order: Vec<u32> = have.iter_ones().chain(have.iter_zeros()).collect();
        let mut this = Self {
            counts: vec![0; order.len()],
            position: vec![0; order.len()],
            order,
            starts: vec![0, have.count(), len],
            seeds: 0,
        };
        this.restore_positions();
        this
    }

    /// Peers that have a piece.
    pub(super) fn of(&self, piece: u32) -> u32 {
        self.seeds + self.counts.get(index(piece)).map_or(0, |&count| u32::from(count))
    }

    /// Whether a piece can be chosen.
    pub(super) fn is_offered(&self, piece: u32) -> bool {
        self.position.get(index(piece)).is_some_and(|&at| at >= self.starts[WITHDRAWN + 1])
    }

    /// Whether any piece on offer is had by any peer.
    pub(super) fn offers_anything(&self) -> bool {
        // Bucket 1 holds what nobody has, seeds apart.
        let first = if self.seeds > 0 { 1 } else { 2 };
        self.starts.get(first).is_some_and(|&start| start < self.len())
    }

    /// A piece can be chosen from now on.
    pub(super) fn offer(&mut self, piece: u32) {
        if piece < self.len() && !self.is_offered(piece) {
            self.shift(piece, WITHDRAWN, usize::from(self.counts[index(piece)]) + 1);
        }
    }

    /// A piece can not be chosen any more.
    pub(super) fn withdraw(&mut self, piece: u32) {
        if self.is_offered(piece) {
            self.shift(piece, usize::from(self.counts[index(piece)]) + 1, WITHDRAWN);
        }
    }

    /// One peer more has this piece.
    pub(super) fn increment(&mut self, piece: u32) {
        let Some(&count) = self.counts.get(index(piece)) else { return };
        if count < u16::MAX {
            self.set_count(piece, count, count + 1);
        }
    }

    /// A peer that has these pieces came.
    pub(super) fn add(&mut self, has: &Bitfield) {
        if has.is_full() {
            self.seeds += 1;
        } else if self.is_bulk(has) {
            self.recount(has, |count| count.saturating_add(1));
        } else {
            has.iter_ones().for_each(|piece| self.increment(piece));
        }
    }

    /// A peer that had all of `had` has all but this piece of it. One that had everything costs a pass over all pieces.
    pub(super) fn lost(&mut self, had: &Bitfield, piece: u32) {
        if had.is_full() {
            let mut rest = had.clone();
            rest.clear(piece);
            self.remove(had);
            self.add(&rest);
        } else {
            self.decrement(piece);
        }
    }

    /// One peer less has this piece.
    fn decrement(&mut self, piece: u32) {
        if let Some(&count) = self.counts.get(index(piece)).filter(|&&count| count > 0) {
            self.set_count(piece, count, count - 1);
        }
    }

    /// A peer that had these pieces is gone.
    pub(super) fn remove(&mut self, has: &Bitfield) {
        // One that grew to have everything stands in the counts. If it is taken for a seed, the seed that is left
        // stands there in its stead: the sums are right all the same.
        if has.is_full() && self.seeds > 0 {
            self.seeds -= 1;
        } else if self.is_bulk(has) {
            self.recount(has, |count| count.saturating_sub(1));
        } else {
            has.iter_ones().for_each(|piece| self.decrement(piece));
        }
    }

    /// The rarest piece on offer that is in `has`, chosen at random among equals; `None` only if there is none.
    /// Pieces that `avoid` names come last.
    ///
    /// Exact where one of the rarest pieces is in `has`. A peer whose pieces are all among the common ones gets
    /// the rarest of a few chosen at random: looking through all that it lacks would cost a hostile peer nothing
    /// and us much. `settled` must hold no piece that is on offer.
    pub(super) fn rarest(
        &self,
        has: &Bitfield,
        settled: &Bitfield,
        avoid: impl Fn(u32) -> bool,
        rng: &mut impl Rng,
    ) -> Option<u32> {
        if self.starts[WITHDRAWN + 1] == self.len() {
            return None;
        }
        // Where a walk would hardly meet a piece of its few, all of them are looked at instead.
        let few = has.count() < self.len() / WALK;
        let walked = if few { None } else { self.walk(has, &avoid, rng) };
        walked.or_else(|| self.sample(has, settled, &avoid, rng))
    }

    fn walk(&self, has: &Bitfield, avoid: &impl Fn(u32) -> bool, rng: &mut impl Rng) -> Option<u32> {
        // What a peer has is had by one at least; only a seed is not in the counts.
        let first = if has.is_full() { 1 } else { 2 };
        let mut budget = WALK;
        for bucket in self.starts.get(first..)?.windows(2) {
            let &[start, end] = bucket else { break };
            if start == end {
                continue;
            }
            let pieces = self.order.get(index(start)..index(end))?;
            let (before, after) = pieces.split_at(index(rng.random_range(0..end - start)));
            for &piece in after.iter().chain(before) {
                if budget == 0 {
                    return None;
                }
                budget -= 1;
                if has.get(piece) && !avoid(piece) {
                    return Some(piece);
                }
            }
        }
        None
    }

    fn sample(
        &self,
        has: &Bitfield,
        settled: &Bitfield,
        avoid: &impl Fn(u32) -> bool,
        rng: &mut impl Rng,
    ) -> Option<u32> {
        let from = rng.random_range(0..self.len());
        has.iter_ones_not_in(settled, from)
            .filter(|&piece| self.is_offered(piece))
            .take(SAMPLE)
            .min_by_key(|&piece| (avoid(piece), self.of(piece)))
    }

    fn len(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// Whether sorting anew costs less than moving piece by piece.
    fn is_bulk(&self, has: &Bitfield) -> bool {
        has.count() > self.len() / 8
    }

    fn set_count(&mut self, piece: u32, from: u16, to: u16) {
        let offered = self.is_offered(piece);
        self.counts[index(piece)] = to;
        if offered {
            self.shift(piece, usize::from(from) + 1, usize::from(to) + 1);
        }
    }

    /// Moves a piece from bucket to bucket, over all that lie between.
    fn shift(&mut self, piece: u32, mut from: usize, to: usize) {
        let end = self.len();
        while self.starts.len() < to + 2 {
            self.starts.push(end);
        }
        // The piece leaves a hole, which moves over one bucket at a time.
        let mut hole = self.position[index(piece)];
        while from < to {
            // The last of its bucket becomes the first of the next.
            self.starts[from + 1] -= 1;
            self.fill(&mut hole, self.starts[from + 1]);
            from += 1;
        }
        while from > to {
            // The first of its bucket becomes the last of the one before.
            self.fill(&mut hole, self.starts[from]);
            self.starts[from] += 1;
            from -= 1;
        }
        self.order[index(hole)] = piece;
        self.position[index(piece)] = hole;
    }

    fn fill(&mut self, hole: &mut u32, with: u32) {
        // Most buckets are empty.
        if *hole != with {
            let moved = self.order[index(with)];
            self.order[index(*hole)] = moved;
            self.position[index(moved)] = *hole;
            *hole = with;
        }
    }

    /// Changes the counts of many pieces, and sorts all of them once.
    fn recount(&mut self, has: &Bitfield, change: impl Fn(u16) -> u16) {
        let mut highest = 0;
        for piece in has.iter_ones() {
            if let Some(count) = self.counts.get_mut(index(piece)) {
                *count = change(*count);
                highest = highest.max(*count);
            }
        }
        let buckets = (usize::from(highest) + 2).max(self.starts.len() - 1);
        // From here on in the order of numbers, so that memory is read from end to end.
        let bucket = |this: &Self, piece: usize| {
            if this.position[piece] < this.starts[WITHDRAWN + 1] {
                WITHDRAWN
            } else {
                usize::from(this.counts[piece]) + 1
            }
        };
        let mut next = vec![0u32; buckets + 1];
        for piece in 0..self.counts.len() {
            next[bucket(self, piece) + 1] += 1;
        }
        for at in 1..next.len() {
            next[at] += next[at - 1];
        }
        let starts = next.clone();
        for (piece, number) in (0..self.counts.len()).zip(0..) {
            let place = &mut next[bucket(self, piece)];
            self.position[piece] = *place;
            self.order[index(*place)] = number;
            *place += 1;
        }
        self.starts = starts;
    }

    fn restore_positions(&mut self) {
        for (&piece, at) in self.order.iter().zip(0..) {
            self.position[index(piece)] = at;
        }
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!((self.starts[0], self.starts.last().copied()), (0, Some(self.len())));
        assert!(self.starts.is_sorted());
        for (bucket, pair) in self.starts.windows(2).enumerate() {
            for at in pair[0]..pair[1] {
                let piece = self.order[index(at)];
                assert_eq!(self.position[index(piece)], at);
                assert!(bucket == WITHDRAWN || usize::from(self.counts[index(piece)]) + 1 == bucket);
            }
        }
    }
}

/// A number of pieces as an index: no supported platform has addresses of less than 32 bits.
pub(super) fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
