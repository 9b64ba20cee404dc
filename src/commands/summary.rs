//! What is said of a torrent at the end: time, average rates, ratio, peers.

use std::time::Duration;

use peer::{State, TorrentStats};
use serde::Serialize;

use super::files;
use crate::output::size::{TIE, cut, elapsed, percent, plural, rate, size, size_of};
use crate::output::style::Style;
use crate::output::view::View;

/// Torrents that get a line of their own; beyond, only the total does.
const EACH: usize = 20;

/// What is remembered of one torrent for its summary.
#[derive(Debug, Default)]
pub(super) struct Record {
    most_peers: usize,
    active: Duration,
    /// Time since it was added at which its data had been checked.
    started: Option<Duration>,
    /// Time since it was added at which it was complete.
    completed: Option<Duration>,
    /// Whether something is to come: before that, and again if a part of it is lost.
    lacks: bool,
    failed: bool,
    /// Whether it was brought to be seeded, and nothing is fetched.
    is_seed: bool,
    /// Where it is before it has begun.
    before: Before,
}

/// What comes before a torrent begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// It is looked for.
    Found,
    /// Its data is hashed.
    #[default]
    Checked,
}

impl Record {
    /// Of one that is to be fetched, or else is only seeded.
    pub(super) fn new(fetches: bool) -> Self {
        Self { is_seed: !fetches, ..Self::default() }
    }

    /// Remembers what will be gone later.
    pub(super) fn look(&mut self, stats: &TorrentStats) {
        self.most_peers = self.most_peers.max(stats.most_peers);
        match stats.state {
            State::FetchingMetadata => self.before = Before::Found,
            State::Checking => self.before = Before::Checked,
            State::Stopped => {}
            State::Failed(_) => self.failed = true,
            _ => {
                self.started.get_or_insert(stats.active);
            }
        }
        self.active = self.active.max(stats.active);
        self.lacks = stats.done_bytes < stats.total_bytes;
    }

    /// Whether anybody was ever connected, if only between two looks.
    pub(super) fn has_met_anyone(&self) -> bool {
        self.most_peers > 0
    }

    /// It is complete now.
    pub(super) fn complete(&mut self, stats: &TorrentStats) {
        self.completed.get_or_insert(stats.active);
    }

    /// Whether it was downloaded to its end, and all of it is still there.
    fn is_complete(&self) -> bool {
        self.completed.is_some() && !self.lacks
    }

    /// Whether all of it is there, as far as is known: of a magnet link that found no torrent nothing is, and of what the
    /// disk refused something is not.
    fn has_all(&self, view: &View) -> bool {
        self.started.is_some() && !self.failed && view.done == view.total
    }

    /// Whether nothing more comes of it: it is complete, or has failed for good.
    pub(super) fn is_over(&self) -> bool {
        self.is_complete() || self.failed
    }

    /// How long bytes could move, of a download until it was complete.
    fn moving(&self) -> Duration {
        self.completed.unwrap_or(self.active).saturating_sub(self.started.unwrap_or_default())
    }
}

/// One torrent's end, for `--json`.
#[derive(Serialize)]
pub(super) struct Outcome<'a> {
    name: &'a str,
    info_hash_v1: &'a str,
    info_hash_v2: Option<&'a str>,
    complete: bool,
    done_bytes: u64,
    total_bytes: u64,
    downloaded_bytes: u64,
    uploaded_bytes: u64,
    seconds: f64,
    most_peers: usize,
}

/// What `--json` prints of a torrent.
pub(super) fn result<'a>(view: &'a View, record: &Record) -> Outcome<'a> {
    Outcome {
        name: &view.raw_name,
        info_hash_v1: &view.info_hash,
        info_hash_v2: None,
        complete: record.has_all(view),
        done_bytes: view.done,
        total_bytes: view.total,
        downloaded_bytes: view.downloaded,
        uploaded_bytes: view.uploaded,
        seconds: record.moving().as_secs_f64(),
        most_peers: record.most_peers,
    }
}

/// The lines of all torrents, and of their total if there are several.
///
/// Numbers and their units are tied, so that wrapping leaves them together; `columns` is what a name may take.
pub(super) fn lines(views: &[View], records: &[&Record], columns: usize, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if views.len() <= EACH {
        lines.extend(
            views.iter().zip(records).filter_map(|(view, record)| line(view, record, columns, style)),
        );
    }
    if views.len() > 1 {
        let total = View::total_of(views);
        let slowest = records.iter().map(|record| record.moving()).max().unwrap_or_default();
        let complete = views.iter().zip(records).filter(|(view, record)| record.has_all(view)).count();
        let (down, up) = (size(total.downloaded), size(total.uploaded));
        lines.push(format!(
            "{}: {complete} of {} complete, received {down}, sent {up} in {}",
            style.bold("total"),
            views.len(),
            elapsed(slowest),
        ));
    }
    lines
}

/// One torrent's line; none for one whose error was told.
fn line(view: &View, record: &Record, columns: usize, style: Style) -> Option<String> {
    if record.failed {
        return None;
    }
    let again = "run the same command again to go on";
    if record.started.is_none() {
        let name = style.bold(&cut(&view.name, columns));
        return Some(match record.before {
            Before::Found => format!("{name}: stopped before its torrent was found; {again}"),
            Before::Checked => format!("{name}: stopped before its data was checked; {again}"),
        });
    }
    let time = record.moving();
    let average = |bytes: u64| {
        // Less than a millisecond is no time to divide by.
        let millis = time.as_millis().max(1);
        tied(&rate(u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)))
    };
    let mut name = style.bold(&cut(&view.name, columns));
    if let Some(selected) = view.selected {
        name = format!("{name} ({})", tied(&files::share(selected)));
    }
    let peers = tied(&plural(record.most_peers as u64, "peer"));
    // The word and its number belong together too.
    let ratio = tied(&format!("ratio {}", view.ratio()));
    let mark = style.green("✓");
    Some(if record.is_complete() && view.downloaded == 0 {
        format!("{mark} {name}: {} was complete already", size(view.total))
    } else if record.is_complete() {
        let (down, up) = (average(view.downloaded), average(view.uploaded));
        let (size, time) = (tied(&size(view.total)), tied(&elapsed(time)));
        format!("{mark} {name}: {size} in {time}, average ↓{down} ↑{up}, {ratio}, {peers}")
    } else if view.done == view.total || record.is_seed {
        let (sent, time) = (tied(&size(view.uploaded)), tied(&elapsed(time)));
        let up = average(view.uploaded);
        let rest = format!("for {time}, sent {sent}, average ↑{up}, {ratio}, {peers}");
        if view.done == view.total {
            format!("{mark} {name}: seeded {rest}")
        } else {
            // What was lost of it was told when it was.
            let (share, sizes) = (percent(view.done, view.total), tied(&size_of(view.done, view.total)));
            format!("{name}: seeded {rest}; {share}% of it ({sizes}) was offered at the end")
        }
    } else {
        let (share, sizes) = (percent(view.done, view.total), size_of(view.done, view.total));
        format!("{name}: stopped at {share}% ({sizes}); {again}")
    })
}

/// The text with its spaces tied, see [`crate::output::size::wrap`].
fn tied(text: &str) -> String {
    text.replace(' ', &TIE.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::view::tests::download;

    fn drawn(views: &[View], records: &[&Record]) -> Vec<String> {
        let lines = lines(views, records, 80, Style::new(false));
        lines.iter().map(|line| line.replace(TIE, " ")).collect()
    }

    fn record(completed: Option<u64>) -> Record {
        Record {
            most_peers: 9,
            active: Duration::from_secs(50),
            started: Some(Duration::from_secs(2)),
            completed: completed.map(Duration::from_secs),
            lacks: completed.is_none(),
            failed: false,
            is_seed: false,
            before: Before::Checked,
        }
    }

    #[test]
    fn a_download_is_summed_up_from_the_end_of_checking_to_its_completion() {
        let mut view = download("a.bin");
        (view.done, view.downloaded) = (view.total, view.total);
        let drawn = drawn(&[view], &[&record(Some(42))]);
        assert_eq!(
            drawn,
            ["✓ a.bin: 1.9 GiB in 40.0 s, average ↓48.6 MiB/s ↑2.4 MiB/s, ratio 0.05, 9 peers"]
        );
    }

    #[test]
    fn a_download_that_was_complete_and_has_lost_a_part_is_stopped_like_any_other() {
        let lacking = Record { lacks: true, ..record(Some(42)) };
        assert!(!lacking.is_over());
        let drawn = drawn(&[download("a.bin")], &[&lacking]);
        assert_eq!(drawn, ["a.bin: stopped at 63% (1.2/1.9 GiB); run the same command again to go on"]);
    }

    #[test]
    fn a_seed_that_has_lost_a_part_says_what_it_had_at_the_end() {
        let seed = Record { is_seed: true, ..record(None) };
        let drawn = drawn(&[download("a.bin")], &[&seed]);
        let due = "a.bin: seeded for 48.0 s, sent 95.4 MiB, average ↑2.0 MiB/s, ratio 0.05, 9 peers; 63% of it \
                   (1.2/1.9 GiB) was offered at the end";
        assert_eq!(drawn, [due]);
    }

    #[test]
    fn of_chosen_files_it_is_said_how_many_there_are() {
        let mut view = download("a");
        (view.done, view.downloaded, view.selected) = (view.total, view.total, Some((2, 5)));
        let drawn = drawn(&[view], &[&record(Some(42))]);
        assert!(drawn[0].starts_with("✓ a (2 of 5 files): 1.9 GiB in 40.0 s, "), "{drawn:?}");
    }

    #[test]
    fn who_was_met_is_remembered_after_they_left() {
        assert!(!Record::default().has_met_anyone());
        assert!(Record { most_peers: 1, ..Record::default() }.has_met_anyone());
    }

    #[test]
    fn an_interrupted_download_says_how_to_go_on() {
        let drawn = drawn(&[download("a.bin")], &[&record(None)]);
        assert_eq!(drawn, ["a.bin: stopped at 63% (1.2/1.9 GiB); run the same command again to go on"]);
    }

    #[test]
    fn one_that_had_not_begun_says_where_it_was() {
        let looking = Record { started: None, before: Before::Found, ..record(None) };
        let checking = Record { started: None, ..record(None) };
        let drawn = |record| drawn(&[download("a")], &[record]).remove(0);
        let again = "run the same command again to go on";
        assert_eq!(drawn(&looking), format!("a: stopped before its torrent was found; {again}"));
        assert_eq!(drawn(&checking), format!("a: stopped before its data was checked; {again}"));
    }

    #[test]
    fn several_have_a_total_and_many_have_nothing_else() {
        let (views, one) = (vec![download("a"); 21], record(None));
        assert_eq!(drawn(&views, &[&one; 21]).len(), 1);
        assert_eq!(drawn(&views[..2], &[&one; 2]).len(), 3);
    }
}
