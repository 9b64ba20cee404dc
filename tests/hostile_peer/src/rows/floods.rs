//! Small messages without end (rows 39, 41).

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::guest::{Frame, MODERN, PLAIN, id, message};
use crate::row::Target;

/// Messages of each kind.
const FLOOD: u32 = 100_000;

/// Promises that are believed, as the program says.
const PROMISES: usize = 32;

pub(super) fn promises(target: &Target<'_>) -> Result<String> {
    let pieces = target.sample.pieces;
    let mut guest = target.greet(MODERN)?;
    let mut flood = message(id::HAVE_ALL, &[]);
    for n in 0..FLOOD {
        for kind in [id::ALLOWED_FAST, id::SUGGEST, id::HAVE] {
            flood.extend(message(kind, &[n % pieces]));
        }
    }
    let mut heard = guest.is_heard_after(flood)?;
    // What it makes of all that comes follows its answers.
    heard.extend(guest.is_heard()?);
    let mut asked = BTreeSet::new();
    loop {
        let requests = heard.iter().filter(|frame| frame.id == id::REQUEST).filter_map(Frame::block);
        let requests: Vec<[u32; 3]> = requests.collect();
        if requests.is_empty() {
            break;
        }
        asked.extend(requests.iter().map(|[piece, ..]| *piece));
        // Each is refused: then it turns to the next promise.
        heard =
            guest.is_heard_after(requests.iter().flat_map(|block| message(id::REJECT, block)).collect())?;
        heard.extend(guest.is_heard()?);
    }
    ensure!(!asked.is_empty(), "it believes no promise");
    ensure!(asked.len() <= PROMISES, "it asks for {} of {pieces} pieces while it is choked", asked.len());
    let unasked = message(id::REJECT, &[pieces - 1, 0, 1]);
    guest.send(&unasked.repeat(1000));
    let (_, why) = target.closed(guest)?;
    Ok(format!("asked for {} pieces of {pieces}, then closed: {why}", asked.len()))
}

/// Rounds after which it is certain that more promises were broken than are borne: the program bears 50, but several
/// rounds that come at once are one to it, and it asks for 64 blocks at once at most.
const ROUNDS: u32 = 2 * 50 * 64;

pub(super) fn chokes(target: &Target<'_>) -> Result<String> {
    let mut guest = target.greet(PLAIN)?;
    guest.send(&haves(target));
    guest.until(id::INTERESTED)?;
    let mut rounds: u32 = 0;
    loop {
        guest.send(&message(id::UNCHOKE, &[]));
        loop {
            match guest.read()? {
                Some(frame) if frame.id == id::REQUEST => break,
                Some(_) => {}
                None => {
                    let why = target.process.reason(guest.ours()?)?;
                    return Ok(format!("closed after {rounds} rounds: {why}"));
                }
            }
        }
        guest.send(&message(id::CHOKE, &[]));
        rounds += 1;
        ensure!(rounds < ROUNDS, "it bears {rounds} rounds");
    }
}

/// Says that it has everything, piece by piece.
fn haves(target: &Target<'_>) -> Vec<u8> {
    let pieces = target.sample.pieces;
    (0..pieces).flat_map(|piece| message(id::HAVE, &[piece])).collect()
}

pub(super) fn interest(target: &Target<'_>) -> Result<String> {
    let mut guest = target.greet(MODERN)?;
    let both = [message(id::INTERESTED, &[]), message(id::NOT_INTERESTED, &[])].concat();
    let said = guest.is_heard_after(both.repeat(usize::try_from(FLOOD)?))?;
    let said = said.iter().filter(|frame| [id::CHOKE, id::UNCHOKE].contains(&frame.id)).count();
    // It looks at all that has come before it says what follows.
    ensure!(said < usize::try_from(FLOOD)?, "{said} answers");
    Ok(format!("{said} answers, and it goes on listening"))
}
