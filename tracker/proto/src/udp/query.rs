//! One question to one address of a tracker, from the client's side: connect, ask, send again (BEP 15).
//!
//! Invariants: an answer counts only if it belongs to what was sent last and is of the kind that was asked for; anything
//! else is as if it had not come. At most one packet is sent again in all, so that a dead tracker keeps the next one waiting
//! for no longer than [`FIRST_WAIT`] and [`LAST_WAIT`], together the 15 seconds that the BEP waits at first.
//! Its longer and longer waits after that are for whoever asks the next time.
//!
//! Which packets come from the tracker's address is the driver's to know: it hands in no others.

use std::time::Duration;

use metainfo::InfoHash;

use super::{Announce, Family, Reply, Request, TransactionId};
use crate::Time;
use crate::connection_id::ConnectionId;

/// How long an answer is waited for before the question is sent again.
pub const FIRST_WAIT: Duration = Duration::from_secs(5);
/// How long an answer is waited for after that.
pub const LAST_WAIT: Duration = Duration::from_secs(10);
/// How long a client uses a connection id after it has got it.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// For peers.
    Announce {
        /// What is said.
        announce: Announce,
        /// Path and query of the tracker's URL (BEP 41); empty if it has none.
        url_data: Vec<u8>,
    },
    /// For numbers of these swarms; [`MAX_SCRAPE_HASHES`](crate::http::MAX_SCRAPE_HASHES) at most.
    Scrape(Vec<InfoHash>),
}

/// A connection id that a tracker gave, to be kept for the next question to the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    id: ConnectionId,
    until: Time,
}

impl Connection {
    /// Whether it may still be used.
    #[must_use]
    pub fn is_usable(&self, now: Time) -> bool {
        now < self.until
    }
}

/// What a driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this to the tracker, and poll again.
    Send(Vec<u8>),
    /// Wait for a packet, or until this time, and poll again.
    Wait(Time),
    /// There is no answer, and there will be none.
    GiveUp,
}

#[derive(Debug, Clone)]
struct Sent {
    packet: Vec<u8>,
    transaction: TransactionId,
    is_connect: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Query {
    ask: Ask,
    family: Family,
    connection: Option<Connection>,
    /// The connection id has come in answer to this query, so the tracker knows it.
    is_fresh: bool,
    sent: Option<Sent>,
    due: Time,
    has_repeated: bool,
}

impl Query {
    /// A question to a tracker at an address of this family, which may have given a connection id before.
    #[must_use]
    pub fn new(ask: Ask, family: Family, known: Option<Connection>) -> Self {
        Self {
            ask,
            family,
            connection: known,
            is_fresh: false,
            sent: None,
            due: Time::ZERO,
            has_repeated: false,
        }
    }

    /// What to do now. `transaction` gives a number that a stranger cannot guess.
    pub fn poll(&mut self, now: Time, transaction: impl FnOnce() -> TransactionId) -> Step {
        if now < self.due {
            return Step::Wait(self.due);
        }
        if let Some(sent) = &self.sent {
            if self.has_repeated {
                return Step::GiveUp;
            }
            self.has_repeated = true;
            if sent.is_connect || self.is_fresh {
                self.due = now + LAST_WAIT;
                return Step::Send(sent.packet.clone());
            }
            // A tracker that has been started anew knows its old ids no more, and says nothing.
            self.connection = None;
        }
        self.connection = self.connection.filter(|known| known.is_usable(now));
        let transaction = transaction();
        let packet = self.request().encode(transaction);
        self.sent = Some(Sent { packet: packet.clone(), transaction, is_connect: self.connection.is_none() });
        self.due = now + if self.has_repeated { LAST_WAIT } else { FIRST_WAIT };
        Step::Send(packet)
    }

    fn request(&self) -> Request<'_> {
        match (self.connection, &self.ask) {
            (None, _) => Request::Connect,
            (Some(Connection { id: connection, .. }), Ask::Announce { announce, url_data }) => {
                Request::Announce { connection, announce, url_data }
            }
            (Some(Connection { id: connection, .. }), Ask::Scrape(hashes)) => {
                Request::Scrape { connection, hashes }
            }
        }
    }

    /// Takes a packet from the tracker's address. Gives the answer if that is what it is; else there is something to
    /// [`poll`](Self::poll), or it meant nothing.
    pub fn handle_packet(&mut self, now: Time, packet: &[u8]) -> Option<Reply> {
        let (transaction, reply) = Reply::parse(packet, self.family)?;
        let sent = self.sent.as_ref().filter(|sent| sent.transaction == transaction)?;
        match (reply, &self.ask) {
            (Reply::Connect(id), _) if sent.is_connect => {
                self.connection = Some(Connection { id, until: now + CONNECTION_LIFETIME });
                self.is_fresh = true;
            }
            // It may only be our old id that it does not like.
            (Reply::Error(_), _) if !sent.is_connect && !self.is_fresh => self.connection = None,
            (reply @ Reply::Error(_), _) => return Some(reply),
            (reply @ Reply::Announce(_), Ask::Announce { .. }) if !sent.is_connect => return Some(reply),
            (reply @ Reply::Scrape(_), Ask::Scrape(_)) if !sent.is_connect => return Some(reply),
            _ => return None,
        }
        self.sent = None;
        self.due = now;
        None
    }

    /// The connection id to keep for the next query to this address.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        self.connection
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::PeerId;
    use crate::http::{AnnounceRequest, ReplyError, ScrapeStats};
    use crate::udp::{Header, encode_announce_header, encode_connect, encode_error, encode_scrape};

    const HASH: InfoHash = InfoHash::new([1; 20]);

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn ask() -> Ask {
        let request = AnnounceRequest::new(HASH, PeerId([2; 20]), 6881);
        Ask::Announce { announce: Announce::from(&request), url_data: b"/announce".to_vec() }
    }

    fn query(known: Option<Connection>) -> Query {
        Query::new(ask(), Family::V4, known)
    }

    /// What is sent at this time: whether it is a connect, the transaction, and the connection id.
    #[track_caller]
    fn sent(query: &mut Query, now: Time, transaction: u32) -> (bool, TransactionId, ConnectionId) {
        let Step::Send(packet) = query.poll(now, || TransactionId(transaction)) else {
            panic!("nothing is sent")
        };
        let (header, body) = Header::parse(&packet).unwrap();
        (body.is_empty(), header.transaction, header.connection)
    }

    #[track_caller]
    fn waits(query: &mut Query, now: Time) -> Time {
        match query.poll(now, || panic!("a packet is made")) {
            Step::Wait(until) => until,
            other => panic!("{other:?}"),
        }
    }

    fn connected(transaction: u32, id: u64) -> Vec<u8> {
        let mut packet = Vec::new();
        encode_connect(TransactionId(transaction), ConnectionId(id), &mut packet);
        packet
    }

    fn announced(transaction: u32) -> Vec<u8> {
        let (transaction, interval) = (TransactionId(transaction), Duration::from_secs(900));
        let mut packet = encode_announce_header(transaction, interval, ScrapeStats::default()).to_vec();
        crate::compact::encode("192.0.2.1:7".parse().unwrap(), &mut packet);
        packet
    }

    fn error(transaction: u32) -> Vec<u8> {
        let mut packet = Vec::new();
        encode_error(TransactionId(transaction), "no", &mut packet);
        packet
    }

    /// A connection id got at this time.
    fn known(now: Time, id: u64) -> Connection {
        Connection { id: ConnectionId(id), until: now + CONNECTION_LIFETIME }
    }

    #[test]
    fn first_it_connects_then_it_asks_then_it_has_the_answer() {
        let mut query = query(None);
        assert!(sent(&mut query, at(0), 1).0);
        assert_eq!(waits(&mut query, at(0)), at(5));
        assert_eq!(query.handle_packet(at(1), &connected(1, 77)), None);
        assert_eq!(sent(&mut query, at(1), 2), (false, TransactionId(2), ConnectionId(77)));
        assert_eq!(waits(&mut query, at(1)), at(6));
        let Some(Reply::Announce(reply)) = query.handle_packet(at(2), &announced(2)) else { panic!() };
        assert_eq!(reply.peers, ["192.0.2.1:7".parse::<SocketAddr>().unwrap()]);
        assert!(
            query.connection().unwrap().is_usable(at(60)) && !query.connection().unwrap().is_usable(at(61))
        );
    }

    #[test]
    fn a_known_connection_id_is_used_while_its_minute_lasts() {
        assert_eq!(
            sent(&mut query(Some(known(at(0), 5))), at(59), 1),
            (false, TransactionId(1), ConnectionId(5))
        );
        assert!(sent(&mut query(Some(known(at(0), 5))), at(60), 1).0);
    }

    #[test]
    fn a_question_is_repeated_once_and_an_answer_to_either_counts() {
        let mut query = query(None);
        assert_eq!(sent(&mut query, at(0), 1).1, TransactionId(1));
        assert_eq!(sent(&mut query, at(5), 2).1, TransactionId(1), "the same packet");
        assert_eq!(waits(&mut query, at(5)), at(15));
        let mut late = query.clone();
        assert_eq!(late.handle_packet(at(14), &connected(1, 7)), None);
        assert!(!sent(&mut late, at(14), 3).0);
        assert_eq!(waits(&mut late, at(14)), at(24));
        assert_eq!(late.poll(at(24), || TransactionId(4)), Step::GiveUp, "one in all");
        assert_eq!(query.poll(at(15), || TransactionId(4)), Step::GiveUp);
    }

    #[test]
    fn a_tracker_that_forgot_our_connection_id_is_connected_to_again() {
        let mut query = query(Some(known(at(0), 5)));
        assert!(!sent(&mut query, at(1), 1).0);
        assert!(sent(&mut query, at(6), 2).0);
        assert_eq!(query.handle_packet(at(7), &connected(2, 6)), None);
        assert_eq!(sent(&mut query, at(7), 3), (false, TransactionId(3), ConnectionId(6)));
    }

    #[test]
    fn a_refusal_counts_at_once_unless_it_may_be_our_old_connection_id_that_is_refused() {
        let mut query = query(Some(known(at(0), 5)));
        sent(&mut query, at(1), 1);
        assert_eq!(query.handle_packet(at(2), &error(1)), None);
        assert!(sent(&mut query, at(2), 2).0);
        query.handle_packet(at(3), &connected(2, 6));
        sent(&mut query, at(3), 3);
        let Some(Reply::Error(ReplyError::Failure(failure))) = query.handle_packet(at(3), &error(3)) else {
            panic!()
        };
        assert_eq!(failure.reason, "no");
        let mut refused = self::query(None);
        sent(&mut refused, at(0), 1);
        assert!(matches!(refused.handle_packet(at(0), &error(1)), Some(Reply::Error(_))));
    }

    #[test]
    fn h50_what_was_not_asked_for_changes_nothing() {
        let mut query = query(None);
        assert_eq!(query.handle_packet(at(0), &connected(0, 9)), None, "before anything is sent");
        sent(&mut query, at(0), 1);
        for packet in [
            connected(2, 9),
            announced(1),
            announced(2),
            error(2),
            connected(1, 9)[..15].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(query.handle_packet(at(0), &packet), None);
            assert_eq!(waits(&mut query, at(0)), at(5), "{packet:?}");
        }
        query.handle_packet(at(1), &connected(1, 9));
        sent(&mut query, at(1), 2);
        let mut scrape = Vec::new();
        encode_scrape(TransactionId(2), [ScrapeStats::default()], &mut scrape);
        // The connect is answered again, by a replay; and there are answers to other questions.
        for packet in [connected(1, 8), connected(2, 8), announced(1), scrape, announced(2)[..19].to_vec()] {
            assert_eq!(query.handle_packet(at(1), &packet), None);
            assert_eq!(waits(&mut query, at(1)), at(6), "{packet:?}");
        }
        assert!(query.handle_packet(at(1), &announced(2)).is_some());
    }

    #[test]
    fn a_scrape_gives_the_numbers() {
        let mut query = Query::new(Ask::Scrape(vec![HASH]), Family::V6, Some(known(at(0), 5)));
        sent(&mut query, at(0), 1);
        let stats = ScrapeStats { complete: 1, incomplete: 2, downloaded: 3, downloaders: None };
        let mut packet = Vec::new();
        encode_scrape(TransactionId(1), [stats], &mut packet);
        assert_eq!(query.handle_packet(at(0), &packet), Some(Reply::Scrape(vec![stats])));
    }
}
