//! What is brought into a session: a torrent, or a link to one.

use metainfo::display_safe;
use peer::{AddError, AddMagnet, AddTorrent, Purpose, Session, TorrentId};

/// One of them.
pub(super) enum Add {
    Torrent(Box<AddTorrent>),
    Magnet(Box<AddMagnet>),
}

impl From<AddTorrent> for Add {
    fn from(add: AddTorrent) -> Self {
        Self::Torrent(Box::new(add))
    }
}

impl From<AddMagnet> for Add {
    fn from(add: AddMagnet) -> Self {
        Self::Magnet(Box::new(add))
    }
}

impl Add {
    /// Its name, safe to print.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Torrent(add) => display_safe(add.torrent.info.name()),
            Self::Magnet(add) => {
                add.magnet.name.as_deref().map_or_else(|| "magnet link".to_owned(), display_safe)
            }
        }
    }

    /// Whether content is to be fetched.
    pub(super) fn fetches(&self) -> bool {
        match self {
            Self::Torrent(add) => add.purpose == Purpose::Download,
            Self::Magnet(_) => true,
        }
    }

    /// Whether it comes with addresses of peers.
    pub(super) fn has_peers(&self) -> bool {
        match self {
            Self::Torrent(add) => !add.peers.is_empty(),
            Self::Magnet(add) => !add.peers.is_empty(),
        }
    }

    /// Adds it.
    pub(super) async fn to(self, session: &Session) -> Result<TorrentId, AddError> {
        match self {
            Self::Torrent(add) => session.add(*add).await,
            Self::Magnet(add) => session.add_magnet(*add).await,
        }
    }
}
