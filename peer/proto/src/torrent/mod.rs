//! One torrent's engine.
//!
//! How to drive it. Methods come in three kinds:
//! - `handle_*` take what happened, in any order, as often as it happens;
//! - [`Torrent::plan`] is called once after a batch of them: it lets every touched link decide what to say and ask;
//! - `poll_*` give out what to do ([`Torrent::poll_action`], until `None`) and when to call
//!   [`Torrent::handle_timeout`] next ([`Torrent::poll_timeout`], `None` when idle).
//!
//! Invariant: a piece is offered to others only after `handle_piece_result(.., true)`. Requests out plus blocks not
//! yet written never exceed [`TorrentConfig::disk_budget`], so submitting a block to the disk never has to wait.

use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha8Rng;

use crate::candidates::Source;
use crate::wire::{Message, WireError};
use crate::{Bitfield, Block, Geometry, LinkId, PeerId, Time};

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
    /// Bytes of blocks that may be read from disk and not yet taken by sockets, all links together.
    pub upload_budget: u32,
}

/// Which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They did.
    Incoming,
    /// We did.
    Outgoing,
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
    /// Neither side can ever want anything of the other.
    #[error("both have everything")]
    BothComplete,
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
    /// other where possible. Then [`Torrent::handle_upload_sent`], or [`Torrent::handle_upload_failed`].
    Upload(LinkId, Block),
    /// The peer cancelled or was choked: an [`Action::Upload`] that was not read yet need not be. The driver
    /// answers for every upload all the same.
    ForgetUploads(LinkId),
    /// Close the connection; the link is gone already, no `handle_closed` is due.
    Close(LinkId, CloseReason),
    /// A piece became ours.
    GotPiece(u32),
    /// A piece failed its hash.
    BadPiece(u32),
    /// This address sent a wrong piece and is not spoken to again.
    Banned(IpAddr),
    /// The last piece became ours.
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
#[derive(Clone, Copy, Debug)]
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

/// One torrent's engine: see the module.
#[derive(Debug)]
pub struct Torrent {
    _later: (),
}

#[expect(unused_variables, reason = "bodies follow")]
impl Torrent {
    /// A torrent with no links.
    #[must_use]
    pub fn new(config: TorrentConfig, now: Time, rng: ChaCha8Rng) -> Self {
        todo!()
    }

    // --- getters ---

    /// Pieces that are ours.
    #[must_use]
    pub fn have(&self) -> &Bitfield {
        todo!()
    }

    /// Whether every piece is ours.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// Bytes of pieces that are not ours yet: `left` in announces.
    #[must_use]
    pub fn left(&self) -> u64 {
        todo!()
    }

    /// Bytes received of pieces that are not complete yet, for a smooth bar.
    #[must_use]
    pub fn partial_bytes(&self) -> u64 {
        todo!()
    }

    /// What has moved.
    #[must_use]
    pub fn totals(&self) -> Totals {
        todo!()
    }

    /// Bytes a second of payload, down and up.
    #[must_use]
    pub fn rates(&self, now: Time) -> (u64, u64) {
        todo!()
    }

    /// Links, and how many of them have everything.
    #[must_use]
    pub fn peer_counts(&self) -> (usize, usize) {
        todo!()
    }

    /// Every link.
    pub fn link_stats(&self, now: Time) -> impl Iterator<Item = (LinkId, LinkStats)> + '_ {
        std::iter::empty()
    }

    /// Why nothing is being downloaded; `None` while something is, or when complete.
    #[must_use]
    pub fn obstacle(&self, now: Time) -> Option<Obstacle> {
        todo!()
    }

    /// Whether more addresses would be of use: an announce ahead of time is worth it.
    #[must_use]
    pub fn wants_candidates(&self) -> bool {
        todo!()
    }

    /// Blocks that peers have asked for and not been sent: what `download` finishes before it exits.
    #[must_use]
    pub fn owes_uploads(&self) -> bool {
        todo!()
    }

    // --- handle_* ---

    /// Addresses of peers, from the user, a tracker or a peer.
    pub fn handle_candidates(&mut self, now: Time, addresses: &[SocketAddr], source: Source) {
        todo!()
    }

    /// A dial did not come to a handshake.
    pub fn handle_dial_failed(&mut self, now: Time, address: SocketAddr) {
        todo!()
    }

    /// A connection whose handshakes are done.
    ///
    /// # Errors
    /// Why it is refused: the driver closes it.
    pub fn handle_opened(&mut self, now: Time, opened: Opened) -> Result<LinkId, CloseReason> {
        todo!()
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, now: Time, link: LinkId) {
        todo!()
    }

    /// A message other than a block. Unknown links are ignored: they may have been closed meanwhile.
    pub fn handle_message(&mut self, now: Time, link: LinkId, message: Message) {
        todo!()
    }

    /// A whole block, its payload in the driver's hands.
    pub fn handle_block(&mut self, now: Time, link: LinkId, block: Block) -> BlockVerdict {
        todo!()
    }

    /// So many blocks with the verdict `Write` are on disk.
    pub fn handle_blocks_written(&mut self, blocks: u32) {
        todo!()
    }

    /// All blocks of a piece are on disk and were hashed.
    pub fn handle_piece_result(&mut self, now: Time, piece: u32, good: bool) {
        todo!()
    }

    /// A socket took so many bytes of blocks that [`Action::Upload`] asked for, or they were forgotten (`sent` false).
    pub fn handle_upload_sent(&mut self, now: Time, link: LinkId, bytes: u32, sent: bool) {
        todo!()
    }

    /// A block could not be read: its piece is no longer offered.
    pub fn handle_upload_failed(&mut self, now: Time, link: LinkId, block: Block) {
        todo!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        todo!()
    }

    /// Stop asking for blocks (a full disk, a pause) or go on.
    pub fn set_downloading(&mut self, now: Time, on: bool) {
        todo!()
    }

    /// Close every link and open no more.
    pub fn handle_shutdown(&mut self, now: Time) {
        todo!()
    }

    // --- plan and poll_* ---

    /// Lets every touched link decide; call once after a batch of `handle_*`.
    pub fn plan(&mut self, now: Time) {
        todo!()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// When [`Torrent::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        todo!()
    }
}
