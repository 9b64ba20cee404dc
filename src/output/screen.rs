//! stderr: bars, lines above them, and logs, from several threads.
//!
//! Invariant: a line is whole, and is written above the bars, never through them. With `--progress json` every line
//! is one object. A stderr that is gone is no error: there is nobody left to tell.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::canvas::{Canvas, Shared};
use super::json;
use super::size::{TIE, wrap};
use super::style::{Style, without_styles};
use super::terminal::Terminal;
use super::view::View;
use crate::cli::ProgressKind;
use crate::logging::SAID;

/// Redraws a second: enough to look smooth, little to compute.
const REDRAWS: u8 = 10;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bars on the terminal.
    Bar,
    /// A line now and then.
    Plain,
    /// One object a line.
    Json,
    /// Not at all.
    None,
}

impl Mode {
    /// What was asked for, as far as stderr can show it.
    pub(crate) fn choose(kind: ProgressKind, quiet: bool, terminal: Terminal) -> Self {
        match kind {
            ProgressKind::Json => Self::Json,
            _ if quiet => Self::None,
            ProgressKind::None => Self::None,
            ProgressKind::Plain => Self::Plain,
            ProgressKind::Auto | ProgressKind::Bar if terminal.is_terminal() => Self::Bar,
            ProgressKind::Auto | ProgressKind::Bar => Self::Plain,
        }
    }
}

struct Inner {
    mode: Mode,
    quiet: bool,
    style: Style,
    terminal: Terminal,
    stderr: Shared,
    bars: MultiProgress,
}

/// stderr. Clones are the same.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Inner>);

impl Screen {
    /// A screen over this stream. `breaks_rows` is whether its terminal breaks rows that no longer fit into more when it
    /// becomes narrower.
    pub(crate) fn new(
        stderr: Box<dyn Write + Send>,
        terminal: Terminal,
        mode: Mode,
        quiet: bool,
        style: Style,
        breaks_rows: bool,
    ) -> Self {
        let stderr: Shared = Arc::new(Mutex::new(stderr));
        let target = match mode {
            Mode::Bar => {
                let canvas = Canvas::new(Arc::clone(&stderr), terminal, breaks_rows);
                ProgressDrawTarget::term_like_with_hz(Box::new(canvas), REDRAWS)
            }
            _ => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        Self(Arc::new(Inner { mode, quiet, style, terminal, stderr, bars }))
    }

    /// How progress is shown.
    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    /// The colours of this stream.
    pub(crate) fn style(&self) -> Style {
        self.0.style
    }

    /// Columns and rows that bars have. Three columns stay free at the end: two for the `^C` that the terminal echoes
    /// there, and the last, at which some terminals wrap.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (columns, rows) = self.0.terminal.size().unwrap_or((80, 24));
        (columns.saturating_sub(3), rows)
    }

    /// A bar below those that are there, empty at first.
    pub(crate) fn add_bar(&self) -> ProgressBar {
        let bar = self.0.bars.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// Takes all bars away.
    pub(crate) fn clear_bars(&self) {
        // It can only fail as a write to stderr does.
        let _ = self.0.bars.clear();
    }

    /// Writes a line as it is, above the bars.
    pub(crate) fn raw_line(&self, line: &str) {
        let write = || {
            let mut stderr = self.0.stderr.lock().unwrap_or_else(PoisonError::into_inner);
            // One call, so that lines of several processes on one terminal stay whole.
            let _ = stderr.write_all(format!("{line}\n").as_bytes()).and_then(|()| stderr.flush());
        };
        match self.0.mode {
            Mode::Bar => self.0.bars.suspend(write),
            _ => write(),
        }
    }

    /// Columns, if someone looks at a terminal.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.0.terminal.size().map(|(columns, _)| columns)
    }

    /// Says something that is nice to know: not with `--quiet`. On a terminal it is wrapped between words.
    pub(crate) fn say(&self, text: &str) {
        let plain = text.replace(TIE, " ");
        tracing::info!(target: SAID, "{}", without_styles(&plain));
        match self.0.mode {
            Mode::Json => self.raw_line(&json::event("log", None, &plain)),
            _ if self.0.quiet => {}
            _ => self.wrapped(text),
        }
    }

    /// Writes a text, on a terminal wrapped between words.
    fn wrapped(&self, text: &str) {
        match self.columns() {
            Some(columns) => wrap(text, columns).iter().for_each(|line| self.raw_line(line)),
            None => self.raw_line(&text.replace(TIE, " ")),
        }
    }

    /// Warns: a line `warning: …`, or an event.
    pub(crate) fn warn(&self, text: &str) {
        tracing::warn!(target: SAID, "{text}");
        match self.0.mode {
            Mode::Json => self.raw_line(&json::event("warning", None, text)),
            _ if self.0.quiet => {}
            _ => self.wrapped(&format!("{}{text}", self.0.style.yellow("warning: "))),
        }
    }

    /// Reports an error: a line `error: …`, or an event.
    pub(crate) fn error(&self, text: &str) {
        let text = &*with_way_out(text);
        tracing::error!(target: SAID, "{text}");
        match self.0.mode {
            Mode::Json => self.raw_line(&json::event("error", None, text)),
            _ => self.wrapped(&format!("{}{text}", self.0.style.red("error: "))),
        }
    }

    /// An event of the JSON stream; nothing otherwise.
    pub(crate) fn event(&self, event: &'static str, view: Option<&View>, message: &str) {
        if self.0.mode == Mode::Json {
            self.raw_line(&json::event(event, view, message));
        }
    }

    /// A log line at a level.
    pub(crate) fn log(&self, level: tracing::Level, text: &str) {
        match self.0.mode {
            Mode::Json if level == tracing::Level::WARN => {
                self.raw_line(&json::event("warning", None, text));
            }
            Mode::Json => self.raw_line(&json::event("log", None, text)),
            _ => {
                let style = self.0.style;
                let label = match level {
                    tracing::Level::ERROR => style.red("error: "),
                    tracing::Level::WARN => style.yellow("warning: "),
                    tracing::Level::INFO => String::new(),
                    tracing::Level::DEBUG => style.dim("debug: "),
                    tracing::Level::TRACE => style.dim("trace: "),
                };
                self.raw_line(&format!("{label}{text}"));
            }
        }
    }
}

/// An error with the way out of it, where the system's words name none and any part of the program may meet it.
fn with_way_out(text: &str) -> Cow<'_, str> {
    match text.contains("Too many open files") {
        true => format!("{text}; ulimit -n allows more").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_too_many_files_names_the_limit() {
        assert_eq!(
            with_way_out("cannot open a/x: Too many open files"),
            "cannot open a/x: Too many open files; ulimit -n allows more"
        );
        assert_eq!(with_way_out("cannot open a/x: Permission denied"), "cannot open a/x: Permission denied");
    }
}
