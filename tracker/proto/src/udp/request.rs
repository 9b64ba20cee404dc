//! Questions to a tracker: connect, announce and scrape, written by clients and read by trackers.

use metainfo::InfoHash;

use super::{
    ANNOUNCE, ANNOUNCE_BODY_BYTES, CONNECT, HEADER_BYTES, PROTOCOL_ID, SCRAPE, TransactionId, UrlData,
    options, split, split_u32, split_u64,
};
use crate::PeerId;
use crate::connection_id::ConnectionId;
use crate::http::{AnnounceRequest, Event, MAX_SCRAPE_HASHES};

/// What every question begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The proof of address; [`PROTOCOL_ID`] in a connect request.
    pub connection: ConnectionId,
    /// What is asked, as a number.
    pub(super) action: u32,
    /// To be found in the answer.
    pub transaction: TransactionId,
}

impl Header {
    /// Reads what every question begins with and gives the rest; `None` if the packet is too short for one.
    #[must_use]
    pub fn parse(mut packet: &[u8]) -> Option<(Self, &[u8])> {
        let connection = ConnectionId(split_u64(&mut packet)?);
        let action = split_u32(&mut packet)?;
        let transaction = TransactionId(split_u32(&mut packet)?);
        Some((Self { connection, action, transaction }, packet))
    }
}

/// An announce over UDP.
///
/// The address that a client says it has is written as 0 and not read: it can name a victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// What the client calls itself.
    pub peer_id: PeerId,
    /// Bytes received from peers since `started`.
    pub downloaded: u64,
    /// Bytes the client still lacks; 0 makes it a seed.
    pub left: u64,
    /// Bytes sent to peers since `started`.
    pub uploaded: u64,
    /// Why it announces. The BEP has no number for [`Event::Paused`] (BEP 21); clients send 4. Other numbers are read
    /// as [`Event::None`].
    pub event: Event,
    /// Tells two clients at one address apart, and one client at two.
    pub key: u32,
    /// How many peers it wants; `None` (any negative number) leaves it to the tracker.
    pub numwant: Option<u32>,
    /// The port on which the client accepts connections.
    pub port: u16,
}

impl Announce {
    /// Reads the body of an announce, and gives the options behind it (BEP 41). `None` if it is too short.
    #[must_use]
    pub fn parse(mut body: &[u8]) -> Option<(Self, UrlData<'_>)> {
        let rest = &mut body;
        let (info_hash, peer_id) = (InfoHash::new(split(rest)?), PeerId(split(rest)?));
        let (downloaded, left, uploaded) = (split_u64(rest)?, split_u64(rest)?, split_u64(rest)?);
        let event = match split_u32(rest)? {
            1 => Event::Completed,
            2 => Event::Started,
            3 => Event::Stopped,
            4 => Event::Paused,
            _ => Event::None,
        };
        let _claimed_address: [u8; 4] = split(rest)?;
        let key = split_u32(rest)?;
        let numwant = u32::try_from(i32::from_be_bytes(split(rest)?)).ok();
        let port = u16::from_be_bytes(split(rest)?);
        let this = Self { info_hash, peer_id, downloaded, left, uploaded, event, key, numwant, port };
        Some((this, UrlData(body)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.info_hash.as_bytes());
        out.extend_from_slice(&self.peer_id.0);
        for number in [self.downloaded, self.left, self.uploaded] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let event: u32 = match self.event {
            Event::None => 0,
            Event::Completed => 1,
            Event::Started => 2,
            Event::Stopped => 3,
            Event::Paused => 4,
        };
        let numwant = self.numwant.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
        out.extend_from_slice(&event.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.key.to_be_bytes());
        out.extend_from_slice(&numwant.to_be_bytes());
        out.extend_from_slice(&self.port.to_be_bytes());
    }
}

impl From<&AnnounceRequest> for Announce {
    /// The key is the number that the other's hexadecimal digits write; 0 if they do not.
    fn from(request: &AnnounceRequest) -> Self {
        let key = request.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        Self {
            info_hash: request.info_hash,
            peer_id: request.peer_id,
            downloaded: request.downloaded,
            left: request.left,
            uploaded: request.uploaded,
            event: request.event,
            key: key.and_then(|key| u32::from_str_radix(key, 16).ok()).unwrap_or(0),
            numwant: request.numwant,
            port: request.port,
        }
    }
}

/// The swarms that a scrape asks about, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrapeHashes<'a>(&'a [[u8; 20]]);

impl<'a> ScrapeHashes<'a> {
    /// Reads the body of a scrape. `None` if it names no swarm, or more than [`MAX_SCRAPE_HASHES`].
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let (hashes, _) = body.as_chunks();
        (1..=MAX_SCRAPE_HASHES).contains(&hashes.len()).then_some(Self(hashes))
    }

    /// Each in turn.
    pub fn iter(self) -> impl Iterator<Item = InfoHash> {
        self.0.iter().copied().map(InfoHash::new)
    }
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// For a connection id.
    Connect,
    /// For peers.
    Announce {
        /// The proof of our address.
        connection: ConnectionId,
        /// What is said.
        announce: &'a Announce,
        /// Path and query of the tracker's URL (BEP 41); empty if it has none.
        url_data: &'a [u8],
    },
    /// For numbers of these swarms, of which the first [`MAX_SCRAPE_HASHES`] are written.
    Scrape {
        /// The proof of our address.
        connection: ConnectionId,
        /// The swarms.
        hashes: &'a [InfoHash],
    },
}

impl Request<'_> {
    /// The packet.
    #[must_use]
    pub fn encode(&self, transaction: TransactionId) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + ANNOUNCE_BODY_BYTES);
        let mut header = |ConnectionId(connection), action: u32| {
            out.extend_from_slice(&connection.to_be_bytes());
            out.extend_from_slice(&action.to_be_bytes());
            out.extend_from_slice(&transaction.0.to_be_bytes());
        };
        match *self {
            Self::Connect => header(ConnectionId(PROTOCOL_ID), CONNECT),
            Self::Announce { connection, announce, url_data } => {
                header(connection, ANNOUNCE);
                announce.encode(&mut out);
                options::encode(url_data, &mut out);
            }
            Self::Scrape { connection, hashes } => {
                header(connection, SCRAPE);
                for hash in hashes.iter().take(MAX_SCRAPE_HASHES) {
                    out.extend_from_slice(hash.as_bytes());
                }
            }
        }
        out
    }
}
