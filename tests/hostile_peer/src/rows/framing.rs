//! Bytes that are not the protocol (rows 25 to 28).

use anyhow::{Result, ensure};

use crate::guest::{MODERN, frame, id, message};
use crate::row::Target;

/// The longest message that is taken, as the program says.
const MAX_FRAME: u32 = 1 << 20;

pub(super) fn giants(target: &Target<'_>) -> Result<String> {
    let mut words = String::new();
    for length in [u32::MAX, MAX_FRAME + 1] {
        // As if it really came.
        let bytes = [&length.to_be_bytes()[..], &[0x55; 100_000]].concat();
        words = target.closes(MODERN, &bytes)?;
    }
    Ok(format!("closed: {words}"))
}

pub(super) fn wrong_lengths(target: &Target<'_>) -> Result<String> {
    let block = usize::try_from(crate::sample::BLOCK)?;
    let wrong = [
        (id::CHOKE, 1),
        (id::UNCHOKE, 4),
        (id::INTERESTED, 1),
        (id::NOT_INTERESTED, 1),
        (id::HAVE, 3),
        (id::HAVE, 5),
        (id::REQUEST, 11),
        (id::REQUEST, 16),
        (id::PIECE, 7),
        (id::PIECE, 8),
        (id::PIECE, 8 + block + 1),
        (id::CANCEL, 13),
        (id::PORT, 1),
        (id::SUGGEST, 5),
        (id::HAVE_ALL, 1),
        (id::HAVE_NONE, 1),
        (id::REJECT, 0),
        (id::ALLOWED_FAST, 3),
        (id::EXTENDED, 0),
    ];
    let mut words = String::new();
    for (id, length) in wrong {
        words = target.closes(MODERN, &frame(id, &vec![0; length]))?;
    }
    Ok(format!("{} of {} closed, the last: {words}", wrong.len(), wrong.len()))
}

pub(super) fn bitfields(target: &Target<'_>) -> Result<String> {
    let pieces = usize::try_from(target.sample.pieces)?;
    let (bytes, spare) = (pieces.div_ceil(8), pieces.div_ceil(8) * 8 - pieces);
    ensure!(spare > 0, "there is a spare bit");
    let mut full = vec![0xff; bytes];
    if let Some(last) = full.last_mut() {
        *last <<= spare;
    }
    target.closes(MODERN, &frame(id::BITFIELD, &vec![0; bytes - 1]))?;
    target.closes(MODERN, &frame(id::BITFIELD, &vec![0; bytes + 1]))?;
    let spare = target.closes(MODERN, &frame(id::BITFIELD, &vec![0xff; bytes]))?;
    // Late, when it has said already that it has nothing: it is believed.
    let mut late = target.greet(MODERN)?;
    late.send(&message(id::HAVE_NONE, &[]));
    let before = late.is_heard()?;
    ensure!(before.iter().all(|frame| frame.id != id::INTERESTED), "interested in one that has nothing");
    late.send(&frame(id::BITFIELD, &full));
    late.until(id::INTERESTED)?;
    // The same once more is a slip; again and again it is none.
    late.send(&frame(id::BITFIELD, &full));
    late.is_heard()?;
    (0..10).for_each(|_| _ = late.send(&frame(id::BITFIELD, &full)));
    let (_, again) = target.closed(late)?;
    Ok(format!("closed: {spare}; {again}; a late one is believed"))
}

pub(super) fn past_the_end(target: &Target<'_>) -> Result<String> {
    let (pieces, length) = (target.sample.pieces, target.sample.piece_length);
    let last = target.sample.piece_size(pieces - 1);
    let past = [
        message(id::HAVE, &[pieces]),
        message(id::HAVE, &[u32::MAX]),
        message(id::SUGGEST, &[pieces]),
        message(id::ALLOWED_FAST, &[u32::MAX]),
        message(id::REQUEST, &[pieces, 0, 16_384]),
        message(id::REQUEST, &[0, length - 1, 2]),
        message(id::REQUEST, &[0, u32::MAX, 16_384]),
        message(id::REQUEST, &[pieces - 1, last - 1, 16_384]),
        message(id::CANCEL, &[pieces, 0, 16_384]),
        message(id::REJECT, &[0, length, 1]),
        frame(id::PIECE, &[&pieces.to_be_bytes()[..], &[0; 4], &[7; 1000]].concat()),
        frame(id::PIECE, &[&[0; 4][..], &u32::MAX.to_be_bytes(), &[7; 1000]].concat()),
    ];
    let mut words = String::new();
    for bytes in &past {
        words = target.closes(MODERN, bytes)?;
    }
    Ok(format!("{} of {} closed, the last: {words}", past.len(), past.len()))
}
