//! Which pieces a peer that has just begun may have of us while we choke it (BEP 6).
//!
//! Purpose: a newcomer has nothing to trade with, so everybody gives it the same few pieces, whoever it asks. They
//! follow from its network and the torrent, so that neither many connections nor many addresses of one network give
//! more.
//!
//! It does not know what anybody has.

use std::net::{IpAddr, Ipv4Addr};

use metainfo::InfoHash;
use sha1::{Digest, Sha1};

use crate::Geometry;

/// The most pieces given away so, the number that BEP 6 names.
pub(crate) const MAX_PIECES: u32 = 10;

/// About as many bytes are given away so: long pieces are fewer, but one at least.
const BYTES: u64 = 4 * 1024 * 1024;

/// No more than this part of a torrent is given away so.
const SHARE: u32 = 4;

/// Digests made before the search is given up. With a quarter of the pieces to find, each of the five numbers of a
/// digest is a new one three times of four.
const MAX_ROUNDS: usize = 64;

/// How many pieces a newcomer may have.
pub(crate) fn count(geometry: Geometry) -> u32 {
    let by_size = u32::try_from(BYTES / u64::from(geometry.piece_size(0)).max(1)).unwrap_or(MAX_PIECES);
    by_size.clamp(1, MAX_PIECES).min(geometry.piece_count() / SHARE)
}

/// The first `count` pieces of the set of a peer at this address, of a torrent of so many pieces. The BEP knows IPv4
/// only: others have none.
pub(crate) fn set(ip: IpAddr, info_hash: InfoHash, pieces: u32, count: u32) -> Vec<u32> {
    let mut set = Vec::new();
    let IpAddr::V4(ip) = ip.to_canonical() else { return set };
    let network = (u32::from(ip) & u32::from(Ipv4Addr::new(255, 255, 255, 0))).to_be_bytes();
    let mut digest = Sha1::new().chain_update(network).chain_update(info_hash.as_bytes()).finalize();
    for _ in 0..MAX_ROUNDS {
        let (numbers, _) = digest.as_chunks::<4>();
        for number in numbers {
            if set.len() >= usize::try_from(count).unwrap_or(usize::MAX) {
                return set;
            }
            match u32::from_be_bytes(*number).checked_rem(pieces) {
                Some(piece) if !set.contains(&piece) => set.push(piece),
                _ => {}
            }
        }
        digest = Sha1::digest(digest);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ip: &str, pieces: u32, count: u32) -> Vec<u32> {
        set(ip.parse().unwrap(), InfoHash::new([0xaa; 20]), pieces, count)
    }

    #[test]
    fn the_sets_are_those_of_the_bep() {
        assert_eq!(of("80.4.4.200", 1313, 7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(of("80.4.4.200", 1313, 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn a_network_has_one_set_and_ipv6_none() {
        assert_eq!(of("80.4.4.1", 1313, 9), of("80.4.4.200", 1313, 9));
        assert_eq!(of("::ffff:80.4.4.1", 1313, 9), of("80.4.4.200", 1313, 9));
        assert_ne!(of("80.4.5.1", 1313, 9), of("80.4.4.200", 1313, 9));
        assert_eq!(of("2001:db8::1", 1313, 9), []);
    }

    #[test]
    fn no_piece_comes_twice_and_the_search_ends() {
        let mut all = of("1.2.3.4", 40, 10);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
        assert_eq!(of("1.2.3.4", 0, 10), []);
        assert!(of("1.2.3.4", 2, 10).len() <= 2);
    }

    #[test]
    fn long_pieces_and_short_torrents_give_away_less() {
        let count = |pieces: u32, length: u32| {
            count(Geometry::new(u64::from(pieces) * u64::from(length), length).unwrap())
        };
        assert_eq!(count(1000, 256 * 1024), 10);
        assert_eq!(count(1000, 2 * 1024 * 1024), 2);
        assert_eq!(count(1000, 16 * 1024 * 1024), 1);
        assert_eq!(count(8, 256 * 1024), 2);
        assert_eq!(count(3, 256 * 1024), 0);
    }
}
