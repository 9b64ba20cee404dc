//! Logs of the libraries: to the screen, or to a file, there as lines for people or as JSON.
//!
//! Invariant: logs never go to stdout, and what a stranger chose is escaped in them. It logs nothing itself.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::output::date;
use crate::output::json::encode;
use crate::output::screen::Screen;

/// The target of what the screen has said already: only a file hears it again.
pub(crate) const SAID: &str = "shoal::said";

/// A file that lines go to. Clones are the same.
#[derive(Clone)]
pub(crate) struct LogFile(Arc<(PathBuf, Mutex<File>)>);

impl LogFile {
    /// Opens it to write behind what it has, and makes it if it is not there.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = open(&path)?;
        Ok(Self(Arc::new((path, Mutex::new(file)))))
    }

    /// Opens its path again, for whoever has moved it away. Lines go to the old one if that fails.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = open(&self.0.0)?;
        *self.lock() = file;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Where lines go.
enum Sink {
    Screen(Screen),
    File { file: LogFile, json: bool },
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
pub(crate) fn install(screen: &Screen, file: Option<LogFile>, json: bool, level: Level) {
    let sink = match file {
        Some(file) => Sink::File { file, json },
        None => Sink::Screen(screen.clone()),
    };
    let subscriber = tracing_subscriber::registry().with(Lines { level, sink });
    // Another one is there only if the library is run twice in a process; that one stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

impl<S: Subscriber> Layer<S> for Lines {
    /// What is below it costs a comparison, and is not even put together.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        // News and what was said are heard whatever the level.
        Some(LevelFilter::from_level(self.level.max(Level::INFO)))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (level, target) = (*metadata.level(), metadata.target());
        // Other people's libraries are heard only when much is asked for, and of them only what may matter.
        let ours =
            ["shoal", "peer", "tracker", "storage", "metainfo"].iter().any(|name| target.starts_with(name));
        let was_said = target == SAID;
        let is_news = target == tracker::NEWS && self.level >= Level::WARN;
        let is_wanted = match &self.sink {
            Sink::Screen(_) => !was_said && (is_news || level <= self.level),
            // What the screen was told is kept whatever the level.
            Sink::File { .. } => was_said || is_news || level <= self.level,
        };
        if !is_wanted || (!ours && (level > Level::WARN || self.level < Level::DEBUG)) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        match &self.sink {
            Sink::Screen(screen) => screen.log(level, &metainfo::display_safe(&line.0)),
            Sink::File { file, json } => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let when = date::rfc3339(since.unwrap_or_default());
                let line = match json {
                    true => encode(&Entry { time: &when, level: level.as_str(), target, message: &line.0 }),
                    false => format!("{when} {level:5} {target}: {}", metainfo::display_safe(&line.0)),
                };
                // A log that cannot be written must not stop the work.
                let _ = writeln!(file.lock(), "{line}");
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
