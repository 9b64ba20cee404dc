//! The files of an info dictionary: sizes, attributes, and paths made safe and distinct.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::parse::{layout, lossy, shared};
use super::{FileAttributes, FileEntry, Layout};
use crate::bencode::Node;
use crate::path::{
    MAX_ALL_PATH_ELEMENTS, MAX_ELEMENT_BYTES, MAX_PATH_ELEMENTS, Names, Platform, clean_element,
    exact_element,
};
use crate::{Error, ErrorKind, SafePath};

/// How BitComet names the files that only align the next one, before BEP 47 gave them an attribute.
const BITCOMET_PADDING: &[u8] = b"_____padding_file_";

/// What the sizes and paths add up to.
pub(super) struct Listed {
    pub(super) layout: Layout,
    pub(super) files: Vec<FileEntry>,
    pub(super) total: u64,
    pub(super) top_level: String,
}

/// A file as the torrent states it.
struct Stated<'a> {
    /// Below the torrent's name.
    path: Vec<&'a [u8]>,
    length: u64,
    attributes: FileAttributes,
    symlink_path: Option<Vec<&'a [u8]>>,
    md5sum: Option<String>,
    /// The list that `path` was read from; for a single file, its length. Errors with the file are there.
    node: Node<'a>,
}

pub(super) fn read(info: Node<'_>, raw: &Bytes, name: &[u8]) -> Result<Listed, Error> {
    let (layout, node) = layout(info)?;
    let stated = match layout {
        Layout::SingleFile => vec![Stated {
            path: Vec::new(),
            length: length(node)?,
            attributes: FileAttributes { padding: false, symlink: false, ..attributes(info) },
            symlink_path: None,
            md5sum: md5sum(info),
            node,
        }],
        Layout::Folder => {
            let items = node
                .items()
                .ok_or_else(|| Error::at(ErrorKind::WrongType("files", "a list"), node.offset()))?;
            let mut elements = 0;
            let counted = |file| {
                let file = stated_file(file)?;
                elements += file.path.len() + file.symlink_path.as_ref().map_or(0, Vec::len);
                match elements <= MAX_ALL_PATH_ELEMENTS {
                    true => Ok(file),
                    false => Err(Error::at(
                        ErrorKind::Path(format!("the paths have more than {MAX_ALL_PATH_ELEMENTS} elements")),
                        file.node.offset(),
                    )),
                }
            };
            items.map(counted).collect::<Result<_, _>>()?
        }
    };
    if stated.is_empty() {
        return Err(Error::at(ErrorKind::Info("the torrent has no files".to_owned()), node.offset()));
    }
    let paths = place(name, &stated, Platform::HERE)?;
    let targets = symlink_targets(&stated, &paths);
    let top_level = paths.first().and_then(|placed| placed.safe.elements().next()).unwrap_or_default();

    let mut total = 0u64;
    let mut files = Vec::with_capacity(stated.len());
    for (index, (file, placed)) in stated.into_iter().zip(paths).enumerate() {
        let offset = total;
        // Sizes are up to 2⁶³ each; offsets stay within that too, so that sums of two cannot wrap.
        total =
            total.checked_add(file.length).filter(|&sum| i64::try_from(sum).is_ok()).ok_or_else(|| {
                Error::at(
                    ErrorKind::Info("the lengths of the files do not fit in 64 bits".to_owned()),
                    file.node.offset(),
                )
            })?;
        files.push(FileEntry {
            path: placed.safe,
            exact_path: placed.exact,
            raw_path: file.node.items().into_iter().flatten().map(|name| shared(info, raw, name)).collect(),
            length: file.length,
            offset,
            attributes: file.attributes,
            symlink_target: targets.get(&index).cloned(),
            md5sum: file.md5sum,
        });
    }
    Ok(Listed { layout, files, total, top_level })
}

fn stated_file(file: Node<'_>) -> Result<Stated<'_>, Error> {
    if !file.is_dict() {
        return Err(Error::at(ErrorKind::WrongType("files", "a list of dictionaries"), file.offset()));
    }
    let node = file.get("path").ok_or_else(|| Error::at(ErrorKind::Missing("path"), file.offset()))?;
    let utf8 = file
        .get("path.utf-8")
        .and_then(|node| Some((strings(node)?, node)))
        .filter(|(path, _)| !path.is_empty() && path.iter().all(|name| std::str::from_utf8(name).is_ok()));
    let (path, node) = match utf8 {
        Some(utf8) => utf8,
        None => strings(node)
            .map(|path| (path, node))
            .ok_or_else(|| Error::at(ErrorKind::WrongType("path", "a list of strings"), node.offset()))?,
    };
    if path.is_empty() {
        return Err(Error::at(ErrorKind::Path("a file has an empty path".to_owned()), node.offset()));
    }
    if path.len() > MAX_PATH_ELEMENTS {
        let text = format!("a file lies more than {MAX_PATH_ELEMENTS} folders deep");
        return Err(Error::at(ErrorKind::Path(text), node.offset()));
    }
    path.iter().try_for_each(|element| refuse_too_long(element, node))?;
    let mut attributes = attributes(file);
    attributes.padding |= path.last().is_some_and(|name| name.starts_with(BITCOMET_PADDING));
    let length = match file.get("length") {
        Some(node) => length(node)?,
        // BEP 47 lets a link go without.
        None if attributes.symlink => 0,
        None => return Err(Error::at(ErrorKind::Missing("length"), file.offset())),
    };
    if attributes.symlink && length > 0 {
        let text = "a symbolic link has a length, but no content".to_owned();
        return Err(Error::at(ErrorKind::Info(text), file.offset()));
    }
    // No file lies deeper, so a longer way leads nowhere.
    let symlink_path = file
        .get("symlink path")
        .filter(|_| attributes.symlink)
        .and_then(strings)
        .filter(|path| path.len() <= MAX_PATH_ELEMENTS);
    Ok(Stated { path, length, attributes, symlink_path, md5sum: md5sum(file), node })
}

/// The strings of a list, no more of them than show that a path is too deep.
fn strings(list: Node<'_>) -> Option<Vec<&[u8]>> {
    list.items()?.take(MAX_PATH_ELEMENTS + 1).map(|item| item.as_bytes()).collect()
}

/// Refuses a name that no file system comes near to holding.
pub(super) fn refuse_too_long(name: &[u8], node: Node<'_>) -> Result<(), Error> {
    if name.len() <= MAX_ELEMENT_BYTES {
        return Ok(());
    }
    let text = format!("a name of {} bytes is longer than the {MAX_ELEMENT_BYTES} allowed", name.len());
    Err(Error::at(ErrorKind::Path(text), node.offset()))
}

fn length(node: Node<'_>) -> Result<u64, Error> {
    let length = node
        .as_int()
        .ok_or_else(|| Error::at(ErrorKind::WrongType("length", "an integer"), node.offset()))?;
    u64::try_from(length)
        .map_err(|_| Error::at(ErrorKind::Info(format!("length {length} is not allowed")), node.offset()))
}

fn attributes(file: Node<'_>) -> FileAttributes {
    let letters = file.get("attr").and_then(|n| n.as_bytes()).unwrap_or_default();
    FileAttributes {
        padding: letters.contains(&b'p'),
        executable: letters.contains(&b'x'),
        hidden: letters.contains(&b'h'),
        symlink: letters.contains(&b'l'),
    }
}

fn md5sum(file: Node<'_>) -> Option<String> {
    file.get("md5sum").and_then(|n| n.as_bytes()).map(lossy)
}

struct Placed {
    safe: SafePath,
    exact: Option<SafePath>,
}

/// Gives each file its path. Files whose names need no cleaning choose first, so that what one's own folder holds
/// is found under its own name whatever else the torrent lists.
fn place(name: &[u8], files: &[Stated<'_>], platform: Platform) -> Result<Vec<Placed>, Error> {
    // The torrent's own name once for all files: it may be long, and they may be many.
    let top = clean_element(name, platform);
    let exact_top = exact_element(name, platform);
    let top_is_clean = top == name;
    let mut names = Names::new(platform);
    let mut exact_taken = BTreeSet::new();
    let mut placed: Vec<Option<Placed>> = files.iter().map(|_| None).collect();
    for only_clean in [true, false] {
        for (file, slot) in files.iter().zip(&mut placed).filter(|(_, slot)| slot.is_none()) {
            let below = file.path.iter().map(|element| clean_element(element, platform));
            let clean: Vec<Vec<u8>> = std::iter::once(top.clone()).chain(below).collect();
            let is_clean = top_is_clean && file.path.iter().eq(clean.iter().skip(1));
            if is_clean != only_clean {
                continue;
            }
            // Padding is never on disk, and often many of one name.
            let safe = if file.attributes.padding {
                clean
            } else {
                place_at(&mut names, clean, file.node.offset())?
            };
            let exact_names = || {
                let below = file.path.iter().map(|element| exact_element(element, platform));
                std::iter::once(exact_top.clone()).chain(below).collect::<Option<Vec<_>>>()
            };
            let exact = (!is_clean).then(exact_names).flatten().map(|names| SafePath::from_safe(&names));
            // Of several files of one exact path only the first can be the one on disk.
            let exact = exact.filter(|exact| exact_taken.insert(exact.clone()));
            *slot = Some(Placed { safe: SafePath::from_safe(&safe), exact });
        }
    }
    Ok(placed.into_iter().flatten().collect())
}

fn place_at(names: &mut Names, path: Vec<Vec<u8>>, at: usize) -> Result<Vec<Vec<u8>>, Error> {
    names.place(path).map_err(|e| Error::at(e.kind().clone(), at))
}

/// Resolves the links that point to a file or folder of this torrent; others are left out, and so never leave it.
fn symlink_targets(files: &[Stated<'_>], paths: &[Placed]) -> BTreeMap<usize, SafePath> {
    if !files.iter().any(|file| file.attributes.symlink) {
        return BTreeMap::new();
    }
    let real: BTreeMap<&[&[u8]], &SafePath> = files
        .iter()
        .zip(paths)
        .filter(|(file, _)| !file.attributes.symlink && !file.attributes.padding)
        .map(|(file, placed)| (file.path.as_slice(), &placed.safe))
        .collect();
    let resolve = |file: &Stated<'_>| {
        let target = file.symlink_path.as_deref().filter(|target| !target.is_empty())?;
        // A link to a folder that it lies in would make a walk of the download endless.
        if file.path.starts_with(target) {
            return None;
        }
        // Files within a folder sort right behind its own path.
        let (path, safe) = real.range(target..).next()?;
        path.starts_with(target).then(|| safe.folder(target.len() + 1))
    };
    files.iter().enumerate().filter_map(|(index, file)| Some((index, resolve(file)?))).collect()
}
