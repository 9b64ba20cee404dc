//! Messages of `ut_pex` (BEP 11): who has come and who has gone among the peers that the sender is connected to.
//!
//! Whether an address may be used depends on who named it ([`crate::scope`]), and how often a peer may say so is the
//! engine's to watch: a message alone cannot show either.

use std::net::{IpAddr, SocketAddr};

use metainfo::bencode::Value;
use tracker_proto::compact::{self, IPV4_LENGTH, IPV6_LENGTH};

use super::ExtensionError;
use super::reader::Reader;

/// The most entries read of those added, both families together, and as many of those dropped. The BEP asks for no
/// more than 50 of each, except in the first message.
pub const MAX_PEX_ENTRIES: usize = 200;

const MESSAGE: &str = "peer exchange";
const WHOLE: &str = "a whole number of addresses";

/// What the sender says of a peer that it added. Bits that the BEP does not know are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// It prefers encrypted connections.
    pub const PREFERS_ENCRYPTION: Self = Self(0x01);
    /// It is a seed, or wants nothing any more.
    pub const SEED: Self = Self(0x02);
    /// It speaks uTP.
    pub const UTP: Self = Self(0x04);
    /// It speaks `ut_holepunch`.
    pub const HOLEPUNCH: Self = Self(0x08);
    /// The sender has connected to it, so it can be reached.
    pub const REACHABLE: Self = Self(0x10);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A peer that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PexPeer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is said of it.
    pub flags: PexFlags,
}

/// One message. When parsed, at most [`MAX_PEX_ENTRIES`] added and as many dropped, each an address that can be dialled
/// at all, IPv4 first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pex {
    /// Peers that the sender has become connected to.
    pub added: Vec<PexPeer>,
    /// Addresses that it was connected to and is not any more.
    pub dropped: Vec<SocketAddr>,
}

impl Pex {
    /// Reads a payload. Entries over the limit and addresses that nobody can dial are left out; flags that are missing
    /// are 0.
    ///
    /// # Errors
    /// If it is no bencoded dictionary, a key has another type, or addresses are cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let reader = Reader::new(MESSAGE, payload)?;
        let (mut added, mut dropped) = (Vec::new(), Vec::new());
        for (key, flags_key, length) in
            [("added", "added.f", IPV4_LENGTH), ("added6", "added6.f", IPV6_LENGTH)]
        {
            let flags = reader.bytes(flags_key)?.unwrap_or_default();
            let flags = flags.iter().copied().chain(std::iter::repeat(0)).map(PexFlags);
            let read = entries(&reader, key, length)?.zip(flags);
            let read = read.map(|(address, flags)| address.map(|address| PexPeer { address, flags }));
            added.extend(read.take(MAX_PEX_ENTRIES.saturating_sub(added.len())));
        }
        for (key, length) in [("dropped", IPV4_LENGTH), ("dropped6", IPV6_LENGTH)] {
            let left = MAX_PEX_ENTRIES.saturating_sub(dropped.len());
            dropped.extend(entries(&reader, key, length)?.take(left));
        }
        let mut added: Vec<PexPeer> = added.into_iter().flatten().collect();
        let mut dropped: Vec<SocketAddr> = dropped.into_iter().flatten().collect();
        // An IPv4 address may be written as an IPv6 one, and is taken for what it is.
        added.sort_by_key(|peer| peer.address.is_ipv6());
        dropped.sort_by_key(SocketAddr::is_ipv6);
        Ok(Self { added, dropped })
    }

    /// The payload: all four lists, empty ones too, as the BEP wants at least one and some clients expect each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let is_v4 = |address: &SocketAddr| address.ip().to_canonical().is_ipv4();
        let list = |addresses: &mut dyn Iterator<Item = SocketAddr>| {
            let mut out = Vec::new();
            addresses.for_each(|address| compact::encode(address, &mut out));
            Value::Bytes(out)
        };
        let added = |v4: bool| self.added.iter().filter(move |peer| is_v4(&peer.address) == v4);
        let addresses = |v4: bool| list(&mut added(v4).map(|peer| peer.address));
        let flags = |v4: bool| Value::Bytes(added(v4).map(|peer| peer.flags.0).collect());
        let dropped = |v4: bool| list(&mut self.dropped.iter().copied().filter(|a| is_v4(a) == v4));
        Value::dict([
            ("added", addresses(true)),
            ("added.f", flags(true)),
            ("added6", addresses(false)),
            ("added6.f", flags(false)),
            ("dropped", dropped(true)),
            ("dropped6", dropped(false)),
        ])
        .to_bytes()
    }
}

/// The addresses under a key, in entries of `length` bytes; `None` for one that nobody can dial.
fn entries<'r>(
    reader: &'r Reader<'_>,
    key: &'static str,
    length: usize,
) -> Result<impl Iterator<Item = Option<SocketAddr>> + 'r, ExtensionError> {
    let bytes = reader.bytes(key)?.unwrap_or_default();
    match bytes.len() % length {
        0 => Ok(bytes.chunks_exact(length).map(|entry| address(entry).filter(|a| compact::is_dialable(*a)))),
        _ => Err(reader.wrong(key, WHOLE)),
    }
}

/// An entry of 6 or 18 bytes.
fn address(entry: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = entry.split_last_chunk()?;
    let ip = match <[u8; 4]>::try_from(ip) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn error(payload: &str) -> String {
        Pex::parse(payload.as_bytes()).unwrap_err().to_string()
    }

    fn peer(address: &str, flags: u8) -> PexPeer {
        PexPeer { address: address.parse().unwrap(), flags: PexFlags(flags) }
    }

    #[test]
    fn the_layout_is_that_of_bep_11() {
        let sent = Pex {
            added: vec![peer("[2001:db8::1]:80", 0x10), peer("1.2.3.4:6881", 0x02)],
            dropped: vec!["9.8.7.6:5".parse().unwrap()],
        };
        let due = b"d5:added6:\x01\x02\x03\x04\x1a\xe17:added.f1:\x026:added618:\x20\x01\x0d\xb8\
            \0\0\0\0\0\0\0\0\0\0\0\x01\0\x508:added6.f1:\x107:dropped6:\x09\x08\x07\x06\0\x058:dropped60:e";
        assert_eq!(sent.to_bytes(), due);
        let read = Pex::parse(due).unwrap();
        assert_eq!(read.added, [peer("1.2.3.4:6881", 0x02), peer("[2001:db8::1]:80", 0x10)], "IPv4 first");
        assert_eq!(read.dropped, sent.dropped);
    }

    #[test]
    fn flags_say_what_bep_11_says() {
        let flags = PexFlags::SEED.with(PexFlags::REACHABLE);
        assert_eq!(flags.0, 0x12);
        assert!(flags.contains(PexFlags::SEED) && flags.contains(PexFlags::REACHABLE));
        assert!(
            !flags.contains(PexFlags::PREFERS_ENCRYPTION)
                && !flags.contains(PexFlags::SEED.with(PexFlags::UTP))
        );
        assert_eq!(PexFlags::HOLEPUNCH.0, 0x08);
    }

    #[test]
    fn missing_flags_are_none_and_too_many_are_ignored() {
        let read =
            Pex::parse(b"d5:added12:\x01\x02\x03\x04\0\x01\x05\x06\x07\x08\0\x017:added.f1:\x10e").unwrap();
        assert_eq!(read.added, [peer("1.2.3.4:1", 0x10), peer("5.6.7.8:1", 0)]);
        let read = Pex::parse(b"d5:added6:\x01\x02\x03\x04\0\x017:added.f3:\x02\x10\x10e").unwrap();
        assert_eq!(read.added, [peer("1.2.3.4:1", 0x02)]);
        assert_eq!(Pex::parse(b"de"), Ok(Pex::default()));
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_left_out_and_the_flags_stay_with_their_peers() {
        let read =
            Pex::parse(b"d5:added12:\x01\x02\x03\x04\0\0\x05\x06\x07\x08\0\x017:added.f2:\x02\x10e").unwrap();
        assert_eq!(read.added, [peer("5.6.7.8:1", 0x10)]);
    }

    #[test]
    fn an_ipv4_address_among_ipv6_ones_is_read_with_the_other_ipv4_ones() {
        let payload =
            b"d5:added6:\x01\x02\x03\x04\0\x016:added636:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02\
            \0\0\0\0\0\0\0\0\0\0\xff\xff\x05\x06\x07\x08\0\x038:added6.f2:\x10\x02e";
        let read = Pex::parse(payload).unwrap();
        assert_eq!(
            read.added,
            [peer("1.2.3.4:1", 0), peer("5.6.7.8:3", 0x02), peer("[2001:db8::1]:2", 0x10)]
        );
        assert_eq!(Pex::parse(&read.to_bytes()), Ok(read));
    }

    #[test]
    fn h35_lists_of_the_wrong_type_or_cut_short_are_refused() {
        assert_eq!(error("d5:addedi1ee"), "sent a bad peer exchange: the key 'added' must be a string");
        assert_eq!(error("d8:added6.flee"), "sent a bad peer exchange: the key 'added6.f' must be a string");
        let due =
            |key| format!("sent a bad peer exchange: the key '{key}' must be a whole number of addresses");
        assert_eq!(error("d5:added7:1234567e"), due("added"));
        assert_eq!(error("d6:added66:123456e"), due("added6"));
        assert_eq!(error("d7:dropped1:1e"), due("dropped"));
        assert_eq!(error("d8:dropped617:12345678901234567e"), due("dropped6"));
        assert_eq!(error("li1ee"), "sent a bad peer exchange: it is no dictionary");
    }

    #[test]
    fn h38_of_ten_thousand_peers_the_first_two_hundred_are_read() {
        let entry = |n: usize| PexPeer {
            address: SocketAddr::from(([1, 2, 3, 4], u16::try_from(n + 1).unwrap())),
            flags: PexFlags(0x10),
        };
        let entry6 =
            |n| PexPeer { address: (Ipv6Addr::from([0x20; 16]), entry(n).address.port()).into(), ..entry(n) };
        let many = Pex {
            added: (0..150).map(entry).chain((0..9_850).map(entry6)).collect(),
            dropped: (0..10_000).map(|n| entry(n).address).collect(),
        };
        let read = Pex::parse(&many.to_bytes()).unwrap();
        assert_eq!(read.added, many.added[..MAX_PEX_ENTRIES]);
        assert_eq!(read.dropped, many.dropped[..MAX_PEX_ENTRIES]);
    }

    fn any_v4() -> impl Strategy<Value = SocketAddr> {
        any::<(Ipv4Addr, u16)>()
            .prop_map(SocketAddr::from)
            .prop_filter("dialable", |a| compact::is_dialable(*a))
    }

    fn any_v6() -> impl Strategy<Value = SocketAddr> {
        any::<(Ipv6Addr, u16)>()
            .prop_map(SocketAddr::from)
            .prop_filter("dialable", |a| compact::is_dialable(*a) && a.ip().to_canonical().is_ipv6())
    }

    /// IPv4 first, as a message is read.
    fn any_addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
        let lists = (prop::collection::vec(any_v4(), 0..=100), prop::collection::vec(any_v6(), 0..=100));
        lists.prop_map(|(v4, v6)| [v4, v6].concat())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(added in any_addresses(), flags: [u8; 200], dropped in any_addresses()) {
            let added = added.into_iter().zip(flags);
            let added = added.map(|(address, flags)| PexPeer { address, flags: PexFlags(flags) }).collect();
            let sent = Pex { added, dropped };
            prop_assert_eq!(Pex::parse(&sent.to_bytes()), Ok(sent));
        }
    }
}
