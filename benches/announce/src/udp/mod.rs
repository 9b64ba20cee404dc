//! Requests over UDP: a socket with several requests under way (BEP 15).
//!
//! Invariant: an answer is taken for that of a request only if it has its transaction id. An id tells which place the
//! request had and how many had it before, so that an answer that comes late is told from one that nobody asked for.

mod packet;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::check::Wrong;
use crate::desk::{Asked, Desk, Link, Place};

/// How long a connection id is used (BEP 15).
const ID_LIFE: Duration = Duration::from_secs(60);
/// After how long a connect is sent again.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);
/// The place of connects, above those of requests.
const CONNECT_SLOT: u8 = u8::MAX;
/// The longest packet: 1,000 peers are not more.
const MAX_BYTES: usize = 8 << 10;

/// A socket.
#[derive(Debug)]
pub(crate) struct UdpLink {
    place: Place,
    socket: UdpSocket,
    source: Option<IpAddr>,
    slots: Vec<Slot>,
    /// Places of no request.
    empty: Vec<u8>,
    /// The connection id and when it came.
    id: Option<(u64, Duration)>,
    /// A connect that is under way, and how many there were before.
    connecting: Option<Duration>,
    connects: u32,
    /// What transaction ids are mixed with, so that no socket's are another's.
    mask: u32,
    packet: Vec<u8>,
    received: Vec<u8>,
}

/// The place of a request.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    asked: Option<Asked>,
    /// Whether it was sent; others wait for a connection id.
    sent: bool,
    /// How many requests had the place before. 24 bits go into the transaction id.
    turn: u32,
}

impl Link for UdpLink {
    fn new(place: Place, depth: u8, desk: &Desk) -> io::Result<Self> {
        let address = desk.target.address;
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), None)?;
        let source = desk.population.source(place.source);
        if desk.binds
            && let Some(source) = source
        {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        socket.connect(&address.into())?;
        let socket = UdpSocket::from(socket);
        desk.watch(&socket, place, false)?;
        Ok(Self {
            place,
            socket,
            source,
            slots: vec![Slot::default(); depth.into()],
            empty: (0..depth).rev().collect(),
            id: None,
            connecting: None,
            connects: 0,
            mask: place.link.wrapping_mul(0x9e37_79b9),
            packet: Vec::with_capacity(128),
            received: vec![0; MAX_BYTES],
        })
    }

    fn ask(&mut self, asked: Asked, desk: &mut Desk) {
        let Some(slot) = self.empty.pop() else { return desk.failed(&"no place for a request") };
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = Slot { asked: Some(asked), sent: false, turn: place.turn.wrapping_add(1) & 0xff_ffff };
        }
        let now = desk.now();
        match self.id {
            Some((id, since)) if now.saturating_sub(since) < ID_LIFE => self.send(slot, id, desk),
            _ if self.connecting.is_none() => self.connect(desk),
            // It waits with the others.
            _ => {}
        }
    }

    fn ready(&mut self, desk: &mut Desk) {
        let idle = self.connecting.is_none() && self.empty.len() == self.slots.len();
        // No more is read than can have come: one call that finds nothing costs as much as one that does.
        while self.connecting.is_some() || self.empty.len() < self.slots.len() {
            match self.socket.recv(&mut self.received) {
                Ok(length) => self.take(length, desk),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail_all(&error, desk),
            }
        }
        // What comes when nothing can have come must not wake the loop for ever.
        while idle && let Ok(length) = self.socket.recv(&mut self.received) {
            self.take(length, desk);
        }
    }

    fn expire(&mut self, since: Duration, desk: &mut Desk) {
        for slot in 0..self.slots.len() {
            let Some(place) = self.slots.get_mut(slot) else { continue };
            if place.asked.is_some_and(|asked| asked.begun < since) {
                place.asked = None;
                desk.lost();
                self.give_back(slot, desk);
            }
        }
        if self.connecting.is_some_and(|begun| begun + CONNECT_AGAIN < desk.now()) {
            self.connect(desk);
        }
    }
}

impl UdpLink {
    fn transaction(&self, slot: u8, turn: u32) -> u32 {
        ((turn & 0xff_ffff) << 8 | u32::from(slot)) ^ self.mask
    }

    fn connect(&mut self, desk: &mut Desk) {
        self.connecting = Some(desk.now());
        self.connects = self.connects.wrapping_add(1);
        let transaction = self.transaction(CONNECT_SLOT, self.connects);
        packet::write_connect(&mut self.packet, transaction);
        if let Err(error) = self.socket.send(&self.packet) {
            self.fail_all(&error, desk);
        }
    }

    fn send(&mut self, slot: u8, id: u64, desk: &mut Desk) {
        let Some(place) = self.slots.get_mut(usize::from(slot)) else { return };
        let Some(asked) = place.asked else { return };
        place.sent = true;
        let turn = place.turn;
        let transaction = self.transaction(slot, turn);
        let numwant = desk.judge.numwant;
        packet::write(&mut self.packet, (id, transaction), &asked.question, (&desk.population, numwant));
        match self.socket.send(&self.packet) {
            // A packet that the kernel has no room for is lost, as others are on their way.
            Err(error) if error.kind() != ErrorKind::WouldBlock => self.fail_all(&error, desk),
            _ => {}
        }
    }

    /// A packet came.
    fn take(&mut self, length: usize, desk: &mut Desk) {
        let packet = self.received.get(..length).unwrap_or_default();
        let Some((head, body)) = packet::head(packet) else { return desk.unasked(&Wrong::Packet(length)) };
        let [t0, t1, t2, slot] = (head.transaction ^ self.mask).to_be_bytes();
        let turn = u32::from_be_bytes([0, t0, t1, t2]);
        if slot == CONNECT_SLOT && turn == self.connects & 0xff_ffff && self.connecting.is_some() {
            self.connecting = None;
            match packet::connected(head, body) {
                Ok(id) => self.connected(id, desk),
                Err(wrong) => {
                    desk.unasked(&wrong);
                    self.fail_all(&"no connection id", desk);
                }
            }
            return;
        }
        let found = self.slots.get_mut(usize::from(slot));
        let Some(place) = found.filter(|place| place.turn == turn && place.sent) else {
            // Answers that are late, or come twice, are of a turn before.
            let known = self.slots.get(usize::from(slot)).is_some_and(|place| turn < place.turn);
            if known || (slot == CONNECT_SLOT && turn <= self.connects) {
                desk.tally.late += 1;
            } else {
                desk.unasked(&Wrong::Transaction(head.transaction));
            }
            return;
        };
        let Some(asked) = place.asked.take() else {
            desk.tally.late += 1;
            return;
        };
        let judged =
            packet::judged(head, body, &asked.question, self.source, (&desk.population, &mut desk.judge));
        desk.answered(&asked, length, judged);
        self.give_back(usize::from(slot), desk);
    }

    /// A connection id came: sends what waits for it.
    fn connected(&mut self, id: u64, desk: &mut Desk) {
        self.id = Some((id, desk.now()));
        for slot in (0..CONNECT_SLOT).take(self.slots.len()) {
            if self.slots.get(usize::from(slot)).is_some_and(|place| place.asked.is_some() && !place.sent) {
                self.send(slot, id, desk);
            }
        }
    }

    /// The tracker cannot be reached.
    fn fail_all(&mut self, reason: &impl std::fmt::Display, desk: &mut Desk) {
        (self.id, self.connecting) = (None, None);
        for slot in 0..self.slots.len() {
            if self.slots.get_mut(slot).is_some_and(|place| place.asked.take().is_some()) {
                desk.failed(reason);
                self.give_back(slot, desk);
            }
        }
    }

    fn give_back(&mut self, slot: usize, desk: &mut Desk) {
        self.empty.extend(u8::try_from(slot));
        desk.free.push_back(self.place.link);
    }
}
