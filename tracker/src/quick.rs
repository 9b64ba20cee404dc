//! The short way from a request's bytes to its answer's, for what nearly every request of a tracker is: a whole
//! `GET /announce?…` or `/scrape?…` without a body, in one read.
//!
//! Invariant: whatever is not plainly that is left as it came to hyper and the router, which know all of HTTP: heads in
//! pieces, bodies, other methods and paths, HTTP/1.0 that wants to stay, heads with more than [`MAX_HEADERS`]. Both ways
//! give the same replies.
//!
//! Touches no socket.

use httparse::{EMPTY_HEADER, Request, Status};
use tracker_proto::http::decimal;

use crate::answer::{Answer, Sender};
use crate::metrics::{Kind, Protocol};
use crate::state::{Link, State};

/// Clients send a handful.
const MAX_HEADERS: usize = 16;

/// What all connections of a thread use, one after the other.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// What was read.
    pub(crate) input: Box<[u8]>,
    /// What is to be written.
    pub(crate) output: Vec<u8>,
    answer: Answer,
}

/// How it goes on with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// All was answered; there may be more requests.
    Keep,
    /// All was answered, and the last request was to be the last.
    Close,
    /// From this place of the input on it is for hyper.
    Elsewhere(usize),
}

/// What the head of a request says.
struct Head<'a> {
    length: usize,
    target: &'a str,
    close: bool,
}

impl Scratch {
    pub(crate) fn new(input_bytes: usize) -> Self {
        Self {
            input: vec![0; input_bytes].into_boxed_slice(),
            output: Vec::with_capacity(4096),
            answer: Answer::default(),
        }
    }

    /// Answers the requests in the first `length` bytes of the input, into the output.
    pub(crate) fn answer(&mut self, state: &State, link: Link, length: usize) -> Next {
        self.output.clear();
        // Their headers say who asks.
        if state.gate.believes(link.remote.ip()) {
            return Next::Elsewhere(0);
        }
        let sender = Sender::direct(link);
        let mut at = 0;
        while let Some(rest) = self.input.get(at..length).filter(|rest| !rest.is_empty()) {
            let started = state.metrics.start();
            let Some(head) = parse(rest) else { return Next::Elsewhere(at) };
            let (path, query) = head.target.split_once('?').unwrap_or((head.target, ""));
            let (kind, outcome) = match path {
                "/announce" => (Kind::Announce, self.answer.announce(state, sender, query.as_bytes())),
                "/scrape" => (Kind::Scrape, self.answer.scrape(state, sender, query.as_bytes())),
                _ => return Next::Elsewhere(at),
            };
            state.metrics.request(Protocol::Http, kind, outcome, started);
            at += head.length;
            write_response(&self.answer.body, head.close, &mut self.output);
            if head.close {
                return Next::Close;
            }
        }
        Next::Keep
    }
}

/// Reads a head that is whole and plain.
fn parse(input: &[u8]) -> Option<Head<'_>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let Ok(Status::Complete(length)) = request.parse(input) else { return None };
    if request.method != Some("GET") {
        return None;
    }
    let mut close = request.version == Some(0);
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            10 if is("connection") => {
                if header.value.eq_ignore_ascii_case(b"close") {
                    close = true;
                } else if close || !header.value.eq_ignore_ascii_case(b"keep-alive") {
                    return None;
                }
            }
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            14 if is("content-length") => return None,
            17 if is("transfer-encoding") => return None,
            _ => {}
        }
    }
    Some(Head { length, target: request.path?, close })
}

fn write_response(body: &[u8], close: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\ncontent-length: ",
    );
    decimal(out, body.len() as u64);
    out.extend_from_slice(if close { b"\r\nconnection: close\r\n\r\n" } else { b"\r\n\r\n" });
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests;
