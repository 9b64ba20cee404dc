//! The message of `lt_donthave` (BEP 54): the sender has lost a piece that it had. The opposite of a have.

use super::ExtensionError;

const MESSAGE: &str = "don't-have message";

/// The piece that its sender does not have any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DontHave(pub u32);

impl DontHave {
    /// Reads a payload, for a torrent of so many pieces.
    ///
    /// # Errors
    /// If it is not four bytes long, or the torrent does not have the piece.
    pub fn parse(payload: &[u8], piece_count: u32) -> Result<Self, ExtensionError> {
        let length = |_| ExtensionError::Length { message: MESSAGE, due: 4, got: payload.len() };
        let piece = u32::from_be_bytes(payload.try_into().map_err(length)?);
        match piece < piece_count {
            true => Ok(Self(piece)),
            false => Err(ExtensionError::PastEnd { message: MESSAGE, piece }),
        }
    }

    /// The payload.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn h35_another_length_or_a_piece_past_the_end_is_refused() {
        let said = |payload: &[u8]| DontHave::parse(payload, 12).unwrap_err().to_string();
        assert_eq!(said(&[]), "sent a bad don't-have message: 0 bytes where 4 are due");
        assert_eq!(said(&[0; 5]), "sent a bad don't-have message: 5 bytes where 4 are due");
        assert_eq!(said(&[0, 0, 0, 12]), "sent a bad don't-have message: there is no piece 12");
        assert_eq!(DontHave::parse(&[0, 0, 0, 11], 12), Ok(DontHave(11)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(piece in 0..u32::MAX) {
            prop_assert_eq!(DontHave::parse(&DontHave(piece).to_bytes(), u32::MAX), Ok(DontHave(piece)));
        }
    }
}
