//! Percent-encoding of raw bytes in URL queries (RFC 3986), as trackers use it for info-hashes and peer ids.
//!
//! `+` is a plus sign and not a space: the query of an announce is no HTML form. The bytes need not be UTF-8.

use std::fmt::Write as _;

/// Appends `bytes`, everything but RFC 3986's unreserved characters escaped.
pub fn encode(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The bytes that `text` stands for, or `None` when a `%` is not followed by two hexadecimal digits.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        out.push(if byte == b'%' { digit(rest.next())? << 4 | digit(rest.next())? } else { byte });
    }
    Some(out)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    let value = char::from(*byte?).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plus_stays_a_plus() {
        assert_eq!(decode(b"a+b%2B%20").unwrap(), b"a+b+ ");
    }

    #[test]
    fn digits_of_either_case_are_read() {
        assert_eq!(decode(b"%aF%Fa").unwrap(), [0xaf, 0xfa]);
    }

    #[test]
    fn a_cut_or_wrong_escape_is_refused() {
        for bad in ["%", "%4", "%zz", "a%4", "%%41", "%+1"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes: Vec<u8>) {
            let mut text = String::new();
            encode(&bytes, &mut text);
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'&' && b != b'=' && b != b'#'));
            prop_assert_eq!(decode(text.as_bytes()).unwrap(), bytes);
        }
    }
}
