//! Reads an info dictionary from a scanned document.

use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use super::{Info, InfoHashes, Layout, Pieces, files};
use crate::bencode::{Limits, Node, scan_whole};
use crate::{Error, ErrorKind, Geometry, InfoHash, MAX_TORRENT_BYTES};

/// Bytes of one digest in `pieces`.
const DIGEST_LENGTH: usize = 20;

pub(super) fn whole(raw: &Bytes) -> Result<Info, Error> {
    if raw.len() > MAX_TORRENT_BYTES {
        return Err(too_large(raw.len()));
    }
    Info::from_node(scan_whole(raw, &Limits::TORRENT)?.root(), raw)
}

/// The error for more bytes than are read.
pub(crate) fn too_large(length: usize) -> Error {
    Error::new(ErrorKind::Info(format!(
        "{length} bytes are more than the {MAX_TORRENT_BYTES} that a torrent file may have"
    )))
}

impl Info {
    /// Reads an info dictionary; offsets in errors count from where the document starts. `document` is what `info` is
    /// a view of: it is kept if it is little else, else the info dictionary is copied out of it.
    pub(crate) fn from_node(info: Node<'_>, document: &Bytes) -> Result<Self, Error> {
        if !info.is_dict() {
            return Err(Error::at(ErrorKind::WrongType("info", "a dictionary"), info.offset()));
        }
        refuse_v2_only(info)?;
        let raw = info.raw();
        let raw = match raw.len() >= document.len() / 2 {
            true => document.slice_ref(raw),
            false => Bytes::copy_from_slice(raw),
        };
        let name = name_of(info)?;
        let (piece_length, piece_length_at) = piece_length(info)?;
        let listed = files::read(info, name)?;
        let geometry = Geometry::new(listed.total, piece_length)
            .map_err(|e| Error::at(e.kind().clone(), piece_length_at))?;
        let pieces = pieces(info, &raw, geometry)?;
        Ok(Self {
            hashes: InfoHashes::V1(InfoHash::new(Sha1::digest(&raw).into())),
            raw,
            name: String::from_utf8_lossy(name).into_owned(),
            top_level: listed.top_level,
            layout: listed.layout,
            geometry,
            pieces,
            files: Arc::new(listed.files),
            private: is_private(info),
            source: info.get("source").and_then(|n| n.as_bytes()).map(lossy),
        })
    }
}

/// Text that is shown and never compared: other bytes become `U+FFFD`.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn refuse_v2_only(info: Node<'_>) -> Result<(), Error> {
    match info.get("meta version") {
        Some(version) if info.get("pieces").is_none() => Err(Error::at(
            ErrorKind::Unsupported("torrents that are only v2 (BEP 52) are not supported yet".to_owned()),
            version.offset(),
        )),
        _ => Ok(()),
    }
}

fn name_of(info: Node<'_>) -> Result<&[u8], Error> {
    let utf8 = info.get("name.utf-8").filter(|node| node.as_str().is_some_and(|name| !name.is_empty()));
    let node = utf8
        .or_else(|| info.get("name"))
        .ok_or_else(|| Error::at(ErrorKind::Missing("name"), info.offset()))?;
    let name =
        node.as_bytes().ok_or_else(|| Error::at(ErrorKind::WrongType("name", "a string"), node.offset()))?;
    files::refuse_too_long(name, node)?;
    Ok(name)
}

fn piece_length(info: Node<'_>) -> Result<(u32, usize), Error> {
    let node = info
        .get("piece length")
        .ok_or_else(|| Error::at(ErrorKind::Missing("piece length"), info.offset()))?;
    let length = node
        .as_int()
        .ok_or_else(|| Error::at(ErrorKind::WrongType("piece length", "an integer"), node.offset()))?;
    // `Geometry` knows the limits; here it is only made to fit.
    let fits = u32::try_from(length).map_err(|_| Error::at(ErrorKind::PieceLength(length), node.offset()));
    Ok((fits?, node.offset()))
}

fn pieces(info: Node<'_>, raw: &Bytes, geometry: Geometry) -> Result<Pieces, Error> {
    let node = info.get("pieces").ok_or_else(|| Error::at(ErrorKind::Missing("pieces"), info.offset()))?;
    let digests = node
        .as_bytes()
        .ok_or_else(|| Error::at(ErrorKind::WrongType("pieces", "a string"), node.offset()))?;
    if !digests.len().is_multiple_of(DIGEST_LENGTH) {
        let text = format!("'pieces' has {} bytes, no multiple of {DIGEST_LENGTH}", digests.len());
        return Err(Error::at(ErrorKind::Info(text), node.offset()));
    }
    let (has, needs) = (digests.len() / DIGEST_LENGTH, geometry.piece_count());
    if u32::try_from(has).ok() != Some(needs) {
        let text = format!("'pieces' has {has} digests, but the sizes make {needs} pieces");
        return Err(Error::at(ErrorKind::Info(text), node.offset()));
    }
    Ok(Pieces::V1(shared(info, raw, node)))
}

/// The content of a string in the info dictionary as a part of `raw`, the bytes of that dictionary. Sharing it saves
/// up to 40 MiB for the digests.
fn shared(info: Node<'_>, raw: &Bytes, string: Node<'_>) -> Bytes {
    // A string's content ends where the string does.
    let end = (string.offset() + string.raw().len()).saturating_sub(info.offset()).min(raw.len());
    let length = string.as_bytes().unwrap_or_default().len();
    raw.slice(end.saturating_sub(length)..end)
}

/// Anything but an absent key and a plain 0 counts as private: the mistake that leaks no peers.
fn is_private(info: Node<'_>) -> bool {
    info.get("private").is_some_and(|node| node.as_int() != Some(0))
}

/// The layout of a torrent is given by which of two keys it has.
pub(super) fn layout(info: Node<'_>) -> Result<(Layout, Node<'_>), Error> {
    match (info.get("length"), info.get("files")) {
        (Some(length), None) => Ok((Layout::SingleFile, length)),
        (None, Some(files)) => Ok((Layout::Folder, files)),
        (Some(_), Some(files)) => {
            let text = "both 'length' and 'files' are given, only one may be".to_owned();
            Err(Error::at(ErrorKind::Info(text), files.offset()))
        }
        (None, None) => Err(Error::at(ErrorKind::Missing("length"), info.offset())),
    }
}
