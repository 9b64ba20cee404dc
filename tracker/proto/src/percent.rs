//! Reads the percent-encoding of raw bytes in URL queries (RFC 3986), as trackers get info-hashes and peer ids.
//!
//! `+` is a plus sign and not a space: the query of an announce is no HTML form. The bytes need not be UTF-8.
//! [`metainfo::percent_encode`] writes what is read here.

/// The bytes that `text` stands for, or `None` when a `%` is not followed by two hexadecimal digits.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
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
            let text = metainfo::percent_encode(&bytes).to_string();
            prop_assert_eq!(decode(text.as_bytes()).unwrap(), bytes);
        }
    }
}
