//! Files that change: pieces that are there are in doubt until they were hashed again.

use super::model::{Model, RIGHT};
use crate::input::Input;

impl Model {
    /// Some of the pieces that are there are in doubt, and each is right still or is not. Nothing is fetched until that is
    /// known, as the driver has it.
    pub(super) fn doubt_pieces(&mut self, input: &mut Input<'_>) {
        let (bits, wrong) = (input.byte(), input.byte());
        let is_in = |bits: u8, piece: u32| bits >> (piece % 8) & 1 == 1;
        let lost: Vec<u32> = self.have.iter_ones().filter(|piece| is_in(bits, *piece)).collect();
        for &piece in &lost {
            self.have.clear(piece);
            let at = usize::try_from(piece).expect("small");
            self.fresh[at].clear();
            if is_in(wrong, piece) {
                self.content[at].fill(RIGHT + 1);
            }
        }
        self.torrent.handle_pieces_lost(self.now, &lost);
        self.doubted.extend(lost);
        if !self.doubted.is_empty() {
            self.torrent.set_downloading(false);
        }
    }

    /// One of them was hashed again; after the last it is known what is to be fetched.
    pub(super) fn hash_again(&mut self) {
        let Some(piece) = self.doubted.pop() else { return };
        let content = &self.content[usize::try_from(piece).expect("small")];
        if content.iter().all(|&content| content == RIGHT) {
            self.have.set(piece);
            self.torrent.handle_piece_result(self.now, piece, true);
        }
        if self.doubted.is_empty() {
            self.torrent.set_downloading(true);
        }
    }
}
