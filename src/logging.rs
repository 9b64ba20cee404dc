//! Logs of the libraries: to the screen, or to a file, there as lines for people or as JSON.
//!
//! Invariant: logs never go to stdout, and what a stranger chose is escaped in them. It logs nothing itself.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::output::json::encode;
use crate::output::screen::Screen;

/// The target of what the screen has said already: only a file hears it again.
pub(crate) const SAID: &str = "shoal::said";

/// Where lines go.
enum Sink {
    Screen(Screen),
    File { file: Mutex<File>, json: bool },
}

/// A line of a file as JSON.
#[derive(Serialize)]
struct Entry<'a> {
    time: &'a str,
    level: &'a str,
    target: &'a str,
    message: &'a str,
}

struct Lines {
    level: Level,
    sink: Sink,
}

/// The least important level that is logged.
pub(crate) fn level(quiet: bool, verbose: u8) -> Level {
    match (quiet, verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, 2) => Level::DEBUG,
        (false, _) => Level::TRACE,
    }
}

/// Logs what the whole process says from here on, to a file as `json` if that is asked for. Without effect the second
/// time.
pub(crate) fn install(screen: &Screen, file: Option<File>, json: bool, level: Level) {
    let sink = match file {
        Some(file) => Sink::File { file: Mutex::new(file), json },
        None => Sink::Screen(screen.clone()),
    };
    let subscriber = tracing_subscriber::registry().with(Lines { level, sink });
    // Another one is there only if the library is run twice in a process; that one stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

impl<S: Subscriber> Layer<S> for Lines {
    /// What is below it costs a comparison, and is not even put together.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        let least = match &self.sink {
            Sink::Screen(_) => self.level,
            Sink::File { .. } => self.level.max(Level::INFO),
        };
        Some(LevelFilter::from_level(least))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (level, target) = (*metadata.level(), metadata.target());
        // Other people's libraries are heard only when much is asked for, and of them only what may matter.
        let ours =
            ["shoal", "peer", "tracker", "storage", "metainfo"].iter().any(|name| target.starts_with(name));
        let was_said = target == SAID;
        let is_wanted = match &self.sink {
            Sink::Screen(_) => !was_said && level <= self.level,
            // What the screen was told is kept whatever the level.
            Sink::File { .. } => was_said || level <= self.level,
        };
        if !is_wanted || (!ours && (level > Level::WARN || self.level < Level::DEBUG)) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        match &self.sink {
            Sink::Screen(screen) => screen.log(level, &metainfo::display_safe(&line.0)),
            Sink::File { file, json } => {
                let seconds = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
                let when = crate::output::date::utc(seconds);
                let line = match json {
                    true => encode(&Entry { time: &when, level: level.as_str(), target, message: &line.0 }),
                    false => format!("{when} {level:5} {target}: {}", metainfo::display_safe(&line.0)),
                };
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                // A log that cannot be written must not stop the work.
                let _ = writeln!(file, "{line}");
            }
        }
    }
}

/// The message, then `name=value` for each field.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let separator = if self.0.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.0, "{value}"),
            name => write!(self.0, "{separator}{name}={value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_and_verbose_choose_the_level() {
        assert_eq!(
            [0, 1, 2, 3].map(|v| level(false, v)),
            [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
        );
        assert_eq!(level(true, 2), Level::ERROR);
    }
}
