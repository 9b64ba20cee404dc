//! What a peer may do wrong before its link is closed.
//!
//! Purpose: tell a peer that is late or old from one that is hostile. A slip that honest peers make now and then is
//! counted; the count that no honest peer reaches closes the link.

use std::time::Duration;

use crate::Time;

/// Requests that came while we choked the peer: as many as could have been on the way when we did.
const MAX_WHILE_CHOKED: u32 = 500;

/// Requests that no client makes: empty or longer than any served.
const MAX_BAD_REQUESTS: u32 = 4;

/// Blocks that we never asked for.
const MAX_UNASKED: u32 = 16;

/// Bitfields that tell of nothing new or take something back: a peer that has lost data may send one (HOSTILE 27).
const MAX_BITFIELDS: u32 = 4;

/// Refusals of requests that we never made.
const MAX_UNASKED_REJECTS: u32 = 16;

/// Extended messages that cannot be read: a client may have its own idea of one of them.
const MAX_BAD_EXTENDED: u32 = 8;

/// Unchokes after which nothing came of what we asked and the choke followed: each costs us a row of requests.
const MAX_BROKEN: u32 = 50;

/// Time in which one of them is forgiven: chokers have rounds of ten seconds and more.
const FORGIVEN_AFTER: Duration = Duration::from_secs(5);

/// Pieces lost by a peer that had everything just before: after the first it does not, unless it fetches them again.
const MAX_LOST_FIRST: u32 = 16;

/// Counts of one link's slips.
#[derive(Debug, Default)]
pub struct Conduct {
    /// Whether a block came since the last choke.
    delivered: bool,
    broken: u32,
    /// Up to when broken promises were forgiven.
    forgiven: Time,
    while_choked: u32,
    bad_requests: u32,
    unasked: u32,
    bitfields: u32,
    unasked_rejects: u32,
    bad_extended: u32,
    lost_first: u32,
}

/// The rule that was broken too often.
pub type Verdict = Result<(), &'static str>;

impl Conduct {
    fn count(counter: &mut u32, most: u32, rule: &'static str) -> Verdict {
        *counter += 1;
        if *counter > most { Err(rule) } else { Ok(()) }
    }

    /// A request came from a peer that we choke.
    pub fn request_while_choked(&mut self) -> Verdict {
        Self::count(&mut self.while_choked, MAX_WHILE_CHOKED, "goes on asking while choked")
    }

    /// We choked the peer: what was on the way is forgiven.
    pub fn choked(&mut self) {
        self.while_choked = 0;
    }

    /// A request of a length that nobody serves, or for a piece that was never offered.
    pub fn bad_request(&mut self) -> Verdict {
        Self::count(&mut self.bad_requests, MAX_BAD_REQUESTS, "asks for what nobody serves")
    }

    /// A block came that was asked for.
    pub fn delivered(&mut self) {
        self.delivered = true;
    }

    /// It chokes us, with so many requests unanswered.
    pub fn chokes(&mut self, now: Time, unanswered: usize) -> Verdict {
        if std::mem::take(&mut self.delivered) || unanswered == 0 {
            return Ok(());
        }
        let forgiven = now.saturating_since(self.forgiven).as_secs() / FORGIVEN_AFTER.as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        self.forgiven += FORGIVEN_AFTER.saturating_mul(forgiven);
        self.broken = self.broken.saturating_sub(forgiven);
        Self::count(&mut self.broken, MAX_BROKEN, "chokes and unchokes without end")
    }

    /// A block that was never asked for.
    pub fn unasked_block(&mut self) -> Verdict {
        Self::count(&mut self.unasked, MAX_UNASKED, "sends blocks that nobody asked for")
    }

    /// A bitfield that is not the one before with more pieces.
    ///
    /// One that only grows is not counted: aria2 sends it in the place of many have messages, again and again.
    pub fn bitfield(&mut self) -> Verdict {
        Self::count(&mut self.bitfields, MAX_BITFIELDS, "sends its bitfield again and again")
    }

    /// A refusal of a request that was never made.
    pub fn unasked_reject(&mut self) -> Verdict {
        Self::count(&mut self.unasked_rejects, MAX_UNASKED_REJECTS, "refuses what nobody asked for")
    }

    /// An extended message that makes no sense.
    pub fn bad_extended(&mut self) -> Verdict {
        Self::count(&mut self.bad_extended, MAX_BAD_EXTENDED, "sends extended messages that make no sense")
    }

    /// A piece lost by a peer that had everything.
    pub fn lost_first(&mut self) -> Verdict {
        Self::count(&mut self.lost_first, MAX_LOST_FIRST, "loses a piece again and again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand chokes that come so many seconds apart are put up with.
    fn borne(apart: u64) -> usize {
        let mut conduct = Conduct::default();
        (0..1000)
            .take_while(|n| conduct.chokes(Time::ZERO + Duration::from_secs(n * apart), 5).is_ok())
            .count()
    }

    #[test]
    fn h41_chokes_that_break_promises_are_counted_and_those_of_an_honest_choker_forgiven() {
        assert_eq!(borne(0), 50);
        assert!((60..80).contains(&borne(1)), "{}", borne(1));
        assert_eq!(borne(5), 1000);
        let mut kept = Conduct::default();
        for _ in 0..1000 {
            assert_eq!(kept.chokes(Time::ZERO, 0), Ok(()), "nothing was asked");
            kept.delivered();
            assert_eq!(kept.chokes(Time::ZERO, 5), Ok(()), "something came");
        }
    }
}
