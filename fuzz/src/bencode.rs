//! Bencode: the scan agrees with another strict reader, what it accepts is read, and the places of values are right.

use ::metainfo::bencode::{Document, Limits, Value, scan, scan_whole};
use bendy::decoding::Decoder;
use bendy::state_tracker::Token;

/// Longer inputs only repeat what shorter ones say, and stay below the limit on values, which `bendy` does not have.
const MAX_BYTES: usize = 64 << 10;

/// See the module.
pub fn target(data: &[u8]) {
    let data = data.get(..MAX_BYTES).unwrap_or(data);
    let is_strict = scan_whole(data, &Limits::MESSAGE.strict()).is_ok();
    assert_eq!(is_strict, bendy_accepts(data), "bendy is the measure of what is strict");
    let lenient = scan_whole(data, &Limits::MESSAGE);
    assert_eq!(lenient.is_ok(), Value::parse(data, &Limits::MESSAGE).is_ok());
    if let Err(error) = &lenient {
        crate::assert_one_line(&error.to_string());
        assert!(!is_strict && error.offset().is_none_or(|at| at <= data.len()));
    }
    let Ok(document) = scan(data, &Limits::MESSAGE) else { return };
    let (value, rest) = Value::parse_prefix(data, &Limits::MESSAGE).expect("what is scanned is read");
    assert_eq!(document.rest(), rest);
    assert_eq!(
        Some(document.root().raw()),
        data.get(..data.len() - rest.len()),
        "the value and the rest are all"
    );
    let written = value.to_bytes();
    assert_eq!(
        Value::parse(&written, &Limits::MESSAGE.strict()).as_ref(),
        Ok(&value),
        "what is written is canonical"
    );
    assert!(!is_strict || written == data, "canonical bytes are written as they came");
    spans(&document);
}

/// Each value lies within the one that holds it, right behind the one before, and is a value by itself.
fn spans(document: &Document<'_>) {
    let mut open = vec![document.root()];
    // Each is scanned again by itself, which is quadratic in the depth: that is bounded, this bounds the rest.
    let mut budget = 2_000;
    while let Some(node) = open.pop() {
        budget -= 1;
        if budget == 0 {
            return;
        }
        let alone =
            scan_whole(node.raw(), &Limits::MESSAGE).expect("a value within a document is one by itself");
        assert_eq!(alone.root().as_int(), node.as_int());
        assert_eq!(alone.root().as_bytes(), node.as_bytes());
        let mut at = node.offset() + 1;
        if let Some(items) = node.items() {
            for item in items {
                assert_eq!(item.offset(), at, "items lie side by side");
                at += item.raw().len();
                open.push(item);
            }
        } else if node.is_dict() {
            for (key, value) in node.entries() {
                // The key's own length prefix may have zeros in front: the value's place says how long it is.
                assert!(value.offset() > at + key.len(), "a key lies before its value");
                at = value.offset() + value.raw().len();
                open.push(value);
            }
        } else {
            continue;
        }
        assert_eq!(at + 1, node.offset() + node.raw().len(), "only the end follows the last value");
    }
}

/// Whether `bendy` reads the bytes as one value; numbers over 64 bits, which it takes as text, count as refused.
fn bendy_accepts(bytes: &[u8]) -> bool {
    let (mut depth, mut values) = (0_usize, 0_usize);
    for token in Decoder::new(bytes).with_max_depth(Limits::MESSAGE.depth).tokens() {
        let Ok(token) = token else { return false };
        values += usize::from(depth == 0);
        match token {
            Token::List | Token::Dict => depth += 1,
            Token::End => depth -= 1,
            Token::Num(digits) if digits.parse::<i64>().is_err() => return false,
            Token::Num(_) | Token::String(_) => {}
        }
    }
    values == 1
}
