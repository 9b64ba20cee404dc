//! Options behind an announce (BEP 41): the path and query of the tracker's URL, where passkeys are.
//!
//! A list that is broken ends where it breaks: the announce before it stands, because some old clients put other
//! things there.

const END: u8 = 0;
const NOP: u8 = 1;
const URL_DATA: u8 = 2;

/// The most bytes in one option.
const MAX_OPTION_BYTES: usize = 255;

/// The options of an announce, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlData<'a>(pub(super) &'a [u8]);

impl<'a> UrlData<'a> {
    /// The pieces that together are the path and query, such as `/passkey/announce?x=1`; none if there are none.
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                let (&kind, after) = rest.split_first()?;
                match kind {
                    END => return None,
                    NOP => rest = after,
                    _ => {
                        let (&length, after) = after.split_first()?;
                        let (data, after) = after.split_at_checked(usize::from(length))?;
                        rest = after;
                        if kind == URL_DATA {
                            return Some(data);
                        }
                    }
                }
            }
        })
    }

    /// The pieces put together.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.pieces().collect::<Vec<_>>().concat()
    }
}

/// Appends path and query as options, and nothing if they are empty.
pub(super) fn encode(url_data: &[u8], out: &mut Vec<u8>) {
    for piece in url_data.chunks(MAX_OPTION_BYTES) {
        out.push(URL_DATA);
        // `chunks` keeps it below 256.
        out.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(piece);
    }
    if !url_data.is_empty() {
        out.push(END);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<u8> {
        UrlData(bytes).to_vec()
    }

    #[test]
    fn the_layout_is_that_of_the_bep() {
        let mut out = Vec::new();
        encode(b"/dir?a=b", &mut out);
        assert_eq!(out, b"\x02\x08/dir?a=b\x00");
        assert_eq!(read(b"\x01\x02\x04/dir\x01\x02\x04?a=b\x00\x02\x01x"), b"/dir?a=b");
    }

    #[test]
    fn unknown_options_are_skipped_and_a_broken_list_ends_where_it_breaks() {
        assert_eq!(read(b"\x09\x02xx\x02\x01y"), b"y");
        for broken in [&b""[..], b"\x02", b"\x02\x05abc", b"\x00\x02\x01x", b"\x09", b"\x01\x01\x01"] {
            assert_eq!(read(broken), b"", "{broken:?}");
        }
        assert_eq!(read(b"\x02\x01a\x02\x05bc"), b"a");
    }

    #[test]
    fn no_path_is_no_option() {
        let mut out = Vec::new();
        encode(b"", &mut out);
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn a_path_of_any_length_survives(path in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let mut out = Vec::new();
            encode(&path, &mut out);
            prop_assert_eq!(read(&out), path);
        }

        #[test]
        fn reading_junk_ends(junk: Vec<u8>) {
            prop_assert!(read(&junk).len() <= junk.len());
        }
    }
}
