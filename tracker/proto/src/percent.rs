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

/// Decodes into `out`; gives how many bytes there are, also when there are more than `out` has room for, and those are
/// left out. `None` as [`decode`].
pub(crate) fn decode_into(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut rest = text.iter();
    let mut length = 0;
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' { digit(rest.next())? << 4 | digit(rest.next())? } else { byte };
        if let Some(place) = out.get_mut(length) {
            *place = byte;
        }
        length += 1;
    }
    Some(length)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    match *byte? {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
        byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
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

        #[test]
        fn decoding_into_a_place_reads_the_same(text: Vec<u8>, room in 0_usize..30) {
            let mut out = vec![0; room];
            let length = decode_into(&text, &mut out);
            let whole = decode(&text);
            prop_assert_eq!(length, whole.as_ref().map(Vec::len));
            if let Some(whole) = whole {
                let fits = whole.len().min(room);
                prop_assert_eq!(&out[..fits], &whole[..fits]);
            }
        }
    }
}
