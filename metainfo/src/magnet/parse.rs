//! Reads a magnet link.
//!
//! Which torrent it names must be clear, or there is an error; everything else is a hint, and a hint that cannot be
//! used is left out.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{MAX_MAGNET_BYTES, MAX_MAGNET_PEERS, MAX_SELECTED_FILES, Magnet, MagnetPeer};
use crate::url::{TRACKER_SCHEMES, WEB_SEED_SCHEMES, is_host, is_kept};
use crate::{Error, ErrorKind, InfoHash, InfoHashes, MAX_TRACKERS, MAX_WEB_SEEDS, display_safe, percent};

const SCHEME: &str = "magnet:?";

/// The exact topics that name a torrent: the hash of a v1 info dictionary, and the multihash of a v2 one.
const V1_TOPIC: &str = "urn:btih:";
const V2_TOPIC: &str = "urn:btmh:";

pub(super) fn magnet(text: &str) -> Result<Magnet, Error> {
    let text = text.trim();
    if text.len() > MAX_MAGNET_BYTES {
        return Err(error(format!("a magnet link of {} bytes is too long", text.len())));
    }
    let query = strip_prefix_ignoring_case(text, SCHEME)
        .ok_or_else(|| error("a magnet link begins with 'magnet:?'"))?;
    let mut topics = Topics::default();
    let (mut name, mut select) = (None, Vec::new());
    let mut trackers = Urls::new(TRACKER_SCHEMES, MAX_TRACKERS);
    let mut web_seeds = Urls::new(WEB_SEED_SCHEMES, MAX_WEB_SEEDS);
    let mut peers: Vec<MagnetPeer> = Vec::new();
    for parameter in query.split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match without_number(key) {
            "xt" => topics.add(&lossy(percent::decode(value)))?,
            // Names are written as in a form, with + for a space; elsewhere it is a plus.
            "dn" if name.is_none() => {
                name = Some(lossy(percent::decode(&value.replace('+', " ")))).filter(|n| !n.is_empty());
            }
            "tr" => trackers.add(value),
            "ws" => web_seeds.add(value),
            "x.pe" => match peer(&lossy(percent::decode(value))) {
                Some(peer) if peers.len() < MAX_MAGNET_PEERS && !peers.contains(&peer) => peers.push(peer),
                _ => {}
            },
            "so" => select.extend(lossy(percent::decode(value)).split(',').filter_map(range)),
            _ => {}
        }
    }
    Ok(Magnet {
        hashes: topics.finish()?,
        name,
        trackers: trackers.kept,
        peers,
        web_seeds: web_seeds.kept,
        select: disjoint(select),
    })
}

/// What the `xt` parameters name.
#[derive(Default)]
struct Topics {
    v1: Option<InfoHash>,
    v2: bool,
}

impl Topics {
    fn add(&mut self, topic: &str) -> Result<(), Error> {
        // Topics of other networks stand beside ours in some links.
        self.v2 |= strip_prefix_ignoring_case(topic, V2_TOPIC).is_some();
        let Some(digits) = strip_prefix_ignoring_case(topic, V1_TOPIC) else { return Ok(()) };
        let hash = digits.parse().map_err(|e: Error| {
            let shown: String = display_safe(digits).chars().take(80).collect();
            error(format!("'{shown}' is no info-hash: {e}"))
        })?;
        match self.v1.replace(hash) {
            Some(other) if other != hash => {
                Err(error(format!("the link names two torrents, {other} and {hash}: give one")))
            }
            _ => Ok(()),
        }
    }

    /// A link with both kinds names a hybrid torrent, which is read as v1.
    fn finish(self) -> Result<InfoHashes, Error> {
        match (self.v1, self.v2) {
            (Some(hash), _) => Ok(InfoHashes::V1(hash)),
            (None, true) => Err(Error::new(ErrorKind::Unsupported(
                "links to torrents that are only v2 (urn:btmh) are not supported yet".to_owned(),
            ))),
            (None, false) => Err(error("the link names no torrent: 'xt=urn:btih:…' is missing")),
        }
    }
}

/// URLs of some schemes, each once.
struct Urls {
    schemes: &'static [&'static str],
    max: usize,
    seen: BTreeSet<String>,
    kept: Vec<String>,
}

impl Urls {
    const fn new(schemes: &'static [&'static str], max: usize) -> Self {
        Self { schemes, max, seen: BTreeSet::new(), kept: Vec::new() }
    }

    fn add(&mut self, encoded: &str) {
        let Ok(url) = String::from_utf8(percent::decode(encoded)) else { return };
        let url = url.trim();
        if self.kept.len() < self.max && is_kept(url, self.schemes) && self.seen.insert(url.to_owned()) {
            self.kept.push(url.to_owned());
        }
    }
}

/// `host:port`, an IPv6 address in brackets.
fn peer(text: &str) -> Option<MagnetPeer> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').filter(|address| address.contains(':'))?,
        None => Some(host).filter(|host| !host.contains(':'))?,
    };
    is_host(host).then(|| MagnetPeer { host: host.to_owned(), port })
}

/// `7` or `4-6` (BEP 53).
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// The ranges sorted, joined where they touch, and cut to [`MAX_SELECTED_FILES`] files in all.
fn disjoint(mut ranges: Vec<RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    ranges.sort_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u32>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(before) if *range.start() <= before.end().saturating_add(1) => {
                *before = *before.start()..=*before.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    let mut left = MAX_SELECTED_FILES;
    let cut = |range: RangeInclusive<u32>| {
        let last = range.start().saturating_add(left.checked_sub(1)?).min(*range.end());
        left -= last - range.start() + 1;
        Some(*range.start()..=last)
    };
    joined.into_iter().map_while(cut).collect()
}

/// The parameter's name without the `.1` by which some links tell several of a kind apart.
fn without_number(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((name, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => key,
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn error(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Magnet(text.into()))
}
