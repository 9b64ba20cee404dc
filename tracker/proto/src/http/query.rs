//! Announce queries: the part of the URL after `?`, both directions.
//!
//! Parsing is strict where a wrong value would be counted (info-hash, peer id, port, bytes left) and lenient
//! where it only concerns the client's own comfort (numwant, unknown events and keys) or nobody at all (bytes moved,
//! tokens, the address it claims): those count as absent when they cannot be read, and the last of several holds.

use std::fmt::Write as _;
use std::net::IpAddr;

use metainfo::{InfoHash, percent_encode};
use thiserror::Error;

use super::{AnnounceRequest, Event, MAX_QUERY_BYTES, MAX_SCRAPE_HASHES, MAX_TOKEN_BYTES};
use crate::{PeerId, percent};

/// Why a tracker refuses a request. The text is what the client gets as its failure reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The query is longer than [`MAX_QUERY_BYTES`].
    #[error("the query is longer than {MAX_QUERY_BYTES} bytes")]
    TooLong,
    /// A key that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key whose value would be ambiguous is there more than once.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A `%` is not followed by two hexadecimal digits.
    #[error("{0} is not percent-encoded properly")]
    Escape(&'static str),
    /// An info-hash or a peer id of another length.
    #[error("{key} must be 20 bytes, percent-encoded, but has {length}")]
    Length {
        /// Which.
        key: &'static str,
        /// Bytes it has.
        length: usize,
    },
    /// Not a number from zero up to what the field can hold.
    #[error("{0} is not a number, is negative or is too large")]
    Number(&'static str),
    /// Port 0.
    #[error("port 0 cannot be connected to")]
    Port,
    /// More than [`MAX_SCRAPE_HASHES`] in one scrape.
    #[error("more than {MAX_SCRAPE_HASHES} info-hashes in one scrape")]
    TooManyHashes,
    /// A scrape of everything.
    #[error("a scrape must name at least one info_hash")]
    ScrapeAll,
}

impl AnnounceRequest {
    /// The URL to fetch: the announce URL with this request as its query, after whatever query it has already.
    /// A fragment is left out.
    pub fn to_url(&self, announce: &str) -> String {
        let mut url = start_query(announce);
        url.push_str(&self.to_query());
        url
    }

    /// The query, without `?`.
    pub fn to_query(&self) -> String {
        let mut query = String::with_capacity(320);
        // Writing to a String cannot fail.
        let _ = write!(
            query,
            "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact={}",
            percent_encode(self.info_hash.as_bytes()),
            percent_encode(&self.peer_id.0),
            self.port,
            self.uploaded,
            self.downloaded,
            self.left,
            u8::from(self.compact)
        );
        if self.no_peer_id {
            query.push_str("&no_peer_id=1");
        }
        match self.event {
            Event::None => {}
            Event::Started => query.push_str("&event=started"),
            Event::Stopped => query.push_str("&event=stopped"),
            Event::Completed => query.push_str("&event=completed"),
            Event::Paused => query.push_str("&event=paused"),
        }
        if let Some(numwant) = self.numwant {
            let _ = write!(query, "&numwant={numwant}");
        }
        for (name, token) in [("key", &self.key), ("trackerid", &self.tracker_id)] {
            if let Some(token) = token {
                let _ = write!(query, "&{name}={}", percent_encode(token));
            }
        }
        if let Some(ip) = self.ip {
            let _ = write!(query, "&ip={}", percent_encode(ip.to_string().as_bytes()));
        }
        query
    }

    /// Reads the query of an announce, as it came: percent-encoded, without `?`.
    ///
    /// # Errors
    /// When a value that would be counted is missing, ambiguous or out of range. Nothing should be counted then.
    pub fn parse_query(query: &[u8]) -> Result<Self, RequestError> {
        let mut info_hash = Field::new("info_hash");
        let mut peer_id = Field::new("peer_id");
        let mut port = Field::new("port");
        let mut left = Field::new("left");
        let mut event = Field::new("event");
        let mut numwant = Field::new("numwant");
        let mut compact = Field::new("compact");
        let mut no_peer_id = Field::new("no_peer_id");
        let (mut uploaded, mut downloaded) = (None, None);
        let (mut key, mut tracker_id, mut ip) = (None, None, None);
        for (name, value) in pairs(query)? {
            match name {
                b"info_hash" => info_hash.set(value)?,
                b"peer_id" => peer_id.set(value)?,
                b"port" => port.set(value)?,
                b"left" => left.set(value)?,
                b"event" => event.set(value)?,
                b"numwant" | b"num_want" => numwant.set(value)?,
                b"compact" => compact.set(value)?,
                b"no_peer_id" => no_peer_id.set(value)?,
                b"uploaded" => uploaded = read_number(value),
                b"downloaded" => downloaded = read_number(value),
                b"key" => key = read_token(value),
                b"trackerid" => tracker_id = read_token(value),
                b"ip" => ip = read_ip(value),
                _ => {}
            }
        }
        let port = u16::try_from(port.number()?.ok_or(RequestError::Missing("port"))?)
            .map_err(|_| RequestError::Number("port"))?;
        if port == 0 {
            return Err(RequestError::Port);
        }
        Ok(Self {
            info_hash: InfoHash::new(info_hash.twenty_bytes()?),
            peer_id: PeerId(peer_id.twenty_bytes()?),
            port,
            uploaded: uploaded.unwrap_or(0),
            downloaded: downloaded.unwrap_or(0),
            left: left.number()?.ok_or(RequestError::Missing("left"))?,
            event: match event.value {
                Some(b"started") => Event::Started,
                Some(b"stopped") => Event::Stopped,
                Some(b"completed") => Event::Completed,
                Some(b"paused") => Event::Paused,
                _ => Event::None,
            },
            numwant: numwant.value.and_then(read_numwant),
            compact: compact.value != Some(b"0"),
            key,
            no_peer_id: no_peer_id.value == Some(b"1"),
            tracker_id,
            ip,
        })
    }
}

/// The announce URL (without its fragment) up to where a query can be appended.
pub(super) fn start_query(url: &str) -> String {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{joint}")
}

/// The `name=value` pairs of a query of bounded length; names are compared as they came, values are still escaped.
pub(super) fn pairs(query: &[u8]) -> Result<impl Iterator<Item = (&[u8], &[u8])>, RequestError> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(RequestError::TooLong);
    }
    Ok(query.split(|&byte| byte == b'&').filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at(equals);
        Some((name, value.get(1..)?))
    }))
}

/// One value of a query and the name under which errors speak of it.
struct Field<'a> {
    name: &'static str,
    value: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set(&mut self, value: &'a [u8]) -> Result<(), RequestError> {
        // The same value again says nothing new; two different ones leave open which was meant.
        if self.value.is_some_and(|before| before != value) {
            return Err(RequestError::Twice(self.name));
        }
        self.value = Some(value);
        Ok(())
    }

    fn number(&self) -> Result<Option<u64>, RequestError> {
        self.value.map(|value| read_number(value).ok_or(RequestError::Number(self.name))).transpose()
    }

    fn twenty_bytes(&self) -> Result<[u8; 20], RequestError> {
        let value = self.value.ok_or(RequestError::Missing(self.name))?;
        twenty_bytes(self.name, value)
    }
}

/// Reads an escaped info-hash or peer id.
pub(super) fn twenty_bytes(key: &'static str, value: &[u8]) -> Result<[u8; 20], RequestError> {
    let mut bytes = [0; 20];
    match percent::decode_into(value, &mut bytes).ok_or(RequestError::Escape(key))? {
        20 => Ok(bytes),
        length => Err(RequestError::Length { key, length }),
    }
}

/// The value as text if it is digits only: `str::parse` alone would take a sign.
fn read_digits(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn read_number(value: &[u8]) -> Option<u64> {
    read_digits(value)?.parse().ok()
}

/// An opaque token; one that is too long to be a real one is as good as none.
fn read_token(value: &[u8]) -> Option<Vec<u8>> {
    percent::decode(value).filter(|token| token.len() <= MAX_TOKEN_BYTES)
}

/// Too many is as many as can be; -1 and anything else that is no number leaves it to the tracker.
fn read_numwant(value: &[u8]) -> Option<u32> {
    let text = read_digits(value).filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(u32::MAX))
}

fn read_ip(value: &[u8]) -> Option<IpAddr> {
    String::from_utf8(percent::decode(value)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
