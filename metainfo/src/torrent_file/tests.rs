//! Tests of whole torrent files: those that other programs made, round trips, hostile rows 7, 8 and 20.

use proptest::prelude::*;

use super::*;
use crate::bencode::Value;
use crate::info::tests::assert_beneath;
use crate::{BuildFile, ErrorKind, FileAttributes, InfoBuilder, Layout, TorrentBuilder};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../fixtures/", $name, ".torrent")).as_slice()
    };
}

/// What the mutation tests begin with.
pub(crate) const FIXTURES: &[&[u8]] = &[
    fixture!("mktorrent-folder"),
    fixture!("mktorrent-single"),
    fixture!("transmission-folder"),
    fixture!("libtorrent-v1-padded"),
    fixture!("libtorrent-hybrid"),
];

const TRACKER: &str = "http://tracker.example:6969/announce";
const BACKUP: &str = "udp://backup.example:1337/announce";

fn minimal_info() -> Info {
    let builder = InfoBuilder { name: b"t".to_vec(), piece_length: 16_384, private: false, source: None };
    builder.single_file(1, &[b'x'; 20]).unwrap()
}

fn minimal() -> TorrentFile {
    TorrentBuilder::default().build(minimal_info()).unwrap()
}

/// A torrent of one byte with these keys around its info dictionary.
fn with(more: &[(&str, Value)]) -> TorrentFile {
    let info = Value::parse(minimal_info().raw(), &crate::bencode::Limits::TORRENT).unwrap();
    let entries = more.iter().cloned().chain([("info", info)]);
    TorrentFile::parse(&Value::dict(entries).to_bytes()).unwrap()
}

fn list(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|&text| text.into()).collect())
}

fn files(torrent: &TorrentFile) -> Vec<(String, u64)> {
    let real = torrent.info.files().iter().filter(|f| !f.attributes.padding);
    real.map(|f| (f.path.to_string(), f.length)).collect()
}

#[test]
fn a_torrent_by_mktorrent_is_read_as_transmission_and_libtorrent_read_it() {
    let torrent = TorrentFile::parse(fixture!("mktorrent-folder")).unwrap();
    assert_eq!(torrent.info_hash().to_string(), "83c147c8d9271106018476cb239f2ed2b92da607");
    assert_eq!(torrent.announce, [[TRACKER], [BACKUP]]);
    assert_eq!(torrent.web_seeds, ["http://seed.example/"]);
    assert_eq!(torrent.comment.as_deref(), Some("a comment"));
    assert_eq!(torrent.created_by.as_deref(), Some("mktorrent 1.1"));
    assert!(torrent.creation_date.is_some());
    let expected = [
        ("content/.hidden", 4),
        ("content/empty", 0),
        ("content/hello.txt", 6),
        ("content/sub/deep/numbers.txt", 108_894),
        ("content/sub/naïve name.txt", 7),
    ];
    assert_eq!(files(&torrent), expected.map(|(path, length)| (path.to_owned(), length)));
    assert_eq!((torrent.info.geometry().piece_count(), torrent.info.geometry().total()), (4, 108_911));
    assert_eq!(torrent.to_bytes(), fixture!("mktorrent-folder"), "it is written as it came");

    let single = TorrentFile::parse(fixture!("mktorrent-single")).unwrap();
    assert_eq!(single.info_hash().to_string(), "03e6c9239dcbc027bcb2b332514bfb266fc87866");
    assert_eq!((single.info.layout(), single.info.private()), (Layout::SingleFile, true));
    assert_eq!((single.info.source(), single.creation_date), (Some("SITE"), None));
    assert_eq!(single.to_bytes(), fixture!("mktorrent-single"));
}

#[test]
fn torrents_by_transmission_create_are_read_as_it_shows_them() {
    let torrent = TorrentFile::parse(fixture!("transmission-folder")).unwrap();
    assert_eq!(torrent.info_hash().to_string(), "5dacb2466e91ceb6a386c14cd537a7a850ce8c73");
    assert_eq!((torrent.info.files().len(), torrent.info.private()), (3, false));
    assert_eq!(torrent.unknown, [(b"encoding".to_vec(), b"5:UTF-8".to_vec())]);
    assert_eq!(torrent.to_bytes(), fixture!("transmission-folder"));
    let single = TorrentFile::parse(fixture!("transmission-single")).unwrap();
    assert_eq!(single.info_hash().to_string(), "b833e27025493762423786f74b5f3990d5afa278");
    assert_eq!((files(&single), single.info.private()), (vec![("single.txt".to_owned(), 24_000)], true));
}

#[test]
fn torrents_by_libtorrent_are_read_padding_and_hybrids_too() {
    let plain = TorrentFile::parse(fixture!("libtorrent-v1")).unwrap();
    let by_mktorrent = TorrentFile::parse(fixture!("mktorrent-folder")).unwrap();
    assert_eq!(plain.info, by_mktorrent.info);
    assert_eq!(plain.nodes, [("router.example".to_owned(), 6881)]);

    let padded = TorrentFile::parse(fixture!("libtorrent-v1-padded")).unwrap();
    assert_eq!(padded.info_hash().to_string(), "99c58945815ae332e0b09c6d1492a1c1c3867c69");
    assert_eq!(files(&padded), files(&by_mktorrent));
    assert_eq!(padded.info.geometry().total(), 229_376);
    let padding = FileAttributes { padding: true, ..FileAttributes::default() };
    assert_eq!(padded.info.files().iter().filter(|f| f.attributes == padding).count(), 4);

    let hybrid = TorrentFile::parse(fixture!("libtorrent-hybrid")).unwrap();
    assert_eq!(hybrid.info_hash().to_string(), "ae4257d1695672e728f5761c7f73225b1c23411b");
    assert_eq!(files(&hybrid), files(&by_mktorrent));
    assert_eq!(hybrid.to_bytes(), fixture!("libtorrent-hybrid"), "piece layers are kept");

    let v2 = TorrentFile::parse(fixture!("libtorrent-v2")).unwrap_err();
    assert!(matches!(v2.kind(), ErrorKind::Unsupported(_)));
}

#[test]
fn the_builder_writes_the_info_dictionary_that_mktorrent_writes() {
    for torrent in [fixture!("mktorrent-folder"), fixture!("mktorrent-single")] {
        let theirs = TorrentFile::parse(torrent).unwrap().info;
        let builder = InfoBuilder {
            name: theirs.name().into(),
            piece_length: theirs.geometry().piece_length(),
            private: theirs.private(),
            source: theirs.source().map(str::to_owned),
        };
        let crate::Pieces::V1(digests) = theirs.pieces();
        let build = |f: &crate::FileEntry| BuildFile {
            path: theirs.raw_path(f).map(<[u8]>::to_vec).collect(),
            length: f.length,
        };
        let ours = match theirs.layout() {
            Layout::SingleFile => builder.single_file(theirs.geometry().total(), digests),
            Layout::Folder => builder.folder(&theirs.files().iter().map(build).collect::<Vec<_>>(), digests),
        };
        assert_eq!(ours.unwrap(), theirs);
    }
}

#[test]
fn what_is_no_torrent_says_so() {
    let error = |bytes: &[u8]| TorrentFile::parse(bytes).unwrap_err().to_string();
    assert_eq!(error(b"le"), "a torrent file must be a dictionary (offset 0)");
    assert_eq!(error(b"de"), "the key 'info' is missing");
    assert_eq!(error(b"d4:info1:ae"), "the key 'info' must be a dictionary (offset 7)");
    assert_eq!(error(b"<!DOCTYPE html>"), "'<' starts no bencoded value (offset 0)");
    let cut = fixture!("mktorrent-folder");
    let half = cut.get(..300).unwrap();
    assert!(error(half).ends_with("(offset 300)") || error(half).contains("does not fit"), "{}", error(half));
}

#[test]
fn h07_a_file_over_64_mib_is_refused_unread() {
    let e = TorrentFile::parse(&vec![b'l'; MAX_TORRENT_BYTES + 1]).unwrap_err();
    assert_eq!(e.to_string(), "67108865 bytes are more than the 67108864 that a torrent file may have");
    let e = Info::parse(&vec![b'l'; MAX_TORRENT_BYTES + 1]).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Info(_)));
}

#[test]
fn h08_offsets_in_errors_count_from_the_start_of_the_file() {
    let torrent =
        b"d8:announce28:http://tracker.example:69/a/4:infod6:lengthi1e4:name1:t12:piece lengthi0eee";
    assert_eq!(
        TorrentFile::parse(torrent).unwrap_err().to_string(),
        "piece length 0 is not allowed (offset 84)"
    );
    assert_eq!(torrent.get(84..87), Some(&b"i0e"[..]));
}

#[test]
fn announce_counts_only_where_the_list_has_no_tracker() {
    let tiers = |tiers: &[&[&str]]| Value::List(tiers.iter().map(|tier| list(tier)).collect());
    let announce = ("announce", Value::from("http://a.example/"));
    assert_eq!(with(std::slice::from_ref(&announce)).announce, [["http://a.example/"]]);
    let both =
        [announce.clone(), ("announce-list", tiers(&[&["http://b.example/", "http://c.example/"], &[]]))];
    assert_eq!(with(&both).announce, [["http://b.example/", "http://c.example/"]]);
    assert_eq!(
        with(&[announce.clone(), ("announce-list", tiers(&[&["dht://x"], &[]]))]).announce,
        [["http://a.example/"]]
    );
    let flat = [("announce-list", list(&[" http://b.example/ ", "http://c.example/"]))];
    assert_eq!(with(&flat).announce, [["http://b.example/"], ["http://c.example/"]]);
    assert!(with(&[("announce", Value::Int(1)), ("announce-list", Value::Int(1))]).announce.is_empty());
}

#[test]
fn h20_trackers_are_kept_once_each_capped_and_of_known_schemes() {
    let flood: Vec<String> = (0..100_000).map(|n| format!("http://t{}.example/announce", n / 2)).collect();
    let flood: Vec<&str> = flood.iter().map(String::as_str).collect();
    let torrent = with(&[("announce-list", Value::List(flood.iter().map(|&url| list(&[url])).collect()))]);
    assert_eq!(torrent.announce.len(), MAX_TRACKERS);
    assert_eq!(torrent.announce.last().unwrap(), &["http://t199.example/announce"]);
    assert_eq!(torrent.magnet().trackers.len(), MAX_TRACKERS);

    let mixed =
        ["file:///etc/passwd", "http://tr\u{430}cker.example/", "http://xn--80ak6aa92e.example/", BACKUP];
    let torrent = with(&[("announce-list", Value::List(vec![list(&mixed)])), ("announce", mixed[0].into())]);
    assert_eq!(torrent.announce, [[BACKUP]]);
    let seeds: Vec<String> = (0..1000).map(|n| format!("https://s{n}.example/")).collect();
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).chain(["ftp://s.example/"]).collect();
    let torrent = with(&[("url-list", list(&seeds)), ("httpseeds", list(&seeds))]);
    assert_eq!((torrent.web_seeds.len(), torrent.http_seeds.len()), (MAX_WEB_SEEDS, MAX_WEB_SEEDS));
}

#[test]
fn web_seeds_come_as_a_string_or_a_list_and_nodes_are_checked() {
    let seed = "http://seed.example/";
    assert_eq!(with(&[("url-list", seed.into())]).web_seeds, [seed]);
    assert_eq!(with(&[("url-list", list(&[seed, seed, "udp://x.example:1"]))]).web_seeds, [seed]);
    assert!(with(&[("url-list", "".into())]).web_seeds.is_empty());
    let node = |host: &str, port: i64| Value::List(vec![host.into(), port.into()]);
    let nodes =
        [node("192.0.2.1", 6881), node("2001:db8::1", 1), node("a b", 1), node("h", 0), node("h", 65_536)];
    let nodes = with(&[("nodes", Value::List(nodes.to_vec()))]).nodes;
    assert_eq!(nodes, [("192.0.2.1".to_owned(), 6881), ("2001:db8::1".to_owned(), 1)]);
    let flood = Value::List(vec![node("h.example", 1); 1000]);
    assert_eq!(with(&[("nodes", flood)]).nodes.len(), MAX_NODES);
}

#[test]
fn unknown_keys_are_written_back_as_they_came() {
    let minimal = minimal().to_bytes();
    let [open, rest] = [minimal.get(..1).unwrap(), minimal.get(1..).unwrap()];
    // Not canonical, and not for us to change.
    let torrent = [open, b"3:fool1:a4:spami007ee", rest].concat();
    let parsed = TorrentFile::parse(&torrent).unwrap();
    assert_eq!(parsed.unknown, [(b"foo".to_vec(), b"l1:a4:spami007ee".to_vec())]);
    assert_eq!(parsed.to_bytes(), torrent);
}

#[test]
fn a_magnet_link_of_a_torrent_names_it_with_its_trackers() {
    let torrent = TorrentFile::parse(fixture!("mktorrent-folder")).unwrap();
    assert_eq!(
        torrent.magnet().to_string(),
        "magnet:?xt=urn:btih:83c147c8d9271106018476cb239f2ed2b92da607&dn=content\
         &tr=http%3A%2F%2Ftracker.example%3A6969%2Fannounce&tr=udp%3A%2F%2Fbackup.example%3A1337%2Fannounce\
         &ws=http%3A%2F%2Fseed.example%2F"
    );
}

prop_compose! {
    fn any_torrent()(
        name in "[^/\u{0}]{1,20}",
        files in proptest::collection::vec(
            (proptest::collection::vec(proptest::collection::vec(1u8..=255, 1..8), 1..4), 0u64..50_000), 1..8),
        trackers in proptest::collection::vec(proptest::collection::vec("(http|udp)://[a-z]{1,5}\\.example/[ -~&&[^ ]]{0,5}", 0..3), 0..3),
        web_seeds in proptest::collection::vec("https://[a-z]{1,5}\\.example/", 0..3),
        comment in proptest::option::of(".{0,20}"),
        creation_date in proptest::option::of(any::<i64>()),
        private in any::<bool>(),
    ) -> Option<TorrentFile> {
        let files: Vec<_> = files.into_iter().map(|(path, length)| BuildFile { path, length }).collect();
        let total: u64 = files.iter().map(|f| f.length).sum();
        let digests = vec![7; usize::try_from(total.div_ceil(16_384) * 20).unwrap()];
        let builder = InfoBuilder { name: name.into_bytes(), piece_length: 16_384, private, source: None };
        // Names with a slash in them or of dots are refused; the rest must round-trip.
        let info = builder.folder(&files, &digests).ok()?;
        let around = TorrentBuilder { announce: trackers, web_seeds, comment, created_by: None, creation_date };
        Some(around.build(info).unwrap())
    }
}

proptest! {
    #[test]
    fn a_torrent_that_was_written_reads_as_the_same(torrent in any_torrent()) {
        prop_assume!(torrent.is_some());
        let torrent = torrent.unwrap();
        let bytes = torrent.to_bytes();
        prop_assert_eq!(&TorrentFile::parse(&bytes).unwrap(), &torrent);
        prop_assert!(crate::bencode::scan_whole(&bytes, &crate::bencode::Limits::TORRENT.strict()).is_ok());
        assert_beneath(&torrent.info);
        let mut paths: Vec<_> = torrent.info.files().iter().map(|f| f.path.clone()).collect();
        paths.sort();
        paths.dedup();
        prop_assert_eq!(paths.len(), torrent.info.files().len(), "paths are distinct");
    }

    #[test]
    fn spans_of_files_cover_exactly_the_bytes_asked_for(
        lengths in proptest::collection::vec(0u64..100, 1..20), offset in 0u64..1000, length in 0u64..1000,
    ) {
        let file = |(n, length): (usize, &u64)| BuildFile { path: vec![n.to_string().into()], length: *length };
        let files: Vec<_> = lengths.iter().enumerate().map(file).collect();
        let total: u64 = lengths.iter().sum();
        let builder = InfoBuilder { name: b"t".to_vec(), piece_length: 16_384, private: false, source: None };
        let info = builder.folder(&files, &vec![0; usize::try_from(total.min(1) * 20).unwrap()]).unwrap();
        let mut at = offset;
        for span in info.file_spans(offset, length) {
            let file = &info.files()[span.file];
            prop_assert_eq!(file.offset + span.offset, at);
            prop_assert!(span.length > 0 && span.offset + span.length <= file.length);
            at += span.length;
        }
        prop_assert_eq!(at, total.min(offset + length).max(offset));
    }
}
