//! Requests and the heads of answers.

use std::io::Write as _;
use std::ops::Range;

use crate::check::Wrong;
use crate::desk::Desk;
use crate::script::{Kind, Question};

/// Lines that the head of an answer may have; those of trackers have five.
const MAX_HEADERS: usize = 32;
/// The longest answer: some 300,000 peers.
pub(super) const MAX_BYTES: usize = 2 << 20;

/// Writes a request. Memory is kept.
pub(super) fn write(out: &mut Vec<u8>, desk: &Desk, question: &Question) {
    out.clear();
    let scrape = question.kind == Kind::Scrape;
    let target = &desk.target;
    let path = if scrape { &target.scrape_path } else { &target.path };
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(path.as_bytes());
    out.push(if path.contains('?') { b'&' } else { b'?' });
    out.extend_from_slice(b"info_hash=");
    for byte in desk.population.info_hash(question.peer.swarm) {
        escape(out, byte);
    }
    // Writing to memory does not fail.
    if !scrape {
        let (_, port) = desk.population.address(question.peer);
        let (left, numwant) = (question.left(), question.numwant(desk.judge.numwant));
        let _ = write!(
            out,
            "&peer_id=-LG0001-{:012x}&port={port}&uploaded=0&downloaded=0&left={left}&numwant={numwant}&compact=1",
            question.peer.index
        );
    }
    match question.kind {
        Kind::Started => out.extend_from_slice(b"&event=started"),
        Kind::Stopped => out.extend_from_slice(b"&event=stopped"),
        Kind::Announce | Kind::Scrape => {}
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(target.authority.as_bytes());
    if desk.close {
        out.extend_from_slice(b"\r\nConnection: close");
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// As clients do: what a URL may hold stays as it is.
fn escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(byte);
    } else {
        let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or_default();
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Framed {
    /// Where its body is.
    pub(super) body: Range<usize>,
    /// Whether the connection is over with it.
    pub(super) closes: bool,
}

/// Reads as much as there is; `None` while it is not all. `ended` when nothing more will come.
pub(super) fn frame(bytes: &[u8], ended: bool) -> Result<Option<Framed>, Wrong> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Wrong::Http("its head is wrong")),
    };
    match response.code {
        Some(200) => {}
        code => return Err(Wrong::Status(code.unwrap_or_default())),
    }
    let (mut length, mut closes) = (None, response.version == Some(0));
    for header in &*response.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let number = str::from_utf8(header.value).ok().and_then(|text| text.trim().parse::<usize>().ok());
            length = Some(number.filter(|&n| n <= MAX_BYTES).ok_or(Wrong::Http("its length is wrong"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Wrong::Http("it comes in an encoding that nobody asked for"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes |= header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let end = match length {
        Some(length) => start + length,
        None if ended => bytes.len(),
        None => return Ok(None),
    };
    match bytes.len() {
        // What follows an answer that nobody asked for is none.
        all if all > end => Err(Wrong::Http("something follows the answer")),
        all if all < end => Ok(None),
        _ => Ok(Some(Framed { body: start..end, closes: closes || length.is_none() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nde";
        for end in 0..bytes.len() {
            assert_eq!(frame(&bytes[..end], false), Ok(None));
        }
        let body = bytes.len() - 2..bytes.len();
        assert_eq!(frame(bytes, false), Ok(Some(Framed { body, closes: true })));
    }

    #[test]
    fn one_without_a_length_ends_with_the_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nde";
        assert_eq!(frame(bytes, false), Ok(None));
        assert_eq!(frame(bytes, true), Ok(Some(Framed { body: 19..21, closes: true })));
    }

    #[test]
    fn what_is_no_answer_is_wrong() {
        for (bytes, wrong) in [
            ("HTTP/1.1 404 No\r\n\r\n", Wrong::Status(404)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nde", Wrong::Http("something follows the answer")),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Wrong::Http("its length is wrong")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", Wrong::Http("its length is wrong")),
            ("hello\r\n\r\n", Wrong::Http("its head is wrong")),
        ] {
            assert_eq!(frame(bytes.as_bytes(), false), Err(wrong));
        }
    }
}
