use proptest::prelude::*;
use sha1::Digest as _;

use super::*;

fn due(message: &[u8]) -> [u8; DIGEST] {
    sha1::Sha1::digest(message).into()
}

/// Cuts each message at its own places, and gives all their next parts together.
fn together<const N: usize>(messages: &[Vec<u8>; N], cuts: &[Vec<usize>; N]) -> [[u8; DIGEST]; N] {
    let mut hashes: [Sha1; N] = std::array::from_fn(|_| Sha1::default());
    let mut left = messages.each_ref().map(Vec::as_slice);
    for turn in 0.. {
        if left.iter().all(|message| message.is_empty()) {
            break;
        }
        let mut at = 0;
        let given = hashes.each_mut().map(|hash| {
            let cut = cuts[at].get(turn).copied().unwrap_or(usize::MAX).min(left[at].len());
            let (now, later) = left[at].split_at(cut);
            left[at] = later;
            at += 1;
            (hash, now)
        });
        update_all(given);
    }
    hashes.map(Sha1::finish)
}

#[test]
fn a_hash_of_any_length_is_the_one_that_the_library_takes() {
    let message: Vec<u8> = (0..=255).cycle().take(300).collect();
    for length in 0..=message.len() {
        let mut hash = Sha1::default();
        hash.update(&message[..length]);
        assert_eq!(hash.finish(), due(&message[..length]), "{length} bytes");
    }
}

#[test]
fn as_many_at_once_as_are_said_to_be_worth_it_can_be_taken() {
    assert!((1..=MOST_LANES).contains(&lanes()));
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..1500)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..500, 0..6)
}

proptest! {
    #[test]
    fn what_is_hashed_beside_a_message_and_where_it_is_cut_changes_nothing(
        messages in [message(), message(), message(), message()],
        cuts in [cuts(), cuts(), cuts(), cuts()],
    ) {
        let expected = messages.each_ref().map(|message| due(message));
        prop_assert_eq!(together(&messages, &cuts), expected);
        let [a, b, c, _] = messages;
        let [first, second, third, _] = cuts;
        let three = together(&[a.clone(), b.clone(), c], &[first.clone(), second.clone(), third]);
        prop_assert_eq!(&three[..], &expected[..3]);
        let two = together(&[a.clone(), b], &[first.clone(), second]);
        prop_assert_eq!(&two[..], &expected[..2]);
        prop_assert_eq!(&together(&[a], &[first])[..], &expected[..1]);
    }
}
