//! Requests that are wrong, too many or out of turn (rows 29 to 31).

use std::thread;

use anyhow::{Context as _, Result, ensure};

use crate::guest::{Frame, Guest, MODERN, PLAIN, id, message};
use crate::row::Target;

/// How many are borne, as the program says.
const BAD_REQUESTS: usize = 4;
const WHILE_CHOKED: usize = 500;

/// A guest that may ask, and a whole piece that it may ask for: a lone seed shows few.
fn unchoked(target: &Target<'_>) -> Result<(Guest, u32)> {
    let mut guest = target.greet(MODERN)?;
    guest.send(&message(id::INTERESTED, &[]));
    let (mut may, mut shown) = (false, None);
    loop {
        if let (true, Some(piece)) = (may, shown) {
            return Ok((guest, piece));
        }
        let frame = guest.read()?.context("it closed")?;
        match (frame.id, frame.field(0)) {
            (id::UNCHOKE, _) => may = true,
            (id::HAVE, Some(piece)) if piece < target.sample.pieces - 1 => shown = Some(piece),
            (id::HAVE_ALL, _) => shown = Some(0),
            _ => {}
        }
    }
}

/// Whether a block that came is what the torrent says.
fn is_right(target: &Target<'_>, frame: &Frame) -> Option<bool> {
    let data = frame.payload.get(8..)?;
    let due = target.sample.block(frame.field(0)?, frame.field(1)?, u32::try_from(data.len()).ok()?)?;
    Some(due == data)
}

pub(super) fn odd_lengths(target: &Target<'_>) -> Result<String> {
    let (mut guest, piece) = unchoked(target)?;
    let odd =
        [[piece, 0, 0], [piece, 0, 32 * 1024 + 1], [piece, 0, target.sample.piece_length], [piece, 5, 1]];
    ensure!(odd.len() == BAD_REQUESTS, "as many as are borne");
    for asked in odd {
        guest.send(&message(id::REQUEST, &asked));
        let answer = guest.until(id::REJECT)?;
        ensure!(answer.block() == Some(asked), "it rejects something else: {:?}", answer.block());
    }
    // What old clients ask for is served meanwhile.
    guest.send(&message(id::REQUEST, &[piece, 0, 32 * 1024]));
    let block = guest.until(id::PIECE)?;
    ensure!(block.payload.len() == 8 + 32 * 1024, "a block of {} bytes", block.payload.len());
    ensure!(is_right(target, &block) == Some(true), "the block is wrong");
    guest.send(&message(id::REQUEST, &[0, 0, 0]));
    let (closed, why) = target.closed(guest)?;
    ensure!(closed.said.iter().all(|frame| frame.id != id::PIECE), "it served one");

    // Without the fast extension there is no word for no.
    let mut plain = target.greet(PLAIN)?;
    plain.send(&message(id::REQUEST, &[0, 0, 0]).repeat(BAD_REQUESTS + 1));
    let (closed, _) = target.closed(plain)?;
    let spoken = [id::PIECE, id::REJECT];
    ensure!(closed.said.iter().all(|frame| !spoken.contains(&frame.id)), "it answered one");
    Ok(format!("{BAD_REQUESTS} rejected and 32 KiB served, then closed: {why}"))
}

/// Requests, and how many of them come at once where the answers are read: whoever asks for more than half a megabyte of
/// refusals is one who does not read, whether he does or not.
const FLOOD: usize = 100_000;
const BURST: usize = 25_000;
/// Bytes of each.
const SMALL: u32 = 1024;

fn flood(target: &Target<'_>, piece: u32, requests: usize) -> Vec<u8> {
    let blocks = (0..target.sample.piece_length / SMALL).cycle().take(requests);
    blocks.flat_map(|n| message(id::REQUEST, &[piece, n * SMALL, SMALL])).collect()
}

pub(super) fn a_hundred_thousand(target: &Target<'_>) -> Result<String> {
    let (mut guest, piece) = unchoked(target)?;
    let (mut served, mut rejected) = (0, 0);
    // What nobody serves is rejected at once: by then all before it was looked at.
    let mark = [piece, 5, 1];
    let burst = [flood(target, piece, BURST), message(id::REQUEST, &mark)].concat();
    for _ in 0..FLOOD / BURST {
        let (mut writer, burst) = (guest.twin()?, &burst);
        thread::scope(|scope| {
            scope.spawn(move || writer.send(burst));
            loop {
                let frame = guest.read()?.context("it closed")?;
                match frame.id {
                    id::PIECE => {
                        ensure!(is_right(target, &frame) == Some(true), "a block is wrong");
                        served += 1;
                    }
                    id::REJECT if frame.block() == Some(mark) => return Ok(()),
                    id::REJECT => rejected += 1,
                    _ => {}
                }
            }
        })?;
    }
    ensure!(served > 0, "it served none");
    ensure!(rejected > 0, "it queued them all");
    Ok(format!("{served} served and right, {rejected} rejected"))
}

pub(super) fn unread(target: &Target<'_>) -> Result<String> {
    let (mut guest, piece) = unchoked(target)?;
    guest.send(&flood(target, piece, FLOOD));
    let (closed, why) = target.closed(guest)?;
    let blocks = closed.said.iter().filter(|frame| frame.id == id::PIECE).count();
    Ok(format!("closed: {why}; {blocks} blocks were on their way"))
}

pub(super) fn while_choked(target: &Target<'_>) -> Result<String> {
    let mut guest = target.greet(MODERN)?;
    guest.send(&message(id::REQUEST, &[1, 0, 16_384]).repeat(WHILE_CHOKED - 1));
    let before = guest.is_heard()?;
    let rejects = before.iter().filter(|frame| frame.id == id::REJECT).count();
    ensure!(rejects == WHILE_CHOKED - 1, "{rejects} rejected");
    guest.send(&message(id::REQUEST, &[1, 0, 16_384]));
    let (closed, why) = target.closed(guest)?;
    ensure!(before.iter().chain(&closed.said).all(|frame| frame.id != id::PIECE), "it served one");
    Ok(format!("{WHILE_CHOKED} rejected, none served, then closed: {why}"))
}
