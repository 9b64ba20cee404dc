//! The handshake of the extension protocol (BEP 10), with `metadata_size` (BEP 9) and `upload_only` (BEP 21).
//!
//! Every key is optional, and a later handshake says only what changes. `ipv4` and `ipv6` are ignored: anyone could
//! name somebody else's address there. So are keys and extensions that we do not know.

use std::net::IpAddr;

use metainfo::bencode::Value;
use metainfo::display_safe;

use super::reader::Reader;
use super::{Extension, ExtensionError, ExtensionIds};

/// The largest info dictionary that is taken from peers, in bytes: 30 MiB, which is a torrent of 1.5 million pieces.
/// A stranger names the size, and only the whole shows that it is junk, so this is less than the 64 MiB
/// ([`metainfo::MAX_TORRENT_BYTES`]) that the user may hand us himself.
pub const MAX_METADATA_LENGTH: u32 = 30 * 1024 * 1024;

/// The most requests that a peer is believed to queue: more than a link ever has outstanding.
pub const MAX_REQQ: u16 = 2000;

/// How much of a client's name is kept, in characters: it is for people to look at.
pub const MAX_VERSION_CHARS: usize = 64;

/// The most bytes that a character has in UTF-8.
const MAX_CHAR_BYTES: usize = 4;

const MESSAGE: &str = "extension handshake";

/// What one handshake says; `None` where it is silent or says what cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionHandshake {
    /// `m`: what its sender speaks, and under which numbers.
    pub extensions: ExtensionIds,
    /// `p`: the TCP port on which it listens, not 0.
    pub port: Option<u16>,
    /// `v`: the client's name and version; when parsed at most [`MAX_VERSION_CHARS`] characters, those that act on a
    /// terminal escaped.
    pub version: Option<String>,
    /// `yourip`: the receiver's address as the sender sees it.
    pub your_ip: Option<IpAddr>,
    /// `reqq`: requests that it queues before it drops any; when parsed 1 to [`MAX_REQQ`].
    pub reqq: Option<u16>,
    /// `metadata_size`: bytes of the info dictionary; when parsed 1 to [`MAX_METADATA_LENGTH`].
    pub metadata_size: Option<u32>,
    /// `upload_only`: whether it wants nothing any more.
    pub upload_only: Option<bool>,
}

impl ExtensionHandshake {
    /// Reads a payload.
    ///
    /// # Errors
    /// If it is no bencoded dictionary, or a key that we know has another type.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let reader = Reader::new(MESSAGE, payload)?;
        let extensions = reader.dict("m")?.map_or_else(ExtensionIds::default, |m| {
            ExtensionIds::from_fn(|extension| u8::try_from(m.get(extension.key())?.as_int()?).ok())
        });
        let reqq = reader.int("reqq")?.map(|stated| stated.clamp(1, i64::from(MAX_REQQ)));
        let metadata_size = reader.int("metadata_size")?.and_then(|stated| u32::try_from(stated).ok());
        Ok(Self {
            extensions,
            port: reader.int("p")?.and_then(|stated| u16::try_from(stated).ok()).filter(|&port| port != 0),
            version: reader.bytes("v")?.map(shown),
            your_ip: reader.bytes("yourip")?.and_then(ip),
            reqq: reqq.and_then(|clamped| u16::try_from(clamped).ok()),
            metadata_size: metadata_size.filter(|size| (1..=MAX_METADATA_LENGTH).contains(size)),
            upload_only: reader.int("upload_only")?.map(|stated| stated != 0),
        })
    }

    /// The payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let ids = Extension::ALL.into_iter().filter_map(|extension| {
            Some((extension.key(), i64::from(self.extensions.said(extension)?).into()))
        });
        let your_ip = self.your_ip.map(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => Value::from(&ip.octets()[..]),
            IpAddr::V6(ip) => Value::from(&ip.octets()[..]),
        });
        let entries = [
            ("m", Some(Value::dict(ids))),
            ("p", self.port.map(|port| i64::from(port).into())),
            ("v", self.version.as_deref().map(Value::from)),
            ("yourip", your_ip),
            ("reqq", self.reqq.map(|reqq| i64::from(reqq).into())),
            ("metadata_size", self.metadata_size.map(|size| i64::from(size).into())),
            ("upload_only", self.upload_only.map(|only| i64::from(only).into())),
        ];
        Value::dict(entries.into_iter().filter_map(|(key, value)| Some((key, value?)))).to_bytes()
    }
}

/// A client's name as it may be shown.
fn shown(stated: &[u8]) -> String {
    let text = String::from_utf8_lossy(stated.get(..MAX_VERSION_CHARS * MAX_CHAR_BYTES).unwrap_or(stated));
    display_safe(&text.chars().take(MAX_VERSION_CHARS).collect::<String>())
}

/// An address of 4 or 16 bytes.
fn ip(stated: &[u8]) -> Option<IpAddr> {
    let v4 = stated.try_into().map(|octets: [u8; 4]| IpAddr::from(octets));
    v4.or_else(|_| stated.try_into().map(|octets: [u8; 16]| IpAddr::from(octets)))
        .ok()
        .map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(payload: &str) -> ExtensionHandshake {
        ExtensionHandshake::parse(payload.as_bytes()).unwrap()
    }

    fn error(payload: &str) -> String {
        ExtensionHandshake::parse(payload.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_example_of_bep_10_is_read() {
        let payload = b"d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";
        let read = ExtensionHandshake::parse(payload).unwrap();
        assert_eq!((read.port, read.version.as_deref()), (Some(6881), Some("µTorrent 1.2")));
        assert_eq!(read.extensions, ExtensionIds::default(), "names that we do not know");
    }

    #[test]
    fn ours_is_as_other_clients_expect_it() {
        let ours = ExtensionHandshake {
            extensions: ExtensionIds::ours(&Extension::ALL),
            port: Some(6881),
            version: Some("shoal 0.1.0".to_owned()),
            your_ip: Some("1.2.3.4".parse().unwrap()),
            reqq: Some(2000),
            metadata_size: Some(31_235),
            upload_only: Some(true),
        };
        let due = b"d1:md11:lt_donthavei3e11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei31235e1:pi6881e\
            4:reqqi2000e11:upload_onlyi1e1:v11:shoal 0.1.06:yourip4:\x01\x02\x03\x04e";
        assert_eq!(ours.to_bytes(), due);
        assert_eq!(ExtensionHandshake::parse(due), Ok(ours));
    }

    #[test]
    fn an_empty_handshake_says_nothing() {
        assert_eq!(parse("de"), ExtensionHandshake::default());
        assert_eq!(parse("d1:mdee"), ExtensionHandshake::default());
    }

    #[test]
    fn an_extension_is_switched_off_by_0_and_a_number_that_cannot_be_is_not_said() {
        let ids = parse("d1:md11:lt_donthavei0e11:ut_metadatai256e6:ut_pexi-1eee").extensions;
        assert_eq!(Extension::ALL.map(|extension| ids.said(extension)), [None, None, Some(0)]);
        assert_eq!(ids.id(Extension::DontHave), None);
    }

    #[test]
    fn h35_what_is_no_dictionary_or_has_wrong_types_is_refused_with_the_key() {
        assert_eq!(error(""), "sent a bad extension handshake: there is nothing to read (offset 0)");
        assert_eq!(error("d1:m"), "sent a bad extension handshake: the data ends too early (offset 4)");
        assert_eq!(error("i7e"), "sent a bad extension handshake: it is no dictionary");
        for (payload, said) in [
            ("d1:mi1ee", "'m' must be a dictionary"),
            ("d1:p4:6881e", "'p' must be an integer"),
            ("d1:vi1ee", "'v' must be a string"),
            ("d4:reqqlee", "'reqq' must be an integer"),
            ("d13:metadata_size1:1e", "'metadata_size' must be an integer"),
            ("d11:upload_onlydee", "'upload_only' must be an integer"),
            ("d6:youripi1ee", "'yourip' must be a string"),
        ] {
            assert_eq!(error(payload), format!("sent a bad extension handshake: the key {said}"));
        }
        let deep = format!("d1:x{}{}e", "l".repeat(20), "e".repeat(20));
        assert!(error(&deep).contains("nested more than 16 deep"));
        assert!(error(&format!("d1:xl{}ee", "le".repeat(2000))).contains("more than 1000 values"));
    }

    #[test]
    fn h36_reqq_is_clamped() {
        for (stated, due) in
            [(-1, 1), (0, 1), (1, 1), (250, 250), (2000, 2000), (2001, 2000), (1i64 << 31, 2000)]
        {
            assert_eq!(parse(&format!("d4:reqqi{stated}ee")).reqq, Some(due), "{stated}");
        }
        assert_eq!(parse(&format!("d4:reqqi{}ee", i64::MIN)).reqq, Some(1));
    }

    #[test]
    fn h37_a_metadata_size_over_the_limit_is_not_believed() {
        let most = i64::from(MAX_METADATA_LENGTH);
        for stated in [1 << 31, 1 << 32, i64::MAX, most + 1, 0, -1] {
            assert_eq!(parse(&format!("d13:metadata_sizei{stated}ee")).metadata_size, None, "{stated}");
        }
        assert_eq!(parse(&format!("d13:metadata_sizei{most}ee")).metadata_size, Some(MAX_METADATA_LENGTH));
        assert!(
            u64::from(MAX_METADATA_LENGTH) < metainfo::MAX_TORRENT_BYTES as u64,
            "what was fetched is usable"
        );
    }

    #[test]
    fn a_name_is_cut_and_cannot_act_on_a_terminal() {
        let long = "é".repeat(70_000 / 2);
        assert_eq!(parse(&format!("d1:v{}:{long}e", long.len())).version, Some("é".repeat(64)));
        assert_eq!(parse("d1:v7:\u{1b}[2Jabce").version.as_deref(), Some("\\u{1b}[2Jabc"));
        let read = ExtensionHandshake::parse(b"d1:v3:a\xffbe").unwrap();
        assert_eq!(read.version.as_deref(), Some("a\u{fffd}b"), "what is not UTF-8 is replaced");
    }

    #[test]
    fn a_port_or_address_that_cannot_be_is_not_said() {
        for stated in [0, -1, 65_536, i64::MAX] {
            assert_eq!(parse(&format!("d1:pi{stated}ee")).port, None, "{stated}");
        }
        assert_eq!(parse("d6:yourip5:12345e").your_ip, None);
        assert_eq!(parse("d6:yourip0:e").your_ip, None);
        let mapped = b"d6:yourip16:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04e";
        assert_eq!(
            ExtensionHandshake::parse(mapped).unwrap().your_ip,
            Some("1.2.3.4".parse().unwrap()),
            "an IPv4 address within an IPv6 one counts as itself"
        );
    }

    fn any_handshake() -> impl Strategy<Value = ExtensionHandshake> {
        let ids = any::<[Option<u8>; 3]>().prop_map(|ids| ExtensionIds { ids });
        (
            ids,
            proptest::option::of(1..=u16::MAX),
            proptest::option::of("[a-zA-Z0-9é ./()µ日]{0,64}"),
            any::<Option<IpAddr>>().prop_map(|ip| ip.map(|ip| ip.to_canonical())),
            proptest::option::of(1..=MAX_REQQ),
            proptest::option::of(1..=MAX_METADATA_LENGTH),
            any::<Option<bool>>(),
        )
            .prop_map(|(extensions, port, version, your_ip, reqq, metadata_size, upload_only)| {
                ExtensionHandshake { extensions, port, version, your_ip, reqq, metadata_size, upload_only }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(sent in any_handshake()) {
            prop_assert_eq!(ExtensionHandshake::parse(&sent.to_bytes()), Ok(sent));
        }
    }
}
