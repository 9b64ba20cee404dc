//! Progress of torrents in a session, in the way that was asked for.
//!
//! It is called with views and the time as often as anything may have changed, and decides itself when something is
//! to be written: bars at once, a plain line every ten seconds, an object every second.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::bar::Layout;
use super::screen::{Mode, Screen};
use super::view::{Phase, View};
use super::{json, plain};

/// Between two plain lines of a torrent.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Between two objects of a torrent.
const JSON_EVERY: Duration = Duration::from_secs(1);
/// Torrents that get plain lines of their own every ten seconds; beyond, only the total does.
const PLAIN_EACH: usize = 10;

/// Something that happened to a torrent, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Milestone {
    /// Data that is there is hashed.
    Checking,
    /// Peers are looked for.
    Started,
    /// The last piece came.
    Complete,
    /// It only uploads now.
    Seeding,
}

impl Milestone {
    /// Its name in JSON.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Started => "started",
            Self::Complete => "complete",
            Self::Seeding => "seeding",
        }
    }
}

/// What a torrent was added for, as far as it passes other milestones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// To be seeded.
    Seed,
    /// To be downloaded, and no more.
    Download,
    /// To be downloaded and then seeded.
    DownloadAndSeed,
}

/// Which milestones one torrent has passed. Phases that are too short to be seen are passed all the same.
#[derive(Debug)]
pub(crate) struct Milestones {
    course: Course,
    passed: Vec<Milestone>,
}

impl Milestones {
    /// None yet, on this course.
    pub(crate) fn new(course: Course) -> Self {
        Self { course, passed: Vec::new() }
    }

    /// What is passed newly in this phase, in order.
    pub(crate) fn look(&mut self, phase: Phase) -> Vec<Milestone> {
        let reached: &[Milestone] = match (phase, self.course) {
            (Phase::Checking, _) => &[Milestone::Checking],
            (Phase::Downloading, _) => &[Milestone::Started],
            (Phase::Seeding, Course::Seed) => &[Milestone::Seeding],
            (Phase::Seeding, Course::Download) => &[Milestone::Started, Milestone::Complete],
            (Phase::Seeding, Course::DownloadAndSeed) => {
                &[Milestone::Started, Milestone::Complete, Milestone::Seeding]
            }
            _ => &[],
        };
        let new: Vec<_> = reached.iter().copied().filter(|one| !self.passed.contains(one)).collect();
        self.passed.extend(&new);
        new
    }
}

/// Shows torrents.
pub(crate) struct Display {
    screen: Screen,
    bars: Vec<ProgressBar>,
    phases: Vec<Phase>,
    written: Option<Instant>,
}

impl Display {
    /// A display on this screen.
    pub(crate) fn new(screen: Screen) -> Self {
        Self { screen, bars: Vec::new(), phases: Vec::new(), written: None }
    }

    /// Shows these torrents, always as many and in the same order.
    pub(crate) fn update(&mut self, views: &[View], now: Instant) {
        let due = |every| self.written.is_none_or(|at| now.saturating_duration_since(at) >= every);
        match self.screen.mode() {
            Mode::None => {}
            Mode::Bar => self.draw(views),
            Mode::Plain => {
                let all = due(PLAIN_EVERY);
                for (at, view) in views.iter().enumerate() {
                    // What went wrong was told once, as an error.
                    if view.phase == Phase::Failed {
                        continue;
                    }
                    let changed = self.phases.get(at) != Some(&view.phase);
                    if changed || (all && views.len() <= PLAIN_EACH) {
                        self.screen.raw_line(&plain::line(view));
                    }
                }
                if all && views.len() > 1 {
                    self.screen.raw_line(&plain::line(&View::total_of(views)));
                }
                if all {
                    self.written = Some(now);
                }
                self.phases = views.iter().map(|view| view.phase).collect();
            }
            Mode::Json => {
                if due(JSON_EVERY) {
                    self.objects(views);
                    self.written = Some(now);
                }
            }
        }
    }

    /// Writes an object for each torrent now.
    pub(crate) fn objects(&self, views: &[View]) {
        if self.screen.mode() == Mode::Json {
            views.iter().for_each(|view| self.screen.raw_line(&json::progress(view)));
        }
    }

    fn draw(&mut self, views: &[View]) {
        let (columns, rows) = self.screen.size();
        let lines = lines(views, columns, rows, self.screen.style());
        while self.bars.len() < lines.len() {
            self.bars.push(self.screen.add_bar());
        }
        for bar in self.bars.drain(lines.len()..) {
            bar.finish_and_clear();
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&mut self) {
        self.bars.drain(..).for_each(|bar| bar.finish_and_clear());
        self.screen.clear_bars();
    }
}

/// The lines of all bars: as many torrents as the screen has rows for, those that move first, and a total.
fn lines(views: &[View], columns: usize, rows: usize, style: super::style::Style) -> Vec<String> {
    // A row stays free below the bars, and another above them for what went before.
    let room = rows.saturating_sub(2).max(1);
    let mut shown: Vec<&View> = views.iter().collect();
    let needs_total = views.len() > 1;
    let places = if needs_total { room.saturating_sub(1) } else { room };
    let hidden = if views.len() > places { views.len() - places.saturating_sub(1) } else { 0 };
    if hidden > 0 {
        let rank = |view: &View| (!view.moves(), view.phase == Phase::Seeding, view.phase == Phase::Stopped);
        shown.sort_by_key(|view| rank(view));
        shown.truncate(views.len() - hidden);
    }
    let total = needs_total.then(|| View::total_of(views));
    let names = shown.iter().map(|view| view.name.as_str()).chain(total.iter().map(|t| t.name.as_str()));
    let layout = Layout::new(columns, names);
    if let [lone] = views {
        return layout.lines(lone, room, style);
    }
    let mut lines: Vec<String> = shown.iter().map(|view| layout.line(view, style)).collect();
    if hidden > 0 {
        let text = super::size::cut(&format!("… and {hidden} more"), columns);
        lines.push(style.dim(&text));
    }
    lines.extend(total.iter().map(|total| layout.line(total, style)));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::size::width;
    use super::super::style::Style;
    use super::super::view::tests::download;
    use super::*;

    #[test]
    fn several_torrents_have_a_total_and_one_has_none() {
        let drawn = |views: &[View]| lines(views, 80, 24, Style::new(false));
        assert_eq!(drawn(&[download("a")]).len(), 1);
        let still = View { down: 0, up: 0, note: Some("why ".repeat(30)), ..download("a") };
        assert_eq!(drawn(std::slice::from_ref(&still)).len(), 3, "there is room to say why");
        assert_eq!(drawn(&[still.clone(), still]).len(), 3);
        let two = drawn(&[download("a"), download("b")]);
        assert_eq!(two.len(), 3);
        assert!(two[2].starts_with("total "));
    }

    #[test]
    fn h81_a_thousand_torrents_fit_on_a_small_terminal() {
        let views: Vec<_> = (0..1000).map(|n| download(&format!("torrent {n}"))).collect();
        for (columns, rows) in [(80, 24), (20, 5), (20, 1), (1, 1), (0, 0)] {
            let drawn = lines(&views, columns, rows, Style::new(false));
            assert!(drawn.len() <= rows.max(3), "{rows} rows: {}", drawn.len());
            assert!(drawn.iter().all(|line| width(line) <= columns), "{columns} columns: {drawn:?}");
        }
        assert_eq!(lines(&views, 80, 24, Style::new(false))[20], "… and 980 more");
    }

    #[test]
    fn a_milestone_is_passed_once_even_if_its_phase_was_not_seen() {
        let mut milestones = Milestones::new(Course::Download);
        assert_eq!(milestones.look(Phase::Checking), [Milestone::Checking]);
        assert_eq!(milestones.look(Phase::Checking), []);
        assert_eq!(milestones.look(Phase::Seeding), [Milestone::Started, Milestone::Complete]);
        assert_eq!(milestones.look(Phase::Seeding), []);
        assert_eq!(Milestones::new(Course::Seed).look(Phase::Seeding), [Milestone::Seeding]);
        let mut both = Milestones::new(Course::DownloadAndSeed);
        assert_eq!(both.look(Phase::Downloading), [Milestone::Started]);
        assert_eq!(both.look(Phase::Seeding), [Milestone::Complete, Milestone::Seeding]);
        assert_eq!(both.look(Phase::Seeding), []);
    }
}
