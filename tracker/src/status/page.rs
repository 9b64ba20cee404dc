//! The page as it is first sent, with all its numbers in place.
//!
//! Invariant: whatever is put in is escaped, so that it is text wherever it stands.

use std::fmt::Write as _;

use super::figures::{Busy, Figures};
use super::text::{bytes, duration, escape, grouped, latency, rate};

/// The page with places such as `{{swarms}}`.
const TEMPLATE: &str = include_str!("page.html");

pub(super) fn write(figures: &Figures) -> String {
    let mut page = String::with_capacity(TEMPLATE.len() + (8 << 10));
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (place, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        match place {
            "busiest" => busiest(&mut page, figures),
            "requests" => requests(&mut page, figures),
            "details" => details(&mut page, figures),
            _ => page.push_str(&escape(&value(figures, place).unwrap_or_default())),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// What stands at a place; nothing where there is no such place.
fn value(figures: &Figures, place: &str) -> Option<String> {
    let (now, peers) = (&figures.now, &figures.peers);
    let count = |count: usize| grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let sum = |[http, udp]: [f32; 2]| rate(http + udp);
    Some(match place {
        "state" => if figures.ready { "up" } else { "starting" }.to_owned(),
        "state-text" => if figures.ready { "Answering requests" } else { "Not answering yet" }.to_owned(),
        "version" => figures.version.to_owned(),
        "uptime" => duration(std::time::Duration::from_secs_f64(figures.uptime.max(0.0))),
        "announces" => sum(now.announces),
        "announces-http" => format!("HTTP {}", rate(now.announces[0])),
        "announces-udp" => format!("UDP {}", rate(now.announces[1])),
        "scrapes" => sum(now.scrapes),
        "scrapes-http" => format!("HTTP {}", rate(now.scrapes[0])),
        "scrapes-udp" => format!("UDP {}", rate(now.scrapes[1])),
        "peers" => count(peers.all),
        "seeds" => format!("seeds {}", count(peers.seeds)),
        "leechers" => format!("leechers {}", count(peers.leechers)),
        "swarms" => count(figures.swarms),
        "swarms-size" => format!("{} peers each", mean(peers.all, figures.swarms)),
        "p50" => latency(now.p50),
        "p99" => latency(now.p99),
        "memory" => bytes(figures.memory.used),
        "memory-limit" => bytes(figures.memory.limit),
        "memory-used-bytes" => figures.memory.used.to_string(),
        "memory-share" => percent(figures.memory.used, figures.memory.limit),
        "memory-limit-bytes" => figures.memory.limit.max(1).to_string(),
        _ => return None,
    })
}

/// Of a whole, as a length of a bar.
fn percent(part: usize, whole: usize) -> String {
    let hundredths = part.saturating_mul(10_000).checked_div(whole).unwrap_or_default().min(10_000);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// With one decimal.
fn mean(all: usize, of: usize) -> String {
    let tenths = all.saturating_mul(10).checked_div(of).unwrap_or_default();
    if tenths >= 1000 {
        grouped(u64::try_from(tenths / 10).unwrap_or(u64::MAX))
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

// Writing to a String cannot fail.

fn busiest(page: &mut String, figures: &Figures) {
    let size = |swarm: &Busy| swarm.seeders as usize + swarm.leechers as usize;
    let largest = figures.busiest.iter().map(size).max().unwrap_or_default();
    for swarm in &figures.busiest {
        let hash = escape(&swarm.info_hash);
        let [seeds, rest] = [swarm.seeders, swarm.leechers].map(|count| percent(count as usize, largest));
        let _ = write!(page, "<tr><th scope=\"row\"><code title=\"{hash}\">{hash}</code>");
        let _ = write!(
            page,
            "<svg class=\"share\" aria-hidden=\"true\"><rect height=\"100%\" width=\"{seeds}\"/>"
        );
        let _ = write!(page, "<rect height=\"100%\" x=\"{seeds}\" width=\"{rest}\"/></svg></th>");
        for number in [swarm.seeders, swarm.leechers, swarm.completed] {
            let _ = write!(page, "<td>{}</td>", grouped(number.into()));
        }
        page.push_str("</tr>");
    }
}

fn requests(page: &mut String, figures: &Figures) {
    page.push_str("<thead><tr><td></td>");
    for outcome in &figures.requests.outcomes {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(outcome));
    }
    page.push_str("</tr></thead><tbody>");
    for row in &figures.requests.rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escape(&row.label));
        for count in &row.counts {
            let _ = write!(page, "<td>{}</td>", grouped(*count));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody>");
}

fn details(page: &mut String, figures: &Figures) {
    for detail in &figures.details {
        let class = if detail.warning { " class=\"warning\"" } else { "" };
        let (label, value) = (escape(detail.label), escape(&detail.value));
        let _ = write!(page, "<div{class}><dt>{label}</dt><dd>{value}</dd></div>");
    }
}
