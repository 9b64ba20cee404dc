//! The UDP tracker protocol, both directions (BEP 15), with its options (BEP 41).
//!
//! A client's question is a [`Query`], which writes [`Request`]s and reads [`Reply`]s; a tracker gives what it receives
//! to [`respond`]. Either is the whole of its side's logic. Who may be believed is [`connection_id`](crate::connection_id)'s to say.
//!
//! Invariant: a packet too short for what it says it is counts for nothing. One that is longer is read as far as it is
//! known, since extensions may follow. No list grows past the packet that it came in, nor past the limits named here.
//!
//! Nothing here sends or waits: that is the driver's.

mod options;
mod query;
mod reply;
mod request;
mod respond;

use std::net::IpAddr;

pub use options::UrlData;
pub use query::{Ask, Connection, FIRST_WAIT, LAST_WAIT, Query, Step};
pub use reply::{Reply, encode_announce_header, encode_connect, encode_error, encode_scrape};
pub use request::{Announce, Header, Request, ScrapeHashes};
pub use respond::{Kind, Refusal, Swarms, respond};

use crate::compact;

/// What a connect request has in the place of a connection id.
pub const PROTOCOL_ID: u64 = 0x417_2710_1980;
/// The longest answer to an announce. It goes unfragmented over any IPv6 path (1280 bytes), where fragments are often
/// lost; 200 IPv4 peers fit, which is as many as are given over HTTP, or 67 of IPv6.
pub const MAX_REPLY_BYTES: usize = 1280 - 40 - 8;
/// The longest packet that has to be read: a scrape of [`MAX_SCRAPE_HASHES`](crate::http::MAX_SCRAPE_HASHES) has 1,496
/// bytes, and trackers of others send as many peers as an Ethernet frame holds, or as jumbo frames do.
pub const MAX_PACKET_BYTES: usize = 8 << 10;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Bytes of a request before its body, and of a connect request as a whole.
const HEADER_BYTES: usize = 16;
/// Bytes of an announce request's body, without options.
const ANNOUNCE_BODY_BYTES: usize = 82;
/// Bytes of the answer to an announce before the peers.
const ANNOUNCE_REPLY_BYTES: usize = 20;

/// What a client chooses for each question, and finds in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u32);

/// The form of the addresses in an answer: that of the packets that carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 6 bytes a peer.
    V4,
    /// 18 bytes a peer.
    V6,
}

impl Family {
    /// Of packets from or to this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes a peer.
    #[must_use]
    pub const fn stride(self) -> usize {
        match self {
            Self::V4 => compact::IPV4_LENGTH,
            Self::V6 => compact::IPV6_LENGTH,
        }
    }

    /// The most peers in an answer of [`MAX_REPLY_BYTES`].
    #[must_use]
    pub const fn most_peers(self) -> usize {
        (MAX_REPLY_BYTES - ANNOUNCE_REPLY_BYTES) / self.stride()
    }
}

/// Takes the first bytes of a packet off it.
fn split<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn split_u32(bytes: &mut &[u8]) -> Option<u32> {
    split(bytes).map(u32::from_be_bytes)
}

fn split_u64(bytes: &mut &[u8]) -> Option<u64> {
    split(bytes).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
