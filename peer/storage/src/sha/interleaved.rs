//! Several SHA-1 in turns, with the processor's instructions for it.
//!
//! The instructions are safe to use where they are known to exist, which a token of `fearless_simd` proves. Of its
//! levels, only the one with AVX-512 promises them, so that a processor that has them without AVX-512 hashes one after
//! another.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8,
    _mm_xor_si128,
};
use std::sync::OnceLock;

use fearless_simd::{Avx512, Level};

use super::{Block, Lane, State};

/// Proof that the instructions exist, if they do.
pub(super) fn token() -> Option<Avx512> {
    static TOKEN: OnceLock<Option<Avx512>> = OnceLock::new();
    *TOKEN.get_or_init(|| Level::new().as_avx512())
}

/// Takes blocks, as many of each as of the others, until one lane at most has any left.
pub(super) fn compress_all(token: Avx512, lanes: &mut [Option<Lane<'_>>]) {
    loop {
        let mut busy = lanes.iter_mut().flatten().filter(|(_, blocks)| !blocks.is_empty());
        match [busy.next(), busy.next(), busy.next(), busy.next()] {
            [Some(a), Some(b), Some(c), Some(d)] => together(token, [a, b, c, d], four),
            [Some(a), Some(b), Some(c), None] => together(token, [a, b, c], three),
            [Some(a), Some(b), ..] => together(token, [a, b], two),
            _ => return,
        }
    }
}

/// Takes as many blocks of each as the shortest has.
fn together<const N: usize>(
    token: Avx512,
    mut lanes: [&mut Lane<'_>; N],
    compress: fn(Avx512, &mut [State; N], &[&[Block]; N]),
) {
    let shortest = lanes.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or(0);
    let mut states = lanes.each_ref().map(|(state, _)| **state);
    let blocks = lanes.each_mut().map(|(_, blocks)| {
        let (now, later) = blocks.split_at(shortest);
        *blocks = later;
        now
    });
    compress(token, &mut states, &blocks);
    for ((state, _), new) in lanes.into_iter().zip(states) {
        **state = new;
    }
}

/// Four rounds of SHA-1 (FIPS 180-4, 6.1.2) of each lane, and the words of the message for the four after them: until
/// the fourth group they are the block's own, then they follow from the sixteen before.
/// `$group` counts from 0 to 19.
macro_rules! four_rounds {
    ($group:literal, $function:literal, $lanes:ident) => {
        for lane in &mut $lanes {
            let before = lane.abcd;
            lane.abcd = _mm_sha1rnds4_epu32::<$function>(before, lane.e_and_words);
            // The last group's `e` goes into the state instead, which begins with the `e` of the block before.
            lane.e_and_words = if $group == 19 {
                _mm_sha1nexte_epu32(before, lane.old_e)
            } else {
                let [first, second, third, fourth] = lane.words;
                let next = if $group < 3 {
                    second
                } else {
                    _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(second, third), fourth), first)
                };
                lane.words = [next, third, fourth, first];
                _mm_sha1nexte_epu32(before, next)
            };
        }
    };
}

/// One hash between two blocks and in the middle of one.
#[derive(Clone, Copy)]
struct Registers {
    abcd: __m128i,
    /// Before and after a block: `e` alone.
    e_and_words: __m128i,
    old_abcd: __m128i,
    old_e: __m128i,
    /// Sixteen words of the message: the four that are being used, then the others, oldest first.
    words: [__m128i; 4],
}

macro_rules! interleave {
    ($name:ident, $count:literal) => {
        fearless_simd::kernel!(
            fn $name(token: Avx512, states: &mut [State; $count], messages: &[&[Block]; $count]) {
                let zero = _mm_setzero_si128();
                let swap = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
                let mut lanes = states.map(|[a, b, c, d, e]| Registers {
                    abcd: _mm_set_epi32(a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed()),
                    e_and_words: _mm_set_epi32(e.cast_signed(), 0, 0, 0),
                    old_abcd: zero,
                    old_e: zero,
                    words: [zero; 4],
                });
                let count = messages.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
                for at in 0..count {
                    for (lane, blocks) in lanes.iter_mut().zip(messages) {
                        let Some(block) = blocks.get(at) else { continue };
                        for (words, bytes) in lane.words.iter_mut().zip(block.as_chunks::<16>().0) {
                            if let [low, high] = bytes.as_chunks().0 {
                                let bytes =
                                    _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low));
                                *words = _mm_shuffle_epi8(bytes, swap);
                            }
                        }
                        (lane.old_abcd, lane.old_e) = (lane.abcd, lane.e_and_words);
                        lane.e_and_words = _mm_add_epi32(lane.e_and_words, lane.words[0]);
                    }
                    four_rounds!(0, 0, lanes);
                    four_rounds!(1, 0, lanes);
                    four_rounds!(2, 0, lanes);
                    four_rounds!(3, 0, lanes);
                    four_rounds!(4, 0, lanes);
                    four_rounds!(5, 1, lanes);
                    four_rounds!(6, 1, lanes);
                    four_rounds!(7, 1, lanes);
                    four_rounds!(8, 1, lanes);
                    four_rounds!(9, 1, lanes);
                    four_rounds!(10, 2, lanes);
                    four_rounds!(11, 2, lanes);
                    four_rounds!(12, 2, lanes);
                    four_rounds!(13, 2, lanes);
                    four_rounds!(14, 2, lanes);
                    four_rounds!(15, 3, lanes);
                    four_rounds!(16, 3, lanes);
                    four_rounds!(17, 3, lanes);
                    four_rounds!(18, 3, lanes);
                    four_rounds!(19, 3, lanes);
                    for lane in &mut lanes {
                        lane.abcd = _mm_add_epi32(lane.abcd, lane.old_abcd);
                    }
                }
                for (state, lane) in states.iter_mut().zip(lanes) {
                    *state = [
                        _mm_extract_epi32::<3>(lane.abcd).cast_unsigned(),
                        _mm_extract_epi32::<2>(lane.abcd).cast_unsigned(),
                        _mm_extract_epi32::<1>(lane.abcd).cast_unsigned(),
                        _mm_extract_epi32::<0>(lane.abcd).cast_unsigned(),
                        _mm_extract_epi32::<3>(lane.e_and_words).cast_unsigned(),
                    ];
                }
            }
        );
    };
}

interleave!(two, 2);
interleave!(three, 3);
interleave!(four, 4);
