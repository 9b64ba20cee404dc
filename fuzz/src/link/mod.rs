//! The whole engine of a torrent: peers in any number connect, say, send and leave, time passes, the disk and the sockets
//! answer in any order, and the user changes his mind.
//!
//! What must hold whatever they do (`model`): nothing is sent over a link that is gone; nothing is asked of a peer that
//! cannot give it, nor twice at once; nothing is offered or served that is not there; disk, uploads, links and dials stay
//! within their budgets; nobody is banned who sent nothing wrong; and the engine does not want to be called again and again
//! at one time. And when all that is over and one honest seed comes, the download completes.

mod changes;
mod hosts;
mod model;
mod peers;
mod seen;
mod told;

use std::num::NonZeroU64;
use std::time::Duration;

use peer_proto::candidates::Source;
use peer_proto::{Bitfield, Limits, LinkId};

use self::hosts::HOSTS;
use self::model::Model;
pub use self::seen::Seen;
use crate::input::Input;

/// Steps of one input: enough for links to idle, and few enough for thousands of inputs.
const MAX_STEPS: usize = 4_000;
/// Turns after which the download must be complete once an honest seed is there.
const MAX_TURNS: usize = 4_000;

/// See the module.
pub fn target(data: &[u8]) {
    story(data);
}

/// The same, and says what happened.
pub fn story(data: &[u8]) -> Seen {
    let mut input = Input::new(data);
    let mut model = Model::new(&mut input);
    let mut is_over = false;
    for _ in 0..MAX_STEPS {
        if input.is_empty() || is_over {
            break;
        }
        is_over = step(&mut model, &mut input);
    }
    if is_over {
        assert!(model.links.is_empty(), "a torrent that ends keeps no link");
    } else {
        complete(&mut model);
    }
    model.seen
}

/// One thing happens. Whether it was the end.
fn step(model: &mut Model, input: &mut Input<'_>) -> bool {
    match input.byte() % 32 {
        0..=2 => peers::open(model, input),
        3 => model.close(input),
        4..=11 => peers::say(model, input),
        12 | 13 => peers::say_extended(model, input),
        14 => peers::say_bytes(model, input),
        15..=19 => peers::send_block(model, input),
        20 => model.wait(Duration::from_millis(u64::from(input.short()))),
        21 => model.wait_for_deadline(),
        22 | 23 => model.disk_answers(input),
        24 | 25 => model.socket_answers(input),
        26 => dials(model, input),
        27 => {
            let addresses = [input.below(HOSTS), input.below(HOSTS)].map(|host| model.hosts.listens(host));
            let source = [Source::User, Source::Tracker, Source::Peer, Source::Incoming][input.below(4)];
            model.torrent.handle_candidates(model.now, &addresses, source);
        }
        28 | 29 => wish(model, input),
        30 => {
            if let Some(id) = model.some_link(input) {
                model.torrent.handle_held_up(model.now, id, input.flag());
            }
        }
        _ => match input.byte() {
            0xff => {
                model.torrent.handle_shutdown(model.now);
                model.drain();
                return true;
            }
            choice if choice % 4 == 1 => model.doubt_pieces(input),
            choice if choice % 4 == 2 => model.hash_again(),
            _ => {}
        },
    }
    model.drain();
    // Several things may happen before the driver asks what to do.
    if !input.byte().is_multiple_of(4) {
        model.plan();
    }
    false
}

fn dials(model: &mut Model, input: &mut Input<'_>) {
    let at = input.below(model.dials.len());
    if at < model.dials.len() {
        let address = model.dials.remove(at);
        match input.flag() {
            true => model.torrent.handle_dial_failed(model.now, address),
            false => model.torrent.handle_dial_postponed(model.now, address),
        }
    }
}

/// What the user and the session want.
fn wish(model: &mut Model, input: &mut Input<'_>) {
    let rate = |byte: u8| NonZeroU64::new(u64::from(byte) * 4096);
    match input.byte() % 6 {
        0 => {
            let on = input.flag() && model.doubted.is_empty();
            model.torrent.set_downloading(on);
        }
        1 => {
            let count = model.geometry.piece_count();
            let mut wanted = Bitfield::new(count);
            let bits = input.byte();
            for piece in (0..count).filter(|piece| bits >> (piece % 8) & 1 == 1) {
                wanted.set(piece);
            }
            model.wanted = wanted;
            model.torrent.set_wanted(&model.wanted);
        }
        2 => model.torrent.set_sequential(input.flag()),
        3 => model.torrent.set_limits(model.now, Limits { up: rate(input.byte()), down: rate(input.byte()) }),
        4 => {
            model.torrent.set_upload_slots(input.below(5));
        }
        _ => {
            model.max_links = model.max_links.max(2 + input.below(6));
            model.torrent.set_max_links(model.max_links);
        }
    }
}

/// All that waits is answered, everything is wanted, and an honest seed is there.
fn complete(model: &mut Model) {
    let now = model.now;
    while !model.doubted.is_empty() {
        model.hash_again();
    }
    model.drain();
    model.torrent.set_downloading(true);
    model.torrent.set_limits(now, Limits::default());
    model.wanted = Bitfield::full(model.geometry.piece_count());
    model.torrent.set_wanted(&model.wanted);
    let ids: Vec<LinkId> = model.links.keys().copied().collect();
    ids.into_iter().for_each(|id| model.torrent.handle_held_up(now, id, false));
    for _ in 0..MAX_TURNS {
        model.drain();
        model.answer_all();
        model.plan();
        if model.torrent.is_complete() {
            assert_eq!(model.torrent.left(), 0);
            return;
        }
        if !peers::seed_serves(model) {
            model.wait_for_deadline();
        }
    }
    panic!("the download does not complete: {:?}", model.torrent.obstacle(model.now));
}
