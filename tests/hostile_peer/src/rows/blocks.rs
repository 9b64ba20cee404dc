//! What a downloader asks for and gets (rows 32, 34, 36).

use anyhow::{Context as _, Result, ensure};

use crate::guest::{Frame, Guest, MODERN, extended, frame, id, message};
use crate::row::Target;
use crate::sample::BLOCK;

/// Blocks that are borne, as the program says.
const UNASKED: usize = 16;

pub(super) fn unasked(target: &Target<'_>) -> Result<String> {
    let mut guest = target.greet(MODERN)?;
    let lie = frame(id::PIECE, &[&[0; 8][..], &vec![0x55; usize::try_from(BLOCK)?]].concat());
    guest.send(&lie.repeat(UNASKED));
    guest.is_heard()?;
    guest.send(&lie);
    let (_, why) = target.closed(guest)?;
    Ok(format!("{UNASKED} dropped, then closed: {why}"))
}

/// A guest that has everything and serves it, if it is to be believed.
fn giver(target: &Target<'_>, introduction: &[u8]) -> Result<Guest> {
    let mut guest = target.greet(MODERN)?;
    guest.send(&[introduction, &message(id::HAVE_ALL, &[]), &message(id::UNCHOKE, &[])].concat());
    Ok(guest)
}

/// Requests that are enough to see that it is trusted: as many as even one gets that comes when all is asked of another.
const TAKEN: usize = 4;

pub(super) fn unanswered(target: &Target<'_>) -> Result<String> {
    let mut guest = giver(target, &[])?;
    for _ in 0..TAKEN {
        guest.until(id::REQUEST)?;
    }
    // It goes on saying nothing while the rest of the transfer is made without it.
    target.hold(guest);
    Ok("asked all of the others".to_owned())
}

fn requests(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| frame.id == id::REQUEST).count()
}

/// Blocks that are given one by one.
const ROUNDS: usize = 20;

pub(super) fn queue_lengths(target: &Target<'_>) -> Result<String> {
    let mut one = giver(target, &extended(0, b"d4:reqqi-1ee"))?;
    for _ in 0..ROUNDS {
        let asked = one.until(id::REQUEST)?;
        let more = requests(&one.is_heard()?);
        ensure!(more == 0, "{more} requests more than one");
        let [piece, begin, length] = asked.block().context("a request names a block")?;
        let data = target.sample.block(piece, begin, length).context("it asks past the end")?;
        one.send(&frame(id::PIECE, &[&piece.to_be_bytes()[..], &begin.to_be_bytes(), data].concat()));
    }
    drop(one);
    let mut many = giver(target, &extended(0, b"d4:reqqi2147483648ee"))?;
    many.until(id::REQUEST)?;
    let asked = 1 + requests(&many.is_heard()?);
    let all = target.sample.content.len() / usize::try_from(BLOCK)?;
    ensure!(asked > 1, "it was taken for one that takes one");
    ensure!(asked < all / 2, "it was asked for {asked} blocks of {all} at once");
    Ok(format!("asked for 1 at a time; for {asked} at once"))
}
