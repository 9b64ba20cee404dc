//! Writing a snapshot a step at a time.

use super::super::SwarmStore;
use super::super::clock::Tick;
use super::super::entry::{Bounds, Entry};
use super::super::record::Swarm;
use super::{BLOCK_HEAD, END, MAGIC, MAX_SNAPSHOT_BLOCK_BYTES, RECORD_HEAD, SWARMS, TICK_MILLIS, VERSION};
use crate::compact::{IPV4_LENGTH, IPV6_LENGTH};

/// Bytes of a part of a swarm: two do not fit into a block, and the last of a block is at most this large.
const PART: usize = MAX_SNAPSHOT_BLOCK_BYTES / 2;
/// A block is closed before it could outgrow its bound.
const FULL: usize = MAX_SNAPSHOT_BLOCK_BYTES - BLOCK_HEAD - PART;
/// Peers of a part, of either family: they fit whatever family they are of, and are counted in two bytes.
const PART_PEERS: usize = (PART - RECORD_HEAD) / (IPV6_LENGTH + 2);

/// Writes the snapshot of one store or of several shards, one after the other.
#[derive(Debug)]
pub struct SnapshotWriter {
    swarms: u64,
    peers: u64,
}

/// How far a store has been written: from its last place to its first, since a swarm that moves, moves down, to be
/// written twice rather than not at all.
#[derive(Debug)]
pub struct SnapshotCursor(usize);

impl SwarmStore {
    /// Where the writing of this store begins.
    pub fn snapshot_cursor(&self) -> SnapshotCursor {
        SnapshotCursor(self.registry.len())
    }
}

impl SnapshotWriter {
    /// Begins a snapshot: appends its header to `out`. `unix_seconds` is the time by the calendar.
    pub fn begin(unix_seconds: u64, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&TICK_MILLIS.to_be_bytes());
        out.extend_from_slice(&unix_seconds.to_be_bytes());
        let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_be_bytes());
        Self { swarms: 0, peers: 0 }
    }

    /// Appends a block of the store's swarms, or more for a swarm that does not fit into one; the store may change
    /// between two steps. Gives whether there is more.
    pub fn step(&mut self, store: &SwarmStore, cursor: &mut SnapshotCursor, out: &mut Vec<u8>) -> bool {
        let now = store.clock.tick();
        let mut block = Block::begin(SWARMS, out);
        while let Some(at) = cursor.0.min(store.registry.len()).checked_sub(1) {
            let Some(swarm) = store.registry.get(at) else { break };
            cursor.0 = at;
            self.swarms += 1;
            self.peers += swarm.len() as u64;
            write_swarm(swarm, now, &mut block);
            if block.len() > FULL {
                break;
            }
        }
        block.end();
        cursor.0 > 0
    }

    /// Ends the snapshot: without this a reader takes it to be cut off.
    pub fn end(self, out: &mut Vec<u8>) {
        let mut block = Block::begin(END, out);
        block.out.extend_from_slice(&self.swarms.to_be_bytes());
        block.out.extend_from_slice(&self.peers.to_be_bytes());
        block.end();
    }
}

/// A block that is being written.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    kind: u8,
    start: usize,
}

impl<'a> Block<'a> {
    fn begin(kind: u8, out: &'a mut Vec<u8>) -> Self {
        let mut block = Self { start: out.len(), kind, out };
        block.open();
        block
    }

    fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Ends this block and begins another of its kind.
    fn next(&mut self) {
        self.end();
        self.open();
    }

    fn open(&mut self) {
        self.start = self.out.len();
        self.out.extend_from_slice(&[0; BLOCK_HEAD]);
        self.out.push(self.kind);
    }

    /// Fills in what comes before the payload.
    fn end(&mut self) {
        let block = self.out.get_mut(self.start..).unwrap_or_default();
        let Some((head, payload)) = block.split_first_chunk_mut::<BLOCK_HEAD>() else { return };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let words = [length, crc32fast::hash(payload)];
        head.as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(words)
            .for_each(|(place, word)| *place = word.to_be_bytes());
    }
}

/// Appends a swarm, in parts and further blocks where it is large.
fn write_swarm(swarm: &Swarm, now: Tick, block: &mut Block<'_>) {
    let (v4, v6) = (swarm.v4.bounds(), swarm.v6.bounds());
    let (mut v4_from, mut v6_from) = (0, 0);
    loop {
        let v4_to = v4.len.min(v4_from + PART_PEERS);
        let v6_to = v6.len.min(v6_from + PART_PEERS - (v4_to - v4_from));
        if block.len() > FULL {
            block.next();
        }
        let out = &mut *block.out;
        out.extend_from_slice(swarm.info_hash.as_bytes());
        out.extend_from_slice(&swarm.completed.to_be_bytes());
        out.extend_from_slice(&now.since(swarm.heard).to_be_bytes());
        for (bounds, from, to) in [(v4, v4_from, v4_to), (v6, v6_from, v6_to)] {
            for count in counts(bounds, from, to) {
                out.extend_from_slice(&count.to_be_bytes());
            }
        }
        write_peers(swarm.v4.entries(), v4_from, v4_to, now, out);
        write_peers(swarm.v6.entries(), v6_from, v6_to, now, out);
        (v4_from, v6_from) = (v4_to, v6_to);
        if (v4_from, v6_from) == (v4.len, v6.len) {
            break;
        }
    }
}

/// How many seeds, partial seeds and downloaders there are at the places from `from` to before `to`.
fn counts(bounds: Bounds<usize>, from: usize, to: usize) -> [u16; 3] {
    let borders = [0, bounds.seeds, bounds.uploaders, bounds.len].map(|border| border.clamp(from, to) - from);
    let [start, seeds, uploaders, len] = borders.map(|place| u16::try_from(place).unwrap_or(u16::MAX));
    [seeds - start, uploaders - seeds, len - uploaders]
}

fn write_peers<const L: usize>(entries: &[Entry<L>], from: usize, to: usize, now: Tick, out: &mut Vec<u8>) {
    for entry in entries.get(from..to).unwrap_or_default() {
        out.extend_from_slice(&entry.compact);
        out.extend_from_slice(&now.since(entry.heard).to_be_bytes());
    }
}

const _: () =
    assert!(PART_PEERS * (IPV6_LENGTH + 2) + RECORD_HEAD <= PART && PART_PEERS <= u16::MAX as usize);
const _: () = assert!(IPV4_LENGTH <= IPV6_LENGTH);
