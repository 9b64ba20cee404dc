//! The fixed-size part at the front of a frame, gathered as its bytes come.
//!
//! Invariant: it holds [`LONGEST_HEAD`] bytes, whatever comes.

/// Bytes of the length prefix.
pub(super) const PREFIX: usize = 4;
/// Bytes of the length prefix and the id.
pub(super) const PREFIX_AND_ID: usize = 5;
/// The longest head: of a message that is gathered whole before it is read, such as a request.
const LONGEST_HEAD: usize = 17;

#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    bytes: [u8; LONGEST_HEAD],
    /// How many of them have come.
    held: usize,
}

impl Head {
    /// Fills the head up to `size` bytes; whether they are all there.
    pub(super) fn gather(&mut self, input: &mut &[u8], size: usize) -> bool {
        let missing = size.saturating_sub(self.held);
        let (now, later) = input.split_at(missing.min(input.len()));
        if let Some(place) = self.bytes.get_mut(self.held..self.held + now.len()) {
            place.copy_from_slice(now);
        }
        self.held += now.len();
        *input = later;
        now.len() == missing
    }

    /// It was read: the next frame begins.
    pub(super) fn clear(&mut self) {
        self.held = 0;
    }

    /// The byte after the length prefix.
    pub(super) fn id(&self) -> u8 {
        self.byte(PREFIX)
    }

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// A four-byte number: 0 is the length prefix, from 1 on those after the id.
    pub(super) fn field(&self, number: usize) -> u32 {
        let at = number * 4 + usize::from(number > 0);
        self.bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }
}
