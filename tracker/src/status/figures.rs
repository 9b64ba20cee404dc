//! What the status page shows, as numbers and texts: the same for the page as it is first sent and for its updates.
//!
//! Purpose: one look at the tracker. Texts are for people and carry no markup; whoever draws them has to see to it that
//! they stay text.

use std::net::SocketAddr;

use serde::Serialize;

use super::history::{History, Point, Sample};
use super::text::{duration, grouped};
use crate::access::REASONS;
use crate::metrics::{Counts, Kind, Outcome, Protocol, Totals};
use crate::state::State;

/// The addresses that a tracker answers on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listening {
    /// Over HTTP.
    pub(crate) http: Vec<SocketAddr>,
    /// Over UDP.
    pub(crate) udp: Vec<SocketAddr>,
}

/// All that the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) version: &'static str,
    /// Whether requests are answered.
    pub(super) ready: bool,
    /// Seconds.
    pub(super) uptime: f64,
    pub(super) now: Now,
    pub(super) swarms: usize,
    pub(super) peers: Peers,
    pub(super) memory: Memory,
    pub(super) requests: Requests,
    /// What is worth a line.
    pub(super) details: Vec<Detail>,
    pub(super) busiest: Vec<Busy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Columns>,
}

/// How it was on average over the last few seconds.
#[derive(Debug, Serialize)]
pub(super) struct Now {
    /// A second, over HTTP and over UDP.
    pub(super) announces: [f32; 2],
    pub(super) scrapes: [f32; 2],
    /// Microseconds.
    pub(super) p50: Option<f32>,
    pub(super) p99: Option<f32>,
}

#[derive(Debug, Serialize)]
pub(super) struct Peers {
    pub(super) all: usize,
    pub(super) seeds: usize,
    pub(super) leechers: usize,
    pub(super) ipv4: usize,
    pub(super) ipv6: usize,
}

/// Bytes.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) used: usize,
    pub(super) limit: usize,
}

/// Requests since the start, a row a protocol and kind, a column an outcome.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    pub(super) outcomes: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) counts: Vec<u64>,
}

/// A line of text about a part of the tracker.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Whether the operator should look at it.
    pub(super) warning: bool,
}

/// One of the busiest swarms.
#[derive(Debug, Serialize)]
pub(super) struct Busy {
    /// 40 hexadecimal digits.
    pub(super) info_hash: String,
    pub(super) seeders: u32,
    pub(super) leechers: u32,
    pub(super) completed: u32,
}

/// The points of a span, a list for each of what they hold, so that they are short.
#[derive(Debug, Default, Serialize)]
pub(super) struct Columns {
    /// Seconds from its first to its last place.
    seconds: u64,
    /// Seconds between two points.
    step: u64,
    /// Seconds from the tracker's start to a point's end.
    at: Vec<f64>,
    announces_http: Vec<f32>,
    announces_udp: Vec<f32>,
    scrapes_http: Vec<f32>,
    scrapes_udp: Vec<f32>,
    p50: Vec<Option<f32>>,
    p99: Vec<Option<f32>>,
    seeds: Vec<usize>,
    leechers: Vec<usize>,
}

/// What is sampled once a second.
pub(super) fn sample(state: &State) -> Sample {
    let (counts, totals) = (state.metrics.counts(), state.totals());
    Sample {
        announces: counts.by_protocol(Kind::Announce),
        scrapes: counts.by_protocol(Kind::Scrape),
        latency: counts.latency,
        peers: totals.peers,
        seeds: totals.seeds,
    }
}

impl Figures {
    /// Everything as it is now.
    pub(super) fn collect(state: &State, listening: &Listening, present: Point) -> Self {
        let (counts, totals) = (state.metrics.counts(), state.totals());
        let busiest = state.busiest().into_iter().map(|swarm| Busy {
            info_hash: swarm.info_hash.to_string(),
            seeders: swarm.stats.complete,
            leechers: swarm.stats.incomplete,
            completed: swarm.stats.downloaded,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ready: state.metrics.is_ready(),
            uptime: state.uptime().as_secs_f64(),
            now: Now {
                announces: present.announces.map(short),
                scrapes: present.scrapes.map(short),
                p50: present.p50.map(short),
                p99: present.p99.map(short),
            },
            swarms: totals.swarms,
            peers: Peers {
                all: totals.peers,
                seeds: totals.seeds,
                leechers: totals.peers.saturating_sub(totals.seeds),
                ipv4: totals.peers.saturating_sub(totals.ipv6),
                ipv6: totals.ipv6,
            },
            memory: Memory { used: totals.bytes, limit: totals.limit },
            requests: Requests::of(&counts),
            details: details(state, listening, &counts, &totals),
            busiest: busiest.collect(),
            history: None,
        }
    }
}

impl Requests {
    fn of(counts: &Counts) -> Self {
        let label = |protocol: Protocol, kind: Kind| match (protocol, kind) {
            (Protocol::Http, Kind::Announce) => "HTTP announces",
            (Protocol::Http, Kind::Scrape) => "HTTP scrapes",
            (Protocol::Http, Kind::Other) => "HTTP pages",
            (Protocol::Udp, Kind::Announce) => "UDP announces",
            (Protocol::Udp, Kind::Scrape) => "UDP scrapes",
            (Protocol::Udp, Kind::Other) => "UDP connects",
        };
        let row = |protocol, kind| Row {
            label: label(protocol, kind).to_owned(),
            counts: Outcome::ALL
                .iter()
                .map(|(outcome, _)| counts.requests(protocol, kind, *outcome))
                .collect(),
        };
        let kinds = |protocol: Protocol| Kind::ALL.iter().map(move |(kind, _)| row(protocol, *kind));
        Self {
            outcomes: Outcome::ALL.iter().map(|(_, name)| *name).collect(),
            rows: Protocol::ALL.iter().flat_map(|(protocol, _)| kinds(*protocol)).collect(),
        }
    }
}

/// A part of the tracker that has something to say adds its line here.
fn details(state: &State, listening: &Listening, counts: &Counts, totals: &Totals) -> Vec<Detail> {
    let mut details = Vec::new();
    let mut add = |label, value, warning| details.push(Detail { label, value, warning });
    let addresses = |addresses: &[SocketAddr]| {
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        if texts.is_empty() { "nowhere".to_owned() } else { texts.join(", ") }
    };
    add("HTTP", addresses(&listening.http), false);
    add("UDP", addresses(&listening.udp), false);
    let count = |count: usize| grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let ipv4 = totals.peers.saturating_sub(totals.ipv6);
    add("Peers", format!("{} over IPv4, {} over IPv6", count(ipv4), count(totals.ipv6)), false);
    let (open, accepted) = (grouped(counts.open), grouped(counts.accepted));
    let refused = REASONS.iter().zip(totals.refusals).filter(|&(_, count)| count > 0);
    let refused: Vec<_> =
        refused.map(|((_, _, reason), count)| format!("{} for {reason}", grouped(count))).collect();
    add("Refused", if refused.is_empty() { "nobody".to_owned() } else { refused.join(", ") }, false);
    add("Connections", format!("{open} open, {accepted} accepted"), false);
    let longer = state.load.stretch().millionths() / 10_000;
    if longer > 0 {
        add("Interval", format!("{longer} % longer, because the processors are busy"), true);
    }
    // Three in a row failed, or the disk hangs.
    let is_late = |age| age > state.config.snapshot_interval.saturating_mul(3);
    let (snapshot, is_late) = match (totals.snapshot_age, &state.config.state_dir) {
        (None, None) => ("none: without --state-dir a restart forgets the swarms".to_owned(), false),
        (None, Some(_)) => ("not written yet".to_owned(), is_late(state.uptime())),
        (Some(age), _) => (format!("{} old", duration(age)), is_late(age)),
    };
    add("Snapshot", snapshot, is_late);
    let evicted = match (totals.evicted_swarms, totals.evicted_peers) {
        (0, 0) => "nobody".to_owned(),
        (swarms, peers) => format!("{} swarms, {} peers", grouped(swarms), grouped(peers)),
    };
    add("Evicted", evicted, totals.evicted_swarms > 0);
    if let Some((fleet, totals)) = state.fleet.as_ref().zip(totals.fleet) {
        let value = if totals.is_up {
            let (written, learned) = (grouped(totals.written), grouped(totals.read));
            format!(
                "{}: {written} peers told, {learned} learned, {} dropped",
                fleet.url(),
                grouped(totals.dropped)
            )
        } else {
            format!("{} does not answer: swarms are not shared", fleet.url())
        };
        add("Store", value, !totals.is_up);
    }
    if totals.stale_lists {
        add("Lists", "one could not be read; the one before is in force".to_owned(), true);
    }
    details
}

impl Columns {
    /// The points of a span; nothing where there is no span of this name.
    pub(super) fn of(history: &History, span: &str) -> Option<Self> {
        let (span, points) = history.points(span)?;
        let places = u64::try_from(span.points).unwrap_or(u64::MAX);
        let step = span.step.as_secs();
        let mut columns = Self { seconds: step.saturating_mul(places), step, ..Self::default() };
        for point in points {
            let ([announces_http, announces_udp], [scrapes_http, scrapes_udp]) =
                (point.announces, point.scrapes);
            columns.at.push((point.at.as_secs_f64() * 10.0).round() / 10.0);
            columns.announces_http.push(short(announces_http));
            columns.announces_udp.push(short(announces_udp));
            columns.scrapes_http.push(short(scrapes_http));
            columns.scrapes_udp.push(short(scrapes_udp));
            columns.p50.push(point.p50.map(short));
            columns.p99.push(point.p99.map(short));
            columns.seeds.push(point.seeds);
            columns.leechers.push(point.peers.saturating_sub(point.seeds));
        }
        Some(columns)
    }
}

/// With one decimal: more is not seen.
fn short(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}
