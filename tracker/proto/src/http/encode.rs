//! Writing replies: bencoded dictionaries with their keys in order (BEP 3).

use std::net::IpAddr;
use std::time::Duration;

use super::AnnounceReply;
use crate::PeerId;
use crate::swarm::CompactPeers;

/// A bencoded failure, which a tracker sends with status 200 (BEP 3), and how long to wait before trying again
/// (BEP 31: whole minutes, rounded up; `Duration::MAX` means never).
pub fn encode_failure(reason: &str, retry_in: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_failure_into(reason, retry_in, &mut out);
    out
}

/// As [`encode_failure`], appended to `out`.
pub fn encode_failure_into(reason: &str, retry_in: Option<Duration>, out: &mut Vec<u8>) {
    out.push(b'd');
    pair(out, "failure reason", reason.as_bytes());
    match retry_in {
        Some(Duration::MAX) => pair(out, "retry in", b"never"),
        Some(wait) => number(out, "retry in", wait.as_secs().div_ceil(60)),
        None => {}
    }
    out.push(b'e');
}

impl AnnounceReply {
    /// The reply in the compact form (BEP 23): IPv4 in `peers`, IPv6 in `peers6` (BEP 7). `peers` is always there,
    /// because some clients take a reply without it for an error.
    pub fn encode(&self) -> Vec<u8> {
        let mut peers = CompactPeers::default();
        self.peers.iter().for_each(|peer| peers.push(*peer));
        let mut out = Vec::with_capacity(256 + peers.ipv4.len() + peers.ipv6.len());
        self.encode_with(&peers, &mut out);
        out
    }

    /// As [`Self::encode`], appended to `out`, with peers that are compact already in place of [`Self::peers`].
    pub fn encode_with(&self, peers: &CompactPeers, out: &mut Vec<u8>) {
        self.encode_around(out, |out| {
            pair(out, "peers", &peers.ipv4);
            if !peers.ipv6.is_empty() {
                pair(out, "peers6", &peers.ipv6);
            }
        });
    }

    /// The reply in the original form (BEP 3), a dictionary a peer, for clients that refuse the compact one.
    ///
    /// `ids` are the peers' ids in the order of [`Self::peers`]; where there is none, `peer id` is left out.
    pub fn encode_dictionaries(&self, ids: &[PeerId]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.peers.len() * 80);
        self.encode_around(&mut out, |out| {
            string(out, b"peers");
            out.push(b'l');
            for (at, peer) in self.peers.iter().enumerate() {
                out.push(b'd');
                pair(out, "ip", peer.ip().to_canonical().to_string().as_bytes());
                if let Some(id) = ids.get(at) {
                    pair(out, "peer id", &id.0);
                }
                number(out, "port", peer.port().into());
                out.push(b'e');
            }
            out.push(b'e');
        });
        out
    }

    /// Everything but the peers, which come between `min interval` and `tracker id`.
    fn encode_around(&self, out: &mut Vec<u8>, peers: impl FnOnce(&mut Vec<u8>)) {
        out.push(b'd');
        let counts = [("complete", self.complete), ("downloaded", self.downloaded)];
        for (key, count) in counts {
            if let Some(count) = count {
                number(out, key, count.into());
            }
        }
        match self.external_ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => pair(out, "external ip", &ip.octets()),
            Some(IpAddr::V6(ip)) => pair(out, "external ip", &ip.octets()),
            None => {}
        }
        if let Some(incomplete) = self.incomplete {
            number(out, "incomplete", incomplete.into());
        }
        number(out, "interval", self.interval.as_secs());
        if let Some(interval) = self.min_interval {
            number(out, "min interval", interval.as_secs());
        }
        peers(out);
        if let Some(id) = &self.tracker_id {
            pair(out, "tracker id", id);
        }
        if let Some(warning) = &self.warning {
            pair(out, "warning message", warning.as_bytes());
        }
        out.push(b'e');
    }
}

/// Appends a number in decimal digits, some times faster than the formatter, which a reply would go through a dozen
/// times.
pub fn decimal(out: &mut Vec<u8>, mut value: u64) {
    // As many as the largest number has.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for (at, place) in digits.iter_mut().enumerate().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        first = at;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Appends a byte string.
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    decimal(out, bytes.len() as u64);
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// Appends a key and a byte string.
pub(super) fn pair(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    string(out, key.as_bytes());
    string(out, value);
}

/// Appends a key and an integer.
pub(super) fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    string(out, key.as_bytes());
    out.push(b'i');
    decimal(out, value);
    out.push(b'e');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_the_formatter_would(value: u64, shift in 0_u32..64) {
            let mut out = Vec::new();
            decimal(&mut out, value >> shift);
            prop_assert_eq!(String::from_utf8(out).unwrap(), (value >> shift).to_string());
        }
    }
}
