//! Scrape: how many seeds and leechers each swarm has, without joining one (BEP 48).

use std::collections::BTreeMap;

use metainfo::InfoHash;

use super::encode::{number, string};

use super::query::{pairs, start_query, twenty_bytes};
use super::{MAX_SCRAPE_HASHES, RequestError};
use crate::percent;

/// A scrape of one swarm or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeRequest {
    /// The swarms: 1 to [`MAX_SCRAPE_HASHES`] when parsed.
    pub info_hashes: Vec<InfoHash>,
}

/// What a tracker knows of one swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeStats {
    /// Seeds.
    pub complete: u32,
    /// Peers that are not seeds.
    pub incomplete: u32,
    /// How often the torrent was downloaded to the end.
    pub downloaded: u32,
}

/// A tracker's answer to a scrape. A swarm that the tracker does not know is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrapeReply {
    /// The swarms asked for and known.
    pub files: BTreeMap<InfoHash, ScrapeStats>,
}

/// The scrape URL that goes with an announce URL: where the last element of the path starts with `announce`, that
/// word becomes `scrape`. `None` where it does not: that tracker cannot be scraped.
pub fn scrape_url(announce: &str) -> Option<String> {
    let path_end = announce.find(['?', '#']).unwrap_or(announce.len());
    let path_start = announce.find("://").map_or(0, |at| at + 3);
    let slash = path_start + announce.get(path_start..path_end)?.rfind('/')?;
    let tail = announce.get(slash + 1..)?.strip_prefix("announce")?;
    Some(format!("{}scrape{tail}", announce.get(..=slash)?))
}

impl ScrapeRequest {
    /// The URL to fetch: a scrape URL (see [`scrape_url`]) with this request as its query.
    pub fn to_url(&self, scrape: &str) -> String {
        let mut url = start_query(scrape);
        for (at, hash) in self.info_hashes.iter().enumerate() {
            url.push_str(if at == 0 { "info_hash=" } else { "&info_hash=" });
            percent::encode(hash.as_bytes(), &mut url);
        }
        url
    }

    /// Reads the query of a scrape, as it came: percent-encoded, without `?`.
    ///
    /// # Errors
    /// When an info-hash is wrong, there are too many, or there is none: a scrape of everything is refused.
    pub fn parse_query(query: &[u8]) -> Result<Self, RequestError> {
        let mut info_hashes = Vec::new();
        for (name, value) in pairs(query)? {
            if name != b"info_hash" {
                continue;
            }
            if info_hashes.len() == MAX_SCRAPE_HASHES {
                return Err(RequestError::TooManyHashes);
            }
            info_hashes.push(InfoHash::new(twenty_bytes("info_hash", value)?));
        }
        if info_hashes.is_empty() { Err(RequestError::ScrapeAll) } else { Ok(Self { info_hashes }) }
    }
}

impl ScrapeReply {
    /// The bencoded reply.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.files.len() * 80);
        out.push(b'd');
        string(&mut out, b"files");
        out.push(b'd');
        for (hash, stats) in &self.files {
            string(&mut out, hash.as_bytes());
            out.push(b'd');
            number(&mut out, "complete", stats.complete.into());
            number(&mut out, "downloaded", stats.downloaded.into());
            number(&mut out, "incomplete", stats.incomplete.into());
            out.push(b'e');
        }
        out.extend_from_slice(b"ee");
        out
    }
}
