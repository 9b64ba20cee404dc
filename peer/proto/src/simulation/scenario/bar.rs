//! How well a swarm must do.

use std::fmt;

use crate::simulation::report::{Progress, Report, fairness, median};
use crate::simulation::swarm::Swarm;

/// Seconds at the start in which a path need not be full yet.
const WARM_UP: f64 = 5.0;

/// What is measured, and how much of it is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// The last one is complete within so many times the bound.
    Within(f64),
    /// All that stay complete.
    AllComplete,
    /// Such a share of those that give is complete before the first one that does not.
    FreeRidersWait(f64),
    /// Download rates follow upload rates with such a correlation.
    Fair(f64),
    /// Such a share of the uplink of node 0 is used for node 1, after the first seconds.
    PathFilled(f64),
    /// All honest ones complete and none of them is banned by another.
    HonestSafe,
}

impl Bar {
    /// What was reached in one run; `None` if it came to no end.
    #[must_use]
    pub fn measure(self, swarm: &Swarm, progress: &Progress) -> Option<f64> {
        let report = Report::of(swarm);
        let complete = 1.0 - report.unfinished() as f64 / report.times.len().max(1) as f64;
        match self {
            Self::Within(_) => report.ratio(),
            Self::AllComplete => Some(complete),
            Self::HonestSafe => Some(if report.honest_bans > 0 { 0.0 } else { complete }),
            Self::Fair(_) => fairness(swarm, progress).filter(|_| report.end.is_some()),
            Self::FreeRidersWait(_) => {
                let first = report.free_riders.iter().flatten().copied().reduce(f64::min)?;
                let givers = report.times.len() - report.free_riders.len();
                let earlier = report.times.iter().flatten().filter(|&&time| time < first).count();
                Some(earlier as f64 / givers.max(1) as f64)
            }
            Self::PathFilled(_) => {
                let up = swarm.nodes.first()?.spec.host.up? as f64;
                Some(progress.rate_after(1, WARM_UP, swarm.geometry().piece_count())? / up)
            }
        }
    }

    /// What counts of several runs: the median, or the worst where every run must do.
    #[must_use]
    pub fn of_runs(self, values: &[Option<f64>]) -> Option<f64> {
        match self {
            Self::AllComplete | Self::HonestSafe => {
                values.iter().copied().collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
            }
            // A run without an end is worse than any with one.
            Self::Within(_) => median(values.iter().map(|value| value.unwrap_or(f64::INFINITY)).collect())
                .filter(|value| value.is_finite()),
            Self::FreeRidersWait(_) | Self::Fair(_) | Self::PathFilled(_) => {
                median(values.iter().map(|value| value.unwrap_or(-1.0)).collect())
                    .filter(|&value| value > -1.0)
            }
        }
    }

    /// Whether so much is enough.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::Within(most) => value <= most,
            Self::AllComplete | Self::HonestSafe => value >= 1.0,
            Self::FreeRidersWait(least) | Self::Fair(least) | Self::PathFilled(least) => value >= least,
        }
    }

    /// A value in its unit.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Within(_) => format!("{value:.2} × bound"),
            Self::AllComplete | Self::HonestSafe => format!("{:.0}%", 100.0 * value),
            Self::FreeRidersWait(_) | Self::PathFilled(_) => format!("{:.1}%", 100.0 * value),
            Self::Fair(_) => format!("{value:.2}"),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(most) => write!(f, "last ≤ {most} × bound"),
            Self::AllComplete => f.write_str("all that stay complete"),
            Self::FreeRidersWait(least) => {
                write!(f, "≥ {:.0}% of those that give are done before any that does not", 100.0 * least)
            }
            Self::Fair(least) => write!(f, "Spearman ≥ {least}"),
            Self::PathFilled(least) => write!(f, "≥ {:.0}% of the path", 100.0 * least),
            Self::HonestSafe => f.write_str("all honest peers complete, none is banned"),
        }
    }
}
