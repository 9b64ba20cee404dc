//! Reading a tracker's answer, which may be anything: a reply, a failure, a web page, junk.
//!
//! Single bad entries are skipped; an answer is refused only when nothing in it can be used. What an error quotes
//! is cut short and escaped, so that it can be shown on a terminal as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use metainfo::bencode::{Document, Items, Limits, Node, scan};
use metainfo::{InfoHash, display_safe};
use thiserror::Error;

use super::{
    AnnounceReply, MAX_REPLY_BYTES, MAX_REPLY_PEERS, MAX_SCRAPE_HASHES, MAX_TOKEN_BYTES, ScrapeReply,
    ScrapeStats,
};
use crate::{compact, interval};

/// The most characters of a stranger's text that an error or a warning quotes.
const MAX_QUOTED: usize = 200;

/// A tracker's "no" (BEP 3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the tracker says: {reason}")]
pub struct Failure {
    /// Why, escaped and cut short.
    pub reason: String,
    /// How long the tracker asks to be left alone (BEP 31): at least [`interval::MIN`], `Duration::MAX` for ever.
    pub retry_in: Option<Duration>,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The tracker refused.
    #[error(transparent)]
    Failure(Failure),
    /// The HTTP status is no success, and the body is no tracker's failure.
    #[error("it answered with HTTP status {status}{quoted}")]
    Status {
        /// The status.
        status: u16,
        /// What the body says, as `: "..."`, or nothing.
        quoted: String,
    },
    /// A web page.
    #[error("it answered with a web page, not as a tracker does{0}")]
    WebPage(String),
    /// Longer than [`MAX_REPLY_BYTES`].
    #[error("its answer is longer than {MAX_REPLY_BYTES} bytes")]
    TooLong,
    /// Not bencode.
    #[error("its answer is not bencode: {0}")]
    NotBencode(metainfo::Error),
    /// Bencode, but not what was asked for.
    #[error("its answer is not a tracker's: {0}")]
    Unexpected(&'static str),
}

impl AnnounceReply {
    /// Reads the body of an answer with HTTP status `status`.
    ///
    /// # Errors
    /// When the tracker refused, or nothing in the answer can be used. Some trackers send their failure with a
    /// status that is no success: the failure is what is reported then.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        let document = read(status, body)?;
        let root = document.root();
        let mut reply = Self {
            interval: signed(root, "interval").map_or(interval::DEFAULT, interval::clamp),
            min_interval: signed(root, "min interval").map(interval::clamp),
            complete: unsigned(root, "complete"),
            incomplete: unsigned(root, "incomplete"),
            downloaded: unsigned(root, "downloaded"),
            peers: Vec::new(),
            external_ip: bytes(root, "external ip").and_then(read_external_ip),
            warning: bytes(root, "warning message").map(quotable),
            tracker_id: bytes(root, "tracker id")
                .filter(|id| id.len() <= MAX_TOKEN_BYTES)
                .map(<[u8]>::to_vec),
        };
        let mut skipped = 0;
        if let Some(peers) = root.get("peers") {
            if let Some(peers) = peers.as_bytes() {
                reply.take(compact::decode_ipv4(peers, MAX_REPLY_PEERS), &mut skipped);
            } else if let Some(peers) = peers.items() {
                reply.take(read_dictionaries(peers), &mut skipped);
            } else {
                skipped += 1;
            }
        }
        if let Some(peers) = bytes(root, "peers6") {
            let room = MAX_REPLY_PEERS.saturating_sub(reply.peers.len());
            reply.take(compact::decode_ipv6(peers, room), &mut skipped);
        }
        if reply.peers.is_empty() && skipped > 0 {
            return Err(ReplyError::Unexpected("none of its peers has an address that makes sense"));
        }
        let knows_announces = ["interval", "peers", "peers6", "complete", "incomplete", "min interval"];
        if !knows_announces.iter().any(|key| root.get(key).is_some()) {
            return Err(ReplyError::Unexpected("it has neither peers nor an interval"));
        }
        Ok(reply)
    }

    fn take(&mut self, decoded: compact::Decoded, skipped: &mut usize) {
        self.peers.extend(decoded.addresses);
        *skipped += decoded.skipped;
    }
}

impl ScrapeReply {
    /// Reads the body of an answer with HTTP status `status`. Entries that are no swarm's are skipped, and no more
    /// than [`MAX_SCRAPE_HASHES`] are read.
    ///
    /// # Errors
    /// As for [`AnnounceReply::parse`].
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        let document = read(status, body)?;
        let root = document.root();
        let Some(files) = root.get("files").filter(Node::is_dict) else {
            return Err(ReplyError::Unexpected("it has no files"));
        };
        let entries = files.entries().filter_map(|(hash, stats)| {
            let hash = InfoHash::new(<[u8; 20]>::try_from(hash).ok()?);
            let stats = ScrapeStats {
                complete: unsigned(stats, "complete").unwrap_or(0),
                incomplete: unsigned(stats, "incomplete").unwrap_or(0),
                downloaded: unsigned(stats, "downloaded").unwrap_or(0),
                downloaders: unsigned(stats, "downloaders"),
            };
            Some((hash, stats))
        });
        Ok(Self { files: entries.take(MAX_SCRAPE_HASHES).collect() })
    }
}

/// Finds the dictionary of a successful answer, or says what else it is.
fn read(status: u16, body: &[u8]) -> Result<Document<'_>, ReplyError> {
    if body.len() > MAX_REPLY_BYTES {
        return Err(ReplyError::TooLong);
    }
    let success = (200..300).contains(&status);
    // Some trackers end their answer with a newline: what follows the dictionary is left alone.
    let document = match scan(body, &Limits::MESSAGE) {
        Ok(document) if document.root().is_dict() => document,
        _ if !success => return Err(ReplyError::Status { status, quoted: quoted(words(body)) }),
        _ if is_web_page(body) => return Err(ReplyError::WebPage(quoted(words(body)))),
        Ok(_) => return Err(ReplyError::Unexpected("it is no dictionary")),
        Err(error) => return Err(ReplyError::NotBencode(error)),
    };
    if let Some(failure) = read_failure(document.root()) {
        return Err(ReplyError::Failure(failure));
    }
    if success { Ok(document) } else { Err(ReplyError::Status { status, quoted: String::new() }) }
}

fn read_failure(root: Node<'_>) -> Option<Failure> {
    let reason = bytes(root, "failure reason").or_else(|| bytes(root, "failure_reason"))?;
    let retry_in = root.get("retry in").and_then(|retry| match retry.as_str() {
        Some("never") => Some(Duration::MAX),
        Some(digits) => digits.parse().ok().map(minutes),
        None => retry.as_int().map(minutes),
    });
    Some(Failure { reason: quotable(reason), retry_in })
}

/// BEP 31's minutes, held within what a client can be asked to wait.
fn minutes(number: i64) -> Duration {
    interval::clamp(number.saturating_mul(60))
}

fn bytes<'a>(dictionary: Node<'a>, key: &str) -> Option<&'a [u8]> {
    dictionary.get(key)?.as_bytes()
}

fn signed(dictionary: Node<'_>, key: &str) -> Option<i64> {
    dictionary.get(key)?.as_int()
}

/// A count; one that is negative counts as none, one that is too large as the largest.
fn unsigned(dictionary: Node<'_>, key: &str) -> Option<u32> {
    signed(dictionary, key).filter(|n| *n >= 0).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

fn read_external_ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).to_canonical())
}

/// The original form of `peers`: a dictionary each. Host names are skipped: only addresses can be judged by scope.
fn read_dictionaries(entries: Items<'_>) -> compact::Decoded {
    let mut decoded = compact::Decoded::default();
    for entry in entries {
        if decoded.addresses.len() == MAX_REPLY_PEERS {
            break;
        }
        match read_dictionary(entry).filter(|address| compact::is_dialable(*address)) {
            Some(address) => decoded.addresses.push(address),
            None => decoded.skipped += 1,
        }
    }
    decoded
}

fn read_dictionary(entry: Node<'_>) -> Option<SocketAddr> {
    let ip: IpAddr = entry.get("ip")?.as_str()?.parse().ok()?;
    let port = u16::try_from(signed(entry, "port")?).ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn is_web_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [&b"<!doctype"[..], b"<html", b"<?xml", b"<head", b"<body", b"<!--"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)))
}

/// What a body says to a reader: a page's title, or else all of it.
fn words(body: &[u8]) -> &[u8] {
    if is_web_page(body) { page_title(body).unwrap_or_default() } else { body }
}

/// What stands between `<title>` and `</title>` near the start of a page.
fn page_title(body: &[u8]) -> Option<&[u8]> {
    // A title comes early; what follows is not worth a search.
    let head = body.get(..4096).unwrap_or(body).to_ascii_lowercase();
    let find = |needle: &[u8], from: usize| {
        head.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
    };
    let start = find(b"<title>", 0)? + b"<title>".len();
    body.get(start..find(b"</title>", start)?)
}

/// `: "text"`, or nothing where there is no text.
fn quoted(bytes: &[u8]) -> String {
    let text = quotable(bytes.trim_ascii());
    if text.is_empty() { text } else { format!(": \"{text}\"") }
}

/// A stranger's text on one line, escaped and cut short.
pub(crate) fn quotable(bytes: &[u8]) -> String {
    // Cut before it is converted: a character has at most four bytes.
    let start = bytes.get(..MAX_QUOTED * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let mut short: String = text.chars().take(MAX_QUOTED).collect();
    if short.len() < text.len() || start.len() < bytes.len() {
        short.push('…');
    }
    display_safe(&short)
}

#[cfg(test)]
mod tests;
