//! Scrape: how many seeds and leechers each swarm has, without joining one (BEP 48).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metainfo::{InfoHash, percent_encode};

use super::encode::{number, string};
use super::query::{pairs, start_query, twenty_bytes};
use super::{MAX_SCRAPE_HASHES, RequestError};

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
    /// Those of `incomplete` that want more, which partial seeds do not (BEP 21); `None` where that is not known.
    pub downloaders: Option<u32>,
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
            let joint = if at == 0 { "" } else { "&" };
            // Writing to a String cannot fail.
            let _ = write!(url, "{joint}info_hash={}", percent_encode(hash.as_bytes()));
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
            if let Some(downloaders) = stats.downloaders {
                number(&mut out, "downloaders", downloaders.into());
            }
            number(&mut out, "incomplete", stats.incomplete.into());
            out.push(b'e');
        }
        out.extend_from_slice(b"ee");
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "info_hash=%CAb%B5%07IM%02%EB%B1%17%8B8%F2%E9%D7%BE%29%9C%86%B8";

    #[test]
    fn the_scrape_url_follows_from_the_announce_url() {
        for (announce, scrape) in [
            ("http://t/announce", Some("http://t/scrape")),
            ("http://t/x/announce", Some("http://t/x/scrape")),
            ("http://t/announce.php", Some("http://t/scrape.php")),
            ("http://t/announce?x2%0644", Some("http://t/scrape?x2%0644")),
            ("http://t/announce?x=2/4", Some("http://t/scrape?x=2/4")),
            ("http://t/passkey/announce#a/announce", Some("http://t/passkey/scrape#a/announce")),
            ("http://announce/announce", Some("http://announce/scrape")),
            ("http://t/a", None),
            ("http://t/x%064announce", None),
            ("http://announce", None),
            ("http://t/announce/", None),
            ("", None),
        ] {
            assert_eq!(scrape_url(announce).as_deref(), scrape, "{announce}");
        }
    }

    #[test]
    fn h53_a_scrape_with_a_wrong_hash_is_told_why() {
        for (query, reason) in [
            ("info_hash=abc", "info_hash must be 20 bytes, percent-encoded, but has 3"),
            ("info_hash=%G0", "info_hash is not percent-encoded properly"),
        ] {
            assert_eq!(ScrapeRequest::parse_query(query.as_bytes()).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn h54_a_scrape_of_too_much_or_of_everything_is_refused() {
        let of = |count| ScrapeRequest::parse_query(vec![HASH; count].join("&").as_bytes());
        assert_eq!(of(MAX_SCRAPE_HASHES).unwrap().info_hashes.len(), MAX_SCRAPE_HASHES);
        assert_eq!(of(MAX_SCRAPE_HASHES + 1), Err(RequestError::TooManyHashes));
        assert_eq!(of(10_000), Err(RequestError::TooLong));
        assert_eq!(
            ScrapeRequest::parse_query(b"").unwrap_err().to_string(),
            "a scrape must name at least one info_hash"
        );
    }

    #[test]
    fn the_largest_scrape_fits_a_query() {
        // Every byte escaped takes three.
        let request = ScrapeRequest { info_hashes: vec![InfoHash::new([0xff; 20]); MAX_SCRAPE_HASHES] };
        assert!(request.to_url("http://t/scrape").len() <= super::super::MAX_QUERY_BYTES);
    }

    proptest! {
        #[test]
        fn a_scrape_survives(hashes in proptest::collection::vec(any::<[u8; 20]>(), 1..=MAX_SCRAPE_HASHES)) {
            let request = ScrapeRequest { info_hashes: hashes.into_iter().map(InfoHash::new).collect() };
            let url = request.to_url("http://t/scrape?a=b");
            let query = url.split_once('?').unwrap().1;
            prop_assert_eq!(ScrapeRequest::parse_query(query.as_bytes()), Ok(request));
        }

        #[test]
        fn a_scrape_reply_survives(
            files in proptest::collection::btree_map(any::<[u8; 20]>(), any::<(u32, u32, u32, Option<u32>)>(), 0..=MAX_SCRAPE_HASHES)
        ) {
            let files = files.into_iter().map(|(hash, (complete, incomplete, downloaded, downloaders))| {
                (InfoHash::new(hash), ScrapeStats { complete, incomplete, downloaded, downloaders })
            });
            let reply = ScrapeReply { files: files.collect() };
            prop_assert_eq!(ScrapeReply::parse(200, &reply.encode()), Ok(reply));
        }
    }
}
