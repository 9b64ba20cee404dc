//! Requests over HTTP: one connection, with at most one request under way.
//!
//! Invariant: a connection that the tracker is to close is read to its end, so that the ports that wait after a
//! closed connection are the tracker's, as they are in life.

mod message;
mod reply;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use self::message::{Framed, MAX_BYTES};
use crate::check::{self, Given, Judge, Wrong};
use crate::desk::{Asked, Desk, Link, Place};
use crate::population::Population;
use crate::script::{Kind, Question};

/// What an answer is read into at first; those of trackers are a few hundred bytes.
const FIRST_BYTES: usize = 4096;

/// A connection that opens when it is needed.
#[derive(Debug)]
pub(crate) struct HttpLink {
    place: Place,
    stream: Option<TcpStream>,
    /// The request that is under way.
    asked: Option<Asked>,
    /// Since when the end of the connection is waited for.
    ending: Option<Duration>,
    out: Vec<u8>,
    sent: usize,
    /// The answer, as far as it is there.
    answer: Vec<u8>,
    filled: usize,
}

/// What reading came to.
enum Came {
    /// Something, or the end where that is of interest.
    Bytes,
    End,
    Nothing,
}

impl Link for HttpLink {
    fn new(place: Place, _: u8, _: &Desk) -> io::Result<Self> {
        Ok(Self {
            place,
            stream: None,
            asked: None,
            ending: None,
            out: Vec::with_capacity(512),
            sent: 0,
            answer: vec![0; FIRST_BYTES],
            filled: 0,
        })
    }

    fn ask(&mut self, asked: Asked, desk: &mut Desk) {
        message::write(&mut self.out, desk, &asked.question);
        (self.asked, self.sent, self.filled) = (Some(asked), 0, 0);
        if let Err(error) = self.begin(desk) {
            self.fail(desk, &error);
        }
    }

    fn ready(&mut self, desk: &mut Desk) {
        if let Err(error) = self.go_on(desk) {
            self.fail(desk, &error);
        }
    }

    fn expire(&mut self, since: Duration, desk: &mut Desk) {
        if self.asked.is_some_and(|asked| asked.begun < since) {
            self.asked = None;
            desk.lost();
            self.shut(desk);
        } else if self.ending.is_some_and(|ending| ending < since) {
            self.shut(desk);
        }
    }
}

impl HttpLink {
    /// Opens the connection if it is not open, and sends what can be sent.
    fn begin(&mut self, desk: &Desk) -> io::Result<()> {
        if self.stream.is_some() {
            if !self.send()? {
                self.watch_again(desk, true)?;
            }
            return Ok(());
        }
        self.stream = Some(self.connect(desk)?);
        // On one machine the connection is often there by now.
        let sent = self.send()?;
        match &self.stream {
            Some(stream) => desk.watch(stream, self.place, !sent),
            None => Ok(()),
        }
    }

    fn connect(&self, desk: &Desk) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(desk.target.address), Type::STREAM.nonblocking(), None)?;
        if desk.binds
            && let Some(source) = desk.population.source(self.place.source)
        {
            // Ports are shared by connections to different ends, and by those that wait after their end.
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&desk.target.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        Ok(socket.into())
    }

    /// Gives whether all is sent.
    fn send(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(true) };
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(sent) => self.sent += sent,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn watch_again(&self, desk: &Desk, writable: bool) -> io::Result<()> {
        self.stream.as_ref().map_or(Ok(()), |stream| desk.watch_again(stream, self.place, writable))
    }

    fn go_on(&mut self, desk: &mut Desk) -> io::Result<()> {
        if self.sent < self.out.len() {
            if !self.send()? {
                return Ok(());
            }
            self.watch_again(desk, false)?;
        }
        // The end of a connection often comes right behind its answer.
        while self.stream.is_some() {
            match self.receive()? {
                Came::Nothing => break,
                Came::End => {
                    self.end(desk);
                    break;
                }
                Came::Bytes => {
                    self.judge(desk, false);
                    if self.ending.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Came> {
        let Some(stream) = &mut self.stream else { return Ok(Came::Nothing) };
        if self.filled == self.answer.len() {
            if self.filled >= MAX_BYTES {
                return Err(io::Error::other("an answer without an end"));
            }
            self.answer.resize(2 * self.filled, 0);
        }
        let room = self.answer.get_mut(self.filled..).unwrap_or_default();
        match stream.read(room) {
            Ok(0) => Ok(Came::End),
            Ok(count) => {
                self.filled += count;
                Ok(Came::Bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Came::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Judges the answer if it is whole.
    fn judge(&mut self, desk: &mut Desk, ended: bool) {
        let bytes = self.answer.get(..self.filled).unwrap_or_default();
        let Some(asked) = self.asked else {
            desk.unasked(&Wrong::Http("something follows the answer"));
            self.shut(desk);
            return;
        };
        let framed = match message::frame(bytes, ended) {
            Ok(None) => return,
            Ok(Some(framed)) => framed,
            Err(wrong) => {
                desk.answered(&asked, bytes.len(), Err(wrong));
                self.asked = None;
                self.shut(desk);
                return;
            }
        };
        let Framed { body, closes } = framed;
        let judged =
            judged(bytes.get(body).unwrap_or_default(), &asked.question, (&desk.population, &mut desk.judge));
        desk.answered(&asked, bytes.len(), judged);
        self.asked = None;
        if ended {
            self.shut(desk);
        } else if closes || desk.close {
            self.ending = Some(desk.now());
        } else {
            desk.free.push_back(self.place.link);
        }
    }

    /// The tracker has closed the connection.
    fn end(&mut self, desk: &mut Desk) {
        if self.asked.is_some() && self.filled > 0 {
            self.judge(desk, true);
        }
        if self.asked.is_some() {
            self.fail(desk, &"the tracker closed the connection before it had answered");
        } else if self.ending.is_some() {
            self.shut(desk);
        } else {
            // One that was kept: its link is free already.
            self.stream = None;
        }
    }

    fn fail(&mut self, desk: &mut Desk, reason: &impl std::fmt::Display) {
        if self.asked.take().is_some() {
            desk.failed(reason);
            self.shut(desk);
        } else if self.ending.is_some() {
            // A reset after the answer takes nothing from it.
            self.shut(desk);
        } else {
            self.stream = None;
        }
    }

    /// Closes the connection and frees the link.
    fn shut(&mut self, desk: &mut Desk) {
        (self.stream, self.ending, self.filled) = (None, None, 0);
        desk.free.push_back(self.place.link);
    }
}

/// Judges a body.
fn judged(
    body: &[u8],
    question: &Question,
    (population, judge): (&Population, &mut Judge),
) -> Result<Given, Wrong> {
    // Some end a body as if it were a line, and count that to its length.
    let body = if judge.lenient { body.strip_suffix(b"\r\n").unwrap_or(body) } else { body };
    if question.kind != Kind::Scrape {
        let announced = reply::announced(body)?;
        return judge.announce(population, question, announced.numbers, (announced.peers, announced.peers6));
    }
    // Of a torrent that it does not know, a tracker may say nothing.
    let Some(scraped) = reply::scraped(body)? else {
        return check::counts(population, question.peer.swarm, Some(0), Some(0));
    };
    if scraped.info_hash != population.info_hash(question.peer.swarm) {
        return Err(Wrong::OtherTorrent);
    }
    check::counts(population, question.peer.swarm, scraped.complete, scraped.incomplete)
}
