//! Files that change while they are seeded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::{TempDir, tempdir};

use super::support::{Sample, end, failure, seeder, session, until};
use crate::{Event, EventStream, FailureKind, Session, State, TorrentId};

const PIECE: u32 = 16_384;

/// Two files that share no piece, of 13 and of 4 pieces.
fn sample() -> Sample {
    Sample::folder(&[("a", 13 * 16_384), ("b", 4 * 16_384)], PIECE)
}

const TOTAL: u64 = 17 * 16_384;

fn age(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(1000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

/// Changes a byte of the fourth piece.
fn edit(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 3 * 16_384 + 5).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 3 * 16_384 + 5).unwrap();
}

fn cut(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(2 * 16_384).unwrap();
}

fn replace(path: &Path, change: impl Fn(&Path)) {
    let new = path.with_extension("new");
    fs::copy(path, &new).unwrap();
    change(&new);
    fs::rename(&new, path).unwrap();
}

fn spoil(path: &Path) {
    fs::write(path, vec![7; 13 * 16_384]).unwrap();
}

/// The next warning.
async fn warning(events: &mut EventStream) -> String {
    loop {
        if let Event::Warning { message, .. } | Event::News { message, .. } = events.next().await.unwrap() {
            return message;
        }
    }
}

/// Warnings that are there.
fn warnings(events: &mut EventStream) -> Vec<String> {
    let all = std::iter::from_fn(|| events.ready());
    all.filter_map(|event| match event {
        Event::Warning { message, .. } | Event::News { message, .. } => Some(message),
        _ => None,
    })
    .collect()
}

/// One that downloads from this port only.
async fn leecher(sample: &Sample, port: u16) -> (Session, TorrentId, TempDir, EventStream) {
    let (session, dir) = (session(), tempdir().unwrap());
    let events = session.events();
    let id = session.add(sample.download(dir.path(), &[port])).await.unwrap();
    (session, id, dir, events)
}

async fn complete(session: &Session, id: TorrentId) {
    until(session, id, |stats| stats.state == State::Seeding && stats.done_bytes == stats.total_bytes).await;
}

/// Seeds, gives all of it to somebody, then does this to a file, and gives what it has to somebody else, who gets so many
/// bytes of it. Then the file is put back. What was said of it.
async fn seeding(change: impl Fn(&Path), left: u64) -> Vec<String> {
    let sample = sample();
    let path = sample.dir.path().join("sample/a");
    age(&path);
    let seed = seeder(&sample).await;
    let mut events = seed.events();
    let (first, id, _dir, _) = leecher(&sample, seed.port()).await;
    complete(&first, id).await;
    end(&[&first]).await;

    let saved = fs::read(&path).unwrap();
    change(&path);
    let (second, id, dir, mut seen) = leecher(&sample, seed.port()).await;
    let mut said = vec![warning(&mut events).await];
    let stats = until(&second, id, |stats| stats.done_bytes >= left).await;
    assert_eq!((stats.done_bytes, stats.wasted), (left, 0));
    if left < TOTAL {
        fs::write(&path, saved).unwrap();
        said.push(warning(&mut events).await);
    }
    complete(&second, id).await;
    sample.assert_complete_in(dir.path());
    assert_eq!(warnings(&mut seen), Vec::<String>::new(), "nobody was banned");
    assert_eq!(second.stats(id).unwrap().borrow().wasted, 0);
    said.extend(warnings(&mut events));
    end(&[&second, &seed]).await;
    said
}

#[tokio::test]
async fn h70_of_a_seeded_file_that_is_edited_in_place_only_the_wrong_piece_is_lost_until_it_is_put_right() {
    let said = seeding(edit, TOTAL - 16_384).await;
    assert_eq!(
        said,
        [
            "sample/a was changed; 1 of its 13 pieces is wrong and not offered any more",
            "sample/a was changed; all of it is right and is offered again"
        ]
    );
}

#[tokio::test]
async fn h70_of_a_seeded_file_that_is_cut_what_is_left_is_seeded() {
    let said = seeding(cut, TOTAL - 11 * 16_384).await;
    assert_eq!(
        said,
        [
            "sample/a has another length now (32,768 bytes); 11 of its 13 pieces are wrong and not offered any more",
            "sample/a has another length now (212,992 bytes); all of it is right and is offered again"
        ]
    );
}

#[tokio::test]
async fn h70_of_a_seed_a_file_that_is_removed_is_not_offered_until_it_is_put_back() {
    let said = seeding(|path| fs::remove_file(path).unwrap(), 4 * 16_384).await;
    assert_eq!(
        said,
        [
            "sample/a was removed; it is not offered any more",
            "sample/a is there again; all of it is right and is offered again"
        ]
    );
}

#[tokio::test]
async fn h70_of_a_seeded_file_that_is_replaced_the_new_one_is_seeded_as_far_as_it_is_right() {
    let said = seeding(|path| replace(path, edit), TOTAL - 16_384).await;
    assert_eq!(
        said[0],
        "sample/a was replaced by another file; 1 of its 13 pieces is wrong and not offered any more"
    );
}

#[tokio::test]
async fn h70_of_a_seeded_file_that_is_replaced_by_something_else_nothing_is_seeded() {
    let said = seeding(|path| replace(path, spoil), 4 * 16_384).await;
    assert_eq!(
        said[0],
        "sample/a was replaced by another file; none of it is right, and it is not offered any more"
    );
}

#[tokio::test]
async fn h70_a_seeded_file_that_was_only_touched_is_offered_again_after_one_hash() {
    let touch = |path: &Path| {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    };
    let due = "sample/a was changed; all of it is right and is offered again";
    assert_eq!(seeding(touch, TOTAL).await, [due]);
}

#[tokio::test]
async fn h70_a_seeded_file_that_got_another_name_is_offered_again_after_one_hash() {
    let due = "sample/a was changed; all of it is right and is offered again";
    let link = |path: &Path| fs::hard_link(path, path.with_extension("link")).unwrap();
    assert_eq!(seeding(link, TOTAL).await, [due]);
}

#[tokio::test]
async fn h70_a_seed_that_has_lost_all_of_its_files_says_so() {
    let sample = Sample::single(100_000, PIECE);
    let seed = seeder(&sample).await;
    let mut events = seed.events();
    fs::remove_file(sample.dir.path().join("sample.bin")).unwrap();
    let (other, _, _dir, _) = leecher(&sample, seed.port()).await;
    let said = [warning(&mut events).await, warning(&mut events).await];
    assert_eq!(
        said,
        ["sample.bin was removed; it is not offered any more", "nothing of it is left to be seeded"]
    );
    end(&[&other, &seed]).await;
}

/// What there is in a folder besides the torrent's own.
fn beside(root: &Path) -> Vec<String> {
    let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with('.'))
        .map(|name| name.rsplit('.').next().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

/// A download that is complete and goes on seeding.
struct Complete {
    sample: Sample,
    session: Session,
    id: TorrentId,
    dir: TempDir,
    events: EventStream,
    path: PathBuf,
}

impl Complete {
    async fn new() -> Self {
        let sample = sample();
        let seed = seeder(&sample).await;
        let (session, id, dir, events) = leecher(&sample, seed.port()).await;
        complete(&session, id).await;
        end(&[&seed]).await;
        let path = dir.path().join("sample/a");
        age(&path);
        // That is noticed too, as soon as somebody is there.
        Self { sample, session, id, dir, events, path }
    }

    /// Does this to a file; somebody who asks for it gets the rest, and what is missing is fetched from a seed once there is
    /// one. What was said first.
    async fn lose(mut self, change: impl Fn(&Path), left: u64) -> String {
        change(&self.path);
        let (other, there, dir, mut seen) = leecher(&self.sample, self.session.port()).await;
        let said = warning(&mut self.events).await;
        let stats = until(&other, there, |stats| stats.done_bytes >= left).await;
        assert_eq!((stats.done_bytes, stats.wasted), (left, 0));
        let stats = until(&self.session, self.id, |stats| stats.state == State::Downloading).await;
        assert_eq!(stats.done_bytes, left);
        while beside(self.dir.path()) != ["journal", "shoal"] {
            tokio::task::yield_now().await;
        }
        let seed = seeder(&self.sample).await;
        self.session.add_peers(self.id, vec![([127, 0, 0, 1], seed.port()).into()]).await;
        complete(&self.session, self.id).await;
        complete(&other, there).await;
        self.sample.assert_complete_in(self.dir.path());
        self.sample.assert_complete_in(dir.path());
        assert_eq!(warnings(&mut seen), Vec::<String>::new(), "nobody was banned");
        assert_eq!(warnings(&mut self.events), Vec::<String>::new());
        end(&[&other, &seed, &self.session]).await;
        said
    }
}

#[tokio::test]
async fn h70_what_is_wrong_in_a_file_of_a_complete_download_is_fetched_again_with_a_marker_beside_it() {
    let said = Complete::new().await.lose(edit, TOTAL - 16_384).await;
    assert_eq!(said, "sample/a was changed; fetching 1 of its 13 pieces again");
    let said = Complete::new().await.lose(cut, TOTAL - 11 * 16_384).await;
    assert_eq!(said, "sample/a has another length now (32,768 bytes); fetching 11 of its 13 pieces again");
    let all_but_one = |path: &Path| {
        File::options().write(true).open(path).unwrap().write_all_at(&[7; 12 * 16_384], 16_384).unwrap();
    };
    let said = Complete::new().await.lose(all_but_one, 5 * 16_384).await;
    assert_eq!(said, "sample/a was changed; fetching 12 of its 13 pieces again");
}

#[tokio::test]
async fn h70_a_file_of_a_complete_download_that_is_removed_or_replaced_is_fetched_again() {
    let said = Complete::new().await.lose(|path| fs::remove_file(path).unwrap(), 4 * 16_384).await;
    assert_eq!(said, "sample/a was removed; fetching all of it again");
    let said = Complete::new().await.lose(|path| replace(path, edit), TOTAL - 16_384).await;
    assert_eq!(said, "sample/a was replaced by another file; fetching 1 of its 13 pieces again");
}

/// What a complete download does when this was done to a file: it stops for this reason, says nothing of fetching, leaves
/// the file alone, and offers what is right.
async fn left_alone(change: impl Fn(&Path), right: u64, due: &str) {
    let mut it = Complete::new().await;
    change(&it.path);
    let changed = fs::read(&it.path).unwrap();
    let seed = seeder(&it.sample).await;
    it.session.add_peers(it.id, vec![([127, 0, 0, 1], seed.port()).into()]).await;
    let (other, there, _dir, _) = leecher(&it.sample, it.session.port()).await;
    let refused = failure(&it.session, it.id).await;
    assert_eq!(refused.kind, FailureKind::DataMismatch);
    assert_eq!(refused.message, format!("{} {due}", it.path.display()));
    until(&other, there, |stats| stats.done_bytes >= right).await;
    assert_eq!(fs::read(&it.path).unwrap(), changed);
    assert_eq!(beside(it.dir.path()), Vec::<String>::new(), "no marker claims it");
    let said = warnings(&mut it.events);
    assert!(!said.iter().any(|said| said.contains("fetching")), "{said:?}");
    end(&[&other, &seed, &it.session]).await;
}

const ELSE: &str = "exists and is something else; use --overwrite to replace it";

#[tokio::test]
async fn h70_h72_what_was_put_in_the_place_of_a_file_and_is_something_else_is_left_alone() {
    left_alone(|path| replace(path, spoil), 4 * 16_384, ELSE).await;
}

#[tokio::test]
async fn h70_h72_a_file_that_was_written_over_from_end_to_end_is_left_alone() {
    left_alone(spoil, 4 * 16_384, ELSE).await;
}

#[tokio::test]
async fn h70_h72_a_file_that_was_edited_and_is_longer_now_is_left_alone() {
    let longer = |path: &Path| {
        edit(path);
        File::options().write(true).open(path).unwrap().write_all_at(b"more", 13 * 16_384).unwrap();
    };
    let due = "is longer than the torrent's 212992 bytes; use --overwrite to cut it";
    left_alone(longer, 16 * 16_384, due).await;
}

#[tokio::test]
async fn h70_h73_a_download_that_ends_while_it_fetches_again_goes_on_at_the_next_start() {
    let mut it = Complete::new().await;
    cut(&it.path);
    let (other, _, _dir, _) = leecher(&it.sample, it.session.port()).await;
    warning(&mut it.events).await;
    while beside(it.dir.path()) != ["journal", "shoal"] {
        tokio::task::yield_now().await;
    }
    end(&[&other, &it.session]).await;
    assert_eq!(beside(it.dir.path()), ["journal", "shoal"]);
    let seed = seeder(&it.sample).await;
    let again = session();
    let id = again.add(it.sample.download(it.dir.path(), &[seed.port()])).await.unwrap();
    let stats = until(&again, id, |stats| stats.state == State::Seeding).await;
    assert_eq!((stats.downloaded, stats.hashed_bytes), (11 * 16_384, 0));
    it.sample.assert_complete_in(it.dir.path());
    end(&[&again, &seed]).await;
}

#[tokio::test]
async fn h70_a_rest_in_the_middle_forgets_no_change() {
    let it = Complete::new().await;
    it.session.pause(it.id).await;
    until(&it.session, it.id, |stats| stats.state == State::Paused).await;
    edit(&it.path);
    it.session.resume(it.id).await;
    let (other, there, _dir, mut seen) = leecher(&it.sample, it.session.port()).await;
    until(&it.session, it.id, |stats| stats.state == State::Downloading).await;
    until(&other, there, |stats| stats.done_bytes == TOTAL - 16_384).await;
    assert_eq!(warnings(&mut seen), Vec::<String>::new());
    end(&[&other, &it.session]).await;
}
