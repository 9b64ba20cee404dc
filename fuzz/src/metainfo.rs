//! Torrent files: what is accepted is valid, and is written and read again as it was.

use std::path::Component;

use ::metainfo::{Info, Magnet, Selection, TorrentFile};

/// See the module.
pub fn target(data: &[u8]) {
    if let Ok(info) = Info::parse(data) {
        check(&info);
    }
    match TorrentFile::parse(data) {
        Ok(torrent) => {
            check(&torrent.info);
            let raw = torrent.info.raw();
            assert!(
                raw.is_empty() || data.windows(raw.len()).any(|at| at == &raw[..]),
                "the exact bytes are hashed"
            );
            assert_eq!(TorrentFile::parse(&torrent.to_bytes()).as_ref(), Ok(&torrent));
            assert_eq!(torrent.to_parts().concat(), torrent.to_bytes());
            let magnet = torrent.magnet();
            assert_eq!(magnet.to_string().parse::<Magnet>().as_ref(), Ok(&magnet));
            let fetched =
                TorrentFile::from_magnet(&magnet, raw.clone()).expect("the info dictionary is the magnet's");
            assert_eq!(fetched.info, torrent.info);
        }
        Err(error) => crate::assert_one_line(&error.to_string()),
    }
}

fn check(info: &Info) {
    assert_eq!(Info::parse(info.raw()).as_ref(), Ok(info));
    for file in info.files() {
        for path in [Some(&file.path), file.exact_path(), file.symlink_target()].into_iter().flatten() {
            let path = path.to_path_buf();
            let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
            assert!(path.components().count() > 0 && path.components().all(is_normal), "{path:?} leads out");
        }
    }
    let mut end = 0_u64;
    for file in info.files() {
        assert_eq!(file.offset, end, "files lie end to end");
        end += file.length;
    }
    let geometry = info.geometry();
    assert_eq!(end, geometry.total());
    let (mut bytes, mut blocks) = (0_u64, 0_u64);
    for piece in 0..geometry.piece_count() {
        let size = u64::from(geometry.piece_size(piece));
        assert!(size > 0 && info.piece_hash(piece).is_some());
        assert_eq!(geometry.piece_offset(piece), bytes);
        let spans = info.file_spans(bytes, size);
        assert_eq!(spans.map(|span| span.length).sum::<u64>(), size, "files hold all of piece {piece}");
        let last = geometry.block(piece, geometry.block_count(piece) - 1);
        assert_eq!(last.begin + last.length, geometry.piece_size(piece), "blocks are all of piece {piece}");
        bytes += size;
        blocks += u64::from(geometry.block_count(piece));
    }
    assert_eq!((bytes, blocks), (geometry.total(), geometry.total_blocks()));
    assert!(info.piece_hash(geometry.piece_count()).is_none());
    let all = Selection::all(info);
    assert!(
        all.is_all(info)
            && all.pieces(info).is_sorted()
            && all.pieces(info).all(|p| p < geometry.piece_count())
    );
}
