//! The files of an info dictionary: sizes, attributes, and paths made safe and distinct.
//!
//! Nearly every torrent lists files whose names are fine as they are and differ. Such a list is read file by file into
//! its final form ([`read_plain`]). Where a name must be changed, or a link resolved, all files are looked at together
//! ([`read_any`]), which takes several times the memory. Invariant: where both can read a list, both read the same.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::parse::{layout, lossy};
use super::{FileAttributes, FileEntry, Layout, Rare};
use crate::bencode::{Limits, Node};
use crate::path::{
    MAX_ALL_PATH_ELEMENTS, MAX_ELEMENT_BYTES, MAX_PATH_ELEMENTS, Names, Platform, clean_element,
    exact_element, is_clean_element,
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

impl Stated<'_> {
    /// Counts its names among those of all files.
    fn count_into(&self, elements: &mut usize) -> Result<(), Error> {
        *elements += self.path.len() + self.symlink_path.as_ref().map_or(0, Vec::len);
        if *elements <= MAX_ALL_PATH_ELEMENTS {
            return Ok(());
        }
        let text = format!("the paths have more than {MAX_ALL_PATH_ELEMENTS} elements");
        Err(Error::at(ErrorKind::Path(text), self.node.offset()))
    }

    /// The finished entry. `info_at` is where the info dictionary begins.
    fn entry(self, placed: Placed, target: Option<SafePath>, offset: u64, info_at: usize) -> FileEntry {
        let rare = Rare { exact_path: placed.exact, symlink_target: target, md5sum: self.md5sum };
        let names_at = self.node.offset().checked_sub(info_at).filter(|_| self.node.items().is_some());
        FileEntry {
            path: placed.safe,
            length: self.length,
            offset,
            attributes: self.attributes,
            // `scan` reads less than 4 GiB, and no list stands where the dictionary itself begins.
            names_at: names_at.and_then(|at| u32::try_from(at).ok()).and_then(NonZeroU32::new),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        }
    }
}

pub(super) fn read(info: Node<'_>, name: &[u8]) -> Result<Listed, Error> {
    let (layout, node) = layout(info)?;
    let (files, total) = match layout {
        Layout::SingleFile => {
            let attributes = FileAttributes { padding: false, symlink: false, ..attributes(info) };
            let length = length(node)?;
            let md5sum = md5sum(info);
            read_any(
                info,
                name,
                vec![Stated { path: Vec::new(), length, attributes, symlink_path: None, md5sum, node }],
            )?
        }
        Layout::Folder => {
            if node.items().is_none() {
                return Err(Error::at(ErrorKind::WrongType("files", "a list"), node.offset()));
            }
            match read_plain(info, name, node, Platform::HERE)? {
                Some(read) => read,
                None => read_any(info, name, stated_files(node)?)?,
            }
        }
    };
    let top_level = files.first().and_then(|file| file.path.elements().next());
    let top_level = top_level
        .ok_or_else(|| Error::at(ErrorKind::Info("the torrent has no files".to_owned()), node.offset()))?;
    Ok(Listed { layout, files, total, top_level })
}

/// Reads files whose names are all fine and that are all different, without links; `None` if they are not.
fn read_plain(
    info: Node<'_>,
    name: &[u8],
    list: Node<'_>,
    platform: Platform,
) -> Result<Option<(Vec<FileEntry>, u64)>, Error> {
    // Where case is folded, whether names differ is not this simple.
    if platform.folds_case() || !is_clean_element(name, platform) {
        return Ok(None);
    }
    // Each has a dictionary, two keys, a length and a path of one name at least: so many the scan let through.
    let count = list.items().map_or(0, Iterator::count).min(Limits::TORRENT.values / 6);
    let mut files = Vec::with_capacity(count);
    let (mut total, mut elements) = (0, 0);
    for node in list.items().into_iter().flatten() {
        let file = stated_file(node)?;
        file.count_into(&mut elements)?;
        if file.attributes.symlink || !file.path.iter().all(|name| is_clean_element(name, platform)) {
            return Ok(None);
        }
        let offset = total;
        total = sum(total, &file)?;
        let safe = SafePath::from_safe(std::iter::once(name).chain(file.path.iter().copied()));
        files.push(file.entry(Placed { safe, exact: None }, None, offset, info.offset()));
    }
    Ok(are_apart(&files).then_some((files, total)))
}

/// Whether no file has the path of another or lies beneath one. Padding is never on disk, and often many of one name.
fn are_apart(files: &[FileEntry]) -> bool {
    let mut paths: Vec<&SafePath> =
        files.iter().filter(|file| !file.attributes.padding).map(|file| &file.path).collect();
    // A list that is in order already, as most are but for a few, is sorted in one pass.
    paths.sort_by(|a, b| a.cmp_by_elements(b));
    // What lies beneath a path comes right after it.
    let apart = |a: &SafePath, b: &SafePath| a.cmp_by_elements(b) == Ordering::Less && !b.is_beneath(a);
    paths.is_sorted_by(|a, b| apart(a, b))
}

/// The end of a file in the content.
fn sum(offset: u64, file: &Stated<'_>) -> Result<u64, Error> {
    // Sizes are up to 2⁶³ each; offsets stay within that too, so that sums of two cannot wrap.
    offset.checked_add(file.length).filter(|&sum| i64::try_from(sum).is_ok()).ok_or_else(|| {
        let text = "the lengths of the files do not fit in 64 bits".to_owned();
        Error::at(ErrorKind::Info(text), file.node.offset())
    })
}

fn stated_files(list: Node<'_>) -> Result<Vec<Stated<'_>>, Error> {
    let mut elements = 0;
    let counted = |file| {
        let file = stated_file(file)?;
        file.count_into(&mut elements)?;
        Ok(file)
    };
    list.items().into_iter().flatten().map(counted).collect()
}

/// Reads any files: names that cannot be used are changed, files of one path kept apart, links resolved.
fn read_any(info: Node<'_>, name: &[u8], stated: Vec<Stated<'_>>) -> Result<(Vec<FileEntry>, u64), Error> {
    let paths = place(name, &stated, Platform::HERE)?;
    let mut targets = symlink_targets(&stated, &paths);
    let mut total = 0;
    let mut files = Vec::with_capacity(stated.len());
    for (index, (file, placed)) in stated.into_iter().zip(paths).enumerate() {
        let offset = total;
        total = sum(total, &file)?;
        files.push(file.entry(placed, targets.remove(&index), offset, info.offset()));
    }
    Ok((files, total))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bencode::{Value, scan_whole};

    /// Few different names, so that paths meet: plain ones, such as lie around a `/` in their order, and unclean ones.
    fn name() -> impl Strategy<Value = &'static [u8]> {
        prop::sample::select(vec![&b"a"[..], b"a!", b"a.b", b"a0", b"b", b"\xc3\xa9", b"\xff", b"..", b"x\n"])
    }

    fn listed() -> impl Strategy<Value = Value> {
        let path = prop::collection::vec(name(), 1..4);
        let file = (path, 0i64..5, prop::sample::select(vec!["", "", "", "", "p", "x"]));
        prop::collection::vec(file, 1..6).prop_map(|files| {
            let file = |(path, length, attributes): (Vec<&[u8]>, i64, &str)| {
                let path = path.into_iter().map(Value::from).collect::<Vec<_>>();
                Value::dict([("attr", attributes.into()), ("length", length.into()), ("path", path.into())])
            };
            Value::dict([("files", files.into_iter().map(file).collect::<Vec<_>>().into())])
        })
    }

    proptest! {
        #[test]
        fn a_plain_list_is_read_as_any_list_is(info in listed(), top in name()) {
            let bytes = info.to_bytes();
            let document = scan_whole(&bytes, &Limits::TORRENT).unwrap();
            let list = document.root().get("files").unwrap();
            let stated = stated_files(list).unwrap();
            let clean = |name: &[u8]| clean_element(name, Platform::Unix) == name;
            let is_plain = clean(top) && stated.iter().flat_map(|file| &file.path).all(|name| clean(name));
            let any = read_any(document.root(), top, stated).unwrap();
            let changed = (list.items().unwrap().zip(&any.0)).any(|(node, file)| {
                let names = node.get("path").unwrap().items().unwrap().map(|name| name.as_bytes().unwrap());
                file.path != SafePath::from_safe(std::iter::once(top).chain(names).collect::<Vec<_>>())
            });
            let plain = read_plain(document.root(), top, list, Platform::Unix).unwrap();
            prop_assert_eq!(plain.is_some(), is_plain && !changed);
            prop_assert!(plain.is_none_or(|plain| plain == any));
        }
    }
}
