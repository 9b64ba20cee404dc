use std::time::Duration;

use metainfo::{BuildFile, InfoBuilder};
use proptest::prelude::*;

use super::*;

const PIECE: u32 = 16_384;

/// `a` has pieces 0 to 2 alone and 3 together with `b`, which has 4 to 6 alone; then an empty file.
fn info() -> Info {
    let builder = InfoBuilder { name: b"top".into(), piece_length: PIECE, private: false, source: None };
    let file = |name: &str, length| BuildFile { path: vec![name.into()], length };
    let files = [file("a", 3 * 16_384 + 8192), file("b", 3 * 16_384 + 8192), file("none", 0)];
    builder.folder(&files, &[0; 7 * 20]).unwrap()
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn is_another(change: Change) -> bool {
    matches!(change, Change::Replaced | Change::Returned)
}

/// The torrent around the decisions: what it does for them, and what it was told.
struct Torrent {
    changes: Changes,
    have: Bitfield,
    has_marker: bool,
    has_failed: bool,
    has_peers: bool,
    is_finishing: bool,
    /// Files that storage knows to have changed.
    changed: Vec<usize>,
    may_fetch: bool,
    /// The job that is under way.
    job: Option<Job>,
    disclaimed: Vec<u32>,
    said: Vec<String>,
}

impl Torrent {
    fn new(purpose: Purpose, have: &[u32]) -> Self {
        let mut bits = Bitfield::new(7);
        have.iter().for_each(|piece| {
            bits.set(*piece);
        });
        Self {
            changes: Changes::new(&info(), purpose, Bitfield::new(7), Time::ZERO),
            has_marker: purpose == Purpose::Download && have.len() < 7,
            have: bits,
            has_failed: false,
            has_peers: false,
            is_finishing: false,
            changed: Vec::new(),
            may_fetch: purpose == Purpose::Download,
            job: None,
            disclaimed: Vec::new(),
            said: Vec::new(),
        }
    }

    fn seed() -> Self {
        Self::new(Purpose::Seed, &[0, 1, 2, 3, 4, 5, 6])
    }

    fn complete() -> Self {
        Self::new(Purpose::Download, &[0, 1, 2, 3, 4, 5, 6])
    }

    fn act(&mut self) {
        while let Some(action) = self.changes.poll_action() {
            match action {
                Action::TakeBack(pieces) => pieces.into_iter().for_each(|piece| {
                    self.have.clear(piece);
                }),
                Action::Offer(pieces) => pieces.into_iter().for_each(|piece| {
                    assert!(self.have.set(piece), "{piece} is offered once");
                }),
                Action::Disclaim(pieces) => self.disclaimed.extend(pieces),
                Action::Fetch(may) => self.may_fetch = may,
                Action::Tell(news) | Action::Warn(news) => self.said.push(news),
                Action::Do(job) => assert_eq!(self.job.replace(job), None, "one job at a time"),
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.have.iter_zeros().next().is_none()
    }

    fn plan(&mut self, now: Time) -> Option<Time> {
        let facts = Facts {
            have: &self.have.clone(),
            is_complete: self.is_finished(),
            is_finished: self.is_finished(),
            has_marker: self.has_marker,
            has_failed: self.has_failed,
            is_finishing: self.is_finishing,
            has_peers: self.has_peers,
            is_watching: true,
        };
        let due = self.changes.plan(now, &facts);
        self.act();
        assert!(
            !self.may_fetch || (!self.changes.is_hashing() && (self.has_marker || self.is_finished())),
            "nothing is fetched that is in doubt, or without a marker"
        );
        due
    }

    /// Storage notices that this file has changed.
    fn change(&mut self, now: Time, file: usize) {
        self.changed.push(file);
        self.changes.handle_changed(now, &self.have.clone(), &self.changed);
        self.act();
    }

    /// What is due is to take a file for what it is, and that it is this.
    fn accept(&mut self, now: Time, change: Change, is_longer: bool) -> usize {
        self.plan(now);
        self.accepted(now, change, is_longer)
    }

    fn accepted(&mut self, now: Time, change: Change, is_longer: bool) -> usize {
        let Some(Job::Accept(file)) = self.job.take() else { panic!("{:?}", self.job) };
        self.changed.retain(|changed| *changed != file);
        self.handle_accepted(now, Accepted { file, change, is_longer, is_another: is_another(change) });
        file
    }

    fn handle_accepted(&mut self, now: Time, accepted: Accepted) {
        self.changes.handle_accepted(now, &self.have.clone(), &self.changed, accepted);
        self.act();
    }

    /// What is due is to hash, and these pieces are right. Which were asked for.
    fn hash(&mut self, now: Time, right: Option<&[u32]>) -> Range<u32> {
        self.plan(now);
        let Some(Job::Hash { pieces, .. }) = self.job.take() else { panic!("{:?}", self.job) };
        let hashed = (pieces.clone(), right.map(<[u32]>::to_vec));
        self.changes.handle_hashed(now, &self.have.clone(), &self.changed, hashed);
        self.act();
        pieces
    }

    /// All that comes of a change of this file, one of the pieces of which is wrong.
    fn edited(&mut self, now: Time, file: usize, right: &[u32]) {
        self.change(now, file);
        self.accept(now + Duration::from_secs(1), Change::Edited, false);
        self.hash(now + Duration::from_secs(1), Some(right));
        self.plan(now + Duration::from_secs(1));
    }

    fn have(&self) -> Vec<u32> {
        self.have.iter_ones().collect()
    }
}

#[test]
fn h70_pieces_of_a_changed_file_are_taken_back_at_once_and_offered_when_they_were_hashed() {
    let mut seed = Torrent::seed();
    seed.change(at(3), 0);
    assert_eq!(seed.have(), [4, 5, 6]);
    assert_eq!((seed.plan(at(3)), &seed.job), (Some(at(4)), &None), "it has time to settle");
    assert_eq!(seed.accept(at(4), Change::Edited, false), 0);
    assert_eq!(seed.hash(at(4), Some(&[0, 2, 3])), 0..4);
    assert_eq!(seed.have(), [0, 2, 3, 4, 5, 6]);
    assert_eq!(seed.said, ["top/a was changed; 1 of its 4 pieces is wrong and not offered any more"]);
    assert!(!seed.changes.is_hashing() && !seed.may_fetch);
}

#[test]
fn h70_what_came_right_while_a_file_was_being_accepted_is_hashed_with_the_rest() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.have.set(1);
    seed.plan(at(1));
    assert_eq!(seed.have(), [4, 5, 6]);
    seed.have.set(2);
    let Some(Job::Accept(0)) = seed.job.take() else { panic!("{:?}", seed.job) };
    let accepted = Accepted { file: 0, change: Change::Edited, is_longer: false, is_another: false };
    seed.changed.clear();
    seed.handle_accepted(at(1), accepted);
    assert_eq!(seed.have(), [4, 5, 6]);
}

#[test]
fn h70_a_piece_of_two_changed_files_waits_for_both() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.change(at(0), 1);
    assert_eq!(seed.have(), []);
    seed.accept(at(1), Change::Edited, false);
    seed.hash(at(1), Some(&[0, 1, 2, 3]));
    assert_eq!(seed.have(), [0, 1, 2]);
    seed.accept(at(1), Change::Edited, false);
    seed.hash(at(1), Some(&[3, 4, 5, 6]));
    assert_eq!(seed.have(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn h70_what_was_hashed_in_a_file_that_changed_meanwhile_says_nothing() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.accept(at(1), Change::Edited, false);
    // Storage knows it, and nobody else by now.
    seed.changed.push(0);
    seed.hash(at(1), None);
    assert_eq!(seed.have(), [4, 5, 6]);
    seed.changes.handle_changed(at(1), &seed.have.clone(), &[0]);
    // Or it is known before the hash is done.
    seed.accept(at(3), Change::Edited, false);
    seed.plan(at(3));
    seed.change(at(3), 0);
    let Some(Job::Hash { pieces, .. }) = seed.job.take() else { panic!("{:?}", seed.job) };
    seed.changes.handle_hashed(at(3), &seed.have.clone(), &[0], (pieces, Some(vec![0, 1, 2, 3])));
    seed.act();
    assert_eq!(seed.have(), [4, 5, 6]);
    assert!(seed.changes.is_hashing(), "it is hashed once more");
}

#[test]
fn h70_a_removed_file_is_not_hashed_and_an_empty_seed_says_so_once() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.change(at(0), 1);
    seed.accept(at(1), Change::Removed, false);
    seed.accept(at(1), Change::Removed, false);
    seed.plan(at(1));
    seed.plan(at(1));
    assert_eq!(seed.have(), []);
    let said = [
        "top/a was removed; it is not offered any more",
        "top/b was removed; it is not offered any more",
        "nothing of it is left to be seeded",
    ];
    assert_eq!(seed.said, said);
}

#[test]
fn h70_a_download_fetches_nothing_while_a_file_waits_is_accepted_or_hashed() {
    let mut download = Torrent::new(Purpose::Download, &[0, 1, 4]);
    download.plan(at(0));
    assert!(download.may_fetch);
    download.change(at(0), 0);
    download.plan(at(0));
    assert!(!download.may_fetch, "it waits");
    download.plan(at(1));
    download.plan(at(1));
    assert!(download.job == Some(Job::Accept(0)) && !download.may_fetch, "it is being accepted");
    let accepted = Accepted { file: 0, change: Change::Edited, is_longer: false, is_another: false };
    download.job = None;
    download.changed.clear();
    download.handle_accepted(at(1), accepted);
    download.plan(at(1));
    download.plan(at(1));
    assert!(matches!(download.job, Some(Job::Hash { .. })) && !download.may_fetch, "it is being hashed");
}

#[test]
fn h72_a_file_of_a_download_that_was_changed_is_judged_before_anything_is_fetched() {
    let mut download = Torrent::new(Purpose::Download, &[0, 1, 4]);
    download.change(at(0), 0);
    download.accept(at(1), Change::Edited, false);
    download.hash(at(1), Some(&[1]));
    // Its own files are being completed: then it must wait.
    download.is_finishing = true;
    download.plan(at(1));
    assert_eq!(download.job, None);
    download.is_finishing = false;
    download.plan(at(1));
    let strangers = Strangers { files: [0].into(), right: [1, 4].into() };
    assert_eq!(download.job.take(), Some(Job::Judge(strangers)));
    download.plan(at(1));
    assert!(!download.may_fetch && download.said.is_empty(), "nothing is promised before it may be done");
    download.changes.handle_judged();
    download.plan(at(1));
    assert!(download.may_fetch);
    assert_eq!(download.said, ["top/a was changed; fetching 1 of its 2 pieces again"]);
}

#[test]
fn h72_a_file_of_which_all_that_was_ours_is_right_needs_no_judge_unless_it_is_longer_or_another() {
    let changes =
        [(Change::Edited, false, false), (Change::Edited, true, true), (Change::Replaced, false, true)];
    for (change, is_longer, judged) in changes {
        let mut download = Torrent::new(Purpose::Download, &[0, 1, 4]);
        download.change(at(0), 0);
        download.accept(at(1), change, is_longer);
        download.hash(at(1), Some(&[0, 1]));
        download.plan(at(1));
        assert_eq!(matches!(download.job, Some(Job::Judge(_))), judged);
        assert_eq!(download.may_fetch, !judged);
    }
}

#[test]
fn h72_a_file_of_which_nothing_was_ours_is_judged_only_if_it_was_put_there() {
    let changes = [(Change::Edited, false), (Change::Replaced, true), (Change::Returned, true)];
    for (change, judged) in changes {
        let mut download = Torrent::new(Purpose::Download, &[4]);
        download.change(at(0), 0);
        download.accept(at(1), change, false);
        // What is right by chance is ours for the judge, and fetched all the same.
        download.hash(at(1), Some(&[2]));
        download.plan(at(1));
        let due = Job::Judge(Strangers { files: [0].into(), right: [2, 4].into() });
        assert_eq!(download.job, judged.then_some(due), "{change:?}");
        assert_eq!(download.have(), [4]);
    }
}

#[test]
fn a_file_that_we_have_made_and_could_not_look_at_is_not_taken_for_somebodys() {
    let mut download = Torrent::new(Purpose::Download, &[4]);
    download.change(at(0), 0);
    download.plan(at(1));
    (download.job, download.changed) = (None, Vec::new());
    let (change, is_longer, is_another) = (Change::Returned, false, false);
    download.handle_accepted(at(1), Accepted { file: 0, change, is_longer, is_another });
    download.hash(at(1), Some(&[]));
    download.plan(at(1));
    assert!(download.job.is_none() && download.may_fetch);
}

#[test]
fn h70_h73_a_complete_download_that_lacks_pieces_claims_its_data_before_it_fetches() {
    let mut download = Torrent::complete();
    download.edited(at(0), 0, &[0, 1, 3]);
    let Some(Job::Claim { have, strangers }) = download.job.take() else { panic!("{:?}", download.job) };
    assert_eq!(have.iter_ones().collect::<Vec<_>>(), [0, 1, 3, 4, 5, 6]);
    assert_eq!(strangers.files, [0].into());
    assert!(!download.may_fetch);
    // What is lost meanwhile was claimed by a journal that nobody could tell of it.
    download.change(at(2), 1);
    download.has_marker = true;
    download.changes.handle_claimed(&download.have.clone());
    download.act();
    assert_eq!(download.disclaimed, [3, 4, 5, 6]);
    download.plan(at(2));
    assert!(!download.may_fetch, "the other file waits to be hashed");
}

#[test]
fn h72_a_download_that_must_not_write_says_nothing_of_fetching_and_asks_no_more() {
    let mut download = Torrent::complete();
    download.edited(at(0), 0, &[3]);
    assert!(matches!(download.job.take(), Some(Job::Claim { .. })));
    download.changes.handle_nothing();
    download.has_failed = true;
    download.plan(at(2));
    assert_eq!((&download.job, download.said.len(), download.may_fetch), (&None, 0, false));
    // What is right is offered all the same.
    download.edited(at(10), 1, &[3, 5, 6]);
    assert_eq!((download.have(), &download.job), (vec![3, 5, 6], &None));
}

#[test]
fn h70_a_seed_never_claims_and_looks_at_its_files_while_somebody_is_there_or_something_amiss() {
    let mut seed = Torrent::seed();
    assert_eq!((seed.plan(at(100)), &seed.job), (None, &None), "nobody is there");
    seed.has_peers = true;
    seed.plan(at(100));
    assert_eq!(seed.job.take(), Some(Job::Look));
    // A look of 100 ms has its hundredth part of the time.
    seed.changes.handle_looked(at(100), Duration::from_millis(100));
    assert_eq!(seed.plan(at(100)), Some(at(110)));
    seed.has_peers = false;
    seed.edited(at(200), 0, &[0]);
    assert_eq!(seed.job.take(), Some(Job::Look), "it may be put right");
    assert!(!seed.may_fetch);
}

#[test]
fn h70_a_file_in_hand_when_a_run_ends_is_left_to_the_next() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.plan(at(1));
    assert_eq!(seed.changes.leave(), [0]);
    assert_eq!(seed.changes.held().iter_ones().collect::<Vec<_>>(), [0, 1, 2, 3]);
    seed.changed.clear();
    seed.handle_accepted(
        at(1),
        Accepted { file: 0, change: Change::Edited, is_longer: false, is_another: false },
    );
    assert_eq!(seed.changes.leave(), [0]);
}

#[test]
fn h70_a_file_that_is_noticed_once_more_while_it_is_being_accepted_is_hashed_once() {
    let mut seed = Torrent::seed();
    seed.change(at(0), 0);
    seed.plan(at(1));
    // Storage still knows both to be changed.
    seed.change(at(1), 1);
    seed.accepted(at(1), Change::Edited, false);
    seed.hash(at(1), Some(&[0, 1, 2, 3]));
    assert_eq!(seed.have(), [0, 1, 2]);
    seed.accept(at(2), Change::Edited, false);
    seed.hash(at(2), Some(&[3, 4, 5, 6]));
    assert!(!seed.changes.is_hashing());
    // It changes again after it was accepted, and before anybody has heard of that.
    seed.change(at(10), 0);
    seed.plan(at(12));
    seed.change(at(12), 0);
    assert_eq!(seed.job.take(), Some(Job::Accept(0)));
    seed.handle_accepted(
        at(12),
        Accepted { file: 0, change: Change::Edited, is_longer: false, is_another: false },
    );
    seed.hash(at(12), None);
    assert!(seed.changes.is_hashing());
}

/// What may happen, whatever the order.
#[derive(Clone, Copy, Debug)]
enum Event {
    Changed(usize),
    Done { change: u8, right: u8 },
    Fetched(u32),
    Plan,
    Later,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..2_usize).prop_map(Event::Changed),
        (0..6_u8, any::<u8>()).prop_map(|(change, right)| Event::Done { change, right }),
        (0..7_u32).prop_map(Event::Fetched),
        Just(Event::Plan),
        Just(Event::Later),
    ]
}

proptest! {
    /// [`Torrent::act`] and [`Torrent::plan`] see that no two jobs are under way, and that nothing is fetched that must not be.
    #[test]
    fn h70_whatever_the_order_only_what_was_hashed_is_offered_and_all_is_settled_in_the_end(
        is_seed: bool,
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut torrent = if is_seed { Torrent::seed() } else { Torrent::new(Purpose::Download, &[0, 1, 4]) };
        let mut now = 0;
        let settled = std::iter::repeat_n([Event::Later, Event::Plan, Event::Done { change: 3, right: 255 }], 60);
        for event in events.into_iter().chain(settled.flatten()) {
            match event {
                Event::Changed(file) => {
                    torrent.change(at(now), file);
                    torrent.plan(at(now));
                }
                Event::Fetched(piece) if torrent.may_fetch => {
                    torrent.have.set(piece);
                }
                Event::Fetched(_) => {}
                Event::Later => now += 30,
                Event::Plan => {
                    torrent.plan(at(now));
                }
                Event::Done { change, right } => torrent.done(at(now), change, right),
            }
            // What storage knows to be changed is offered by nobody who has heard of it.
            for file in &torrent.changed {
                prop_assert!(torrent.changes.pieces_of(*file).all(|piece| !torrent.have.get(piece)));
            }
        }
        prop_assert!(!torrent.changes.is_hashing());
        prop_assert_eq!(torrent.changes.held().iter_ones().count(), 0);
        prop_assert_eq!(torrent.may_fetch, !is_seed);
    }
}

impl Torrent {
    /// What is under way is done, with one of several outcomes.
    fn done(&mut self, now: Time, change: u8, right: u8) {
        let changes = [Change::Removed, Change::Returned, Change::Replaced, Change::Edited, Change::Nothing];
        let have = self.have.clone();
        match self.job.take() {
            None => return,
            Some(Job::Accept(file)) => {
                self.changed.retain(|changed| *changed != file);
                let change = changes.get(usize::from(change)).copied().unwrap_or(Change::Resized(9));
                let accepted = Accepted {
                    file,
                    change,
                    is_longer: change == Change::Resized(9),
                    is_another: is_another(change),
                };
                self.changes.handle_accepted(now, &have, &self.changed, accepted);
            }
            Some(Job::Hash { file, pieces, .. }) => {
                let is_right = |piece: &u32| right >> piece & 1 == 1;
                let found = pieces.clone().filter(is_right).collect();
                let found = Some(found).filter(|_| !self.changed.contains(&file));
                self.changes.handle_hashed(now, &have, &self.changed, (pieces, found));
            }
            Some(Job::Claim { .. }) => {
                self.has_marker = true;
                self.changes.handle_claimed(&have);
            }
            Some(Job::Judge(_)) => self.changes.handle_judged(),
            Some(Job::Look) => self.changes.handle_looked(now, Duration::ZERO),
        }
        self.act();
    }
}
