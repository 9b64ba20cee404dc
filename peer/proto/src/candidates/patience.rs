//! How long an address is left alone before it is dialled again, and after how many dials in vain it is dropped.
//!
//! It counts nothing and knows no time: see [`super::Candidates`].

use std::time::Duration;

use super::Source;
use crate::BLOCK_LENGTH;
use crate::backoff::backoff;

/// With no more addresses than this each is worth more patience: they may be all there is.
pub(super) const FEW: usize = 8;
/// The wait after a first failure, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(15 * 60));
/// The same where there are few addresses or the user named this one: a dial a minute burdens nobody.
pub(super) const PATIENT_RETRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// The same where a peer of this torrent has answered a dial before: it may only be starting again, or its path.
const KNOWN_RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));
/// Both together: all that there may be has answered before. Who waits for a host or a path to come back shall not wait
/// much longer than that takes.
const RETURNING_RETRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
/// The same after a peer answered and closed without a block: most likely it is full, and one of its places becomes
/// free when somebody else leaves. In a swarm of a thousand that costs each peer a dial or two a second.
pub(super) const BUSY_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15 * 60));
/// The wait before a peer that was of use is dialled again.
pub(super) const RECONNECT: Duration = Duration::from_secs(5);
/// The same where blocks were on their way when the connection broke: a router that resets every connection each second
/// lets half of the time be used. Twice as long each time that it gave less than [`WORTH_A_DIAL`], up to [`RECONNECT`].
const RECONNECT_AT_ONCE: Duration = Duration::from_millis(500);
/// Bytes from a peer that are worth being dialled again at once, 16 blocks: what has us dial twice a second must give us
/// half a megabyte a second.
pub(super) const WORTH_A_DIAL: u64 = 16 * BLOCK_LENGTH as u64;
/// The wait before one is dialled again of which nothing is to be had for now: it has what we have, or it is us.
pub(super) const REST: Duration = Duration::from_secs(30 * 60);
/// Failures in a row after which an address is dropped, the same where a peer has answered before (about 20 minutes),
/// while there are few, and both (15 minutes, or 25 where no dial is refused).
const MAX_FAILURES: u32 = 5;
const KNOWN_MAX_FAILURES: u32 = 10;
const PATIENT_MAX_FAILURES: u32 = 15;
const RETURNING_MAX_FAILURES: u32 = 60;
/// Refusals in a row after which an address is dropped: about two hours.
pub(super) const MAX_REFUSALS: u32 = 12;

/// The wait after a link was cut short, when that was so for so many in a row that gave less than [`WORTH_A_DIAL`].
pub(super) fn after_cut(cuts: u32, random: u32) -> Duration {
    backoff(RECONNECT_AT_ONCE, RECONNECT, cuts, random)
}

/// After how many failures in a row an address is dropped, and the first and the longest wait until then. It is `known` if
/// a peer of this torrent has answered a dial there, and one of a `few` with no more than [`FEW`].
pub(super) fn after_failure(source: Source, known: bool, few: bool) -> (u32, (Duration, Duration)) {
    match source {
        Source::User if known => (u32::MAX, RETURNING_RETRY),
        Source::User => (u32::MAX, PATIENT_RETRY),
        Source::Incoming if !known => (1, RETRY),
        _ if few && known => (RETURNING_MAX_FAILURES, RETURNING_RETRY),
        _ if few => (PATIENT_MAX_FAILURES, PATIENT_RETRY),
        _ if known => (KNOWN_MAX_FAILURES, KNOWN_RETRY),
        _ => (MAX_FAILURES, RETRY),
    }
}
