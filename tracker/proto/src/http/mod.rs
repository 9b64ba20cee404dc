//! The HTTP tracker protocol, both directions: announce and scrape (BEP 3, 7, 21, 23, 24, 31, 48).
//!
//! A client writes [`AnnounceRequest::to_url`] and reads [`AnnounceReply::parse`]; a tracker reads
//! [`AnnounceRequest::parse_query`] and writes [`AnnounceReply::encode`] or [`encode_failure`]. Scrapes likewise.
//! Nothing here knows HTTP itself: headers, redirects and bodies are the driver's, with the limits named here.

mod announce;
mod encode;
mod parse;
mod query;
mod redirect;
mod scrape;

pub use announce::{AnnounceReply, AnnounceRequest, Event};
pub use encode::{decimal, encode_failure, encode_failure_into};
pub(crate) use parse::quotable;
pub use parse::{Failure, ReplyError};
pub use query::RequestError;
pub use redirect::{MAX_REDIRECTS, RedirectError, check_redirect};
pub use scrape::{ScrapeReply, ScrapeRequest, ScrapeStats, scrape_url};

/// The longest reply a client reads: some 350,000 compact peers, far more than any tracker sends. Drivers cut
/// the (decompressed) body off here.
pub const MAX_REPLY_BYTES: usize = 2 << 20;
/// The longest query a tracker reads: [`MAX_SCRAPE_HASHES`] escaped info-hashes fit with room for a passkey.
pub const MAX_QUERY_BYTES: usize = 8 << 10;
/// The most info-hashes in one scrape, the number that a UDP scrape holds too (BEP 15).
pub const MAX_SCRAPE_HASHES: usize = 74;
/// The most peers a client takes from one reply, ten times what it asks for: no swarm needs more at once.
pub const MAX_REPLY_PEERS: usize = 2000;
/// How many peers a tracker gives to whoever does not say: the field's custom (BEP 3).
pub const DEFAULT_NUMWANT: u32 = 50;
/// How many peers a tracker gives at most: what the busiest clients ask for.
pub const MAX_NUMWANT: u32 = 200;
/// The longest `key` or `trackerid` kept: both are opaque tokens, real ones have 8 to 40 bytes.
pub const MAX_TOKEN_BYTES: usize = 128;

/// How many peers to give to somebody who asked for this many.
pub fn granted_numwant(asked: Option<u32>) -> usize {
    asked.unwrap_or(DEFAULT_NUMWANT).min(MAX_NUMWANT) as usize
}
