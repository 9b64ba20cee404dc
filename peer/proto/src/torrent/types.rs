//! The words in which a driver and the engine speak.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use metainfo::InfoHash;

#[cfg(doc)]
use super::Torrent;
use crate::wire::{Message, WireError};
use crate::{Bitfield, Block, Geometry, LinkId, PeerId};

/// What a torrent is and what it may use.
#[derive(Clone, Debug)]
pub struct TorrentConfig {
    /// Pieces and blocks.
    pub geometry: Geometry,
    /// Pieces that are on disk and right.
    pub have: Bitfield,
    /// Our own id, to know a connection to ourselves.
    pub peer_id: PeerId,
    /// Most links, in and out together.
    pub max_links: usize,
    /// Most dials under way at once.
    pub max_dials: usize,
    /// Peers unchoked at once, the optimistic one included.
    pub upload_slots: usize,
    /// Blocks that may be requested or waiting to be written, together.
    pub disk_budget: u32,
    /// Blocks that may be waiting to be written before no more are requested.
    pub disk_backlog: u32,
    /// Whether the only seed of a swarm shows its pieces a few at a time, each to one peer (after BEP 16).
    pub super_seeding: bool,
    /// Bytes of blocks that may be read from disk and not yet taken by sockets, all links together.
    pub upload_budget: u32,
    /// What peers are told besides pieces.
    pub about: About,
}

/// What a torrent's peers are told of it and of us, besides pieces (BEP 6, 9, 10).
#[derive(Clone, Debug)]
pub struct About {
    /// The name of the swarm.
    pub info_hash: InfoHash,
    /// The raw info dictionary, for peers that came by a magnet link (BEP 9); empty where none is given.
    pub metadata: Bytes,
    /// Where we listen; `None` if nobody can come.
    pub port: Option<u16>,
    /// The program's name and version.
    pub version: String,
    /// Only the torrent's trackers may say who is there (BEP 27).
    pub private: bool,
    /// Whether peers are told of each other and believed about others (BEP 11); of a private torrent never.
    pub pex: bool,
}

impl Default for About {
    /// Nothing to tell.
    fn default() -> Self {
        Self {
            info_hash: InfoHash::new([0; 20]),
            metadata: Bytes::new(),
            port: None,
            version: String::new(),
            private: false,
            pex: false,
        }
    }
}

/// Which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They did.
    Incoming,
    /// We did.
    Outgoing,
}

impl Direction {
    /// Which of two connections stays when two peers dial each other at once, as seen from `ours`: the one that the
    /// greater id opened, so that both keep the same.
    #[must_use]
    pub fn kept_of_two(ours: PeerId, theirs: PeerId) -> Self {
        if ours > theirs { Self::Outgoing } else { Self::Incoming }
    }
}

/// A connection whose handshakes are done.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The other end.
    pub address: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// What it calls itself.
    pub peer_id: PeerId,
    /// The reserved bits of its handshake.
    pub reserved: [u8; 8],
}

/// What to do with a block that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockVerdict {
    /// Write it; [`Torrent::handle_blocks_written`] frees its place. After the last block of its piece
    /// [`Torrent::handle_piece_result`] is due.
    Write,
    /// Nobody asked for it, or it came twice.
    Drop,
}

/// Why a link is closed or refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The bytes were not the protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// It broke a rule of the protocol.
    #[error("{0}")]
    Misbehaved(&'static str),
    /// It sent a piece that was wrong.
    #[error("sent a bad piece")]
    BadPiece,
    /// It is this very program.
    #[error("it is ourselves")]
    Ourselves,
    /// Another link to the same peer exists.
    #[error("already connected")]
    Duplicate,
    /// Banned before.
    #[error("banned")]
    Banned,
    /// No room.
    #[error("too many connections")]
    TooMany,
    /// It has been of no use lately, and somebody else gets its place.
    #[error("made room for another peer")]
    Replaced,
    /// Neither side can ever want anything of the other.
    #[error("neither needs anything")]
    BothComplete,
    /// The torrent itself is looked for, and it does not give it.
    #[error("cannot give the torrent")]
    NoMetadata,
    /// The torrent itself was looked for, and is there: the peer is dialled anew for its content.
    #[error("the torrent is here now")]
    HaveMetadata,
    /// It sent metadata that was wrong.
    #[error("sent another torrent than was asked for")]
    BadMetadata,
    /// So much that it was offered is lost that it had better ask anew what there is.
    #[error("we have less than it was told")]
    HaveLess,
    /// Nothing heard for too long.
    #[error("silent for too long")]
    Idle,
    /// The torrent ends.
    #[error("shutting down")]
    Shutdown,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to this address; answer with [`Torrent::handle_opened`] or [`Torrent::handle_dial_failed`].
    Dial(SocketAddr),
    /// Send a message.
    Send(LinkId, Message),
    /// Read this block from disk and send it as a piece message, in the order given; adjacent blocks follow each
    /// other where possible. Then [`Torrent::handle_upload_sent`], [`Torrent::handle_upload_dropped`] or
    /// [`Torrent::handle_upload_failed`].
    Upload(LinkId, Block),
    /// The peer was choked: an [`Action::Upload`] that was not read yet need not be. The driver answers for every
    /// upload all the same. Not of those that speak the fast extension: they get what is on its way.
    ForgetUploads(LinkId),
    /// From now on the kernel may hold so many bytes of this connection that it has not sent. Of a new connection it is
    /// 64 KiB.
    UnsentRoom(LinkId, u32),
    /// Close the connection; the link is gone already, no `handle_closed` is due.
    Close(LinkId, CloseReason),
    /// A piece became ours.
    GotPiece(u32),
    /// A piece failed its hash.
    BadPiece(u32),
    /// Hash each block of this piece as it is on disk, after all blocks of it that were to be written and before any
    /// to come; answer with [`Torrent::handle_block_digests`].
    DigestBlocks(u32),
    /// A peer at this address sent wrong data and is not spoken to again, nor are others at that address unless it is
    /// this very machine's.
    Banned(IpAddr),
    /// The last wanted piece became ours.
    Complete,
}

/// What has moved, in bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Received and asked for, wrong pieces included.
    pub downloaded: u64,
    /// Taken by sockets.
    pub uploaded: u64,
    /// Received and thrown away: unasked, twice, or wrong.
    pub wasted: u64,
}

/// One link, for people to look at.
#[derive(Clone, Debug)]
pub struct LinkStats {
    /// The other end.
    pub address: SocketAddr,
    /// What it calls itself.
    pub peer_id: PeerId,
    /// Who opened it.
    pub direction: Direction,
    /// Bytes a second from it.
    pub down_rate: u64,
    /// Bytes a second to it.
    pub up_rate: u64,
    /// Pieces it has.
    pub pieces: u32,
    /// Whether it has all.
    pub seed: bool,
    /// Its client's name and version, if it says; safe to show.
    pub client: Option<String>,
    /// Our own address as it sees us, if it says.
    pub our_ip: Option<IpAddr>,
    /// Whether it chokes us, we it.
    pub choked: (bool, bool),
    /// Whether we are interested, it is.
    pub interested: (bool, bool),
}

/// Why nothing is being downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No link.
    NoPeers,
    /// No link; those that there were sent wrong pieces.
    AllBanned {
        /// Hosts that are banned.
        peers: usize,
    },
    /// Links, but none has a piece that is missing.
    NobodyHasIt {
        /// Links.
        peers: usize,
    },
    /// Those that have missing pieces choke us.
    AllChoke {
        /// Links.
        peers: usize,
    },
    /// All the disk budget is waiting to be written.
    DiskBusy,
}
