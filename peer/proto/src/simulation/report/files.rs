//! A run as tables that other programs read.

use std::fmt::Write as _;

use super::progress::Progress;
use crate::Time;
use crate::simulation::node::Node;
use crate::simulation::swarm::Swarm;

/// A line for each peer. Rates are bytes a second, 0 for no limit; times are seconds from the start, empty for never.
#[must_use]
pub fn peers_csv(swarm: &Swarm) -> String {
    let mut csv = "peer,role,up,down,joined,completed,left,downloaded,uploaded,wasted,bans\n".to_owned();
    let seconds = |at: Option<Time>| {
        at.map_or_else(String::new, |at| format!("{:.3}", at.saturating_since(Time::ZERO).as_secs_f64()))
    };
    for (index, node) in swarm.nodes.iter().enumerate() {
        let (host, totals) = (node.spec.host, node.totals());
        // Writing into a string cannot fail.
        let _ = writeln!(
            csv,
            "{index},{},{},{},{},{},{},{},{},{},{}",
            role(node),
            host.up.unwrap_or(0),
            host.down.unwrap_or(0),
            seconds(Some(node.joined)),
            seconds(node.completed),
            seconds(node.left),
            totals.downloaded,
            totals.uploaded,
            totals.wasted,
            node.banned.len(),
        );
    }
    csv
}

fn role(node: &Node) -> &'static str {
    match (node.spec.poisons, node.spec.complete, node.spec.gives()) {
        (true, ..) => "poisoner",
        (_, true, _) => "seed",
        (_, _, false) => "free-rider",
        _ if node.is_to_complete() => "leecher",
        _ => "leaver",
    }
}

/// A line for each look at the run: the time in seconds, the share of the uplinks' capacity that was used since the one
/// before, and the pieces of each peer.
#[must_use]
pub fn progress_csv(progress: &Progress) -> String {
    let peers = progress.samples.last().map_or(0, |sample| sample.nodes.len());
    let mut csv = "seconds,upload_use".to_owned();
    for peer in 0..peers {
        let _ = write!(csv, ",peer_{peer}");
    }
    csv.push('\n');
    for (sample, (at, share)) in progress.samples.iter().skip(1).zip(progress.upload_use()) {
        let _ = write!(csv, "{at:.3},{share:.4}");
        for state in &sample.nodes {
            let _ = write!(csv, ",{}", state.pieces);
        }
        csv.push('\n');
    }
    csv
}
