//! What is told turned into commands: one a key, the last word about each peer.

use std::collections::{BTreeMap, BTreeSet};

use metainfo::InfoHash;

use super::{Key, News, Sighting, Slices, Told};
use crate::Time;
use crate::compact::Compact;

/// A command to the engine; each has one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Enters peers (`HSET`), and keeps the key for so long (`EXPIRE`).
    Write {
        /// The swarm and slice.
        key: Key,
        /// The peers.
        peers: Vec<Sighting>,
        /// For how many seconds the key is to be kept from now on.
        keep: u64,
        /// Whether those that are there already are to be left as they are (`HSETNX`): they may have been heard since.
        only_new: bool,
    },
    /// Removes peers (`HDEL`).
    Remove {
        /// The swarm and slice.
        key: Key,
        /// The peers.
        peers: Vec<Compact>,
    },
    /// Asks for peers chosen at random, with what is known of them (`HRANDFIELD … WITHVALUES`).
    Sample {
        /// The swarm and slice.
        key: Key,
    },
}

/// What goes to the engine at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the order in which they are to be done: what is told before what is asked.
    pub commands: Vec<Command>,
}

impl Batch {
    /// The commands for what was told. `now` is the moment in both clocks: the one that announces were counted by, and
    /// seconds since 1970.
    pub fn of(told: &[Told], slices: Slices, now: (Time, u64)) -> Self {
        let (time, unix_seconds) = now;
        let mut last: BTreeMap<(InfoHash, Compact), (News, u64)> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for told in told {
            let heard = unix_seconds.saturating_sub(time.saturating_since(told.at).as_secs());
            last.insert((told.info_hash, told.peer), (told.news, heard));
            if told.ask {
                asked.insert(told.info_hash);
            }
        }
        let mut here: BTreeMap<Key, Vec<Sighting>> = BTreeMap::new();
        let mut left: BTreeMap<Key, Vec<Compact>> = BTreeMap::new();
        let alive = slices.alive(unix_seconds);
        for ((info_hash, peer), (news, heard)) in last {
            match news {
                News::Here(role) => {
                    let key = Key { info_hash, slice: slices.at(heard) };
                    here.entry(key).or_default().push(Sighting { peer, role, heard });
                }
                News::Left => alive.iter().for_each(|&slice| {
                    left.entry(Key { info_hash, slice }).or_default().push(peer);
                }),
            }
        }
        let removals = left.into_iter().map(|(key, peers)| Command::Remove { key, peers });
        let samples = asked.into_iter().flat_map(|info_hash| {
            alive.iter().map(move |&slice| Command::Sample { key: Key { info_hash, slice } })
        });
        let writes = writes(here, slices, unix_seconds, false);
        Self { commands: removals.chain(writes).chain(samples).collect() }
    }

    /// The commands that enter again who is known, for an engine that may have forgotten.
    pub fn again(known: &[(InfoHash, Sighting)], slices: Slices, unix_seconds: u64) -> Self {
        let mut here: BTreeMap<Key, Vec<Sighting>> = BTreeMap::new();
        for &(info_hash, sighting) in known {
            here.entry(Key { info_hash, slice: slices.at(sighting.heard) }).or_default().push(sighting);
        }
        Self { commands: writes(here, slices, unix_seconds, true).collect() }
    }

    /// The commands that ask about swarms by what keys there are; each swarm's slices that nobody needs are left out.
    pub fn sampling(keys: impl IntoIterator<Item = Key>, slices: Slices, unix_seconds: u64) -> Self {
        let alive = slices.alive(unix_seconds);
        let keys = keys.into_iter().filter(|key| alive.contains(&key.slice));
        Self { commands: keys.map(|key| Command::Sample { key }).collect() }
    }

    /// How many peers are entered or removed.
    pub fn peers(&self) -> u64 {
        let each = self.commands.iter().map(|command| match command {
            Command::Write { peers, .. } => peers.len(),
            Command::Remove { peers, .. } => peers.len(),
            Command::Sample { .. } => 0,
        });
        each.sum::<usize>() as u64
    }
}

/// Leaves out slices that nobody asks for any more.
fn writes(
    here: BTreeMap<Key, Vec<Sighting>>,
    slices: Slices,
    unix_seconds: u64,
    only_new: bool,
) -> impl Iterator<Item = Command> {
    here.into_iter().filter_map(move |(key, peers)| {
        let keep = slices.kept_for(key.slice, unix_seconds)?;
        Some(Command::Write { key, peers, keep, only_new })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::swarm::Role;

    const SLICES: fn() -> Slices = || Slices::for_lifetime(Duration::from_secs(120));
    const HASH: InfoHash = InfoHash::new([1; 20]);

    fn place(port: u8) -> Compact {
        Compact::V4([192, 0, 2, 1, 0, port])
    }

    fn told(port: u8, news: News, ask: bool, second: u64) -> Told {
        Told { info_hash: HASH, peer: place(port), news, ask, at: Time::ZERO + Duration::from_secs(second) }
    }

    fn key(second: u64) -> Key {
        Key { info_hash: HASH, slice: SLICES().at(second) }
    }

    /// The commands at second 1,050 since 1970, which is second 50 of the driver's.
    fn commands(told: &[Told]) -> Vec<Command> {
        Batch::of(told, SLICES(), (Time::ZERO + Duration::from_secs(50), 1050)).commands
    }

    #[test]
    fn peers_of_a_swarm_go_into_one_command_each_with_the_time_when_it_was_heard() {
        let batch =
            [told(1, News::Here(Role::Seed), false, 50), told(2, News::Here(Role::Downloader), false, 20)];
        let peers = vec![
            Sighting { peer: place(1), role: Role::Seed, heard: 1050 },
            Sighting { peer: place(2), role: Role::Downloader, heard: 1020 },
        ];
        assert_eq!(commands(&batch), [Command::Write { key: key(1050), peers, keep: 210, only_new: false }]);
    }

    #[test]
    fn the_last_word_about_a_peer_holds() {
        let left = told(1, News::Left, false, 50);
        let here = told(1, News::Here(Role::Seed), false, 50);
        let removed = [900, 1000].map(|second| Command::Remove { key: key(second), peers: vec![place(1)] });
        assert_eq!(commands(&[here, left]), removed);
        assert!(matches!(commands(&[left, here])[..], [Command::Write { .. }]));
    }

    #[test]
    fn a_swarm_is_asked_about_once_after_what_is_told_in_both_slices() {
        let here = |port| told(port, News::Here(Role::Downloader), true, 50);
        let commands = commands(&[here(1), here(2)]);
        assert!(matches!(commands[0], Command::Write { .. }));
        assert_eq!(commands[1..], [900, 1000].map(|second| Command::Sample { key: key(second) }));
    }

    #[test]
    fn what_waited_too_long_is_of_no_use_any_more() {
        let batch = Batch::of(
            &[told(1, News::Here(Role::Seed), false, 0)],
            SLICES(),
            (Time::ZERO + Duration::from_secs(400), 1400),
        );
        assert_eq!(batch, Batch::default());
    }

    #[test]
    fn what_is_written_again_leaves_newer_words_alone_and_keeps_its_time() {
        let sightings =
            [910, 1049, 700].map(|heard| (HASH, Sighting { peer: place(1), role: Role::Seed, heard }));
        let batch = Batch::again(&sightings, SLICES(), 1050);
        assert_eq!(batch.peers(), 2, "one is too old");
        let keeps: Vec<_> = batch
            .commands
            .iter()
            .map(|command| match command {
                Command::Write { key, keep, only_new: true, .. } => (*key, *keep),
                _ => panic!("{command:?}"),
            })
            .collect();
        assert_eq!(keeps, [(key(900), 110), (key(1000), 210)]);
    }

    #[test]
    fn only_slices_that_are_alive_are_asked_about() {
        let batch = Batch::sampling([key(700), key(900), key(1000), key(1100)], SLICES(), 1050);
        assert_eq!(batch.commands, [900, 1000].map(|second| Command::Sample { key: key(second) }));
    }
}
