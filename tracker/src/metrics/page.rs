//! The page that Prometheus reads, in its text format 0.0.4.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::histogram::{BOUNDS, Sum};
use super::{Kind, Metrics, Outcome, Protocol, cell};
use crate::access::REASONS;
use crate::fleet::FleetTotals;

/// What the swarms are like when the page is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Swarms.
    pub(crate) swarms: usize,
    /// Peers; one in two swarms counts twice.
    pub(crate) peers: usize,
    /// Of the peers, those over IPv6.
    pub(crate) ipv6: usize,
    /// Of the peers, those that are seeds.
    pub(crate) seeds: usize,
    /// Bytes that swarms and peers take.
    pub(crate) bytes: usize,
    /// Bytes that they may take.
    pub(crate) limit: usize,
    /// Swarms that had to go for want of room.
    pub(crate) evicted_swarms: u64,
    /// Peers that had to go for want of room.
    pub(crate) evicted_peers: u64,
    /// Whether a list in force is older than its file.
    pub(crate) stale_lists: bool,
    /// How old the swarms on disk are, if they were written.
    pub(crate) snapshot_age: Option<Duration>,
    /// Requests refused, for each of [`REASONS`].
    pub(crate) refusals: [u64; REASONS.len()],
    /// How it fares with the engine that it shares swarms over, if there is one.
    pub(crate) fleet: Option<FleetTotals>,
}

/// A page being written. Writing to a String cannot fail.
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, "", value);
    }

    fn fleet(&mut self, fleet: &FleetTotals) {
        let help = "1 while the store answers over which swarms are shared.";
        self.single("shoal_fleet_up", "gauge", help, u8::from(fleet.is_up));
        let (seconds, millis) = (fleet.lag_millis / 1000, fleet.lag_millis % 1000);
        let help = "How long the oldest announce has waited that the store does not know of.";
        self.single("shoal_fleet_lag_seconds", "gauge", help, format_args!("{seconds}.{millis:03}"));
        let help = "Peers that were entered into the store or removed from it.";
        self.single("shoal_fleet_written_total", "counter", help, fleet.written);
        let help = "Announces that the store was not told of because it is slow or gone.";
        self.single("shoal_fleet_dropped_total", "counter", help, fleet.dropped);
        let help = "Peers that were learned from the store.";
        self.single("shoal_fleet_read_total", "counter", help, fleet.read);
        let help = "Connections to the store that failed, and commands that it refused.";
        self.single("shoal_fleet_errors_total", "counter", help, fleet.errors);
    }
}

impl Metrics {
    /// The page as it is now.
    pub(super) fn page(&self, totals: &Totals) -> String {
        let mut page = Page(String::with_capacity(6 << 10));
        let help = "The version that runs, as a label; always 1.";
        page.metric("shoal_tracker_info", "gauge", help);
        page.sample("shoal_tracker_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
        self.requests(&mut page);
        let name = "shoal_tracker_refusals_total";
        let help = "Announces that the operator's rules do not allow, and scrapes of which they do not allow all, by why.";
        page.metric(name, "counter", help);
        for ((_, reason, _), count) in REASONS.iter().zip(totals.refusals) {
            page.sample(name, &format!("reason=\"{reason}\""), count);
        }
        self.latency(&mut page);
        let counts = self.counts();
        let help = "HTTP connections accepted.";
        page.single("shoal_tracker_connections_total", "counter", help, counts.accepted);
        let help = "HTTP connections that stay open after their first request.";
        page.single("shoal_tracker_open_connections", "gauge", help, counts.open);
        let help = "Swarms with a peer, or remembered for their count of downloads.";
        page.single("shoal_tracker_swarms", "gauge", help, totals.swarms);
        let help = "Peers; one in two swarms counts twice.";
        page.single("shoal_tracker_peers", "gauge", help, totals.peers);
        let help = "Those of the peers that are seeds.";
        page.single("shoal_tracker_seeds", "gauge", help, totals.seeds);
        let help = "Those of the peers that are reached over IPv6.";
        page.single("shoal_tracker_ipv6_peers", "gauge", help, totals.ipv6);
        let help = "Memory that swarms and peers take.";
        page.single("shoal_tracker_store_bytes", "gauge", help, totals.bytes);
        let help = "Memory that swarms and peers may take before the least used have to go.";
        page.single("shoal_tracker_store_limit_bytes", "gauge", help, totals.limit);
        let help = "Swarms that had to go for want of memory.";
        page.single("shoal_tracker_evicted_swarms_total", "counter", help, totals.evicted_swarms);
        let help = "Peers that had to go for want of memory or of room in their swarm.";
        page.single("shoal_tracker_evicted_peers_total", "counter", help, totals.evicted_peers);
        let help =
            "1 if a list of who may use the tracker could not be read again and the one before is in force.";
        page.single("shoal_tracker_lists_stale", "gauge", help, u8::from(totals.stale_lists));
        if let Some(age) = totals.snapshot_age {
            let help = "How old the swarms on disk are; not there before they were first written.";
            page.single("shoal_tracker_snapshot_age_seconds", "gauge", help, age.as_secs());
        }
        let help = "1 while requests are answered, as /ready says.";
        page.single("shoal_tracker_ready", "gauge", help, u8::from(self.is_ready()));
        if let Some(fleet) = &totals.fleet {
            page.fleet(fleet);
        }
        page.0
    }

    fn requests(&self, page: &mut Page) {
        let name = "shoal_tracker_requests_total";
        page.metric(name, "counter", "Requests by what they came by, what was asked and what came of it.");
        for (protocol, by) in Protocol::ALL {
            for (kind, asked) in Kind::ALL {
                for (outcome, came) in Outcome::ALL {
                    let count = self.sum(|shard| shard.requests.get(cell(protocol, kind, outcome)));
                    let labels = format!("protocol=\"{by}\",kind=\"{asked}\",outcome=\"{came}\"");
                    page.sample(name, &labels, count);
                }
            }
        }
    }

    fn latency(&self, page: &mut Page) {
        let name = "shoal_tracker_request_seconds";
        page.metric(name, "histogram", "From the whole request to the whole answer, both in memory.");
        for (protocol, by) in Protocol::ALL {
            let mut sum = Sum::default();
            for shard in &self.shards {
                if let Some(latency) = shard.latency.get(protocol as usize) {
                    latency.add_to(&mut sum);
                }
            }
            let mut below = 0u64;
            let bounds = BOUNDS.iter().map(|&(_, text)| text).chain(["+Inf"]);
            for (bound, count) in bounds.zip(sum.buckets) {
                below = below.wrapping_add(count);
                let labels = format!("protocol=\"{by}\",le=\"{bound}\"");
                page.sample(&format!("{name}_bucket"), &labels, below);
            }
            let labels = format!("protocol=\"{by}\"");
            let (whole, rest) = (sum.nanos / 1_000_000_000, sum.nanos % 1_000_000_000);
            page.sample(&format!("{name}_sum"), &labels, format_args!("{whole}.{rest:09}"));
            page.sample(&format!("{name}_count"), &labels, below);
        }
    }
}
