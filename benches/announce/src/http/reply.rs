//! The bodies of HTTP answers: bencoded dictionaries, read without keeping anything.
//!
//! This is a reader of its own, not the project's: it shall not share the mistakes of what it checks.

use crate::check::{Numbers, Wrong};

/// How deep lists and dictionaries may be in one another: those of a scrape are three.
const MAX_DEPTH: u8 = 8;

/// An answer to an announce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Announced<'a> {
    pub(super) numbers: Numbers,
    pub(super) peers: &'a [u8],
    pub(super) peers6: &'a [u8],
}

/// Of one torrent in an answer to a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scraped<'a> {
    pub(super) info_hash: &'a [u8],
    pub(super) complete: Option<i64>,
    pub(super) incomplete: Option<i64>,
}

pub(super) fn announced(body: &[u8]) -> Result<Announced<'_>, Wrong> {
    let mut announced = Announced::default();
    let mut interval = None;
    dictionary(body, |key, cursor| {
        match key {
            b"failure reason" => return Err(failure(cursor)),
            b"interval" => interval = Some(cursor.integer()?),
            b"complete" => announced.numbers.complete = Some(cursor.integer()?),
            b"incomplete" => announced.numbers.incomplete = Some(cursor.integer()?),
            b"peers" => announced.peers = cursor.string()?,
            b"peers6" => announced.peers6 = cursor.string()?,
            _ => cursor.skip(MAX_DEPTH)?,
        }
        Ok(())
    })?;
    announced.numbers.interval = interval.ok_or(Wrong::Body("there is no interval"))?;
    Ok(announced)
}

/// The only torrent of an answer; `None` where there is none.
pub(super) fn scraped(body: &[u8]) -> Result<Option<Scraped<'_>>, Wrong> {
    let mut found = None;
    let mut files = 0;
    dictionary(body, |key, cursor| match key {
        b"failure reason" => Err(failure(cursor)),
        b"files" => cursor.entries(|info_hash, cursor| {
            files += 1;
            let mut scraped = Scraped { info_hash, ..Scraped::default() };
            cursor.entries(|key, cursor| {
                match key {
                    b"complete" => scraped.complete = Some(cursor.integer()?),
                    b"incomplete" => scraped.incomplete = Some(cursor.integer()?),
                    _ => cursor.skip(MAX_DEPTH)?,
                }
                Ok(())
            })?;
            found = Some(scraped);
            Ok(())
        }),
        _ => cursor.skip(MAX_DEPTH),
    })?;
    if files > 1 { Err(Wrong::OtherTorrent) } else { Ok(found) }
}

fn failure(cursor: &mut Cursor<'_>) -> Wrong {
    match cursor.string() {
        Ok(reason) => Wrong::Failure(String::from_utf8_lossy(reason).into_owned()),
        Err(wrong) => wrong,
    }
}

/// Reads a dictionary that is all there is.
fn dictionary<'a>(
    body: &'a [u8],
    each: impl FnMut(&'a [u8], &mut Cursor<'a>) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    let mut cursor = Cursor { rest: body };
    cursor.entries(each)?;
    if cursor.rest.is_empty() { Ok(()) } else { Err(Wrong::Body("something follows the dictionary")) }
}

/// Where the reading is.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self) -> Result<u8, Wrong> {
        let (&first, rest) = self.rest.split_first().ok_or(Wrong::Body("it ends in the middle"))?;
        self.rest = rest;
        Ok(first)
    }

    /// A dictionary, whose keys have to rise.
    fn entries(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        if self.take()? != b'd' {
            return Err(Wrong::Body("it is no dictionary"));
        }
        let mut before: Option<&[u8]> = None;
        while self.rest.first() != Some(&b'e') {
            let key = self.string()?;
            if before.is_some_and(|before| before >= key) {
                return Err(Wrong::Body("the keys of a dictionary are out of order"));
            }
            before = Some(key);
            each(key, self)?;
        }
        self.take().map(drop)
    }

    fn integer(&mut self) -> Result<i64, Wrong> {
        if self.take()? != b'i' {
            return Err(Wrong::Body("something else where a number belongs"));
        }
        self.digits(b'e')
    }

    fn string(&mut self) -> Result<&'a [u8], Wrong> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(Wrong::Body("something else where a string belongs"));
        }
        let length = usize::try_from(self.digits(b':')?).unwrap_or(usize::MAX);
        let (string, rest) =
            self.rest.split_at_checked(length).ok_or(Wrong::Body("a string is longer than the body"))?;
        self.rest = rest;
        Ok(string)
    }

    /// Decimal digits up to `end`.
    fn digits(&mut self, end: u8) -> Result<i64, Wrong> {
        let length =
            self.rest.iter().position(|&byte| byte == end).ok_or(Wrong::Body("a number has no end"))?;
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest.split_first().map_or(rest, |(_, rest)| rest);
        let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let canonical = match digits {
            [b'-', b'0', ..] | [b'+', ..] | [b'0', _, ..] => None,
            _ => number,
        };
        canonical.ok_or(Wrong::Body("a number is not written as numbers are"))
    }

    fn skip(&mut self, depth: u8) -> Result<(), Wrong> {
        let deeper = depth.checked_sub(1).ok_or(Wrong::Body("too deep"));
        match self.rest.first() {
            Some(b'i') => self.integer().map(drop),
            Some(b'l') => {
                self.take()?;
                while self.rest.first() != Some(&b'e') {
                    self.skip(deeper.clone()?)?;
                }
                self.take().map(drop)
            }
            Some(b'd') => {
                let deeper = deeper?;
                self.entries(|_, cursor| cursor.skip(deeper))
            }
            _ => self.string().map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_read_with_what_is_new_in_it() {
        let body = b"d8:completei1e10:downloadedi2e10:incompletei3e8:intervali1800e5:otherld1:ai1eee5:peers6:abcdef6:peers60:e";
        let numbers = Numbers { interval: 1800, complete: Some(1), incomplete: Some(3) };
        assert_eq!(announced(body), Ok(Announced { numbers, peers: b"abcdef", peers6: b"" }));
    }

    #[test]
    fn a_scrape_is_read() {
        let body = [&b"d5:filesd20:"[..], &[7; 20], b"d8:completei1e10:incompletei3eeee"].concat();
        let expected = Scraped { info_hash: &[7; 20], complete: Some(1), incomplete: Some(3) };
        assert_eq!(scraped(&body), Ok(Some(expected)));
        assert_eq!(scraped(b"d5:filesdee"), Ok(None));
    }

    #[test]
    fn what_is_not_well_formed_is_wrong() {
        for body in [
            &b""[..],
            b"i1e",
            b"d",
            b"de",
            b"d8:intervali1e",
            b"d8:intervali01ee",
            b"d8:intervali-0ee",
            b"d8:intervali+1ee",
            b"d8:intervali1eex",
            b"d8:intervali99999999999999999999ee",
            b"d8:intervali1e5:peers9:ae",
            b"d8:intervali1e5:peersi1ee",
            b"d8:intervali1e8:intervali1ee",
            b"d5:peers0:8:intervali1ee",
            b"d8:intervali1e5:peerslee",
            b"d1:allllllllllleeeeeeeeee8:intervali1ee",
        ] {
            assert!(announced(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(announced(b"d14:failure reason2:noe"), Err(Wrong::Failure("no".to_owned())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in "[dile0-9:a-c]{0,60}") {
            let _ = (announced(body.as_bytes()), scraped(body.as_bytes()));
        }
    }
}
