//! How a torrent is doing, to be watched.

use std::fmt;
use std::time::Duration;

use metainfo::InfoHash;

/// One torrent at one moment. Published at each change of state, and about five times a second while bytes move.
#[derive(Clone, Debug, PartialEq)]
pub struct TorrentStats {
    /// Its name, not made safe to print. Of a magnet link it is the one that the link gives, or the info-hash.
    pub name: String,
    /// Its name in the swarm.
    pub info_hash: InfoHash,
    /// What it is doing.
    pub state: State,
    /// Bytes of wanted pieces: of all, unless files were chosen.
    pub total_bytes: u64,
    /// Files that were chosen, and files in all, unless all are; padding is not counted.
    pub selected_files: Option<(usize, usize)>,
    /// Bytes of wanted pieces that are right, and of blocks of pieces that are not complete. Files that changed while they
    /// were seeded count as far as they are offered: it may become less.
    pub done_bytes: u64,
    /// How much has been hashed so far, while checking, as a share of `total_bytes`.
    pub checked_bytes: u64,
    /// Bytes of pieces that were hashed before it started, as [`crate::Event::Started`] tells.
    pub hashed_bytes: u64,
    /// Bytes of content that come in a second.
    pub down_rate: u64,
    /// Bytes of content that go out a second.
    pub up_rate: u64,
    /// Bytes of content sent in this run.
    pub uploaded: u64,
    /// Bytes of content received in this run, wrong ones included.
    pub downloaded: u64,
    /// Of those, bytes thrown away.
    pub wasted: u64,
    /// Links; once it is stopped, those of its last moment.
    pub peers: usize,
    /// Links to peers that have everything; once it is stopped, those of its last moment.
    pub seeds: usize,
    /// Most links at once since it was added, those that came and went between two publications included.
    pub most_peers: usize,
    /// Whether a peer has asked for blocks that are not sent yet.
    pub owes_uploads: bool,
    /// Time to the end at the present rate.
    pub eta: Option<Duration>,
    /// Why nothing moves.
    pub note: Option<Note>,
    /// How the trackers are doing.
    pub tracker: TrackerStatus,
    /// From when it was added to this picture. The last picture of one that has come to rest or has been stopped has
    /// the whole time until then; while nothing moves, no new one is published.
    pub active: Duration,
}

/// What a torrent is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Fetching the torrent itself, of which only a magnet link is known. Its size is not known either: it counts as 0.
    FetchingMetadata,
    /// Hashing what is there.
    Checking,
    /// Fetching pieces.
    Downloading,
    /// All that is wanted is there.
    Seeding,
    /// Told to rest.
    Paused,
    /// It cannot go on; what it has may still be uploaded.
    Failed(Failure),
    /// Out of the session.
    Stopped,
}

/// Why a torrent cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// One line that names the object and says what to do.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Sorts of [`Failure`]: each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The disk is full, broken, or not ours to write.
    Disk,
    /// The data there is something else.
    DataMismatch,
    /// Another process works on it.
    InUse,
    /// Anything else.
    Other,
}

/// Why nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// No peer, and no tracker that says of any.
    NoTrackerAnswered,
    /// No peer, and the tracker that was asked last wants nothing to do with us: see [`TrackerStatus::refusal`].
    TrackerRefused,
    /// No peer.
    NoPeers,
    /// No peer but such as sent wrong data.
    AllBanned {
        /// How many of those.
        peers: usize,
    },
    /// Nobody has come to this seed.
    NobodyConnected {
        /// Where they would come in.
        port: u16,
    },
    /// Peers that are asked for the torrent itself.
    AskingForTorrent {
        /// How many.
        peers: usize,
    },
    /// Peers, none of which has a missing piece.
    NobodyHasIt {
        /// How many.
        peers: usize,
    },
    /// Peers that have missing pieces and give us none now.
    AllChoke {
        /// How many.
        peers: usize,
    },
    /// The disk does not keep up.
    DiskBusy,
    /// Files have changed, and what is right of them is not known yet.
    HashingAgain,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = |n: &usize| metainfo::plural(*n as u64, "peer");
        match self {
            Self::NoTrackerAnswered => f.write_str("no tracker answered"),
            Self::TrackerRefused => f.write_str("the tracker refused"),
            Self::NoPeers => f.write_str("no peers yet"),
            Self::AllBanned { peers: 1 } => f.write_str("no peers but 1 that sent wrong data and is banned"),
            Self::AllBanned { peers } => {
                write!(f, "no peers but {peers} that sent wrong data and are banned")
            }
            Self::NobodyConnected { port } => write!(f, "nobody has connected yet: is port {port} open?"),
            Self::AskingForTorrent { peers } => write!(f, "asking {} for the torrent", people(peers)),
            Self::NobodyHasIt { peers: 1 } => f.write_str("1 peer, it has none of the missing pieces"),
            Self::NobodyHasIt { peers } => write!(f, "{}, none has the missing pieces", people(peers)),
            Self::AllChoke { peers } => write!(f, "{}, waiting for a turn", people(peers)),
            Self::DiskBusy => f.write_str("waiting for the disk"),
            Self::HashingAgain => f.write_str("hashing files that have changed"),
        }
    }
}

/// How a torrent's trackers are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Trackers that can be asked.
    pub usable: usize,
    /// Whether one has answered in this run.
    pub answered: bool,
    /// What went wrong last, if the last announce went wrong.
    pub last_error: Option<String>,
    /// Why the tracker refused, if that is what went wrong.
    pub refusal: Option<String>,
    /// Seeds and leechers that the tracker counted, if it said.
    pub counts: Option<(u32, u32)>,
}

impl TrackerStatus {
    /// What to say of the trackers where there is no peer.
    pub(crate) fn note(&self) -> Note {
        match (&self.refusal, &self.last_error) {
            (Some(_), _) => Note::TrackerRefused,
            (None, Some(_)) if !self.answered => Note::NoTrackerAnswered,
            _ => Note::NoPeers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_that_refuses_has_answered_after_all() {
        let error = || Some("what was said".to_owned());
        let mut status = TrackerStatus::default();
        assert_eq!(status.note(), Note::NoPeers);
        status.last_error = error();
        assert_eq!(status.note(), Note::NoTrackerAnswered);
        status.refusal = error();
        assert_eq!(status.note(), Note::TrackerRefused);
        (status.answered, status.refusal) = (true, None);
        assert_eq!(status.note(), Note::NoPeers, "one that answered before may do so again");
    }
}
