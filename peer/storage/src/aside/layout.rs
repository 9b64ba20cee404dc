//! What the parts file looks like.
//!
//! A head, then slots of the piece length, one for each piece that has bytes of chosen and of other files, in order. The
//! head names the torrent and the choice, and so says which pieces those are:
//!
//! | bytes | |
//! |---|---|
//! | 23 | `shoal parts, version 1` and a line feed |
//! | 20 | the info-hash |
//! | 4, 4 | piece length and number of files, big-endian |
//! | a bit a file, the highest first | whether it is chosen |
//! | 20 | SHA-1 of all that |
//! | 1 a slot | 1 once it holds anything |
//!
//! Slots begin at the next multiple of 4096. A program that changes any of this changes the number.
//!
//! Invariant: nothing is believed of a head that is not exactly the one due for its torrent, and no length in it is used.

use std::io;

use sha1::{Digest, Sha1};

use crate::system::OpenFile;

const VERSION: &[u8] = b"shoal parts, version ";
const FIRST_LINE: &[u8] = b"shoal parts, version 1\n";
const DIGEST: usize = 20;

/// Where slots begin is a multiple of this: the page of most systems, so that writing one slot reads none.
const ALIGNMENT: u64 = 4096;

/// What a slot's byte in the head says.
pub(super) const USED: u8 = 1;

/// The torrent that a parts file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) info_hash: [u8; 20],
    pub(crate) piece_length: u32,
    pub(crate) files: usize,
}

/// Where everything is in a parts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) identity: Identity,
    /// Which files are chosen; the bytes of the others are kept here.
    pub(crate) chosen: Vec<bool>,
    /// The pieces that have a slot, in order.
    pub(crate) pieces: Vec<u32>,
}

impl Layout {
    /// The slot of a piece, if it has one.
    pub(crate) fn slot(&self, piece: u32) -> Option<usize> {
        self.pieces.binary_search(&piece).ok()
    }

    /// The head up to the slots' bytes.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = FIRST_LINE.to_vec();
        head.extend_from_slice(&self.identity.info_hash);
        head.extend_from_slice(&self.identity.piece_length.to_be_bytes());
        head.extend_from_slice(&files(self.identity.files).to_be_bytes());
        head.extend(self.chosen.chunks(8).map(|eight| {
            eight.iter().zip(0..).fold(0, |byte, (chosen, bit)| byte | (u8::from(*chosen) << (7 - bit)))
        }));
        let digest = Sha1::digest(&head);
        head.extend_from_slice(&digest);
        head
    }

    /// Where the byte of a slot is.
    pub(super) fn flag_at(&self, slot: usize) -> u64 {
        head_length(self.identity.files) as u64 + slot as u64
    }

    /// Where a byte of a piece is, given as its offset in the piece.
    pub(super) fn byte_at(&self, slot: usize, offset: u64) -> u64 {
        let slots_at = self.flag_at(self.pieces.len()).next_multiple_of(ALIGNMENT);
        slots_at + slot as u64 * u64::from(self.identity.piece_length) + offset
    }
}

/// Reads from a parts file which files were chosen, or says what is wrong with it.
pub(super) fn read_choice(
    file: &dyn OpenFile,
    identity: Identity,
) -> io::Result<Result<Vec<bool>, &'static str>> {
    let mut head = vec![0; head_length(identity.files)];
    match file.read_exact_at(&mut head, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err("is damaged")),
        Err(error) => return Err(error),
    }
    if !head.starts_with(FIRST_LINE) {
        let newer = head.starts_with(VERSION);
        return Ok(Err(if newer { "is from another version of shoal" } else { "is damaged" }));
    }
    let bits_at = head.len() - DIGEST - identity.files.div_ceil(8);
    let bits = head.get(bits_at..head.len() - DIGEST).unwrap_or_default();
    let bit = |file: usize| bits.get(file / 8).is_some_and(|byte| byte >> (7 - file % 8) & 1 == 1);
    let chosen: Vec<bool> = (0..identity.files).map(bit).collect();
    // Whatever does not come out as it was read is not what was written.
    let due = Layout { identity, chosen, pieces: Vec::new() };
    Ok(if due.head() == head { Ok(due.chosen) } else { Err("is damaged, or of another torrent") })
}

fn head_length(files: usize) -> usize {
    FIRST_LINE.len() + 20 + 4 + 4 + files.div_ceil(8) + DIGEST
}

/// A number of files as it is written: a torrent file has no room for more than fit.
fn files(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::system::kernel::KernelFile;

    fn layout(chosen: Vec<bool>, pieces: Vec<u32>) -> Layout {
        Layout {
            identity: Identity { info_hash: [7; 20], piece_length: 100, files: chosen.len() },
            chosen,
            pieces,
        }
    }

    fn read(bytes: &[u8], identity: Identity) -> Result<Vec<bool>, &'static str> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read_choice(&*KernelFile::holding(file), identity).unwrap()
    }

    proptest! {
        #[test]
        fn a_choice_that_was_written_reads_as_the_same(chosen in prop::collection::vec(any::<bool>(), 1..40)) {
            let layout = layout(chosen.clone(), vec![]);
            prop_assert_eq!(read(&layout.head(), layout.identity), Ok(chosen));
        }

        #[test]
        fn h74_a_head_that_was_changed_anywhere_or_cut_is_not_believed(
            chosen in prop::collection::vec(any::<bool>(), 1..40),
            at in any::<prop::sample::Index>(),
            change in 1u8..,
        ) {
            let layout = layout(chosen, vec![]);
            let mut head = layout.head();
            let at = at.index(head.len());
            prop_assert!(read(&head[..at], layout.identity).is_err());
            head[at] ^= change;
            prop_assert!(read(&head, layout.identity).is_err());
        }
    }

    #[test]
    fn h74_what_is_of_another_torrent_or_version_is_told_from_what_is_damaged() {
        let ours = layout(vec![true, false], vec![]);
        let other = Identity { info_hash: [8; 20], ..ours.identity };
        assert_eq!(read(&ours.head(), other), Err("is damaged, or of another torrent"));
        let newer = [b"shoal parts, version 2\n".to_vec(), vec![0; 100]].concat();
        assert_eq!(read(&newer, ours.identity), Err("is from another version of shoal"));
        assert_eq!(read(&[0; 100], ours.identity), Err("is damaged"));
    }

    #[test]
    fn slots_are_as_long_as_pieces_and_do_not_touch_the_head() {
        let layout = layout(vec![true; 9], (0..5000).collect());
        assert_eq!((layout.slot(4999), layout.slot(5000)), (Some(4999), None));
        assert_eq!(layout.flag_at(0), layout.head().len() as u64);
        assert!(layout.flag_at(4999) < layout.byte_at(0, 0) && layout.byte_at(0, 0).is_multiple_of(4096));
        assert_eq!(layout.byte_at(3, 99) + 1, layout.byte_at(4, 0));
    }
}
