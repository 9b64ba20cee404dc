//! The sizes of the pools, queues and tables of a session, and what it asks of the kernel, each with its reason.

use std::time::Duration;

/// Buffers for blocks on their way from a socket to the disk, 40 MiB in all. Requests take none, so there may be more of
/// those. More than [`TORRENT_BUFFERS`], so that a torrent whose disk hangs leaves some to the others.
pub const BLOCK_BUFFERS: usize = 2560;

/// Buffers that one torrent may have, 24 MiB: [`DISK_BACKLOG`], [`HELD_BLOCKS`], and what a short path brings after no
/// more is asked for. More than [`HELD_BLOCKS`] and a partial block for every link together, so that a reader that waits
/// for one waits for work that goes on; meanwhile its peer waits for the reader.
pub const TORRENT_BUFFERS: usize = 1536;

/// Blocks on disk that stay in memory to be hashed, 8 MiB in all: four pieces of a megabyte, and four that are to be
/// whole next.
pub const HELD_BLOCKS: usize = 512;

/// Blocks that one torrent may have asked for or not yet written, 48 MiB: the deepest queue of requests that one link
/// may have ([`peer_proto::link::pipeline::MAX_DEPTH`]) and half as much that waits for the disk.
pub const DISK_BUDGET: u32 = 3072;

/// Blocks of one torrent that may wait to be written, 8 MiB, before no more are asked for: work for some milliseconds of
/// the fastest disk. A slow one slows the requests then, and not the messages that would wait behind unread blocks.
pub const DISK_BACKLOG: u32 = 512;

/// Bytes of blocks that one torrent may have read and not yet sent: what a dozen fast links need to be kept busy.
pub const UPLOAD_BUDGET: u32 = 8 * 1024 * 1024;

/// The longest run of adjacent blocks that is read with one call: it stays in a core's cache until it is sent.
pub const READ_RUN: u32 = 256 * 1024;

/// The most blocks written with one call, 64 KiB. Longer writes have the kernel take larger pages for its cache, and a
/// virtual machine whose host takes back large free pages then pays for each of them: 1.6 CPU-seconds a GiB instead of
/// 0.15. Elsewhere they would save 0.04 (`docs/decisions/0012-the-data-path.md`).
pub const WRITE_RUN: usize = 4;

/// Bytes that one read of a socket takes at most. All readers of a thread share one such buffer.
pub const READ_BUFFER: usize = 256 * 1024;

/// Bytes read at once when block buffers are scarce: what a reader must then set aside stays small.
pub const SCARCE_READ: usize = 16 * 1024;

/// Messages in one batch from a socket: a flood of tiny ones is cut into several, so that the channel to the torrent
/// holds a bounded number of them.
pub const BATCH_ITEMS: usize = 1024;

/// Batches between all sockets of a torrent and its task: one from each of the links that are busy at once.
pub const BATCHES: usize = 64;

/// Bytes of control messages that a peer may leave unread before it is closed: a bitfield of the largest torrent
/// (256 KiB) and the same again.
pub const CONTROL_BYTES: usize = 512 * 1024;

/// Bytes that the kernel may hold of a new connection and not have sent; the engine changes it with the rate.
pub const NOT_SENT: u32 = 64 * 1024;

/// Silence after which the kernel asks the other end of a connection whether it is there: one small packet each way that
/// also keeps routers between them from forgetting it.
pub const PROBE_AFTER: Duration = Duration::from_secs(10);

/// From one such packet to the next while none is answered.
pub const PROBE_EVERY: Duration = Duration::from_secs(2);

/// After so long without an acknowledgement the kernel breaks a connection; a peer that owes blocks is snubbed after as
/// long. A cut of less is left to the kernel, which goes on at twice the length of the cut at most. A peer that has not
/// read a byte for so long is taken for gone too: it costs it a dial.
///
/// The kernel breaks a connection where nothing is under way when it was silent for so long and *one* probe is
/// unanswered: of those that it sends by then all but one may be lost.
pub const UNHEARD_FOR: Duration = Duration::from_secs(20);

/// Probes that go out before a silent connection is broken.
const PROBES: u64 = 5;
const _: () = assert!(PROBE_AFTER.as_secs() + PROBES * PROBE_EVERY.as_secs() <= UNHEARD_FOR.as_secs());

/// Connections whose handshake is not done, incoming: a stranger can hold no more, for ten seconds each. Others wait.
pub const HALF_OPEN: usize = 100;

/// Connections from one address, loopback excepted: a household or a company behind one address, not a flood.
pub const PER_ADDRESS: usize = 50;

/// One place of so many is not given to dials, all torrents together: those who come find one, whatever the torrents
/// that were added first have filled.
pub const KEPT_FOR_INCOMING: usize = 10;

/// Links that a torrent may have however many torrents there are: fewer make no swarm.
pub const LEAST_SHARE: usize = 4;

/// Dials under way in the whole session: half of what cheap routers track at once.
pub const DIALS: usize = 64;

/// Dials under way for one torrent.
pub const TORRENT_DIALS: usize = 24;

/// Addresses that a magnet link may have us dial (`x.pe`): a link names the peers of whoever made it, not a swarm.
pub const LINK_PEERS: usize = 8;

/// Commands and new connections that wait for a torrent's task.
pub const COMMANDS: usize = 64;

/// Events kept for a slow reader before it loses the oldest.
pub const EVENTS: usize = 256;

/// Torrents whose data is looked at and hashed at once: two, so that a small one need not wait for a large one.
pub const CHECKS: usize = 2;

/// Announces under way in the whole session: a thousand torrents that start together take turns.
pub const ANNOUNCES: usize = 64;
