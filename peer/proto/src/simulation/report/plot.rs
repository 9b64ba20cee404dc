//! A run as a picture: how far each peer was when, and how much of all uplinks was used.

use std::fmt::Write as _;

use super::fluid_bound;
use super::progress::Progress;
use crate::simulation::swarm::Swarm;

/// Of the plot's area, without its margins.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
/// On each side, for the axes' numbers.
const MARGIN: f64 = 40.0;

/// More lines than this are a smear and a large file.
const MOST_LINES: usize = 100;

/// An SVG picture. A line for each peer, for some of them where there are many; the uplinks' use as an area behind them;
/// the bound as a dashed line.
#[must_use]
pub fn plot(swarm: &Swarm, progress: &Progress, title: &str) -> String {
    let bound = fluid_bound(swarm);
    let end = progress.samples.last().map_or(0.0, |sample| sample.at).max(if bound.is_finite() {
        bound
    } else {
        0.0
    });
    let x = |at: f64| MARGIN + WIDTH * at / end.max(f64::MIN_POSITIVE);
    let y = |share: f64| MARGIN + HEIGHT * (1.0 - share.clamp(0.0, 1.0));
    let (wide, high) = (WIDTH + 2.0 * MARGIN, HEIGHT + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{wide}\" height=\"{high}\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\">{}</text>\n",
        escaped(title)
    );

    let _ = write!(svg, "<path fill=\"#dde6f0\" d=\"M{:.1} {:.1}", x(0.0), y(0.0));
    for (at, share) in progress.upload_use() {
        let _ = write!(svg, "V{:.1}H{:.1}", y(share), x(at));
    }
    let _ = writeln!(svg, "V{:.1}Z\"><title>share of all uplinks in use</title></path>", y(0.0));

    let pieces = f64::from(swarm.geometry().piece_count().max(1));
    let shown: Vec<usize> = (0..swarm.nodes.len()).filter(|&node| !swarm.nodes[node].spec.complete).collect();
    for &node in shown.iter().step_by(shown.len().div_ceil(MOST_LINES).max(1)) {
        let colour = if !swarm.nodes[node].spec.gives() {
            "#c0392b"
        } else if swarm.nodes[node].is_to_complete() {
            "#1f5f99"
        } else {
            "#999999"
        };
        let points: String = progress
            .of(node)
            .filter(|(_, state)| state.alive)
            .map(|(at, state)| format!("{:.1},{:.1} ", x(at), y(f64::from(state.pieces) / pieces)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.5\" points=\"{}\"/>",
            points.trim_end()
        );
    }

    if bound.is_finite() {
        let _ = writeln!(
            svg,
            "<path stroke=\"black\" stroke-dasharray=\"4\" d=\"M{0:.1} {1:.1}V{2:.1}\"/>\n<text x=\"{0:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">bound</text>",
            x(bound),
            y(0.0),
            y(1.0),
            y(1.0) - 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<path stroke=\"black\" fill=\"none\" d=\"M{0:.1} {1:.1}V{2:.1}H{3:.1}\"/>",
        x(0.0),
        y(1.0),
        y(0.0),
        x(end)
    );
    for tick in 0..=4u8 {
        let share = f64::from(tick) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.1} s</text>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}%</text>",
            x(share * end),
            y(0.0) + 16.0,
            share * end,
            x(0.0) - 4.0,
            y(share) + 4.0,
            100.0 * share
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
