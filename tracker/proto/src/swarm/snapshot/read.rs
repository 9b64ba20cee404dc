//! Reading a snapshot a block at a time.

use std::net::SocketAddr;
use std::time::Duration;

use metainfo::InfoHash;

use super::{
    BLOCK_HEAD, END, MAGIC, MAX_SNAPSHOT_BLOCK_BYTES, SNAPSHOT_HEADER_BYTES, SWARMS, SnapshotError,
    TICK_MILLIS, VERSION,
};
use crate::compact::{IPV4_LENGTH, IPV6_LENGTH, address_v4, address_v6};
use crate::swarm::{Role, TICK};

/// Bytes of a peer: its address and port, and its age.
const V4_PEER: usize = IPV4_LENGTH + 2;
const V6_PEER: usize = IPV6_LENGTH + 2;

/// Takes a snapshot apart.
#[derive(Debug)]
pub struct SnapshotReader {
    unix_seconds: u64,
    blocks: u64,
    whole: bool,
}

/// A swarm of a snapshot, or a part of a large one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwarmRecord<'a> {
    /// The swarm.
    pub info_hash: InfoHash,
    /// How often its torrent was downloaded to the end.
    pub completed: u32,
    pub(super) silent: u16,
    pub(super) v4: Family<'a, V4_PEER>,
    pub(super) v6: Family<'a, V6_PEER>,
}

/// Peers of one family, by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family<'a, const P: usize> {
    pub(super) seeds: usize,
    pub(super) partial_seeds: usize,
    /// Seeds, partial seeds and downloaders; each an address and port, and the ticks since it announced.
    pub(super) peers: &'a [[u8; P]],
}

impl SwarmRecord<'_> {
    /// The peers: where each is, what it does, and how long before the snapshot it announced.
    pub fn peers(&self) -> impl Iterator<Item = (SocketAddr, Role, Duration)> {
        self.v4.peers(address_v4).chain(self.v6.peers(address_v6))
    }
}

impl<const P: usize> Family<'_, P> {
    /// What the peer at a place does.
    pub(super) fn role(&self, at: usize) -> Role {
        if at < self.seeds {
            Role::Seed
        } else if at < self.seeds + self.partial_seeds {
            Role::PartialSeed
        } else {
            Role::Downloader
        }
    }

    fn peers<const L: usize>(
        &self,
        address: fn(&[u8; L]) -> SocketAddr,
    ) -> impl Iterator<Item = (SocketAddr, Role, Duration)> {
        self.peers.iter().enumerate().filter_map(move |(at, peer)| {
            let (compact, age) = peer.split_first_chunk()?;
            let ticks = u16::from_be_bytes(age.try_into().ok()?);
            Some((address(compact), self.role(at), TICK * u32::from(ticks)))
        })
    }
}

impl SnapshotReader {
    /// Reads the header, which is the first [`SNAPSHOT_HEADER_BYTES`] of `bytes`.
    ///
    /// # Errors
    /// When it is not the header of a snapshot that can be read.
    pub fn begin(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        let mut rest = bytes.get(MAGIC.len()..SNAPSHOT_HEADER_BYTES).ok_or(SnapshotError::Header)?;
        let covered = bytes.get(..SNAPSHOT_HEADER_BYTES - 4).ok_or(SnapshotError::Header)?;
        let mut field = || take::<2>(&mut rest).map(u16::from_be_bytes).ok_or(SnapshotError::Header);
        let (version, tick) = (field()?, field()?);
        let unix_seconds = take(&mut rest).map(u64::from_be_bytes).ok_or(SnapshotError::Header)?;
        let sum = take(&mut rest).map(u32::from_be_bytes).ok_or(SnapshotError::Header)?;
        if sum != crc32fast::hash(covered) {
            return Err(SnapshotError::Header);
        }
        if version != VERSION || tick != TICK_MILLIS {
            return Err(SnapshotError::Version(version));
        }
        Ok(Self { unix_seconds, blocks: 0, whole: false })
    }

    /// When the snapshot was begun, in seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// Reads the block at the start of `bytes` and gives each swarm in it to `each`. Gives how many bytes the block has,
    /// or 0 when it is not all there: [`MAX_SNAPSHOT_BLOCK_BYTES`](super::MAX_SNAPSHOT_BLOCK_BYTES) hold any.
    ///
    /// # Errors
    /// When the block is damaged. Nothing of it was given then, and nothing after it can be trusted.
    pub fn block(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(SwarmRecord<'_>),
    ) -> Result<usize, SnapshotError> {
        let damaged = SnapshotError::Damaged { block: self.blocks };
        let mut rest = bytes;
        let (Some(length), Some(sum)) = (take::<4>(&mut rest), take::<4>(&mut rest)) else { return Ok(0) };
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| damaged)?;
        if self.whole || length > MAX_SNAPSHOT_BLOCK_BYTES - BLOCK_HEAD {
            return Err(damaged);
        }
        let Some(payload) = rest.get(..length) else { return Ok(0) };
        if crc32fast::hash(payload) != u32::from_be_bytes(sum) {
            return Err(damaged);
        }
        match payload.split_first() {
            Some((&SWARMS, records)) => {
                // Looked through before any is used: a block is good as a whole or not at all.
                let mut check = records;
                while !check.is_empty() {
                    read_swarm(&mut check).ok_or(damaged)?;
                }
                let mut rest = records;
                while let Some(record) = read_swarm(&mut rest) {
                    each(record);
                }
            }
            Some((&END, counts)) if counts.len() == 16 => self.whole = true,
            _ => return Err(damaged),
        }
        self.blocks += 1;
        Ok(BLOCK_HEAD + length)
    }

    /// Says after the last block whether it was the last.
    ///
    /// # Errors
    /// When it was not: the snapshot is cut off.
    pub fn end(&self) -> Result<(), SnapshotError> {
        if self.whole { Ok(()) } else { Err(SnapshotError::CutOff { blocks: self.blocks }) }
    }
}

/// Splits off the first `N` bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn read_swarm<'a>(bytes: &mut &'a [u8]) -> Option<SwarmRecord<'a>> {
    let info_hash = InfoHash::new(take(bytes)?);
    let completed = u32::from_be_bytes(take(bytes)?);
    let silent = u16::from_be_bytes(take(bytes)?);
    let (v4, v6) = (read_counts(bytes)?, read_counts(bytes)?);
    Some(SwarmRecord {
        info_hash,
        completed,
        silent,
        v4: read_family(v4, bytes)?,
        v6: read_family(v6, bytes)?,
    })
}

fn read_counts(bytes: &mut &[u8]) -> Option<[usize; 3]> {
    let mut count = || take(bytes).map(|bytes| usize::from(u16::from_be_bytes(bytes)));
    Some([count()?, count()?, count()?])
}

fn read_family<'a, const P: usize>(counts: [usize; 3], bytes: &mut &'a [u8]) -> Option<Family<'a, P>> {
    let [seeds, partial_seeds, downloaders] = counts;
    let (peers, rest) = bytes.split_at_checked((seeds + partial_seeds + downloaders) * P)?;
    *bytes = rest;
    Some(Family { seeds, partial_seeds, peers: peers.as_chunks().0 })
}
