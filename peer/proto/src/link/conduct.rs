//! What a peer may do wrong before its link is closed.
//!
//! Purpose: tell a peer that is late or old from one that is hostile. A slip that honest peers make now and then is
//! counted; the count that no honest peer reaches closes the link.

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

/// Counts of one link's slips.
#[derive(Debug, Default)]
pub struct Conduct {
    while_choked: u32,
    bad_requests: u32,
    unasked: u32,
    bitfields: u32,
    unasked_rejects: u32,
    bad_extended: u32,
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
}
