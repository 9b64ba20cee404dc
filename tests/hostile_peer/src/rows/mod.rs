//! All rows, in the order of their numbers.

mod blocks;
mod extended;
mod floods;
mod framing;
mod handshake;
mod requests;

use crate::Row;
use crate::row::Against::{Download, Magnet, Seed};

/// Places for peers of the seeder that many come to.
const FEW_PLACES: &[&str] = &["--max-peers", "50"];

/// What this peer can do. Row 33 is [`crate::poison`].
pub const ROWS: &[Row] = &[
    Row {
        number: 23,
        behaviour: "speaks HTTP, asks for an unknown torrent, pretends to be the attacked itself",
        is_slow: false,
        against: Seed(&[]),
        attack: handshake::strangers,
    },
    Row {
        number: 24,
        behaviour: "says nothing; says a byte a second",
        is_slow: true,
        against: Seed(&[]),
        attack: handshake::dawdlers,
    },
    Row {
        number: 25,
        behaviour: "announces messages of four gigabytes, and of one byte over the limit",
        is_slow: false,
        against: Seed(&[]),
        attack: framing::giants,
    },
    Row {
        number: 26,
        behaviour: "sends each known message in a wrong length",
        is_slow: false,
        against: Seed(&[]),
        attack: framing::wrong_lengths,
    },
    Row {
        number: 27,
        behaviour: "sends bitfields too short, too long, with spare bits, late, again and again",
        is_slow: false,
        against: Download,
        attack: framing::bitfields,
    },
    Row {
        number: 28,
        behaviour: "names pieces and blocks past the end",
        is_slow: false,
        against: Seed(&[]),
        attack: framing::past_the_end,
    },
    Row {
        number: 29,
        behaviour: "asks for blocks of no bytes, of a few and of too many",
        is_slow: false,
        against: Seed(&[]),
        attack: requests::odd_lengths,
    },
    Row {
        number: 30,
        behaviour: "asks for a hundred thousand blocks, 25 thousand at once, and reads the answers",
        is_slow: false,
        against: Seed(&[]),
        attack: requests::a_hundred_thousand,
    },
    Row {
        number: 30,
        behaviour: "asks for a hundred thousand blocks at once, and reads nothing",
        is_slow: false,
        against: Seed(&[]),
        attack: requests::unread,
    },
    Row {
        number: 31,
        behaviour: "goes on asking while it is choked",
        is_slow: false,
        against: Seed(&[]),
        attack: requests::while_choked,
    },
    Row {
        number: 32,
        behaviour: "sends blocks that nobody asked for",
        is_slow: false,
        against: Download,
        attack: blocks::unasked,
    },
    Row {
        number: 34,
        behaviour: "takes requests and never answers",
        is_slow: false,
        against: Download,
        attack: blocks::unanswered,
    },
    Row {
        number: 35,
        behaviour: "sends extended messages that make no sense",
        is_slow: false,
        against: Seed(&[]),
        attack: extended::nonsense,
    },
    Row {
        number: 36,
        behaviour: "says that it takes -1 requests, or 2³¹",
        is_slow: false,
        against: Download,
        attack: blocks::queue_lengths,
    },
    Row {
        number: 37,
        behaviour: "asks for the metadata ten thousand times",
        is_slow: false,
        against: Seed(&[]),
        attack: extended::metadata_flood,
    },
    Row {
        number: 37,
        behaviour: "states metadata of 2³¹ bytes; gives metadata that is wrong",
        is_slow: false,
        against: Magnet,
        attack: extended::wrong_metadata,
    },
    Row {
        number: 38,
        behaviour: "names ten thousand peers a message, again and again",
        is_slow: false,
        against: Download,
        attack: extended::peers_without_end,
    },
    Row {
        number: 39,
        behaviour: "promises, suggests and offers a hundred thousand times each, and refuses",
        is_slow: false,
        against: Download,
        attack: floods::promises,
    },
    Row {
        number: 40,
        behaviour: "connects a thousand times where there are fifty places",
        is_slow: false,
        against: Seed(FEW_PLACES),
        attack: handshake::a_thousand,
    },
    Row {
        number: 41,
        behaviour: "unchokes, takes requests and chokes, again and again",
        is_slow: false,
        against: Download,
        attack: floods::chokes,
    },
    Row {
        number: 41,
        behaviour: "is interested and is not, a hundred thousand times",
        is_slow: false,
        against: Seed(&[]),
        attack: floods::interest,
    },
];
