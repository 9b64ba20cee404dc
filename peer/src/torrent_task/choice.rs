//! What of a torrent is wanted, as the user chose it.

use metainfo::Selection;
use peer_proto::Bitfield;

use crate::AddTorrent;

/// The files that the user wants: all of them unless he chose.
pub(super) fn selection(add: &AddTorrent) -> Selection {
    let info = &add.torrent.info;
    match &add.select {
        Some(files) => Selection::of(info, files.iter().copied()),
        None => Selection::all(info),
    }
}

/// The pieces that hold them.
pub(super) fn wanted(add: &AddTorrent) -> Bitfield {
    let info = &add.torrent.info;
    let mut wanted = Bitfield::new(info.geometry().piece_count());
    selection(add).pieces(info).for_each(|piece| {
        wanted.set(piece);
    });
    wanted
}

/// The bytes of those of these pieces that are wanted.
pub(super) fn bytes(add: &AddTorrent, pieces: impl Iterator<Item = u32>) -> u64 {
    let (wanted, geometry) = (wanted(add), add.torrent.info.geometry());
    pieces.filter(|&piece| wanted.get(piece)).map(|piece| u64::from(geometry.piece_size(piece))).sum()
}
