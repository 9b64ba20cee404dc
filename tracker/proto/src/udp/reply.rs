//! Answers of a tracker, written by trackers and read by clients.

use std::time::Duration;

use super::{ANNOUNCE, CONNECT, ERROR, Family, SCRAPE, TransactionId, split_u32, split_u64};
use crate::connection_id::ConnectionId;
use crate::http::{
    AnnounceReply, Failure, MAX_REPLY_PEERS, MAX_SCRAPE_HASHES, ReplyError, ScrapeStats, quotable,
};
use crate::{compact, interval};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a connect request.
    Connect(ConnectionId),
    /// To an announce. The interval is clamped, and addresses that nobody can dial are left out.
    Announce(AnnounceReply),
    /// To a scrape: numbers in the order of the hashes asked about, at most [`MAX_SCRAPE_HASHES`].
    Scrape(Vec<ScrapeStats>),
    /// The tracker refuses, or none of the peers it names makes sense.
    Error(ReplyError),
}

impl Reply {
    /// Reads an answer, with the transaction that it belongs to. `family` is that of the packet. `None` for anything
    /// that is too short for what it says it is.
    #[must_use]
    pub fn parse(mut packet: &[u8], family: Family) -> Option<(TransactionId, Self)> {
        let rest = &mut packet;
        let (action, transaction) = (split_u32(rest)?, TransactionId(split_u32(rest)?));
        let reply = match action {
            CONNECT => Self::Connect(ConnectionId(split_u64(rest)?)),
            ANNOUNCE => announce(packet, family)?.map_or_else(Self::Error, Self::Announce),
            SCRAPE => {
                let (entries, _) = packet.as_chunks::<12>();
                let stats = entries.iter().take(MAX_SCRAPE_HASHES).filter_map(|entry| stats(entry));
                Self::Scrape(stats.collect())
            }
            ERROR => {
                let failure = Failure { reason: quotable(packet), retry_in: None };
                Self::Error(ReplyError::Failure(failure))
            }
            _ => return None,
        };
        Some((transaction, reply))
    }
}

fn announce(mut body: &[u8], family: Family) -> Option<Result<AnnounceReply, ReplyError>> {
    let rest = &mut body;
    // A number above 2³¹ can only be meant as a negative one.
    let interval = i32::from_be_bytes(split_u32(rest)?.to_be_bytes());
    let (leechers, seeders) = (split_u32(rest)?, split_u32(rest)?);
    let decoded = match family {
        Family::V4 => compact::decode_ipv4(body, MAX_REPLY_PEERS),
        Family::V6 => compact::decode_ipv6(body, MAX_REPLY_PEERS),
    };
    if decoded.addresses.is_empty() && decoded.skipped > 0 {
        return Some(Err(ReplyError::Unexpected("none of its peers has an address that makes sense")));
    }
    Some(Ok(AnnounceReply {
        interval: interval::clamp(interval.into()),
        complete: Some(seeders),
        incomplete: Some(leechers),
        peers: decoded.addresses,
        ..AnnounceReply::default()
    }))
}

fn stats(mut entry: &[u8]) -> Option<ScrapeStats> {
    let rest = &mut entry;
    let (complete, downloaded, incomplete) = (split_u32(rest)?, split_u32(rest)?, split_u32(rest)?);
    Some(ScrapeStats { complete, incomplete, downloaded, downloaders: None })
}

fn start(action: u32, transaction: TransactionId, out: &mut Vec<u8>) {
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.0.to_be_bytes());
}

/// Appends the answer to a connect request: 16 bytes, as many as the request has at least.
pub fn encode_connect(transaction: TransactionId, id: ConnectionId, out: &mut Vec<u8>) {
    start(CONNECT, transaction, out);
    out.extend_from_slice(&id.0.to_be_bytes());
}

/// What stands before the compact peers of the answer to an announce. The interval is in whole seconds.
#[must_use]
pub fn encode_announce_header(
    transaction: TransactionId,
    interval: Duration,
    stats: ScrapeStats,
) -> [u8; 20] {
    let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
    let numbers = [ANNOUNCE, transaction.0, interval, stats.incomplete, stats.complete];
    let mut header = [0; 20];
    for (place, number) in header.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *place = number.to_be_bytes();
    }
    header
}

/// Appends the answer to a scrape.
pub fn encode_scrape(
    transaction: TransactionId,
    stats: impl IntoIterator<Item = ScrapeStats>,
    out: &mut Vec<u8>,
) {
    start(SCRAPE, transaction, out);
    for stats in stats {
        for number in [stats.complete, stats.downloaded, stats.incomplete] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Appends a refusal, for the user to read.
pub fn encode_error(transaction: TransactionId, reason: &str, out: &mut Vec<u8>) {
    start(ERROR, transaction, out);
    out.extend_from_slice(reason.as_bytes());
}
