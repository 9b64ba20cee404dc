//! Percent-encoding (RFC 3986): written for every link and request, read as people write magnet links.
//!
//! The strict reading of tracker queries is not here.

use std::fmt::{self, Write as _};

/// The bytes that the text stands for. A `%` that begins no escape is itself: links are typed and cut by people.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        let escaped = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

/// The bytes with everything escaped that is not unreserved in RFC 3986, as magnet links and tracker requests want
/// them: what `Display` writes is ASCII and ends no parameter of a URL.
pub fn percent_encode(bytes: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        bytes.iter().try_for_each(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                f.write_char(char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_unreserved_stays_as_it_is() {
        assert_eq!(percent_encode(b"aZ09-._~ +&=#/%\xca").to_string(), "aZ09-._~%20%2B%26%3D%23%2F%25%CA");
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes: Vec<u8>) {
            let text = percent_encode(&bytes).to_string();
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'&' && b != b'=' && b != b'#'));
            prop_assert_eq!(decode(&text), bytes);
        }
    }
}
