//! What somebody does to the files of a story.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use storage::{Edit, Fault, FaultKind, MemoryDisk};

use super::shape::Shape;
use super::story::Planned;
use crate::tests::support::noise;

/// The kinds of edits there are.
const KINDS: u64 = 11;

/// An edit after so many operations, of another kind and mostly another file at each of them, and sometimes what puts it
/// right again.
pub(super) fn at(shape: &Shape, after: u64, seed: u64) -> Vec<Planned> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (after << 32));
    let file = any_file(shape, &mut rng);
    let mut edits = vec![(after, file, edit(shape, file, (after + seed) % KINDS, &mut rng))];
    if rng.random_range(0..3) == 0 {
        let right = Edit::Put(bytes(shape, file).to_vec());
        edits.push((after + rng.random_range(0..40), file, right));
    }
    edits
}

/// A fault, perhaps, and up to three edits, at moments of a story that has been told without them.
pub(super) fn by_chance(shape: &Shape, clean: &MemoryDisk, seed: u64) -> (Option<Fault>, Vec<Planned>) {
    let mut rng = ChaCha8Rng::seed_from_u64(!seed);
    let kind = match rng.random_range(0..10) {
        0..4 => Some(FaultKind::Death),
        4..8 => Some(FaultKind::ALL[rng.random_range(0..FaultKind::ALL.len())]),
        _ => None,
    };
    let fault =
        kind.map(|kind| Fault { kind, after: rng.random_range(0..clean.count(kind)), lasting: false });
    let count = rng.random_range(1..4);
    let edits = (0..count).map(|_| {
        let (after, file) = (rng.random_range(0..clean.operations()), any_file(shape, &mut rng));
        let kind = rng.random_range(0..KINDS);
        (after, file, edit(shape, file, kind, &mut rng))
    });
    (fault, edits.collect())
}

/// Whether one of the files was edited in a way that nobody can tell.
pub(super) fn is_hidden(shape: &Shape, disk: &MemoryDisk) -> bool {
    let paths = shape.torrent.info.files().iter().map(|entry| entry.path.as_path());
    paths.into_iter().any(|path| disk.is_edit_hidden(&std::path::Path::new(super::world::DATA).join(path)))
}

/// The edits of a story as they are written.
pub(super) fn shown(edits: &[Planned]) -> String {
    let shown = |(after, file, edit): &Planned| {
        let text = format!("{edit:?}");
        format!("after {after} of file {file}: {}", text.get(..40).unwrap_or(&text))
    };
    edits.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// One of the files that are on the disk.
fn any_file(shape: &Shape, rng: &mut ChaCha8Rng) -> usize {
    let files = shape.torrent.info.files().iter().enumerate();
    let is_chosen = |file: &usize| shape.select.as_ref().is_none_or(|select| select.contains(file));
    let files: Vec<usize> =
        files.filter(|(_, entry)| !entry.attributes.padding).map(|(file, _)| file).collect();
    let files: Vec<usize> = files.into_iter().filter(is_chosen).collect();
    files[rng.random_range(0..files.len())]
}

fn bytes(shape: &Shape, file: usize) -> &[u8] {
    let entry = &shape.torrent.info.files()[file];
    shape.bytes(entry.offset, usize::try_from(entry.length).unwrap())
}

fn edit(shape: &Shape, file: usize, kind: u64, rng: &mut ChaCha8Rng) -> Edit {
    let right = bytes(shape, file);
    let place = rng.random_range(0..=right.len() as u64);
    let other = noise(99 + rng.random_range(0..9), right.len().max(50));
    match kind {
        0 | 1 => Edit::Byte(place),
        2 => Edit::Cut(place),
        3 => Edit::Append(noise(98, 70), right.len() as u64),
        4 => Edit::Remove,
        5 => Edit::Put(right.to_vec()),
        // Nothing of it is right, and then all of it, and more.
        6 => Edit::PutOwn(other),
        7 => Edit::PutOwn([right, &noise(97, 60)].concat()),
        8 => Edit::Write(other),
        9 => Edit::Write(right.to_vec()),
        _ => Edit::Put([&right[..right.len() / 2], &other[right.len() / 2..]].concat()),
    }
}
