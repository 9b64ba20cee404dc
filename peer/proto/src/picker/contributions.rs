//! Who delivered which block of a piece.
//!
//! Purpose: a piece that comes wrong is somebody's fault, and [`crate::blame`] is to find out whose.
//!
//! Invariant: a byte a block, and each link once. Where more links delivered than a byte can name, those that are not
//! named stand as unknown, and then nobody counts as the only one.

use super::availability::index;
use crate::LinkId;

/// A block of which nobody is known to have sent it.
const UNKNOWN: u8 = u8::MAX;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contributions {
    /// Sorted.
    links: Vec<LinkId>,
    /// For each block the place in `links`, or `UNKNOWN`.
    senders: Vec<u8>,
}

impl Contributions {
    /// From the sender of each block, as far as that is known.
    #[must_use]
    pub fn new(senders: impl Iterator<Item = Option<LinkId>> + Clone) -> Self {
        let mut links: Vec<LinkId> = Vec::new();
        for link in senders.clone().flatten() {
            if let Err(at) = links.binary_search(&link)
                && links.len() < usize::from(UNKNOWN)
            {
                links.insert(at, link);
            }
        }
        let place = |link: LinkId| links.binary_search(&link).ok().and_then(|at| u8::try_from(at).ok());
        let senders = senders.map(|link| link.and_then(place).unwrap_or(UNKNOWN)).collect();
        Self { links, senders }
    }

    /// Whether nothing was delivered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.senders.len()
    }

    /// The links that are known to have delivered a block, each once, in order.
    #[must_use]
    pub fn links(&self) -> &[LinkId] {
        &self.links
    }

    /// Whether of every block it is known who delivered it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.senders.contains(&UNKNOWN)
    }

    /// The link that delivered every block.
    #[must_use]
    pub fn sole(&self) -> Option<LinkId> {
        match self.links[..] {
            [link] if self.is_known() => Some(link),
            _ => None,
        }
    }

    /// For a block, the place in [`Contributions::links`] of the one that delivered it.
    #[must_use]
    pub fn place_of_sender(&self, block: u32) -> Option<usize> {
        self.senders
            .get(index(block))
            .map(|&place| usize::from(place))
            .filter(|&place| place < self.links.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_delivered_all_is_the_only_one_and_one_that_delivered_all_that_is_known_is_not() {
        let of =
            |senders: &[Option<u32>]| Contributions::new(senders.iter().map(|sender| sender.map(LinkId)));
        assert_eq!(of(&[Some(7), Some(7)]).sole(), Some(LinkId(7)));
        assert_eq!(of(&[Some(7), None]).sole(), None);
        assert_eq!(of(&[]).sole(), None);
        let several = of(&[Some(7), None, Some(3)]);
        assert_eq!((several.sole(), several.links()), (None, &[LinkId(3), LinkId(7)][..]));
        let places = [0, 1, 2, 3].map(|block| several.place_of_sender(block));
        assert_eq!(places, [Some(1), None, Some(0), None]);
    }
}
