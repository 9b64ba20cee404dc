//! Tests of bencode: hostile rows 1-6, and agreement with `bendy`, which reads only canonical bencode.

use bendy::decoding::Decoder;
use bendy::state_tracker::Token as Bendy;
use proptest::prelude::*;

use super::*;

fn error(bytes: &[u8]) -> String {
    scan_whole(bytes, &Limits::TORRENT).unwrap_err().to_string()
}

fn strict_error(bytes: &[u8]) -> String {
    scan_whole(bytes, &Limits::TORRENT.strict()).unwrap_err().to_string()
}

/// Whether `bendy` reads the bytes as one value; numbers over 64 bits, which it takes as text, count as refused.
pub(crate) fn bendy_accepts(bytes: &[u8]) -> bool {
    let (mut depth, mut values) = (0usize, 0usize);
    for token in Decoder::new(bytes).with_max_depth(Limits::TORRENT.depth).tokens() {
        let Ok(token) = token else { return false };
        if depth == 0 {
            values += 1;
        }
        match token {
            Bendy::List | Bendy::Dict => depth += 1,
            Bendy::End => depth -= 1,
            Bendy::Num(digits) if digits.parse::<i64>().is_err() => return false,
            Bendy::Num(_) | Bendy::String(_) => {}
        }
    }
    values == 1
}

#[test]
fn a_document_gives_its_values_with_their_exact_bytes_and_offsets() {
    let bytes = b"d3:bari-5e3:fool1:a2:bceerest";
    let document = scan(bytes, &Limits::MESSAGE).unwrap();
    assert_eq!(document.rest(), b"rest");
    let root = document.root();
    assert_eq!(root.raw(), b"d3:bari-5e3:fool1:a2:bcee");
    let bar = root.get("bar").unwrap();
    assert_eq!((bar.as_int(), bar.offset(), bar.raw(), bar.as_bytes()), (Some(-5), 6, &b"i-5e"[..], None));
    let foo = root.get("foo").unwrap();
    assert_eq!((foo.raw(), foo.as_int(), foo.is_dict()), (&b"l1:a2:bce"[..], None, false));
    let items: Vec<_> = foo.items().unwrap().map(|item| item.as_str().unwrap()).collect();
    assert_eq!(items, ["a", "bc"]);
    assert!(root.get("ba").is_none() && root.items().is_none());
    assert_eq!(foo.entries().count(), 0, "a list has no entries");
    assert_eq!(root.entries().count(), 2);
}

#[test]
fn h01_nesting_is_cut_at_a_hundred_and_costs_no_stack() {
    let nested = |open: &str, close: &str, depth: usize| {
        [open.repeat(depth), "le".to_owned(), close.repeat(depth)].concat().into_bytes()
    };
    assert!(scan_whole(&nested("l", "e", 99), &Limits::TORRENT).is_ok());
    assert!(Value::parse(&nested("l", "e", 99), &Limits::TORRENT).is_ok());
    assert_eq!(error(&nested("l", "e", 100)), "nested more than 100 deep (offset 100)");
    assert_eq!(error(&nested("d1:a", "e", 100)), "nested more than 100 deep (offset 400)");
    assert_eq!(error(&vec![b'l'; 10_000_000]), "nested more than 100 deep (offset 100)");
    assert!(Value::parse(&vec![b'd'; 1000], &Limits::MESSAGE).is_err());
}

#[test]
fn h02_a_list_of_ten_million_integers_stops_at_the_limit_of_values() {
    let list = [&b"l"[..], &b"i0e".repeat(10_000_000), b"e"].concat();
    // The list itself is one of the three million.
    assert_eq!(error(&list), "more than 3000000 values (offset 8999998)");
    // So what is kept of a stranger's document takes at most 24 MB.
    assert_eq!(size_of::<super::scan::Long>(), 8);
    let small = Limits { values: 3, ..Limits::MESSAGE };
    assert!(scan(b"l1:a1:be", &small).is_ok() && scan(b"l1:a1:b1:ce", &small).is_err());
}

#[test]
fn h03_lengths_of_strings_are_checked_before_they_are_believed() {
    assert_eq!(
        error(b"999999999:a"),
        "a string of 999999999 bytes does not fit in the 1 that are left (offset 0)"
    );
    assert_eq!(error(b"l-1:ae"), "'-' starts no bencoded value (offset 1)");
    assert_eq!(
        error(b"l123456789012345678901234567890:ae"),
        "the length of a string has too many digits (offset 1)"
    );
    assert!(error(b"9999999999999999:").starts_with("a string of 9999999999999999 bytes does not fit"));
    assert_eq!(error(b"1x:a"), "'x' is no digit of a length (offset 1)");
    assert_eq!(error(b"d-1:ae"), "'-' starts no dictionary key (offset 1)");
}

#[test]
fn h04_an_integer_over_64_bits_is_an_error_and_does_not_wrap() {
    let int = |bytes: &[u8]| scan(bytes, &Limits::MESSAGE).unwrap().root().as_int();
    assert_eq!(int(b"i9223372036854775807e"), Some(i64::MAX));
    assert_eq!(int(b"i-9223372036854775808e"), Some(i64::MIN));
    assert_eq!(error(b"i9223372036854775808e"), "an integer does not fit in 64 bits (offset 0)");
    assert_eq!(error(b"li-9223372036854775809ee"), "an integer does not fit in 64 bits (offset 1)");
    for bad in [&b"ie"[..], b"i-e", b"i--1e", b"i+1e", b"i1", b"i 1e", b"i0x1e"] {
        assert!(scan(bad, &Limits::MESSAGE).is_err(), "{}", bad.escape_ascii());
    }
}

#[test]
fn h05_sloppy_bencode_is_read_leniently_and_refused_strictly() {
    let read = |bytes| Value::parse(bytes, &Limits::TORRENT).unwrap();
    assert_eq!(read(b"i-0e"), Value::Int(0));
    assert_eq!(read(b"i01e"), Value::Int(1));
    assert_eq!(read(b"02:ab"), Value::from("ab"));
    assert_eq!(read(b"d1:bi1e1:ai2ee").get("a"), Some(&Value::Int(2)));
    // Of two values of one key the first counts, in both views.
    let twice = b"d1:ai1e1:ai2ee";
    assert_eq!(read(twice).get("a"), Some(&Value::Int(1)));
    assert_eq!(scan(twice, &Limits::TORRENT).unwrap().root().get("a").unwrap().as_int(), Some(1));

    assert_eq!(strict_error(b"li-0ee"), "an integer is not written in its shortest form (offset 1)");
    assert_eq!(strict_error(b"i01e"), "an integer is not written in its shortest form (offset 0)");
    assert_eq!(
        strict_error(b"02:ab"),
        "the length of a string is not written in its shortest form (offset 0)"
    );
    assert_eq!(strict_error(b"d1:bi1e1:ai2ee"), "dictionary keys are not sorted or not unique (offset 7)");
    assert_eq!(strict_error(twice), "dictionary keys are not sorted or not unique (offset 7)");
}

#[test]
fn h06_bytes_after_the_end_a_cut_file_and_an_empty_one_are_errors_with_their_offset() {
    assert_eq!(error(b""), "there is nothing to read (offset 0)");
    assert_eq!(error(b"i1ei2e"), "3 bytes follow the end (offset 3)");
    assert_eq!(error(b"<html>"), "'<' starts no bencoded value (offset 0)");
    assert_eq!(error(b"\x1b"), "byte 0x1b starts no bencoded value (offset 0)");
    assert_eq!(error(b"e"), "'e' starts no bencoded value (offset 0)");
    assert_eq!(error(b"d1:ae"), "a key has no value (offset 4)");
    assert_eq!(error(b"di1ei1ee"), "'i' starts no dictionary key (offset 1)");
    let whole = b"d3:bar4:spam3:fooli1ei-2eee";
    for cut in 1..whole.len() {
        let e = scan_whole(&whole[..cut], &Limits::TORRENT).unwrap_err();
        assert!(e.offset().is_some_and(|at| at <= cut), "{cut}: {e}");
    }
}

#[test]
fn a_value_before_other_bytes_is_read_with_what_follows_it() {
    let (value, rest) = Value::parse_prefix(b"d8:msg_typei1eeDATA", &Limits::MESSAGE).unwrap();
    assert_eq!((value.get("msg_type"), rest), (Some(&Value::Int(1)), &b"DATA"[..]));
    assert!(Value::parse(b"d8:msg_typei1eeDATA", &Limits::MESSAGE).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![any::<i64>().prop_map(Value::Int), bytes().prop_map(Value::Bytes)];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(bytes(), inner, 0..6).prop_map(Value::Dict),
        ]
    })
}

/// Some of it long enough for its end to be kept, some not.
fn long_and_short_value() -> impl Strategy<Value = Value> {
    let bytes = || (any::<u8>(), 0usize..200).prop_map(|(byte, length)| vec![byte; length]);
    let leaf = prop_oneof![any::<i64>().prop_map(Value::Int), bytes().prop_map(Value::Bytes)];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(bytes(), inner, 0..6).prop_map(Value::Dict),
        ]
    })
}

fn owned(node: crate::bencode::Node<'_>) -> Value {
    if let Some(items) = node.items() {
        Value::List(items.map(owned).collect())
    } else if node.is_dict() {
        Value::Dict(node.entries().map(|(key, value)| (key.to_vec(), owned(value))).collect())
    } else if let Some(number) = node.as_int() {
        Value::Int(number)
    } else {
        Value::Bytes(node.as_bytes().unwrap().to_vec())
    }
}

proptest! {
    #[test]
    fn a_view_shows_what_was_written_and_its_exact_bytes(value in long_and_short_value(), rest in any::<[u8; 3]>()) {
        let bytes = value.to_bytes();
        let followed = [bytes.as_slice(), &rest].concat();
        let document = scan(&followed, &Limits::MESSAGE).unwrap();
        prop_assert_eq!((document.root().raw(), document.rest()), (bytes.as_slice(), &rest[..]));
        prop_assert_eq!(owned(document.root()), value);
        for item in document.root().items().into_iter().flatten() {
            prop_assert_eq!(owned(item).to_bytes(), item.raw());
        }
    }

    #[test]
    fn what_is_written_is_canonical_and_reads_as_the_same(value in any_value(), rest in any::<[u8; 3]>()) {
        let bytes = value.to_bytes();
        prop_assert_eq!(&Value::parse(&bytes, &Limits::MESSAGE.strict()).unwrap(), &value);
        prop_assert!(bendy_accepts(&bytes));
        let followed = [bytes.as_slice(), &rest].concat();
        let (prefix, after) = Value::parse_prefix(&followed, &Limits::MESSAGE).unwrap();
        prop_assert_eq!((prefix, after), (value, &rest[..]));
    }

    #[test]
    fn strict_mode_accepts_what_bendy_accepts(bytes in proptest::collection::vec(
        prop_oneof![Just(b'd'), Just(b'l'), Just(b'i'), Just(b'e'), Just(b'0'), Just(b'1'), Just(b'2'), Just(b':'),
            Just(b'-'), Just(b'a')], 0..14)
    ) {
        let accepted = scan_whole(&bytes, &Limits::TORRENT.strict()).is_ok();
        prop_assert_eq!(accepted, bendy_accepts(&bytes), "{}", bytes.escape_ascii());
        // Lenient mode reads all that strict mode does, and the crate reads all that either accepted.
        let lenient = scan_whole(&bytes, &Limits::TORRENT).is_ok();
        prop_assert!(lenient || !accepted);
        prop_assert_eq!(Value::parse(&bytes, &Limits::TORRENT).is_ok(), lenient);
    }
}
