//! What is said of files that changed.
//!
//! Invariant: no more than [`FILES`] of them are named, each again only when there is other news, and then there is one
//! last line, whatever happens to the files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metainfo::{count, is_or_are, plural};
use storage::Change;

use crate::Purpose;

/// Files that are named: a user who has read of so many looks at the whole folder.
const FILES: usize = 20;

/// A file that waits no longer than this to be hashed is soon heard of anyhow.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a file that was hashed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) change: Change,
    /// Its pieces that are wrong or not there, and all of them.
    pub(super) wrong: u32,
    pub(super) pieces: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    outcomes: BTreeMap<usize, Outcome>,
    /// Files of which it was said that they keep changing.
    restless: BTreeSet<usize>,
}

impl Told {
    /// What to say, if it is news: the outcome for a file of this name.
    pub(super) fn news(
        &mut self,
        file: usize,
        name: &str,
        outcome: Outcome,
        purpose: Purpose,
    ) -> Option<String> {
        let (known, is_known) = (self.outcomes.len(), self.outcomes.get(&file));
        if known > FILES || is_known == Some(&outcome) {
            return None;
        }
        let is_named = is_known.is_some();
        self.outcomes.insert(file, outcome);
        if known == FILES && !is_named {
            return Some("more files have changed; of each what is right is offered".to_owned());
        }
        Some(format!("{name} {}; {}", what(outcome.change), result(outcome, purpose)))
    }
}

impl Told {
    /// What to say of a file of this name that waits so long to be hashed, because it has changed again and again: once.
    pub(super) fn restless(&mut self, file: usize, name: &str, wait: Duration) -> Option<String> {
        if wait < PATIENCE || self.restless.len() >= FILES || !self.restless.insert(file) {
            return None;
        }
        let seconds = plural(wait.as_secs(), "second");
        Some(format!(
            "{name} keeps changing; it is hashed again in {seconds}, then ever more rarely until it rests"
        ))
    }
}

/// What happened to a file, after its name.
pub(super) fn what(change: Change) -> String {
    match change {
        Change::Removed => "was removed".to_owned(),
        Change::Returned => "is there again".to_owned(),
        Change::Replaced => "was replaced by another file".to_owned(),
        Change::Resized(length) => format!("has another length now ({})", plural(length, "byte")),
        Change::Edited => "was changed".to_owned(),
        Change::Nothing => "was hashed once more".to_owned(),
    }
}

fn result(outcome: Outcome, purpose: Purpose) -> String {
    let Outcome { wrong, pieces, change } = outcome;
    match (wrong, purpose) {
        (0, _) => "all of it is right and is offered again".to_owned(),
        (_, Purpose::Seed) if change == Change::Removed => "it is not offered any more".to_owned(),
        (_, Purpose::Seed) if wrong == pieces => {
            "none of it is right, and it is not offered any more".to_owned()
        }
        (_, Purpose::Seed) => {
            let (all, are) = (plural(pieces.into(), "piece"), is_or_are(wrong.into()));
            format!("{} of its {all} {are} wrong and not offered any more", count(wrong.into()))
        }
        (_, Purpose::Download) if wrong == pieces => "fetching all of it again".to_owned(),
        (_, Purpose::Download) => {
            format!("fetching {} of its {} again", count(wrong.into()), plural(pieces.into(), "piece"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_again_only_when_there_is_other_news() {
        let mut told = Told::default();
        let right = Outcome { change: Change::Edited, wrong: 0, pieces: 4 };
        let wrong = Outcome { wrong: 3, ..right };
        let mut say = |outcome, purpose| told.news(1, "a/b", outcome, purpose);
        let due = "a/b was changed; all of it is right and is offered again";
        assert_eq!(say(right, Purpose::Seed).as_deref(), Some(due));
        assert_eq!(say(right, Purpose::Seed), None);
        let due = "a/b was changed; 3 of its 4 pieces are wrong and not offered any more";
        assert_eq!(say(wrong, Purpose::Seed).as_deref(), Some(due));
        let gone = Outcome { change: Change::Removed, wrong: 4, pieces: 4 };
        assert_eq!(say(gone, Purpose::Seed).as_deref(), Some("a/b was removed; it is not offered any more"));
        assert_eq!(
            say(Outcome { change: Change::Resized(9), ..gone }, Purpose::Download).as_deref(),
            Some("a/b has another length now (9 bytes); fetching all of it again")
        );
    }

    #[test]
    fn of_a_thousand_files_the_first_are_named_and_of_the_others_one_line_is_said() {
        let mut told = Told::default();
        let gone = Outcome { change: Change::Removed, wrong: 1, pieces: 1 };
        let news: Vec<_> =
            (0..1000).filter_map(|file| told.news(file, "name", gone, Purpose::Seed)).collect();
        assert_eq!(news.len(), FILES + 1);
        assert!(news[FILES].starts_with("more files"), "{}", news[FILES]);
        assert_eq!(told.outcomes.len(), FILES + 1);
    }

    #[test]
    fn of_a_file_that_keeps_changing_it_is_said_once_when_it_has_to_wait() {
        let mut told = Told::default();
        let mut say = |file, wait| told.restless(file, "a/b", Duration::from_secs(wait));
        let due =
            "a/b keeps changing; it is hashed again in 16 seconds, then ever more rarely until it rests";
        assert_eq!([say(1, 1), say(1, 8)], [None, None]);
        assert_eq!(say(1, 16).as_deref(), Some(due));
        assert_eq!(say(1, 32), None);
        assert_eq!((0..1000).filter_map(|file| say(file, 16)).count(), FILES - 1);
    }
}
