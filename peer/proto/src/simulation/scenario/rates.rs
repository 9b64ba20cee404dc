//! Uplinks that take turns over the nodes of a swarm.

/// Bytes a second, the seed's first; none for a swarm whose uplinks its scenario chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    rates: [u64; Self::MOST],
    count: usize,
}

impl Rates {
    /// As many as anybody has wanted so far, so that a shape can be copied.
    pub const MOST: usize = 8;

    /// `None` if there are more than [`Rates::MOST`].
    #[must_use]
    pub fn new(rates: &[u64]) -> Option<Self> {
        let mut all = Self { count: rates.len(), ..Self::default() };
        all.rates.get_mut(..rates.len())?.copy_from_slice(rates);
        Some(all)
    }

    /// That of a node.
    #[must_use]
    pub fn of(self, node: usize) -> Option<u64> {
        self.rates.get(node.checked_rem(self.count)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_take_turns_over_the_nodes() {
        let rates = Rates::new(&[80, 20]).unwrap();
        assert_eq!([0, 1, 2, 7].map(|node| rates.of(node)), [80, 20, 80, 20].map(Some));
    }

    #[test]
    fn no_rates_leave_every_uplink_to_its_scenario() {
        assert_eq!(Rates::default().of(3), None);
        assert_eq!(Rates::new(&[]).unwrap(), Rates::default());
    }

    #[test]
    fn more_rates_than_there_is_room_for_are_refused() {
        assert!(Rates::new(&[1; Rates::MOST]).is_some());
        assert_eq!(Rates::new(&[1; Rates::MOST + 1]), None);
    }
}
