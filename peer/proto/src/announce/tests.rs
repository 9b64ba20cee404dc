//! The announcer in virtual time, against trackers that answer, refuse and stall.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;

/// What a driver waits for an answer.
const STALL: Duration = Duration::from_secs(10);

const fn s(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tracker {
    /// Answers at once with this interval, this least interval.
    Up(Duration, Option<Duration>),
    /// Refuses at once, and asks to be left alone for so long.
    Refuses(Option<Duration>),
    /// Never answers: the driver gives up after [`STALL`].
    Stalls,
    /// Never answers, and is asked over UDP.
    Silent,
}

const UP: Tracker = Tracker::Up(secs(1800), None);
const DOWN: Tracker = Tracker::Refuses(None);

/// An announcer, its trackers and the time; `log` says which URL was asked when, and for what.
struct World {
    announcer: Announcer,
    trackers: BTreeMap<String, Tracker>,
    now: Time,
    log: Vec<(u64, String, Event)>,
}

fn urls(tiers: &[&[&str]]) -> Vec<Vec<String>> {
    tiers.iter().map(|tier| tier.iter().map(|&url| url.to_owned()).collect()).collect()
}

impl World {
    fn new(tiers: &[&[&str]]) -> Self {
        Self::seeded(tiers, 1)
    }

    fn seeded(tiers: &[&[&str]], seed: u64) -> Self {
        let announcer = Announcer::new(urls(tiers), ChaCha8Rng::seed_from_u64(seed));
        let trackers = tiers.iter().copied().flatten().map(|&url| (url.to_owned(), UP)).collect();
        Self { announcer, trackers, now: s(0), log: Vec::new() }
    }

    fn set(&mut self, url: &str, tracker: Tracker) -> &mut Self {
        self.trackers.insert(url.to_owned(), tracker);
        self
    }

    /// Lets time pass, and says what was asked meanwhile.
    fn run_until(&mut self, end: Time) -> Vec<(u64, String, Event)> {
        self.log.clear();
        loop {
            while let Some(announce) = self.announcer.poll(self.now) {
                self.carry(&announce);
                assert!(self.log.len() < 100_000, "it asks without end");
            }
            match self.announcer.poll_timeout() {
                Some(due) if due <= end => {
                    assert!(due > self.now, "due, yet nothing to poll");
                    self.now = due;
                }
                _ => break,
            }
        }
        self.now = self.now.max(end);
        std::mem::take(&mut self.log)
    }

    fn carry(&mut self, announce: &Announce) {
        assert_eq!(announce.numwant, if announce.event == Event::Stopped { 0 } else { 200 });
        assert_eq!(self.announcer.poll(self.now + secs(100_000)), None, "one at a time");
        assert_eq!(self.announcer.poll_timeout(), None);
        self.log.push((self.now.as_micros() / 1_000_000, announce.url.clone(), announce.event));
        match self.trackers[&announce.url] {
            Tracker::Up(interval, least) => self.announcer.handle_reply(self.now, interval, least, 3),
            Tracker::Refuses(retry_in) => self.announcer.handle_failure(self.now, "go away", retry_in),
            Tracker::Stalls => {
                self.now += STALL;
                self.announcer.handle_failure(self.now, "no answer in 10 s", None);
            }
            Tracker::Silent => {
                self.now += STALL;
                self.announcer.handle_silence(self.now, "no answer in 10 s");
            }
        }
    }
}

/// The URLs asked, in order.
fn asked(log: &[(u64, String, Event)]) -> Vec<&str> {
    log.iter().map(|(_, url, _)| url.as_str()).collect()
}

/// When and what for.
fn events(log: &[(u64, String, Event)]) -> Vec<(u64, Event)> {
    log.iter().map(|&(at, _, event)| (at, event)).collect()
}

// --- tiers (BEP 12) ---

#[test]
fn tiers_are_asked_in_order_and_a_backup_that_answers_stays_a_backup() {
    let mut world = World::new(&[&["tracker1"], &["backup1"], &["backup2"]]);
    world.set("tracker1", DOWN).set("backup1", DOWN);
    assert_eq!(asked(&world.run_until(s(0))), ["tracker1", "backup1", "backup2"]);
    assert_eq!(asked(&world.run_until(s(1800))), ["tracker1", "backup1", "backup2"]);
    world.set("tracker1", UP);
    assert_eq!(asked(&world.run_until(s(3600))), ["tracker1"]);
}

#[test]
fn a_silent_udp_tracker_is_given_the_waits_of_bep_15() {
    let mut world = World::new(&[&["udp"]]);
    world.set("udp", Tracker::Silent);
    let times: Vec<u64> = world.run_until(s(16_000)).iter().map(|&(at, ..)| at).collect();
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0] - STALL.as_secs()).collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3840, 3840, 3840], "15 s times two to the n");
    world.set("udp", UP);
    assert_eq!(world.run_until(s(20_000)).len(), 1);
    world.set("udp", Tracker::Silent);
    let times: Vec<u64> = world.run_until(s(22_000)).iter().map(|&(at, ..)| at).collect();
    assert_eq!(times[1] - times[0] - STALL.as_secs(), 30, "an answer lets it begin anew");
}

#[test]
fn while_a_udp_tracker_is_silent_the_next_tiers_are_asked_at_once() {
    let mut world = World::new(&[&["udp"], &["down"], &["backup"]]);
    world.set("udp", Tracker::Silent).set("down", DOWN);
    assert_eq!(asked(&world.run_until(s(10))), ["udp", "down", "backup"]);
    // It has its turn again at the next announce, half an hour later.
    world.set("udp", UP);
    assert_eq!(asked(&world.run_until(s(1900))), ["udp"]);
}

#[test]
fn within_a_tier_the_one_that_answers_goes_to_the_front_as_in_bep_12() {
    let mut world = World::new(&[&["1", "2", "3"]]);
    ["1", "2", "3"].iter().for_each(|url| _ = world.set(url, DOWN));
    let order: [String; 3] = std::array::from_fn({
        let log = world.run_until(s(0));
        move |at| log[at].1.clone()
    });
    let [first, second, third] = order.each_ref().map(String::as_str);
    // The second can be reached: second, first, third from then on.
    world.set(second, UP);
    world.run_until(s(100));
    world.set(second, DOWN).set(third, UP);
    assert_eq!(asked(&world.run_until(s(2000))), [second, first, third]);
    // Then only the third: third, second, first.
    world.set(third, DOWN);
    assert_eq!(asked(&world.run_until(s(3700)))[..3], [third, second, first]);
}

#[test]
fn each_tier_is_shuffled_but_never_mixed_with_another() {
    let mut orders = BTreeSet::new();
    for seed in 0..40 {
        let mut world = World::seeded(&[&["a", "b", "c"], &["d", "e"]], seed);
        ["a", "b", "c", "d", "e"].iter().for_each(|url| _ = world.set(url, DOWN));
        let log = world.run_until(s(0));
        let order = asked(&log).concat();
        assert!(order[..3].chars().all(|c| "abc".contains(c)), "{order}");
        orders.insert(order);
    }
    assert!(orders.len() > 8, "{} of 12 orders in 40 seeds", orders.len());
}

#[test]
fn h20_each_url_is_asked_once_a_round_and_of_a_hundred_thousand_only_the_first_hundred() {
    let mut world = World::new(&[&["a"], &["b", "a"], &["a", "b"], &[]]);
    world.set("a", DOWN).set("b", DOWN);
    assert_eq!(asked(&world.run_until(s(0))), ["a", "b"]);
    let many = vec![(0..100_000).map(|number| format!("http://{number}/")).collect()];
    let announcer = Announcer::new(many, ChaCha8Rng::seed_from_u64(1));
    assert_eq!(announcer.status().trackers, MAX_TRACKERS);
}

#[test]
fn without_trackers_there_is_nothing_to_do() {
    for tiers in [&[][..], &[&[][..]]] {
        let mut world = World::new(tiers);
        assert_eq!(world.announcer.poll_timeout(), None);
        assert_eq!(world.run_until(s(100_000)), []);
        world.announcer.handle_completed(world.now);
        world.announcer.request_more(world.now);
        world.announcer.handle_stopped(world.now);
        assert!(world.announcer.is_stopped());
        assert_eq!(world.run_until(s(200_000)), []);
    }
}

// --- events ---

#[test]
fn started_comes_first_then_nothing_special_each_interval() {
    let log = World::new(&[&["a"]]).run_until(s(4000));
    assert_eq!(events(&log), [(0, Event::Started), (1800, Event::None), (3600, Event::None)]);
}

#[test]
fn started_is_said_again_until_a_tracker_has_answered_and_to_each_tracker_first() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", DOWN).set("b", DOWN);
    let log = world.run_until(s(3));
    assert!(log.iter().all(|&(_, _, event)| event == Event::Started), "{log:?}");
    world.set("b", UP);
    world.run_until(s(20));
    world.set("a", UP).set("b", DOWN);
    let log = world.run_until(s(1900));
    assert_eq!((asked(&log), log[0].2), (vec!["a"], Event::Started), "it has never heard of us");
}

#[test]
fn completed_is_said_at_once_and_only_once() {
    let mut world = World::new(&[&["a"]]);
    world.run_until(s(10));
    world.announcer.handle_completed(world.now);
    world.announcer.handle_completed(world.now);
    assert_eq!(events(&world.run_until(s(20))), [(10, Event::Completed)]);
    world.announcer.handle_completed(world.now);
    assert_eq!(events(&world.run_until(s(2000))), [(1810, Event::None)]);
}

#[test]
fn what_was_complete_at_the_start_is_never_announced_as_completed() {
    let log = World::new(&[&["a"]]).run_until(s(100_000));
    assert!(log.len() > 50 && log.iter().all(|&(_, _, event)| event != Event::Completed));
}

#[test]
fn completed_waits_for_started_and_for_an_answer() {
    let mut world = World::new(&[&["a"]]);
    world.set("a", DOWN);
    world.run_until(s(1));
    world.announcer.handle_completed(world.now);
    world.run_until(s(30));
    world.set("a", UP);
    let log = world.run_until(s(300));
    assert_eq!(
        log.iter().map(|&(_, _, event)| event).collect::<Vec<_>>(),
        [Event::Started, Event::Completed]
    );

    world.set("a", UP);
    let mut world = World::new(&[&["a"]]);
    world.run_until(s(1));
    world.set("a", Tracker::Stalls);
    world.announcer.handle_completed(world.now);
    world.run_until(s(20));
    world.set("a", UP);
    let log = world.run_until(s(300));
    assert_eq!(
        log.iter().map(|&(_, _, event)| event).collect::<Vec<_>>(),
        [Event::Completed],
        "it had not come"
    );
}

#[test]
fn completed_while_an_answer_is_awaited_follows_that_answer() {
    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    assert_eq!(announcer.poll(s(0)).unwrap().event, Event::Started);
    announcer.handle_completed(s(1));
    assert_eq!(announcer.poll(s(1)), None);
    announcer.handle_reply(s(2), secs(1800), None, 0);
    assert_eq!(announcer.poll(s(2)).unwrap().event, Event::Completed);
}

#[test]
fn stopped_is_said_once_to_each_tracker_that_knows_us_the_latest_first() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    world.set("a", DOWN);
    world.run_until(s(0));
    world.set("a", UP);
    world.run_until(s(1800));
    world.announcer.handle_stopped(world.now);
    world.announcer.handle_stopped(world.now);
    assert!(!world.announcer.is_stopped());
    let log = world.run_until(s(1800));
    let due = [(1800, "a".to_owned(), Event::Stopped), (1800, "b".to_owned(), Event::Stopped)];
    assert_eq!(log, due);
    assert!(world.announcer.is_stopped());
    assert_eq!(world.run_until(s(100_000)), [], "and then never again");
}

#[test]
fn a_completion_that_was_not_said_yet_is_said_before_we_leave() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.run_until(s(1));
    world.announcer.handle_completed(world.now);
    world.announcer.handle_stopped(world.now);
    assert_eq!(events(&world.run_until(s(100_000))), [(1, Event::Completed), (1, Event::Stopped)]);
    assert!(world.announcer.is_stopped());

    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    announcer.poll(s(0)).unwrap();
    announcer.handle_completed(s(1));
    announcer.handle_stopped(s(1));
    assert_eq!(announcer.poll(s(1)).unwrap().event, Event::Stopped, "it has not confirmed that we started");
}

#[test]
fn a_tracker_that_failed_last_is_not_told_that_we_leave_and_one_that_fails_then_is_not_asked_again() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.run_until(s(0));
    world.set("a", Tracker::Stalls);
    world.run_until(s(1810));
    world.set("b", Tracker::Stalls);
    world.announcer.handle_stopped(world.now);
    assert_eq!(asked(&world.run_until(s(100_000))), ["b"]);
    assert!(world.announcer.is_stopped());
}

#[test]
fn nothing_is_said_on_leaving_to_a_tracker_that_was_never_asked() {
    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    announcer.handle_stopped(s(0));
    assert!(announcer.is_stopped());
    assert_eq!((announcer.poll(s(0)), announcer.poll_timeout()), (None, None));

    let mut world = World::new(&[&["a"]]);
    world.set("a", DOWN);
    world.run_until(s(1));
    world.announcer.handle_stopped(world.now);
    assert!(world.announcer.is_stopped(), "it never answered");
}

#[test]
fn one_whose_answer_was_awaited_is_told_that_we_leave_for_it_may_have_heard_us() {
    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    announcer.poll(s(0)).unwrap();
    announcer.handle_stopped(s(1));
    assert_eq!(announcer.poll_timeout(), Some(Time::ZERO));
    assert_eq!(announcer.poll(s(1)).unwrap().event, Event::Stopped);
    assert!(!announcer.is_stopped(), "its answer is awaited");
    announcer.handle_reply(s(1), secs(1800), None, 0);
    assert!(announcer.is_stopped());
    assert_eq!((announcer.poll(s(10_000)), announcer.poll_timeout()), (None, None));
}

// --- intervals ---

#[test]
fn h48_intervals_of_nothing_and_without_end_are_clamped() {
    for (interval, due) in [(0, 60), (59, 60), (61, 61), (3600, 3600), (3601, 3600), (u64::MAX, 3600)] {
        let mut world = World::new(&[&["a"]]);
        world.set("a", Tracker::Up(Duration::from_secs(interval), None));
        let log = world.run_until(s(due));
        assert_eq!(events(&log), [(0, Event::Started), (due, Event::None)], "{interval}");
    }
}

#[test]
fn h48_a_tracker_that_stalls_is_given_up_for_the_next_one() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", Tracker::Stalls);
    let log = world.run_until(s(10));
    assert_eq!(
        (asked(&log), events(&log)),
        (vec!["a", "b"], vec![(0, Event::Started), (10, Event::Started)])
    );
}

#[test]
fn a_least_interval_over_the_interval_is_kept() {
    let mut world = World::new(&[&["a"]]);
    world.set("a", Tracker::Up(secs(100), Some(secs(300))));
    assert_eq!(events(&world.run_until(s(599))), [(0, Event::Started), (300, Event::None)]);
}

#[test]
fn more_peers_are_asked_for_no_sooner_than_the_tracker_allows() {
    for (least, due) in [(None, 60), (Some(secs(0)), 60), (Some(secs(200)), 200)] {
        let mut world = World::new(&[&["a"]]);
        world.set("a", Tracker::Up(secs(1800), least));
        world.run_until(s(1));
        world.announcer.request_more(world.now);
        assert_eq!(events(&world.run_until(s(300))), [(due, Event::None)], "{least:?}");
    }
    let mut world = World::new(&[&["a"]]);
    world.run_until(s(500));
    world.announcer.request_more(world.now);
    assert_eq!(events(&world.run_until(s(510))), [(500, Event::None)], "long enough ago: at once");
}

#[test]
fn one_who_always_wants_more_peers_asks_less_and_less_often() {
    let mut world = World::new(&[&["a"]]);
    let mut times = Vec::new();
    for second in 0..4000 {
        times.extend(world.run_until(s(second)).iter().map(|&(at, _, _)| at));
        world.announcer.request_more(world.now);
    }
    assert_eq!(times[..6], [0, 60, 180, 420, 900, 1860]);
}

#[test]
fn wanting_more_peers_does_not_hurry_trackers_that_fail() {
    let failing_after_an_answer = || {
        let mut world = World::new(&[&["a"]]);
        world.run_until(s(0));
        world.set("a", DOWN);
        assert_eq!(world.run_until(s(1800)).len(), 1);
        world
    };
    let (mut eager, mut calm) = (failing_after_an_answer(), failing_after_an_answer());
    let mut log = Vec::new();
    for second in 1800..3000 {
        log.extend(eager.run_until(s(second)));
        eager.announcer.request_more(eager.now);
    }
    assert_eq!(log, calm.run_until(s(2999)));
}

// --- failures ---

#[test]
fn while_all_fail_rounds_come_later_and_later_up_to_a_quarter_of_an_hour() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", DOWN).set("b", DOWN);
    let log = world.run_until(s(20_000));
    let rounds: Vec<u64> = log.iter().filter(|(_, url, _)| url == "a").map(|&(at, _, _)| at).collect();
    for (pair, middle) in rounds.windows(2).zip([5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]) {
        let wait = pair[1] - pair[0];
        assert!(
            wait + 1 >= middle * 3 / 4 && wait <= middle * 5 / 4 + 1,
            "{wait} where about {middle} was due"
        );
    }
    assert!(rounds.len() > 20, "it never gives up: {rounds:?}");
    assert_eq!(log.len(), rounds.len() * 2, "each round asks both");
}

#[test]
fn after_an_answer_the_next_failure_is_retried_quickly_again() {
    let mut world = World::new(&[&["a"]]);
    world.set("a", DOWN);
    world.run_until(s(5000));
    world.set("a", UP);
    let log = world.run_until(s(6200));
    let (answered, _, _) = log.last().unwrap();
    world.set("a", DOWN);
    let log = world.run_until(s(answered + 1800 + 8));
    assert_eq!(log.len(), 2, "{log:?}");
}

#[test]
fn two_announcers_whose_trackers_fail_together_do_not_come_back_together() {
    let second_round = |seed| {
        let mut world = World::seeded(&[&["a"]], seed);
        world.set("a", DOWN);
        world.run_until(s(0));
        world.announcer.poll_timeout().unwrap()
    };
    assert_eq!((0..20).map(second_round).collect::<BTreeSet<_>>().len(), 20);
}

#[test]
fn a_tracker_that_asks_to_be_left_alone_is() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", Tracker::Refuses(Some(secs(3000))));
    assert_eq!(asked(&world.run_until(s(0))), ["a", "b"]);
    assert_eq!(asked(&world.run_until(s(1800))), ["b"]);
    assert_eq!(asked(&world.run_until(s(3600))), ["a", "b"]);

    let mut world = World::new(&[&["a"]]);
    world.set("a", Tracker::Refuses(Some(secs(3000))));
    world.run_until(s(10));
    world.announcer.handle_completed(world.now);
    assert_eq!(events(&world.run_until(s(5000))), [(3000, Event::Started)]);
}

#[test]
fn trackers_that_ask_never_to_be_asked_again_are_not() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", Tracker::Refuses(Some(Duration::MAX))).set("b", Tracker::Refuses(Some(Duration::MAX)));
    assert_eq!(asked(&world.run_until(s(1_000_000))), ["a", "b"]);
    world.announcer.handle_completed(world.now);
    assert_eq!(world.run_until(s(2_000_000)), []);
    assert_eq!(world.announcer.poll_timeout(), None);
}

#[test]
fn answers_to_nothing_are_ignored() {
    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    announcer.handle_reply(s(5), secs(60), None, 9);
    announcer.handle_failure(s(5), "what?", None);
    assert_eq!((announcer.status().last_reply, announcer.status().last_error), (None, None));
    assert_eq!(announcer.poll(s(5)).unwrap().event, Event::Started);
}

#[test]
fn the_status_tells_people_what_happened_last() {
    let mut world = World::new(&[&["a"], &["b"]]);
    world.set("a", DOWN);
    world.run_until(s(2));
    let status = world.announcer.status();
    assert_eq!((status.trackers, status.url, status.asking, status.peers), (2, Some("b"), false, 3));
    assert_eq!((status.last_reply, status.next, status.last_error), (Some(s(0)), Some(s(1800)), None));
    world.set("b", DOWN);
    world.run_until(s(1800));
    assert_eq!(world.announcer.status().last_error, Some("go away"));
    assert_eq!(world.announcer.status().last_reply, Some(s(0)));
    let mut announcer = Announcer::new(urls(&[&["a"]]), ChaCha8Rng::seed_from_u64(1));
    announcer.poll(s(0));
    assert!(announcer.status().asking);
    announcer.handle_failure(s(0), &"ü".repeat(10_000), None);
    assert_eq!(announcer.status().last_error.unwrap().chars().count(), MAX_REASON);
}

proptest! {
    #[test]
    fn whatever_happens_it_neither_hangs_nor_hammers(
        seed: u64,
        steps in prop::collection::vec((0u8..8, 0usize..4, 0u64..3000), 1..60),
    ) {
        const URLS: [&str; 4] = ["a", "b", "c", "d"];
        let mut world = World::seeded(&[&["a", "b"], &["c"], &["d"]], seed);
        let (mut asked, mut completed) = (0, 0);
        for (what, which, pass) in steps {
            let url = URLS[which];
            match what {
                0 => _ = world.set(url, Tracker::Up(Duration::from_secs(pass), None)),
                1 => _ = world.set(url, DOWN),
                2 => _ = world.set(url, Tracker::Stalls),
                3 => _ = world.set(url, Tracker::Refuses(Some(Duration::from_secs(pass)))),
                4 => world.announcer.handle_completed(world.now),
                5 => world.announcer.request_more(world.now),
                _ => {
                    let log = world.run_until(world.now + Duration::from_secs(pass));
                    // Those that stall hold the clock up; at most four a round.
                    prop_assert!(log.len() as u64 <= 40 + 4 * pass / 15, "{} asked in {pass} s", log.len());
                    asked += log.len();
                    completed += log.iter().filter(|(_, url, event)| {
                        *event == Event::Completed && matches!(world.trackers[url], Tracker::Up(..))
                    }).count();
                }
            }
        }
        prop_assert!(completed <= 1, "completed was heard {completed} times");
        let log = world.run_until(world.now + Duration::from_secs(4000));
        prop_assert!(asked + log.len() > 0 && !log.is_empty(), "something is asked within the longest interval");
        world.announcer.handle_stopped(world.now);
        let log = world.run_until(world.now + Duration::from_secs(100));
        prop_assert!(log.len() <= 4 && log.iter().all(|&(_, _, event)| event == Event::Stopped));
        prop_assert!(world.announcer.is_stopped());
    }
}
