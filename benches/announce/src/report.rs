//! What is told at the end.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::desk::Tally;

/// Of a whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Announcing every peer once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<Phase>,
    /// What was to be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Phase>,
    /// Requests that could be lost or fail.
    pub may_lose: u64,
}

impl Report {
    /// Whether no answer was wrong, and no more missing than may be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let phases = || self.preload.iter().chain(&self.measured);
        let missing: u64 = phases().map(|phase| phase.lost + phase.failed).sum();
        phases().all(|phase| phase.wrong == 0 && phase.answered > 0) && missing <= self.may_lose
    }
}

/// Of one part of it.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Right answers.
    pub answered: u64,
    /// To the last answer, in seconds.
    pub seconds: f64,
    /// Right answers a second.
    pub rate: f64,
    /// From the request to its answer; in an open loop from when the request was due.
    pub latency: Latency,
    /// Bytes of an answer, with the head of HTTP.
    pub bytes_a_reply: f64,
    /// Peers in an answer to an announce that asked for some.
    pub peers_a_reply: f64,
    /// Peers given that are the asker itself, or seeds for seeds; more than none only for `--lenient`.
    pub useless_peers: u64,
    /// Of the peers that were announced, those that the tracker says are there; less than 1 if there was no preload.
    pub known: Option<f64>,
    /// Wrong answers.
    pub wrong: u64,
    /// The first of them.
    pub wrongs: Vec<String>,
    /// Requests without an answer in time.
    pub lost: u64,
    /// Requests whose connection failed.
    pub failed: u64,
    /// Why the last of them did.
    pub failure: Option<String>,
    /// Answers after their time, or twice.
    pub late: u64,
    /// What this program took of the processor, in seconds.
    pub own_cpu_seconds: f64,
    /// What the tracker took.
    pub tracker: Option<Tracker>,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half of all are no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p999: f64,
    /// None is longer.
    pub max: f64,
}

/// The tracker's process.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Tracker {
    /// Seconds of the processor.
    pub cpu_seconds: f64,
    /// Microseconds of it for each right answer.
    pub cpu_us_a_request: f64,
    /// Bytes of resident memory at the end.
    pub resident: u64,
    /// The most there were, since the process began.
    pub peak: u64,
}

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) cpu: Duration,
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits are made of it")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Phase {
    pub(crate) fn new(tally: &Tally, time: Duration, own_cpu: Duration, tracker: Option<Took>) -> Self {
        let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
        let quantile = |per_mille| microseconds(tally.latencies.quantile(per_mille));
        let seconds = time.as_secs_f64();
        Self {
            answered: tally.answered,
            seconds,
            rate: ratio(tally.answered, 1) / seconds.max(1e-9),
            latency: Latency {
                p50: quantile(500),
                p90: quantile(900),
                p99: quantile(990),
                p999: quantile(999),
                max: microseconds(tally.latencies.longest()),
            },
            bytes_a_reply: ratio(tally.bytes, tally.answered),
            peers_a_reply: ratio(tally.peers, tally.asked_for_peers),
            useless_peers: tally.useless,
            known: (tally.announced > 0).then(|| ratio(tally.counted, tally.announced)),
            wrong: tally.wrong,
            wrongs: tally.wrongs.clone(),
            lost: tally.lost,
            failed: tally.failed,
            failure: tally.failure.clone(),
            late: tally.late,
            own_cpu_seconds: own_cpu.as_secs_f64(),
            tracker: tracker.map(|took| Tracker {
                cpu_seconds: took.cpu.as_secs_f64(),
                cpu_us_a_request: microseconds(took.cpu) / ratio(tally.answered.max(1), 1),
                resident: took.resident,
                peak: took.peak,
            }),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(preload) = &self.preload {
            write!(f, "preload: {preload}")?;
        }
        match &self.measured {
            Some(measured) if self.preload.is_some() => write!(f, "\nmeasured: {measured}"),
            Some(measured) => write!(f, "{measured}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answers in {:.2} s, {:.0} a second", self.answered, self.seconds, self.rate)?;
        let Latency { p50, p90, p99, p999, max } = self.latency;
        writeln!(
            f,
            "  latency in us: p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}"
        )?;
        write!(f, "  {:.0} bytes and {:.1} peers a reply", self.bytes_a_reply, self.peers_a_reply)?;
        if let Some(known) = self.known {
            write!(f, "; {:.2}% of the peers known to the tracker", known * 100.0)?;
        }
        if self.useless_peers > 0 {
            write!(f, "; {} peers of no use to the asker", self.useless_peers)?;
        }
        let per_answer = self.own_cpu_seconds * 1e6 / ratio(self.answered.max(1), 1);
        write!(f, "\n  processor: {per_answer:.1} us a request here")?;
        if let Some(tracker) = &self.tracker {
            let mebibytes = |bytes| ratio(bytes, 1 << 20);
            let (now, peak) = (mebibytes(tracker.resident), mebibytes(tracker.peak));
            write!(f, ", {:.1} us in the tracker, ", tracker.cpu_us_a_request)?;
            write!(f, "which has {now:.0} MiB of memory and had {peak:.0} at most")?;
        }
        let Self { wrong, lost, failed, late, .. } = self;
        write!(f, "\n  wrong {wrong}, lost {lost}, failed {failed}, late {late}")?;
        if let Some(failure) = &self.failure {
            write!(f, "; the last failure: {failure}")?;
        }
        self.wrongs.iter().try_for_each(|wrong| write!(f, "\n  wrong: {wrong}"))
    }
}
