//! What a tracker did over time, in rings of points: pure, time is an argument.
//!
//! Purpose: graphs of the last minutes, the last hour and the last day, each of about as many points as a screen can
//! tell apart. A point is what happened since the one before, as rates, and what there was at its end.
//!
//! Invariants: memory is bounded by [`SPANS`], however long a tracker runs. A point tells the time that really went by:
//! where nobody asked for one in time, the next one is of a longer stretch and as right. A counter that is lower than
//! before has begun anew.

use std::collections::VecDeque;
use std::time::Duration;

use crate::metrics::{BOUNDS, LATENCY_BUCKETS};

/// How often [`History::record`] is to be called: the step of the finest ring.
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// A point may come this much early, because timers do not fire to the microsecond.
const EARLY: Duration = Duration::from_millis(500);

/// A ring's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// What it is asked for by.
    pub(super) name: &'static str,
    /// Between two points.
    pub(super) step: Duration,
    /// Points that are kept.
    pub(super) points: usize,
}

/// All rings, the finest first. Together 948 points of 64 bytes.
pub(super) const SPANS: [Span; 3] = [
    Span { name: "5m", step: SAMPLE_EVERY, points: 300 },
    Span { name: "1h", step: Duration::from_secs(10), points: 360 },
    Span { name: "24h", step: Duration::from_secs(300), points: 288 },
];

/// Points of the finest ring that the present is averaged over.
const PRESENT: usize = 5;

/// What has been counted so far, and what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Announces over HTTP and over UDP.
    pub(super) announces: [u64; 2],
    /// Scrapes, likewise.
    pub(super) scrapes: [u64; 2],
    /// Answers by how long they took.
    pub(super) latency: [u64; LATENCY_BUCKETS],
    /// Peers that there are.
    pub(super) peers: usize,
    /// Those of them that are seeds.
    pub(super) seeds: usize,
}

/// What happened in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Point {
    /// Its end, since the start.
    pub(super) at: Duration,
    /// Announces a second over HTTP and over UDP.
    pub(super) announces: [f32; 2],
    /// Scrapes a second, likewise.
    pub(super) scrapes: [f32; 2],
    /// Microseconds in which half of all answers were made, if there were any.
    pub(super) p50: Option<f32>,
    /// Microseconds in which 99 of 100 answers were made.
    pub(super) p99: Option<f32>,
    /// Peers at its end.
    pub(super) peers: usize,
    /// Those of them that are seeds.
    pub(super) seeds: usize,
}

#[derive(Debug)]
struct Ring {
    span: Span,
    /// What was so at the end of the last point.
    since: Option<(Duration, Sample)>,
    points: VecDeque<Point>,
}

/// All rings of a tracker.
#[derive(Debug)]
pub(super) struct History {
    rings: [Ring; SPANS.len()],
}

impl History {
    pub(super) fn new() -> Self {
        Self { rings: SPANS.map(|span| Ring { span, since: None, points: VecDeque::new() }) }
    }

    /// Takes note of how things are `at` so long after the start.
    pub(super) fn record(&mut self, at: Duration, sample: &Sample) {
        for ring in &mut self.rings {
            ring.record(at, sample);
        }
    }

    /// The points of a span, the oldest first; nothing where there is no span of this name.
    pub(super) fn points(&self, name: &str) -> Option<(Span, impl ExactSizeIterator<Item = &Point>)> {
        let ring = self.rings.iter().find(|ring| ring.span.name == name)?;
        Some((ring.span, ring.points.iter()))
    }

    /// How it was on average over the last few seconds.
    pub(super) fn present(&self) -> Point {
        let [finest, ..] = &self.rings;
        let last: Vec<_> = finest.points.iter().rev().take(PRESENT).collect();
        let mean = |of: &dyn Fn(&Point) -> Option<f32>| {
            let values: Vec<_> = last.iter().filter_map(|point| of(point)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f32>() / cast(values.len()))
        };
        let rates = |of: &dyn Fn(&Point) -> [f32; 2]| {
            [0, 1].map(|at| mean(&|point| of(point).get(at).copied()).unwrap_or_default())
        };
        Point {
            announces: rates(&|point| point.announces),
            scrapes: rates(&|point| point.scrapes),
            p50: mean(&|point| point.p50),
            p99: mean(&|point| point.p99),
            ..last.first().copied().copied().unwrap_or_default()
        }
    }
}

impl Ring {
    fn record(&mut self, at: Duration, sample: &Sample) {
        let Some((since, before)) = &self.since else {
            self.since = Some((at, *sample));
            return;
        };
        let took = at.saturating_sub(*since);
        if took.saturating_add(EARLY) < self.span.step {
            return;
        }
        if self.points.len() >= self.span.points {
            self.points.pop_front();
        }
        self.points.push_back(Point::between(before, sample, at, took));
        self.since = Some((at, *sample));
    }
}

impl Point {
    fn between(before: &Sample, now: &Sample, at: Duration, took: Duration) -> Self {
        let rates = |before: [u64; 2], now: [u64; 2]| {
            let [http, udp] = before;
            let [http_now, udp_now] = now;
            [increase(http, http_now), increase(udp, udp_now)].map(|count| rate(count, took))
        };
        let mut latency = now.latency;
        for (count, before) in latency.iter_mut().zip(before.latency) {
            *count = increase(before, *count);
        }
        Self {
            at,
            announces: rates(before.announces, now.announces),
            scrapes: rates(before.scrapes, now.scrapes),
            p50: quantile(&latency, 0.5),
            p99: quantile(&latency, 0.99),
            peers: now.peers,
            seeds: now.seeds,
        }
    }
}

/// How much a counter rose.
fn increase(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[expect(clippy::cast_possible_truncation, reason = "graphs do not show the digits that are lost")]
fn rate(count: u64, took: Duration) -> f32 {
    let seconds = took.as_secs_f64();
    if seconds > 0.0 { (exact(count) / seconds) as f32 } else { 0.0 }
}

/// The microseconds in which this share of the answers was made, taken to lie evenly between the bounds of a bucket;
/// what is beyond all bounds counts as the last of them.
#[expect(clippy::cast_possible_truncation, reason = "graphs do not show the digits that are lost")]
fn quantile(buckets: &[u64; LATENCY_BUCKETS], share: f64) -> Option<f32> {
    let all: u64 = buckets.iter().fold(0, |sum, count| sum.saturating_add(*count));
    if all == 0 {
        return None;
    }
    let wanted = exact(all) * share;
    let (mut below, mut lower) = (0.0, 0.0);
    for (&count, (bound, _)) in buckets.iter().zip(BOUNDS) {
        let (count, upper) = (exact(count), exact(bound));
        if count > 0.0 && below + count >= wanted {
            return Some((lower + (upper - lower) * (wanted - below) / count) as f32);
        }
        (below, lower) = (below + count, upper);
    }
    Some(lower as f32)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a second are far from 2⁵³")]
fn exact(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a handful of points")]
fn cast(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn announced(http: u64, udp: u64) -> Sample {
        Sample { announces: [http, udp], ..Sample::default() }
    }

    fn points(history: &History, span: &str) -> Vec<Point> {
        history.points(span).unwrap().1.copied().collect()
    }

    #[test]
    fn a_point_is_what_happened_since_the_one_before() {
        let mut history = History::new();
        history.record(seconds(10), &announced(1000, 5));
        assert!(points(&history, "5m").is_empty(), "what was before the first sample is not known");
        history.record(seconds(11), &Sample { peers: 7, seeds: 3, scrapes: [0, 4], ..announced(1250, 5) });
        let [point] = points(&history, "5m")[..] else { panic!("one point") };
        assert_eq!((point.at, point.announces, point.scrapes), (seconds(11), [250.0, 0.0], [0.0, 4.0]));
        assert_eq!((point.peers, point.seeds, point.p50, point.p99), (7, 3, None, None));
    }

    #[test]
    fn a_sample_that_comes_late_makes_a_longer_point_with_the_rate_of_the_whole() {
        let mut history = History::new();
        history.record(seconds(0), &announced(0, 0));
        history.record(seconds(4), &announced(100, 8));
        assert_eq!(points(&history, "5m")[0].announces, [25.0, 2.0]);
        assert_eq!(points(&history, "5m").len(), 1);
    }

    #[test]
    fn each_ring_has_its_step_and_no_more_points_than_it_may() {
        let mut history = History::new();
        for n in 0..=2 * 24 * 60 * 60 {
            // A timer is a little early or late.
            let at = seconds(n) + Duration::from_micros(n * 7919 % 2000);
            history.record(at, &announced(n * 3, n));
        }
        for span in SPANS {
            let points = points(&history, span.name);
            assert_eq!(points.len(), span.points);
            for pair in points.windows(2) {
                let took = (pair[1].at - pair[0].at).as_secs_f64();
                assert!((took - span.step.as_secs_f64()).abs() < 0.01, "{took} in {}", span.name);
                assert!((pair[1].announces[0] - 3.0).abs() < 0.02, "{:?}", pair[1]);
            }
        }
        assert!(history.points("7d").is_none());
    }

    #[test]
    fn a_counter_that_begins_anew_makes_no_peak() {
        let mut history = History::new();
        history.record(seconds(0), &announced(u64::MAX - 5, 1_000_000));
        history.record(seconds(1), &announced(u64::MAX, 30));
        history.record(seconds(2), &announced(7, 40));
        let rates: Vec<_> = points(&history, "5m").iter().map(|point| point.announces).collect();
        assert_eq!(rates, [[5.0, 30.0], [7.0, 10.0]]);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_makes_no_point() {
        let mut history = History::new();
        for at in [5, 5, 3, 5] {
            history.record(seconds(at), &announced(at, 0));
        }
        assert!(points(&history, "5m").is_empty());
    }

    #[test]
    fn quantiles_lie_within_the_bucket_that_holds_them() {
        let mut buckets = [0; LATENCY_BUCKETS];
        assert_eq!(quantile(&buckets, 0.5), None);
        // 100 answers in 5 to 10 µs.
        buckets[2] = 100;
        assert_eq!(quantile(&buckets, 0.5), Some(7.5));
        // And one that took longer than any bound.
        buckets[LATENCY_BUCKETS - 1] = 1;
        assert_eq!(quantile(&buckets, 1.0), Some(2_500_000.0));
        assert!((5.0..=10.0).contains(&quantile(&buckets, 0.99).unwrap()));
        buckets[2] = 0;
        assert_eq!(quantile(&buckets, 0.01), Some(2_500_000.0));
    }

    #[test]
    fn the_present_is_the_mean_of_the_last_seconds() {
        let mut history = History::new();
        assert_eq!(history.present(), Point::default());
        let mut count = 0;
        for n in 0..20 {
            history.record(seconds(n), &Sample { peers: 4, ..announced(count, 0) });
            count += if n < 14 { 1000 } else { n };
        }
        let present = history.present();
        assert_eq!(present.announces, [16.0, 0.0]);
        assert_eq!((present.peers, present.p99), (4, None));
    }
}
