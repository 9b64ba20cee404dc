//! What a storage takes the files on a disk in memory for.

use crate::files::Storage;
use crate::watch::Seen;

/// What a storage takes a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// What it is.
    Right,
    /// What it was once; the next comparison tells.
    Wrong,
    /// The same, of a file that it writes to: that is compared at the next write, and when all is written.
    WrongInWork,
    /// Changed: nothing is read of it.
    Changed,
}

impl Storage {
    /// What it takes a file for, as `onlooker` sees how that is.
    #[must_use]
    pub fn belief(&self, file: usize, onlooker: &Self) -> Belief {
        let seen = self.watched().seen(file);
        match seen {
            Seen::Untold => Belief::Right,
            Seen::Changed(_) => Belief::Changed,
            Seen::So(_) | Seen::Ours(_) if seen.identity() == onlooker.identity(file) => Belief::Right,
            Seen::So(_) => Belief::Wrong,
            Seen::Ours(_) => Belief::WrongInWork,
        }
    }
}
