//! The extension protocol, metadata and peer exchange (rows 35, 37, 38).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::PATIENCE;
use crate::guest::{MODERN, extended, frame, id};
use crate::row::Target;

/// The numbers that the program gives to its extensions.
const METADATA: u8 = 1;
const PEX: u8 = 2;
const DONT_HAVE: u8 = 3;

/// Messages without sense that are borne, as the program says.
const NONSENSE: usize = 8;

pub(super) fn nonsense(target: &Target<'_>) -> Result<String> {
    let bad: [(u8, &[u8]); NONSENSE] = [
        (0, b"d1:m"),
        (0, b"le"),
        (0, b"d1:mi1ee"),
        (0, b"d4:reqq3:tene"),
        (METADATA, b"d8:msg_typei9223372036854775808e5:piecei0ee"),
        (METADATA, b""),
        (PEX, b"d5:added5:12345e"),
        (DONT_HAVE, &[0, 0, 0]),
    ];
    let mut guest = target.greet(MODERN)?;
    // What nobody knows is no slip.
    guest.send(&extended(99, b"whatever").repeat(100));
    bad.iter().for_each(|(number, payload)| _ = guest.send(&extended(*number, payload)));
    guest.is_heard()?;
    guest.send(&extended(METADATA, b"d"));
    let (_, why) = target.closed(guest)?;
    let short = target.closes(MODERN, &frame(id::EXTENDED, &[]))?;
    Ok(format!("{NONSENSE} ignored, then closed: {why}; closed: {short}"))
}

/// Our own number for metadata.
const OURS: u8 = 7;

/// Copies of it that one peer gets, as the program says.
const COPIES: usize = 3;

/// Requests, and how many of them come at once: who asks for more than half a megabyte of refusals is one who does not
/// read, whether he does or not.
const ASKED: usize = 10_000;
const BURST: usize = 2_500;
/// Pieces that there might be, and are not.
const PAST_THE_END: usize = 1000;

pub(super) fn metadata_flood(target: &Target<'_>) -> Result<String> {
    let mut guest = target.greet(MODERN)?;
    guest.send(&extended(0, format!("d1:md11:ut_metadatai{OURS}eee").as_bytes()));
    let ask = |piece: usize| extended(METADATA, format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes());
    let mut answers = Vec::new();
    for burst in 0..ASKED / BURST {
        // The first piece, which there is, and others that there are not.
        let flood = (0..BURST).flat_map(|n| ask(if n % 2 == 0 { 0 } else { 1 + (burst + n) % PAST_THE_END }));
        answers.extend(guest.is_heard_after(flood.collect())?);
    }
    let answers = answers.iter().filter(|frame| frame.payload.first() == Some(&OURS));
    let (mut given, mut refused) = (0, 0);
    for answer in answers {
        let is = |kind: &[u8]| answer.payload.windows(kind.len()).any(|part| part == kind);
        given += usize::from(is(b"8:msg_typei1e"));
        refused += usize::from(is(b"8:msg_typei2e"));
    }
    ensure!(given >= 1, "it gives none at all");
    ensure!(given <= COPIES, "it gave {given} copies");
    ensure!(refused >= ASKED / 2, "it refused only {refused}");
    Ok(format!("{given} copies given, {refused} requests refused"))
}

pub(super) fn wrong_metadata(target: &Target<'_>) -> Result<String> {
    let state = |size: u64| format!("d1:md11:ut_metadatai{OURS}ee13:metadata_sizei{size}ee");
    // One that states what nobody can have is as one that has nothing.
    let mut giant = target.greet(MODERN)?;
    giant.send(&extended(0, state(1 << 31).as_bytes()));
    let mut liar = target.greet(MODERN)?;
    liar.send(&extended(0, state(1000).as_bytes()));
    let asked = loop {
        let frame = liar.until(id::EXTENDED)?;
        if frame.payload.first() == Some(&OURS) {
            break frame.payload;
        }
    };
    ensure!(asked.ends_with(b"d8:msg_typei0e5:piecei0ee"), "it asks for something else");
    let lie = [&b"d8:msg_typei1e5:piecei0e10:total_sizei1000ee"[..], &[b'x'; 1000]].concat();
    liar.send(&extended(METADATA, &lie));
    let (_, why) = target.closed(liar)?;
    // By now it would have been asked, had it been believed.
    let ours = giant.ours()?;
    drop(giant);
    let log = target.process.reason(ours)?;
    ensure!(log == "the other side has closed", "the other one: {log}");
    Ok(format!("closed: {why}"))
}

/// Entries that a message names, of which so many are taken at once.
const NAMED: u32 = 10_000;
const TAKEN: usize = 200;

/// Dials that are enough to see that some are believed.
const DIALS: usize = 20;

/// Messages after which the rest are certainly too many.
const MESSAGES: usize = 30;

pub(super) fn peers_without_end(target: &Target<'_>) -> Result<String> {
    // All of 127.0.0.0/8 leads here.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    let entries = (0..NAMED).flat_map(|n| {
        let [_, _, high, low] = n.to_be_bytes();
        [&[127, 9, high, low][..], &port.to_be_bytes()].concat()
    });
    let entries: Vec<u8> = entries.collect();
    let named = [format!("d5:added{}:", entries.len()).as_bytes(), &entries, b"e"].concat();
    let mut guest = target.greet(MODERN)?;
    guest.send(&extended(PEX, &named));
    let mut dialled = BTreeSet::new();
    accept(target, &listener, &mut dialled, DIALS)?;
    (0..MESSAGES).for_each(|_| _ = guest.send(&extended(PEX, &named)));
    let (_, why) = target.closed(guest)?;
    accept(target, &listener, &mut dialled, 0)?;
    ensure!(dialled.len() <= TAKEN, "it dialled {} of them", dialled.len());
    Ok(format!("{} of {NAMED} dialled, then closed: {why}", dialled.len()))
}

/// Turns away who dials, until so many addresses were dialled and nobody waits.
fn accept(
    target: &Target<'_>,
    listener: &TcpListener,
    dialled: &mut BTreeSet<IpAddr>,
    enough: usize,
) -> Result<()> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => _ = dialled.insert(stream.local_addr()?.ip()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) if dialled.len() >= enough => return Ok(()),
            Err(_) if target.process.has_ended() => bail!("it has ended"),
            Err(_) if Instant::now() > deadline => bail!("it dialled only {} of them", dialled.len()),
            // The standard library cannot wait for a connection with a deadline.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
