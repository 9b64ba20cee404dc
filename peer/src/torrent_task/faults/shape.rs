//! Torrents of the shapes that have their own ways to go wrong, with what they hold.

use metainfo::TorrentFile;
use sha1::{Digest, Sha1};

use crate::tests::support::noise;

/// A torrent and its content.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) torrent: TorrentFile,
    pub(super) content: Vec<u8>,
    /// The files that are chosen, if not all.
    pub(super) select: Option<Vec<usize>>,
}

/// A file: its name, its length and what BEP 47 says of it.
type File = (&'static str, usize, &'static str);

impl Shape {
    fn new(name: &'static str, piece_length: usize, files: &[File], select: Option<&[usize]>) -> Self {
        let parts = (1..).zip(files).map(|(seed, (_, length, attributes))| match *attributes {
            "p" => vec![0; *length],
            _ => noise(seed, *length),
        });
        let content: Vec<u8> = parts.flatten().collect();
        let string = |text: &str| format!("{}:{text}", text.len());
        let entry = |(path, length, attributes): &File| {
            let attributes =
                if attributes.is_empty() { String::new() } else { format!("4:attr{}", string(attributes)) };
            let path: String = path.split('/').map(string).collect();
            format!("d{attributes}6:lengthi{length}e4:pathl{path}ee")
        };
        let files: String = files.iter().map(entry).collect();
        let pieces: Vec<u8> = content.chunks(piece_length).flat_map(Sha1::digest).collect();
        let mut raw = format!(
            "d4:infod5:filesl{files}e4:name3:top12:piece lengthi{piece_length}e6:pieces{}:",
            pieces.len()
        )
        .into_bytes();
        raw.extend(pieces);
        raw.extend(b"ee");
        let torrent = TorrentFile::parse(&raw).unwrap();
        Self { name, torrent, content, select: select.map(<[usize]>::to_vec) }
    }

    /// One file, and a last piece that is short.
    pub(super) fn single() -> Self {
        Self::new("single", 512, &[("file", 4_700, "")], None)
    }

    /// Pieces over the borders of files, one that is empty and one that can be run.
    pub(super) fn folder() -> Self {
        Self::new(
            "folder",
            512,
            &[("a", 1_300, ""), ("sub/b", 900, "x"), ("none", 0, ""), ("sub/c", 1_500, "")],
            None,
        )
    }

    /// Files that begin with a piece of their own, thanks to padding.
    pub(super) fn padded() -> Self {
        Self::new(
            "padded",
            512,
            &[
                ("a", 1_200, ""),
                (".pad/336", 336, "p"),
                ("b", 700, ""),
                (".pad/324", 324, "p"),
                ("c", 900, ""),
            ],
            None,
        )
    }

    /// Files that are not chosen, on both sides of one that is.
    pub(super) fn chosen() -> Self {
        Self::new(
            "chosen",
            512,
            &[("a", 1_300, ""), ("b", 1_100, ""), ("c", 1_400, ""), ("d", 200, ""), ("e", 700, "")],
            Some(&[0, 2, 4]),
        )
    }

    /// Pieces of several blocks.
    pub(super) fn blocks() -> Self {
        Self::new("blocks", 40_000, &[("a", 70_000, ""), ("b", 45_000, "")], None)
    }

    /// All of them.
    pub(super) fn all() -> [Self; 5] {
        [Self::single(), Self::folder(), Self::padded(), Self::chosen(), Self::blocks()]
    }

    /// The bytes of the content from an offset on.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> &[u8] {
        let start = usize::try_from(offset).unwrap();
        &self.content[start..start + length]
    }
}
