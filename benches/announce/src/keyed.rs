//! Numbers that look random and follow from a seed.

use siphasher::sip::SipHasher13;

/// A function from two numbers to one, another for each seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keyed {
    seed: u64,
}

impl Keyed {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(crate) fn number(self, domain: u64, n: u64) -> u64 {
        SipHasher13::new_with_keys(self.seed, domain).hash(&n.to_le_bytes())
    }
}

/// A generator made of it.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    keyed: Keyed,
    domain: u64,
    count: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, domain: u64) -> Self {
        Self { keyed: Keyed::new(seed), domain, count: 0 }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.keyed.number(self.domain, self.count)
    }

    /// One of `0..bound`; 0 for none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product: below `bound`, and as even as 64 bits allow.
        let product = u128::from(self.number()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }
}
