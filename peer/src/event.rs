//! What happens in a session, as it happens.
//!
//! The stream is bounded and loses the oldest events to a reader that lags. State is not lost with them: it is also
//! in [`crate::TorrentStats`].

use std::net::IpAddr;

use tokio::sync::broadcast;

use crate::{Failure, TorrentId};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Data that is there is being hashed.
    Checking {
        /// Which torrent.
        id: TorrentId,
    },
    /// Checked: peers are looked for now.
    Started {
        /// Which torrent.
        id: TorrentId,
        /// Bytes that are there and right.
        done_bytes: u64,
        /// Bytes of pieces that were hashed to know that: none that the journal of an earlier run proves.
        hashed_bytes: u64,
    },
    /// The last piece came, and the files are as they should be.
    Complete {
        /// Which torrent.
        id: TorrentId,
    },
    /// All is there: it only uploads.
    Seeding {
        /// Which torrent.
        id: TorrentId,
    },
    /// Something a user should know, and nothing ends by it.
    Warning {
        /// Which torrent, if it is about one.
        id: Option<TorrentId>,
        /// One line.
        message: String,
    },
    /// Something a user may like to know, and no trouble: what was amiss is mended.
    News {
        /// Which torrent.
        id: TorrentId,
        /// One line.
        message: String,
    },
    /// It cannot go on.
    Failed {
        /// Which torrent.
        id: TorrentId,
        /// Why.
        failure: Failure,
    },
    /// This address sent wrong data and is not spoken to again. A [`Event::Warning`] with the same news goes with it.
    PeerBanned {
        /// Which torrent.
        id: TorrentId,
        /// Who.
        address: IpAddr,
    },
    /// It has left the session.
    Stopped {
        /// Which torrent.
        id: TorrentId,
    },
}

/// A reader's own view of the events from when it was made.
#[derive(Debug)]
pub struct EventStream(pub(crate) broadcast::Receiver<Event>);

impl EventStream {
    /// An event that is there already; `None` if there is none. Skips what was lost.
    pub fn ready(&mut self) -> Option<Event> {
        loop {
            match self.0.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next event; `None` when the session is gone. Skips what was lost.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
