//! A hostile peer over real sockets: it attacks the program while that transfers something with an honest one.
//!
//! Row 24 takes the time of a deadline, and is played in `tests/interop`. What each row does and what must be answered stands in `tests/hostile_peer`, which also prints it as a table.

use std::path::Path;

use hostile_peer::{ROWS, Row, poison};

/// Plays the rows of this number; each fails with what was answered wrong.
pub(crate) fn play(number: u8) {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.number == number).collect();
    assert!(!rows.is_empty(), "row {number} is played");
    for row in rows {
        match row.play(Path::new(env!("CARGO_BIN_EXE_shoal"))) {
            Ok(report) => println!("{report}"),
            Err(error) => panic!("{error:#}"),
        }
    }
}

#[test]
fn h23_strangers_who_introduce_themselves_wrongly_are_closed_and_a_transfer_goes_on() {
    play(23);
}

#[test]
fn h25_messages_of_gigabytes_cost_no_memory_and_a_transfer_goes_on() {
    play(25);
}

#[test]
fn h26_every_known_message_of_a_wrong_length_closes_its_link_and_a_transfer_goes_on() {
    play(26);
}

#[test]
fn h27_wrong_and_repeated_bitfields_close_their_links_and_a_transfer_goes_on() {
    play(27);
}

#[test]
fn h28_what_lies_past_the_end_closes_its_link_and_a_transfer_goes_on() {
    play(28);
}

#[test]
fn h29_requests_of_odd_lengths_are_rejected_and_then_close_and_a_transfer_goes_on() {
    play(29);
}

#[test]
fn h30_a_hundred_thousand_requests_are_served_rejected_or_closed_and_a_transfer_goes_on() {
    play(30);
}

#[test]
fn h31_requests_while_choked_are_rejected_and_then_close_and_a_transfer_goes_on() {
    play(31);
}

#[test]
fn h32_blocks_nobody_asked_for_are_dropped_and_then_close_and_the_download_comes_right() {
    play(32);
}

/// A download from a poisoner of one block in so many, and five seeders.
fn poison(every: u32) {
    match poison::play(Path::new(env!("CARGO_BIN_EXE_shoal")), every) {
        Ok(report) => println!("{report}"),
        Err(error) => panic!("{error:#}"),
    }
}

#[test]
fn h33_a_poisoner_among_five_seeders_is_banned_within_three_failed_pieces_and_nobody_else() {
    poison(1);
}

#[test]
fn h33_a_poisoner_of_one_block_in_ten_among_five_seeders_is_banned_and_nobody_else() {
    poison(10);
}

#[test]
fn h34_requests_that_are_never_answered_do_not_hold_up_the_download() {
    play(34);
}

#[test]
fn h35_extended_messages_without_sense_are_ignored_and_then_close_and_a_transfer_goes_on() {
    play(35);
}

#[test]
fn h36_absurd_queue_lengths_are_clamped_and_the_download_comes_right() {
    play(36);
}

#[test]
fn h37_floods_and_lies_about_the_metadata_are_bounded_and_the_download_comes_right() {
    play(37);
}

#[test]
fn h38_thousands_of_named_peers_are_cut_off_and_the_download_comes_right() {
    play(38);
}

#[test]
fn h39_promises_without_end_are_bounded_and_the_download_comes_right() {
    play(39);
}

#[test]
fn h40_a_thousand_connections_get_no_more_than_the_places_and_a_transfer_goes_on() {
    play(40);
}

#[test]
fn h41_chokes_and_interest_at_full_speed_are_borne_or_closed_and_transfers_go_on() {
    play(41);
}
