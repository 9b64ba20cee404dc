//! Tests of the info dictionary: hostile rows 5 and 8-17 as whole torrents show them.

use super::*;
use crate::bencode::Value;
use crate::{BuildFile, ErrorKind, InfoBuilder};

type Entry<'a> = (&'a str, Value);

fn bytes(bytes: &[u8]) -> Value {
    Value::from(bytes)
}

fn path(path: &[&[u8]]) -> Value {
    Value::List(path.iter().map(|&element| bytes(element)).collect())
}

/// A file dictionary.
fn file(length: i64, elements: &[&[u8]], more: &[Entry<'_>]) -> Value {
    let own = [("length", Value::Int(length)), ("path", path(elements))];
    Value::dict(own.into_iter().chain(more.iter().cloned()))
}

/// An info dictionary with pieces of 16 KiB, as many digests as `total` needs, and these keys.
fn info(total: usize, more: &[Entry<'_>]) -> Vec<u8> {
    let digests = vec![b'x'; total.div_ceil(16_384) * 20];
    let own = [("name", "t".into()), ("piece length", Value::Int(16_384)), ("pieces", bytes(&digests))];
    Value::dict(own.into_iter().chain(more.iter().cloned())).to_bytes()
}

fn single(length: i64, more: &[Entry<'_>]) -> Vec<u8> {
    let total = usize::try_from(length).unwrap_or(0);
    info(total, &[&[("length", Value::Int(length))], more].concat())
}

fn folder(files: &[Value]) -> Result<Info, Error> {
    let total: i64 = files.iter().filter_map(|f| f.get("length")?.as_int()).sum();
    Info::parse(&info(usize::try_from(total).unwrap(), &[("files", Value::List(files.to_vec()))]))
}

fn error(bytes: &[u8]) -> String {
    Info::parse(bytes).unwrap_err().to_string()
}

fn paths(info: &Info) -> Vec<String> {
    info.files().iter().map(|f| f.path.to_string()).collect()
}

fn raw_path(info: &Info, file: usize) -> Vec<&[u8]> {
    info.raw_path(&info.files()[file]).collect()
}

/// That joining any of the paths to a folder stays beneath it.
pub(crate) fn assert_beneath(info: &Info) {
    for file in info.files() {
        for path in [Some(&file.path), file.exact_path(), file.symlink_target()].into_iter().flatten() {
            let path = path.to_path_buf();
            let normal = |c: std::path::Component<'_>| matches!(c, std::path::Component::Normal(_));
            assert!(path.components().count() > 0 && path.components().all(normal), "{path:?}");
        }
    }
}

#[test]
fn a_single_file_and_a_folder_are_read_with_their_geometry() {
    let info = Info::parse(&single(40_000, &[("private", Value::Int(1)), ("source", "S".into())])).unwrap();
    assert_eq!((info.layout(), info.name(), info.top_level()), (Layout::SingleFile, "t", "t"));
    assert_eq!((info.geometry().piece_count(), info.geometry().total()), (3, 40_000));
    assert_eq!((info.private(), info.source()), (true, Some("S")));
    assert_eq!(paths(&info), ["t"]);
    assert_eq!(info.piece_hash(2), Some(PieceHash::new([b'x'; 20])));
    assert_eq!(info.piece_hash(3), None);

    let info =
        folder(&[file(10, &[b"a"], &[]), file(0, &[b"d", b"empty"], &[]), file(30_000, &[b"d", b"b"], &[])]);
    let info = info.unwrap();
    assert_eq!(info.layout(), Layout::Folder);
    assert_eq!(paths(&info), ["t/a", "t/d/empty", "t/d/b"]);
    assert_eq!(info.files().iter().map(|f| f.offset).collect::<Vec<_>>(), [0, 10, 10]);
    assert_eq!(raw_path(&info, 2), [&b"d"[..], b"b"]);
    assert_eq!(info.raw_path(&Info::parse(&single(1, &[])).unwrap().files()[0]).count(), 0);
    let spans: Vec<_> = info.file_spans(5, 10).collect();
    let span = |file, offset, length| FileSpan { file, offset, length };
    assert_eq!(spans, [span(0, 5, 5), span(2, 0, 5)]);
}

#[test]
fn a_file_takes_little_more_than_its_path_whatever_few_files_have() {
    // A stranger decides how many there are.
    assert_eq!(size_of::<FileEntry>(), 48);
}

#[test]
fn the_optional_fields_that_real_torrents_carry_are_read() {
    let info = folder(&[
        file(1, &[b"caf\xe9"], &[("path.utf-8", path(&["café".as_bytes()])), ("md5sum", "abc".into())]),
        file(1, &[b"run"], &[("attr", "xh".into())]),
        file(5, &[b".pad", b"5"], &[("attr", "p".into())]),
        file(5, &[b".pad", b"5"], &[("attr", "p".into())]),
        file(5, &["_____padding_file_0_if you see this file____".as_bytes()], &[]),
    ])
    .unwrap();
    let files = info.files();
    assert_eq!((files[0].path.to_string(), files[0].md5sum()), ("t/café".to_owned(), Some("abc")));
    assert_eq!(raw_path(&info, 0), ["café".as_bytes()], "the names that `path` was made of");
    assert!(files[1].attributes.executable && files[1].attributes.hidden && !files[1].attributes.padding);
    assert!(files[2..].iter().all(|f| f.attributes.padding));
    assert_eq!(
        files[3].path.to_string(),
        "t/.pad/5",
        "padding is never on disk, so it needs no name of its own"
    );
    let named = info_named(&[("name", bytes(b"caf\xe9")), ("name.utf-8", "café".into())]);
    assert_eq!((named.name(), named.top_level()), ("café", "café"));
    // Only a plain 0 is public.
    assert!(!info_named(&[("private", Value::Int(0))]).private());
    assert!(info_named(&[("private", "1".into())]).private());
}

fn info_named(more: &[Entry<'_>]) -> Info {
    Info::parse(&single(1, more)).unwrap()
}

#[test]
fn h05_the_info_hash_is_of_the_bytes_as_they_came() {
    let sorted = b"d6:lengthi1e4:name1:t12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe";
    let sloppy = b"d4:name1:t4:name1:u6:lengthi01e12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe";
    let (sorted, sloppy) = (Info::parse(sorted).unwrap(), Info::parse(sloppy).unwrap());
    // Both computed with sha1sum.
    assert_eq!(sorted.info_hash().to_string(), "2731482e00b4441b326a6a91fdafc45bd55c1336");
    assert_eq!(sloppy.info_hash().to_string(), "9a46991c3a59217680f6fbc82846ab804996ffa4");
    assert_eq!((sloppy.name(), sloppy.geometry().total()), ("t", 1));
    assert!(sloppy.raw().starts_with(b"d4:name1:t4:name1:u"));
}

#[test]
fn h08_piece_lengths_out_of_range_are_errors_with_their_offset() {
    let with = |length: i64| single(1, &[("piece length", Value::Int(length))]);
    assert_eq!(error(&with(0)), "piece length 0 is not allowed (offset 36)");
    assert_eq!(error(&with(-16_384)), "piece length -16384 is not allowed (offset 36)");
    assert_eq!(error(&with(i64::MAX)), "piece length 9223372036854775807 is not allowed (offset 36)");
    assert_eq!(error(&with(512 * 1024 * 1024 + 1)), "piece length 536870913 is not allowed (offset 36)");
    assert!(Info::parse(&with(512 * 1024 * 1024)).is_ok());
    assert!(Info::parse(&with(1)).is_ok(), "v1 asks for no power of two");
    assert_eq!(
        error(&single(1, &[("piece length", "1".into())])),
        "the key 'piece length' must be an integer (offset 36)"
    );
}

#[test]
fn h09_pieces_must_be_digests_and_as_many_as_the_sizes_say() {
    let with = |digests: &[u8]| single(16_385, &[("pieces", bytes(digests))]);
    assert_eq!(error(&with(&[0; 39])), "'pieces' has 39 bytes, no multiple of 20 (offset 55)");
    assert_eq!(error(&with(&[0; 20])), "'pieces' has 1 digests, but the sizes make 2 pieces (offset 55)");
    assert_eq!(error(&with(&[0; 60])), "'pieces' has 3 digests, but the sizes make 2 pieces (offset 55)");
    assert_eq!(error(&with(&[])), "'pieces' has 0 digests, but the sizes make 2 pieces (offset 55)");
    assert!(Info::parse(&with(&[0; 40])).is_ok());
    assert_eq!(error(b"d6:lengthi1e4:name1:t12:piece lengthi1ee"), "the key 'pieces' is missing (offset 0)");
}

#[test]
fn h10_more_than_two_million_pieces_are_refused() {
    let builder = InfoBuilder { name: b"t".to_vec(), piece_length: 1, private: false, source: None };
    let build = |count: u32| builder.clone().single_file(count.into(), &vec![0; count as usize * 20]);
    let most = crate::MAX_PIECE_COUNT;
    assert_eq!(build(most).unwrap().geometry().piece_count(), most);
    assert_eq!(
        build(most + 1).unwrap_err().to_string(),
        "2097153 pieces are more than the 2097152 allowed (offset 42)"
    );
}

#[test]
fn h11_lengths_that_are_negative_or_overflow_in_sum_are_refused() {
    assert_eq!(error(&single(-1, &[])), "length -1 is not allowed (offset 9)");
    let huge = |count| vec![file(i64::MAX, &[b"a"], &[]); count];
    let parse = |files: Vec<Value>| error(&info(0, &[("files", Value::List(files))]));
    assert!(parse(huge(2)).starts_with("the lengths of the files do not fit in 64 bits (offset "));
    assert!(parse(huge(3)).starts_with("the lengths of the files do not fit in 64 bits (offset "));
    assert!(parse(vec![file(-5, &[b"a"], &[])]).starts_with("length -5 is not allowed (offset "));
    assert!(parse(huge(1)).contains("more than the 2097152 allowed"));
}

#[test]
fn missing_and_contradictory_keys_are_named() {
    assert_eq!(error(b"i1e"), "the key 'info' must be a dictionary (offset 0)");
    assert_eq!(error(b"de"), "the key 'name' is missing (offset 0)");
    assert_eq!(error(&info(0, &[])), "the key 'length' is missing (offset 0)");
    assert_eq!(error(&info(0, &[("files", Value::List(vec![]))])), "the torrent has no files (offset 8)");
    let both = info(1, &[("length", Value::Int(1)), ("files", Value::List(vec![file(1, &[b"a"], &[])]))]);
    assert_eq!(error(&both), "both 'length' and 'files' are given, only one may be (offset 8)");
    assert_eq!(error(&info(0, &[("files", Value::Int(1))])), "the key 'files' must be a list (offset 8)");
    assert_eq!(folder(&[file(1, &[], &[])]).unwrap_err().to_string(), "a file has an empty path (offset 27)");
    let no_list = file(1, &[], &[("path", "a".into())]);
    assert_eq!(
        folder(&[no_list]).unwrap_err().to_string(),
        "the key 'path' must be a list of strings (offset 27)"
    );
}

#[test]
fn a_torrent_that_is_only_v2_is_refused_as_not_supported() {
    let v2 = b"d9:file treede12:meta versioni2e4:name1:t12:piece lengthi16384ee";
    let e = Info::parse(v2).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Unsupported(_)));
    assert_eq!(e.to_string(), "torrents that are only v2 (BEP 52) are not supported yet (offset 29)");
}

#[test]
fn h12_no_path_leads_out_of_the_folder() {
    let info = folder(&[
        file(1, &[b"..", b"..", b"etc", b"passwd"], &[]),
        file(1, &[b"", b"etc", b"shadow"], &[]),
        file(1, &[b"/etc/passwd"], &[]),
        file(1, &[b"a\0b"], &[]),
        file(1, &[b".", b"x"], &[]),
        file(1, &[b"a/../../b"], &[]),
    ])
    .unwrap();
    assert_beneath(&info);
    assert_eq!(
        paths(&info),
        ["t/_/_/etc/passwd", "t/_/etc/shadow", "t/_etc_passwd", "t/a_b", "t/_/x", "t/a_.._.._b"]
    );
    for name in ["..", "/", "", "../../x", "/etc"] {
        let info = info_named(&[("name", name.into())]);
        assert_beneath(&info);
        assert_eq!(info.name(), name, "the name is shown as it is");
    }
}

#[test]
fn h13_deceptive_names_are_made_safe_and_ones_own_file_is_still_found() {
    let info = folder(&[
        file(1, &[b"a\x1b[2J\n"], &[]),
        file(1, &["a\u{202e}gpj.exe".as_bytes()], &[]),
        file(1, &[b"caf\xe9"], &[]),
        file(1, &[b"plain"], &[]),
    ])
    .unwrap();
    assert_eq!(paths(&info), ["t/a_[2J_", "t/a_gpj.exe", "t/caf%E9", "t/plain"]);
    let exact = |index: usize| info.files()[index].exact_path().map(SafePath::to_string);
    assert_eq!(exact(0).as_deref(), Some("t/a\x1b[2J\n"));
    assert_eq!(exact(1).as_deref(), Some("t/a\u{202e}gpj.exe"));
    assert_eq!((exact(2), exact(3)), (None, None), "their path is exact already");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(info.files()[2].path.to_path_buf().as_os_str().as_bytes(), b"t/caf\xe9");
    }
    assert_beneath(&info);
}

#[test]
fn h14_a_name_too_long_for_the_disk_is_cut() {
    let long = "a".repeat(300) + ".mkv";
    let info = folder(&[file(1, &[long.as_bytes()], &[])]).unwrap();
    assert_eq!(info.files()[0].path.elements().nth(1).unwrap(), "a".repeat(251) + ".mkv");
    assert_eq!(info.files()[0].exact_path(), None, "nothing on disk can have that name");
    assert_eq!(raw_path(&info, 0), [long.as_bytes()]);
}

#[test]
fn h14_the_longest_name_is_read_beside_many_files_and_a_longer_one_refused() {
    let most = crate::path::MAX_ELEMENT_BYTES;
    let build = |name: usize, element: usize| {
        let name = vec![b'n'; name];
        let builder = InfoBuilder { name, piece_length: 16_384, private: false, source: None };
        let file = |n: u32| BuildFile { path: vec![n.to_string().into(), vec![b'e'; element]], length: 0 };
        builder.folder(&(0..1000).map(file).collect::<Vec<_>>(), &[])
    };
    let info = build(most, 1).unwrap();
    assert!(info.files().iter().all(|f| f.path.elements().next() == Some("n".repeat(255))));
    assert_eq!(build(1, most).unwrap().files()[999].path.elements().nth(2), Some("e".repeat(255)));
    let e = |name, element| build(name, element).unwrap_err().to_string();
    assert!(e(most + 1, 1).starts_with("a name of 4097 bytes is longer than the 4096 allowed (offset "));
    assert!(e(1, most + 1).starts_with("a name of 4097 bytes is longer than the 4096 allowed (offset "));
    // Cleaned anew for each file, a name of this length would take hours.
    assert!(e(32 * 1024 * 1024, 1).starts_with("a name of 33554432 bytes is longer"));
    let utf8 = single(1, &[("name.utf-8", "n".repeat(most + 1).as_str().into())]);
    assert!(error(&utf8).starts_with("a name of 4097 bytes is longer"));
}

#[test]
fn h15_files_of_one_path_are_kept_apart() {
    let info = folder(&[
        file(1, &[b"a\x01"], &[]),
        file(1, &[b"a_"], &[]),
        file(1, &[b"a_", b"x"], &[]),
        file(1, &[b"a_"], &[]),
        file(1, &[b"a\x01"], &[]),
    ])
    .unwrap();
    // The file that is named so has its name, whatever comes before it.
    assert_eq!(paths(&info), ["t/a_.3", "t/a_", "t/a_.1/x", "t/a_.2", "t/a_.4"]);
    // Of two that want one exact path the first has it.
    assert_eq!(info.files()[0].exact_path().map(SafePath::to_string).as_deref(), Some("t/a\x01"));
    assert!(info.files()[1..].iter().all(|f| f.exact_path().is_none()));

    let same = |count| folder(&vec![file(0, &[b"a"], &[]); count]);
    assert!(same(501).is_ok());
    let e = same(502).unwrap_err().to_string();
    assert!(e.starts_with("more than 500 files have the path of another (offset "), "{e}");
}

#[test]
fn h16_a_path_of_101_folders_is_refused() {
    let deep = |elements: usize| folder(&[file(1, &vec![&b"d"[..]; elements], &[])]);
    // The torrent's own folder is the first.
    assert!(deep(100).is_ok());
    assert_eq!(deep(101).unwrap_err().to_string(), "a file lies more than 100 folders deep (offset 27)");
}

#[test]
fn h16_the_elements_of_all_paths_together_are_capped() {
    let path = vec![b"d".to_vec(); 100];
    let build = |files: usize| {
        let builder = InfoBuilder { name: b"t".to_vec(), piece_length: 16_384, private: false, source: None };
        let file = |n: usize| BuildFile { path: [&path[1..], &[n.to_string().into()]].concat(), length: 0 };
        builder.folder(&(0..files).map(file).collect::<Vec<_>>(), &[])
    };
    assert_eq!(build(10_000).unwrap().files().len(), 10_000);
    let e = build(10_001).unwrap_err().to_string();
    assert!(e.starts_with("the paths have more than 1000000 elements (offset "), "{e}");

    // What a link points to counts too, and so does `path.utf-8` where that is read.
    let deep = super::tests::path(&[&b"d"[..]; 99]);
    let link = file(0, &[b"l"], &[("attr", "l".into()), ("symlink path", deep.clone())]);
    let named = file(0, &[b"l"], &[("path.utf-8", deep)]);
    for (file, most) in [(link, 10_000), (named, 10_101)] {
        let e = folder(&vec![file; most + 1]).unwrap_err().to_string();
        assert!(e.starts_with("the paths have more than 1000000 elements (offset "), "{e}");
    }
}

#[test]
fn h17_a_link_points_to_a_file_or_folder_of_the_torrent_or_nowhere() {
    let link = |name: &[u8], target: &[&[u8]]| {
        file(0, &[b"links", name], &[("attr", "l".into()), ("symlink path", path(target))])
    };
    let info = folder(&[
        file(1, &[b"d", b"a"], &[]),
        link(b"file", &[b"d", b"a"]),
        link(b"folder", &[b"d"]),
        link(b"up", &[b"..", b"..", b"etc"]),
        link(b"absolute", &[b"", b"etc", b"passwd"]),
        link(b"slash", &[b"/etc/passwd"]),
        link(b"itself", &[b"links", b"itself"]),
        file(1, &[b"links", b"real"], &[]),
        link(b"loop", &[b"links"]),
        link(b"chain", &[b"links", b"folder"]),
        link(b"through", &[b"links", b"folder", b"a"]),
        link(b"missing", &[b"d", b"b"]),
        link(b"empty", &[]),
    ])
    .unwrap();
    assert_beneath(&info);
    let resolved: Vec<_> = info
        .files()
        .iter()
        .filter_map(|f| Some((f.path.elements().nth(2)?, f.symlink_target()?.to_string())))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(resolved, [pair("file", "t/d/a"), pair("folder", "t/d")]);
    assert!(info.files().iter().all(|f| f.attributes.symlink == (f.length == 0)));

    let heavy = file(7, &[b"l"], &[("attr", "l".into()), ("symlink path", path(&[b"a"]))]);
    assert_eq!(
        folder(&[heavy]).unwrap_err().to_string(),
        "a symbolic link has a length, but no content (offset 9)"
    );
}

#[test]
fn h17_nothing_is_written_through_a_link_that_is_also_a_folder() {
    let link = file(0, &[b"l"], &[("attr", "l".into()), ("symlink path", path(&[b"", b"etc"]))]);
    let info = folder(&[link, file(1, &[b"l", b"passwd"], &[])]).unwrap();
    assert_eq!(paths(&info), ["t/l", "t/l.1/passwd"]);
}

#[test]
fn a_hundred_thousand_files_are_read() {
    let files: Vec<_> = (0..100_000u32)
        .map(|n| BuildFile { path: vec![format!("d{}", n % 100).into(), n.to_string().into()], length: 1 })
        .collect();
    let builder = InfoBuilder { name: b"t".to_vec(), piece_length: 16_384, private: false, source: None };
    let info = builder.folder(&files, &[0; 7 * 20]).unwrap();
    assert_eq!((info.files().len(), info.geometry().total()), (100_000, 100_000));
    assert_eq!(
        info.file_spans(99_999, 5).collect::<Vec<_>>(),
        [FileSpan { file: 99_999, offset: 0, length: 1 }]
    );
}
