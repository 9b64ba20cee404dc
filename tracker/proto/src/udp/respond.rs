//! A UDP tracker without its sockets: a packet comes in, an answer goes out or none.
//!
//! Invariants: whoever has not proved that he receives what is sent to his address gets 16 bytes at most for the 16 or
//! more that he sent, and counts nothing. What cannot be made sense of is dropped in silence. Whatever is believed
//! about an address is the one that the packet came from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{
    ANNOUNCE, ANNOUNCE_REPLY_BYTES, Announce, CONNECT, Family, Header, MAX_REPLY_BYTES, PROTOCOL_ID, SCRAPE,
    ScrapeHashes, UrlData, encode_announce_header, encode_connect, encode_error, encode_scrape,
};
use crate::connection_id::{ConnectionId, ConnectionIds};
use crate::http::{ScrapeStats, granted_numwant};
use crate::swarm;
use metainfo::InfoHash;

/// Why an announce is refused; the text is what the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

/// The swarms behind a tracker.
pub trait Swarms {
    /// How long clients are to wait between announces; whole seconds.
    fn interval(&self) -> Duration;

    /// Enters the peer and appends others to `peers`: compact, of the family of the announce's own address, at most
    /// as many as its `numwant` says, which is always there. `url_data` is the path that the client used.
    ///
    /// # Errors
    /// When the announce is not to be counted, and why.
    fn announce(
        &mut self,
        announce: &swarm::Announce,
        url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal>;

    /// The numbers of a swarm; zeros for one that is not known.
    fn scrape(&mut self, info_hash: InfoHash) -> ScrapeStats;
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection id was given.
    Connect,
    /// An announce was counted.
    Announce,
    /// A scrape.
    Scrape,
    /// An error, to somebody whose address is proved.
    Error,
}

/// Puts the answer to a packet into `out`, which is emptied before; `None` if there is none. `now` is the time since
/// 1970, as the ids want it.
pub fn respond(
    packet: &[u8],
    from: SocketAddr,
    now: Duration,
    ids: &ConnectionIds,
    swarms: &mut impl Swarms,
    out: &mut Vec<u8>,
) -> Option<Kind> {
    out.clear();
    let (header, body) = Header::parse(packet)?;
    let ip = from.ip().to_canonical();
    if header.action == CONNECT {
        if header.connection != ConnectionId(PROTOCOL_ID) {
            return None;
        }
        encode_connect(header.transaction, ids.issue(ip, now), out);
        return Some(Kind::Connect);
    }
    if !ids.accepts(header.connection, ip, now) {
        return None;
    }
    let answered = match header.action {
        ANNOUNCE => announce(header, body, ip, swarms, out),
        SCRAPE => scrape(header, body, swarms, out),
        _ => return None,
    };
    Some(answered.unwrap_or_else(|Refusal(reason)| {
        out.clear();
        encode_error(header.transaction, reason, out);
        Kind::Error
    }))
}

fn announce(
    header: Header,
    body: &[u8],
    ip: IpAddr,
    swarms: &mut impl Swarms,
    out: &mut Vec<u8>,
) -> Result<Kind, Refusal> {
    let (request, url_data) = Announce::parse(body).ok_or(Refusal("the announce is too short"))?;
    if request.port == 0 {
        return Err(Refusal("port 0 cannot be connected to"));
    }
    let family = Family::of(ip);
    let numwant = granted_numwant(request.numwant).min(family.most_peers());
    let announce = swarm::Announce {
        info_hash: request.info_hash,
        address: SocketAddr::new(ip, request.port),
        left: request.left,
        event: request.event,
        numwant: u32::try_from(numwant).ok(),
    };
    out.resize(ANNOUNCE_REPLY_BYTES, 0);
    let stats = swarms.announce(&announce, url_data, out)?;
    out.truncate(MAX_REPLY_BYTES);
    if let Some(place) = out.first_chunk_mut::<ANNOUNCE_REPLY_BYTES>() {
        *place = encode_announce_header(header.transaction, swarms.interval(), stats);
    }
    Ok(Kind::Announce)
}

fn scrape(header: Header, body: &[u8], swarms: &mut impl Swarms, out: &mut Vec<u8>) -> Result<Kind, Refusal> {
    let hashes = ScrapeHashes::parse(body).ok_or(Refusal("a scrape names 1 to 74 info-hashes"))?;
    encode_scrape(header.transaction, hashes.iter().map(|hash| swarms.scrape(hash)), out);
    Ok(Kind::Scrape)
}
