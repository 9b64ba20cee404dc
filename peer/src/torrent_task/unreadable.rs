//! What was said of reads that failed.
//!
//! Purpose: every request of every peer may fail at the same file. It is said once a file, and once more if the
//! reason is another.
//!
//! Invariant: it says and remembers no more than [`FILES`] lines and a last one, whatever peers ask for.

use std::collections::BTreeSet;

/// Lines that name a file: a user who has read so many looks at the whole folder.
const FILES: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    said: BTreeSet<String>,
}

impl Unreadable {
    /// What to tell the user of an error, which names the file and the reason; `None` if that was said.
    pub(super) fn news(&mut self, error: &str) -> Option<String> {
        let said = self.said.len();
        if said > FILES || !self.said.insert(error.to_owned()) {
            return None;
        }
        Some(if said < FILES {
            format!("{error}; what cannot be read is not offered any more")
        } else {
            "more files cannot be read; what cannot be read is not offered any more".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_once_and_again_for_another_reason() {
        let mut unreadable = Unreadable::default();
        let news =
            ["cannot open a: gone", "cannot open a: gone", "cannot open a: busy", "cannot open a: gone"]
                .map(|error| unreadable.news(error));
        assert_eq!(
            news,
            [
                Some("cannot open a: gone; what cannot be read is not offered any more".to_owned()),
                None,
                Some("cannot open a: busy; what cannot be read is not offered any more".to_owned()),
                None,
            ]
        );
    }

    #[test]
    fn of_a_thousand_files_the_first_are_named_and_of_the_others_one_line_is_said() {
        let mut unreadable = Unreadable::default();
        let news: Vec<_> =
            (0..1000).filter_map(|file| unreadable.news(&format!("cannot open {file}"))).collect();
        assert_eq!(news.len(), FILES + 1);
        assert!(news[FILES].starts_with("more files"), "{}", news[FILES]);
    }
}
