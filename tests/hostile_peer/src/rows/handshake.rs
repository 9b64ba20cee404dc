//! Strangers who do not introduce themselves as they should (rows 23, 24, 40).

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::guest::{Guest, HELLO, MODERN, PLAIN, fresh_id, hello};
use crate::memory::descriptors;
use crate::row::Target;

pub(super) fn strangers(target: &Target<'_>) -> Result<String> {
    let mut web = Guest::silent(target.at)?;
    web.send(b"GET / HTTP/1.1\r\nHost: shoal\r\n\r\n");
    let (_, web) = target.closed(web)?;
    let mut lost = Guest::silent(target.at)?;
    lost.send(&hello(PLAIN, [7; 20], fresh_id()));
    let (_, lost) = target.closed(lost)?;
    let its_own = target.greet(MODERN)?.peer_id()?;
    let mut double = Guest::silent(target.at)?;
    double.send(&hello(PLAIN, target.sample.info_hash, its_own));
    ensure!(double.read_hello()?, "it must answer before it can know");
    let (closed, double) = target.closed(double)?;
    ensure!(closed.said.is_empty(), "it spoke to itself: {:?}", closed.said);
    Ok(format!("closed: {web}; {lost}; {double}"))
}

/// A byte of a handshake comes so often.
const DRIP: Duration = Duration::from_secs(1);

pub(super) fn dawdlers(target: &Target<'_>) -> Result<String> {
    let silent = Guest::silent(target.at)?;
    let mut slow = Guest::silent(target.at)?;
    let mut drip = slow.twin()?;
    let hello = hello(PLAIN, target.sample.info_hash, fresh_id());
    let sent = thread::scope(|scope| {
        let drip = scope.spawn(move || {
            let sent = hello.iter().take_while(|byte| {
                thread::sleep(DRIP);
                drip.send(&[**byte])
            });
            sent.count()
        });
        slow.until_closed()?;
        drip.join().map_err(|_| anyhow!("the dripping panicked"))
    })?;
    // One that does not count from the start would have waited for all of it.
    ensure!(sent < HELLO / 2, "it took {sent} bytes, one a second");
    let (closed, why) = target.closed(silent)?;
    Ok(format!(
        "closed after {:.1} s: {why}; the slow one after {sent} bytes of {HELLO}",
        closed.after.as_secs_f64()
    ))
}

/// Connections that are opened before any is looked at.
const AT_ONCE: usize = 200;

/// Descriptors that are neither peers nor strangers who have not introduced themselves: files, timers, listeners.
const OTHER_DESCRIPTORS: usize = 64;

/// Strangers who may be introducing themselves at once, as the program says.
const HALF_OPEN: usize = 100;

pub(super) fn a_thousand(target: &Target<'_>) -> Result<String> {
    let (places, mut answered, mut turned_away, mut most) = (50, Vec::new(), 0, 0);
    for _ in 0..1000 / AT_ONCE {
        let mut batch = Vec::new();
        for _ in 0..AT_ONCE {
            let mut guest = Guest::silent(target.at)?;
            guest.send(&hello(PLAIN, target.sample.info_hash, fresh_id()));
            batch.push(guest);
        }
        most = most.max(descriptors(target.process.id())?);
        for mut guest in batch {
            if guest.read_hello()? {
                answered.push(guest);
            } else {
                turned_away += 1;
            }
        }
    }
    ensure!(!answered.is_empty(), "nobody was answered");
    // The honest one has come before, and may have gone.
    ensure!(answered.len() <= places, "{} have a place", answered.len());
    ensure!(answered.len() + turned_away == 1000, "some were neither answered nor closed");
    ensure!(most < places + HALF_OPEN + OTHER_DESCRIPTORS, "it held {most} descriptors");
    Ok(format!("{} answered, {turned_away} closed; {most} descriptors at most", answered.len()))
}
