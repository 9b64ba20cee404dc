//! The piece length that `create` chooses.

/// The shortest, one block: shorter pieces only cost digests.
const SHORTEST: u32 = 16 * 1024;

/// The longest: a piece is verified whole, so a broken one costs that much again.
const LONGEST: u32 = 16 * 1024 * 1024;

/// Piece length doubles beyond this many pieces; so there are half as many to this many.
const MOST_PIECES: u64 = 2000;

/// A power of two from 16 KiB to 16 MiB that gives about 1,000 to 2,000 pieces.
#[must_use]
pub fn automatic_piece_length(total: u64) -> u32 {
    let wanted = total.div_ceil(MOST_PIECES).clamp(SHORTEST.into(), LONGEST.into());
    u32::try_from(wanted).map_or(LONGEST, u32::next_power_of_two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_lengths_give_a_thousand_to_two_thousand_pieces_within_the_bounds() {
        assert_eq!(automatic_piece_length(0), SHORTEST);
        assert_eq!(automatic_piece_length(u64::MAX), LONGEST);
        for total in
            (25..=34).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1, 3 << (bits - 1)])
        {
            let length = automatic_piece_length(total);
            let pieces = total.div_ceil(u64::from(length));
            assert!(
                length.is_power_of_two() && (1000..=2000).contains(&pieces),
                "{total}: {pieces} of {length}"
            );
        }
    }
}
