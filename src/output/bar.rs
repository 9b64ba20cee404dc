//! The bar: one line a torrent, as wide as the terminal. Only why nothing moves may take lines of its own, where there is
//! one torrent and the line is too narrow for it.
//!
//! Invariant: a line never takes more columns than it is given. What does not fit is left out, the least important
//! first, and the name and the bar keep their places while numbers change, so that nothing jumps.
//!
//! It draws nothing on the screen: [`super::screen`] does.

use super::size::{cut, duration, fit, percent, rate, size, size_of, width, wrap};
use super::style::Style;
use super::view::{Phase, View};

/// The narrowest name that still tells torrents apart.
const NAME_MIN: usize = 6;
/// The widest name: the rest is better spent on the bar.
const NAME_MAX: usize = 32;
/// Cells between the ends of the narrowest bar that tells anything.
const BAR_MIN: usize = 4;
/// Cells between the ends of the widest bar: a longer one says no more.
const BAR_MAX: usize = 30;
/// Columns of `▕`, `▏` and the spaces and percent around them: ` ▕…▏100%`.
const AROUND_BAR: usize = 7;
/// Columns that the numbers of a common download take: ` 1.2/1.9 GiB ↓12.3 MiB/s`.
const COMMON_NUMBERS: usize = 25;
/// What a note below the bar begins with.
const INDENT: &str = "  ";
/// Columns that the rest takes: ` ↑1.1 MiB/s ETA 41s peers 9 (4 seeds)`, and a little for longer numbers.
const OTHER_NUMBERS: usize = 40;

/// Where name and bar end, the same for all lines on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    columns: usize,
    name: usize,
    /// Cells between the ends; 0 is no bar.
    bar: usize,
}

impl Layout {
    /// The layout for these names in so many columns.
    pub(crate) fn new<'a>(columns: usize, names: impl IntoIterator<Item = &'a str>) -> Self {
        let longest = names.into_iter().map(width).max().unwrap_or(0).min(NAME_MAX);
        // A name is shortened first to what a sixth of the line holds: the numbers of a download then fit beside it on
        // a terminal of 80 columns.
        let name = longest.min(NAME_MIN.max(columns / 6)).min(columns);
        let left = columns.saturating_sub(name + AROUND_BAR + COMMON_NUMBERS);
        let bar = match columns {
            // Wide enough for everything: the bar takes what the other numbers leave.
            100.. => left.saturating_sub(OTHER_NUMBERS).clamp(10, BAR_MAX),
            45.. => 7,
            _ => BAR_MIN,
        };
        let bar =
            if columns < name + AROUND_BAR + BAR_MIN { 0 } else { bar.min(columns - name - AROUND_BAR) };
        // What is left of a wide line goes to names that were cut.
        let spare = columns.saturating_sub(name + bar + AROUND_BAR + COMMON_NUMBERS + OTHER_NUMBERS);
        Self { columns, name: longest.min(name + spare), bar }
    }

    /// The lines, `rows` at most, of a torrent that has the screen to itself: a note that does not fit stands below.
    pub(crate) fn lines(&self, view: &View, rows: usize, style: Style) -> Vec<String> {
        let line = self.line(view, style);
        let note = view.note.as_deref().filter(|note| shows_note(view) && !line.contains(note));
        let Some(note) = note.filter(|_| rows > 1) else { return vec![line] };
        let mut lines = vec![self.line(&View { note: None, ..view.clone() }, style)];
        let below = wrap(note, self.columns.saturating_sub(INDENT.len()));
        let paint = if view.phase == Phase::Failed { Style::red } else { Style::yellow };
        lines.extend(below.iter().take(rows - 1).map(|text| {
            // Words that are wider than the terminal, such as addresses, are cut.
            paint(style, &cut(&format!("{INDENT}{}", text.trim_start()), self.columns))
        }));
        lines
    }

    /// One line.
    pub(crate) fn line(&self, view: &View, style: Style) -> String {
        let mut line = style.bold(&fit(&view.name, self.name));
        let mut used = self.name;
        if self.bar > 0 {
            let paint = match view.phase {
                Phase::Seeding if view.has_lost_some() => Style::yellow,
                Phase::Seeding => Style::green,
                Phase::Failed => Style::red,
                Phase::Making | Phase::Asking | Phase::Checking => Style::yellow,
                Phase::Downloading | Phase::Stopped => Style::cyan,
            };
            let (done, total) = if view.phase == Phase::Asking { (0, 1) } else { (view.done, view.total) };
            let cells = paint(style, &cells(done, total, self.bar));
            line.push_str(&format!(" ▕{cells}▏"));
            used += self.bar + 3;
        }
        let percent = format!("{:>3}%", percent(view.done, view.total));
        if view.phase != Phase::Asking && used + width(&percent) <= self.columns {
            used += width(&percent);
            line.push_str(&percent);
        }
        for (text, paint) in fitting(parts(view), self.columns.saturating_sub(used)) {
            line.push(' ');
            line.push_str(&paint(style, &text));
        }
        line
    }
}

type Paint = fn(Style, &str) -> String;

/// A part of the line after the bar.
struct Part {
    text: String,
    /// The part with the highest is left out first.
    rank: u8,
    /// Whether it may be cut instead of left out.
    may_be_cut: bool,
    paint: Paint,
}

impl Part {
    fn new(rank: u8, text: String) -> Self {
        Self { text, rank, may_be_cut: false, paint: |_, text| text.to_owned() }
    }

    fn painted(rank: u8, text: String, paint: Paint) -> Self {
        Self { paint, ..Self::new(rank, text) }
    }

    fn sentence(rank: u8, text: &str, paint: Paint) -> Self {
        Self { may_be_cut: true, ..Self::painted(rank, text.to_owned(), paint) }
    }
}

/// Whether the note is what is to be told of it now.
fn shows_note(view: &View) -> bool {
    match view.phase {
        Phase::Asking | Phase::Failed => true,
        Phase::Downloading => !view.moves(),
        Phase::Seeding => !view.moves() && view.peers == 0,
        Phase::Making | Phase::Checking | Phase::Stopped => false,
    }
}

/// What stands after the bar, in its order.
fn parts(view: &View) -> Vec<Part> {
    let sizes = Part::new(3, size_of(view.done, view.total));
    let up = |rank| Part::new(rank, format!("↑{}", rate(view.up)));
    let eta = |rank| view.eta.map(|eta| Part::new(rank, format!("ETA {}", duration(eta))));
    let peers = |rank| Part::new(rank, format!("peers {}", view.peers));
    match view.phase {
        Phase::Asking => {
            let note = view.note.as_deref().unwrap_or("looking for the torrent");
            vec![Part::sentence(1, note, Style::yellow)]
        }
        Phase::Making | Phase::Checking => {
            let verb = if view.phase == Phase::Making { "making" } else { "checking" };
            let speed = (view.down > 0).then(|| Part::new(4, rate(view.down)));
            [Some(Part::painted(1, verb.to_owned(), Style::yellow)), Some(sizes), speed, eta(5)]
                .into_iter()
                .flatten()
                .collect()
        }
        Phase::Downloading => match view.note.as_deref().filter(|_| shows_note(view)) {
            Some(note) => vec![sizes, Part::sentence(1, note, Style::yellow)],
            None => {
                let seeds = Part::painted(
                    7,
                    format!("({})", super::size::plural(view.seeds as u64, "seed")),
                    Style::dim,
                );
                let down = Part::new(1, format!("↓{}", rate(view.down)));
                [Some(sizes), Some(down), Some(up(5)), eta(2), Some(peers(6)), Some(seeds)]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        },
        Phase::Seeding => match view.note.as_deref().filter(|_| shows_note(view)) {
            Some(note) => {
                vec![
                    Part::painted(2, "seeding".to_owned(), Style::green),
                    Part::sentence(1, note, Style::yellow),
                ]
            }
            None => {
                let sent = Part::new(4, format!("sent {}", size(view.uploaded)));
                let ratio = Part::new(5, format!("ratio {}", view.ratio()));
                let seeding = Part::painted(2, "seeding".to_owned(), Style::green);
                let has = view.has_lost_some().then_some(sizes);
                [Some(seeding), has, Some(up(1)), Some(sent), Some(ratio), Some(peers(3))]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        },
        Phase::Stopped => vec![Part::new(1, "stopped".to_owned()), sizes],
        Phase::Failed => {
            vec![Part::sentence(1, view.note.as_deref().unwrap_or("failed"), Style::red)]
        }
    }
}

/// Leaves out, or cuts, what does not fit in so many columns, a space before each part counted.
fn fitting(mut parts: Vec<Part>, columns: usize) -> Vec<(String, Paint)> {
    let needed = |parts: &[Part]| parts.iter().map(|part| width(&part.text) + 1).sum::<usize>();
    loop {
        let over = needed(&parts).saturating_sub(columns);
        let Some((at, last)) = parts.iter().enumerate().max_by_key(|(_, part)| part.rank) else { break };
        if over == 0 {
            break;
        }
        let room = width(&last.text).saturating_sub(over);
        if last.may_be_cut && room > 1 {
            let shorter = cut(&last.text, room);
            parts[at].text = shorter;
            break;
        }
        parts.remove(at);
    }
    parts.into_iter().map(|part| (part.text, part.paint)).collect()
}

/// The inside of the bar, in eighths of a cell.
fn cells(done: u64, total: u64, cells: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let all = cells * 8;
    let filled = match total {
        0 => all,
        total => {
            let share = u128::from(done.min(total)) * all as u128 / u128::from(total);
            usize::try_from(share).unwrap_or(all)
        }
    };
    let mut out: String = std::iter::repeat_n('█', filled / 8).collect();
    if filled < all {
        out.push(EIGHTHS[filled % 8]);
    }
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(filled / 8 + 1)));
    out
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::download;
    use super::*;

    const PLAIN: Style = Style::new(false);

    /// A line on a terminal of so many columns, three of which stay free.
    fn drawn(columns: usize, view: &View) -> String {
        Layout::new(columns.saturating_sub(3), [view.name.as_str()]).line(view, PLAIN)
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        assert_eq!(
            drawn(120, &download("ubuntu.iso")),
            "ubuntu.iso ▕██████████████████▉           ▏ 63% 1.2/1.9 GiB ↓12.3 MiB/s ↑1.1 MiB/s ETA 41s peers 9 (4 seeds)"
        );
    }

    #[test]
    fn eighty_columns_show_the_line_of_the_contract() {
        assert_eq!(
            drawn(80, &download("ubuntu.iso")),
            "ubuntu.iso ▕████▍  ▏ 63% 1.2/1.9 GiB ↓12.3 MiB/s ↑1.1 MiB/s ETA 41s peers 9"
        );
        assert_eq!(
            drawn(82, &download("name")),
            "name ▕████▍  ▏ 63% 1.2/1.9 GiB ↓12.3 MiB/s ↑1.1 MiB/s ETA 41s peers 9 (4 seeds)"
        );
    }

    #[test]
    fn forty_columns_show_what_matters_most() {
        assert_eq!(drawn(40, &download("ubuntu.iso")), "ubunt… ▕██▌ ▏ 63% ↓12.3 MiB/s ETA 41s");
    }

    #[test]
    fn h81_no_line_is_wider_than_its_terminal() {
        let mut views =
            vec![download("a"), download("日本語のとても長い名前です.mkv"), download(&"x".repeat(300))];
        for phase in
            [Phase::Making, Phase::Asking, Phase::Checking, Phase::Seeding, Phase::Stopped, Phase::Failed]
        {
            views.push(View { phase, note: Some("no tracker answered".to_owned()), ..download("name.bin") });
        }
        let idle = View { down: 0, up: 0, peers: 0, ..download("idle.bin") };
        views.push(View { note: Some("nobody has connected yet: is port 6881 open?".to_owned()), ..idle });
        for view in &views {
            for columns in 0..200 {
                let line = drawn(columns, view);
                assert!(width(&line) <= columns.saturating_sub(3), "{columns} columns: {line}");
            }
        }
    }

    #[test]
    fn names_are_cut_on_a_character_and_bars_stay_in_line() {
        let views = [download("short"), download("日本語のとても長い名前です.mkv")];
        let layout = Layout::new(80, views.iter().map(|view| view.name.as_str()));
        let starts = views.each_ref().map(|view| {
            let line = layout.line(view, PLAIN);
            width(&line[..line.find('▕').unwrap()])
        });
        assert_eq!(starts[0], starts[1]);
        assert!(layout.line(&views[1], PLAIN).contains('…'));
    }

    #[test]
    fn when_nothing_moves_it_says_why() {
        let note = Some("12 peers, none has the missing pieces".to_owned());
        let view = View { down: 0, up: 0, note, ..download("a.bin") };
        assert_eq!(drawn(80, &view), "a.bin ▕████▍  ▏ 63% 1.2/1.9 GiB 12 peers, none has the missing pieces");
        assert_eq!(drawn(40, &view), "a.bin ▕██▌ ▏ 63% 12 peers, none has…");
    }

    #[test]
    fn a_note_that_does_not_fit_stands_below_the_bar_of_a_lone_torrent() {
        let note = Some("12 peers, none has the missing pieces".to_owned());
        let view = View { down: 0, up: 0, eta: None, note, ..download("a.bin") };
        let lines = |columns: usize, rows| Layout::new(columns - 3, ["a.bin"]).lines(&view, rows, PLAIN);
        assert_eq!(lines(80, 10), [drawn(80, &view)]);
        assert_eq!(
            lines(40, 10),
            ["a.bin ▕██▌ ▏ 63% 1.2/1.9 GiB ↓0 B/s", "  12 peers, none has the missing", "  pieces"]
        );
        assert_eq!(lines(40, 2).len(), 2);
        assert_eq!(lines(40, 1), [drawn(40, &view)], "there is no row for it");
    }

    #[test]
    fn h81_no_note_below_is_wider_than_its_terminal() {
        let note = format!("no tracker answered: http://{}/announce: no answer", "x".repeat(90));
        let view = View { phase: Phase::Asking, note: Some(note), ..download("日本語.mkv") };
        for columns in 0..120 {
            for line in Layout::new(columns, ["日本語.mkv"]).lines(&view, 5, PLAIN) {
                assert!(width(&line) <= columns, "{columns} columns: {line}");
            }
        }
    }

    #[test]
    fn a_link_whose_torrent_is_asked_for_has_no_percent() {
        let note = Some("asking 3 peers for the torrent".to_owned());
        let view = View { phase: Phase::Asking, done: 0, total: 0, down: 0, up: 0, note, ..download("a b") };
        assert_eq!(drawn(80, &view), "a b ▕       ▏ asking 3 peers for the torrent");
        assert_eq!(super::super::plain::line(&view), "a b: asking 3 peers for the torrent");
    }

    #[test]
    fn checking_making_and_seeding_look_like_themselves() {
        let phase = |phase| View { phase, ..download("a.bin") };
        assert!(drawn(80, &phase(Phase::Checking)).contains("63% checking 1.2/1.9 GiB"));
        assert!(drawn(80, &phase(Phase::Making)).contains("63% making 1.2/1.9 GiB"));
        assert_eq!(
            drawn(100, &phase(Phase::Seeding)),
            "a.bin ▕████▍  ▏ 63% seeding 1.2/1.9 GiB ↑1.1 MiB/s sent 95.4 MiB ratio 0.05 peers 9",
            "a part of it was lost"
        );
        let seeding = View { done: 2_040_109_466, ..phase(Phase::Seeding) };
        assert_eq!(
            drawn(90, &seeding),
            "a.bin ▕███████▏100% seeding ↑1.1 MiB/s sent 95.4 MiB ratio 0.05 peers 9"
        );
    }

    #[test]
    fn the_bar_is_full_only_when_all_is_done() {
        assert_eq!(cells(0, 100, 4), "    ");
        assert_eq!(cells(99, 100, 4), "███▉");
        assert_eq!(cells(100, 100, 4), "████");
        assert_eq!(cells(0, 0, 4), "████");
        assert_eq!(cells(u64::MAX, u64::MAX, 2), "██");
    }
}
