//! What no swarm can beat.
//!
//! Content is taken for a fluid that can be passed on as soon as it arrives, to anybody. Three things then bound the
//! time at which all have everything, whatever they do:
//! - the seeds must send all of it once: `F / u_seed`;
//! - each peer must receive it: `F / d`;
//! - those that come at a time or later receive `N·F` from then on, out of all uplinks: `N·F / (u_seed + Σu)`.
//!
//! Peers that come and go make the same sums over time: an uplink counts while it is there. Uplinks of peers that do not
//! give count for nothing, and so does what those need who go before they have everything.

use crate::Time;
use crate::simulation::node::Node;
use crate::simulation::swarm::Swarm;

/// Bytes a second from a time to another, in seconds.
#[derive(Clone, Copy, Debug)]
struct Uplink {
    from: f64,
    to: f64,
    rate: f64,
}

/// Seconds from the start of the run before which not all can have everything that are to stay until they do.
#[must_use]
pub fn fluid_bound(swarm: &Swarm) -> f64 {
    let size = swarm.geometry().total() as f64;
    let givers = || swarm.nodes.iter().filter(|node| node.spec.gives());
    let seeds: Vec<Uplink> = givers().filter(|node| node.is_seed()).map(uplink).collect();
    let all: Vec<Uplink> = givers().map(uplink).collect();
    let takers: Vec<&Node> = swarm.nodes.iter().filter(|node| node.is_to_complete()).collect();

    let by_seeds = when(&seeds, 0.0, size);
    let by_down = takers.iter().filter_map(|node| {
        let rate = node.spec.host.down?;
        Some(node.spec.joins.as_secs_f64() + size / rate as f64)
    });
    let mut joins: Vec<f64> = takers.iter().map(|node| node.spec.joins.as_secs_f64()).collect();
    joins.sort_by(f64::total_cmp);
    let firsts = (0..joins.len()).filter(|&at| at == 0 || joins[at] > joins[at - 1]);
    let by_all = firsts.map(|at| when(&all, joins[at], (joins.len() - at) as f64 * size));
    by_down.chain(by_all).fold(by_seeds, f64::max)
}

fn uplink(node: &Node) -> Uplink {
    let rate = node.spec.host.up.map_or(f64::INFINITY, |rate| rate as f64);
    let to = node.left.map_or(f64::INFINITY, |at| at.saturating_since(Time::ZERO).as_secs_f64());
    Uplink { from: node.spec.joins.as_secs_f64(), to, rate }
}

/// When uplinks have sent so many bytes from a time on; never, if they cannot.
fn when(uplinks: &[Uplink], start: f64, bytes: f64) -> f64 {
    let mut changes: Vec<(f64, f64)> = uplinks
        .iter()
        .map(|uplink| Uplink { from: uplink.from.max(start), ..*uplink })
        .filter(|uplink| uplink.from < uplink.to)
        .flat_map(|uplink| [(uplink.from, uplink.rate), (uplink.to, -uplink.rate)])
        .collect();
    changes.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut now, mut rate, mut left) = (start, 0.0, bytes);
    for (at, change) in changes {
        if rate > 0.0 && left <= rate * (at - now) {
            break;
        }
        if rate == f64::INFINITY {
            return now;
        }
        left -= rate * (at - now).min(f64::MAX);
        now = at;
        rate = f64::max(rate + change, 0.0);
    }
    if rate > 0.0 { now + left / rate } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: f64 = f64::INFINITY;

    fn up(from: f64, to: f64, rate: f64) -> Uplink {
        Uplink { from, to, rate }
    }

    #[test]
    fn uplinks_that_stay_add_up() {
        assert_eq!(when(&[up(0.0, FOREVER, 2.0), up(0.0, FOREVER, 3.0)], 0.0, 10.0), 2.0);
        assert_eq!(when(&[up(0.0, FOREVER, FOREVER)], 0.0, 10.0), 0.0);
    }

    #[test]
    fn an_uplink_counts_while_it_is_there() {
        let uplinks = [up(0.0, 4.0, 1.0), up(2.0, FOREVER, 1.0)];
        // Two seconds of one, two of both, and the other alone.
        assert_eq!(when(&uplinks, 0.0, 8.0), 6.0);
        assert_eq!(when(&uplinks, 3.0, 3.0), 5.0);
        assert_eq!(when(&uplinks[..1], 0.0, 4.5), FOREVER);
        assert_eq!(when(&uplinks[1..], 0.0, 1.0), 3.0);
        assert_eq!(when(&[], 0.0, 1.0), FOREVER);
    }
}
