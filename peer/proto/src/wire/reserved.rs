//! The reserved bits of a handshake: which extensions of the protocol a peer speaks.
//!
//! An extension counts only where both sides have its bit.

/// The byte and bit of the extension protocol (BEP 10).
const EXTENSIONS: (usize, u8) = (5, 0x10);
/// The byte and bit of the fast extension (BEP 6).
const FAST: (usize, u8) = (7, 0x04);

/// The bits that we send: the extension protocol (BEP 10) and the fast extension (BEP 6).
pub const OUR_RESERVED: [u8; 8] = {
    let mut bits = [0; 8];
    bits[EXTENSIONS.0] |= EXTENSIONS.1;
    bits[FAST.0] |= FAST.1;
    bits
};

/// Whether these bits include the fast extension: have all, have none, suggest, reject, allowed fast (BEP 6).
#[must_use]
pub const fn supports_fast(reserved: &[u8; 8]) -> bool {
    reserved[FAST.0] & FAST.1 != 0
}

/// Whether these bits include the extension protocol (BEP 10).
#[must_use]
pub const fn supports_extensions(reserved: &[u8; 8]) -> bool {
    reserved[EXTENSIONS.0] & EXTENSIONS.1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_bep_6_and_bep_10() {
        assert_eq!(OUR_RESERVED, [0, 0, 0, 0, 0, 0x10, 0, 0x04]);
        assert!(supports_fast(&OUR_RESERVED) && supports_extensions(&OUR_RESERVED));
    }

    #[test]
    fn no_other_bit_counts() {
        let others = OUR_RESERVED.map(|byte| !byte);
        assert!(!supports_fast(&others) && !supports_extensions(&others));
        assert!(
            !supports_fast(&[0, 0, 0, 0, 0, 0x10, 0, 0]) && !supports_extensions(&[0, 0, 0, 0, 0, 0, 0, 4])
        );
    }
}
