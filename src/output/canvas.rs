//! The terminal as `indicatif` draws on it: bars as rows that end where their text ends.
//!
//! `indicatif` fills each row with spaces up to the edge, so that the next text starts on the next row. The `^C` that
//! a terminal echoes would then start a row of its own, and clearing the bars would leave one behind. So the spaces
//! are not written here: a row is cleared to its end, and the next one begins with a line break.
//!
//! When a terminal becomes narrower, most of them break the rows that are there into more. `indicatif` knows nothing of that:
//! it would clear as many as it drew, and leave the rest for ever. So before the next drawing all of them are cleared.
//!
//! Invariant: a drawing is written in one piece, so that nothing flickers.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::TermLike;

use super::size::width;
use super::style::without_styles;
use super::terminal::Terminal;

/// A stream that several threads write to.
pub(super) type Shared = Arc<Mutex<Box<dyn Write + Send>>>;

/// A terminal to draw on.
pub(super) struct Canvas {
    stream: Shared,
    terminal: Terminal,
    /// Whether rows that no longer fit are broken into more.
    breaks_rows: bool,
    drawing: Mutex<Drawing>,
}

#[derive(Default)]
struct Drawing {
    text: String,
    /// Whether a row is finished and the next text starts another.
    row_ended: bool,
    /// Columns that each row of it takes.
    rows: Vec<usize>,
    /// The rows that are on the terminal, the cursor in the last.
    shown: Vec<usize>,
}

impl Drawing {
    /// Takes back what has become of the rows that are on the terminal, if that has only so many columns now: the cursor is
    /// then in as many rows as if nothing had happened.
    fn take_back(&mut self, columns: usize) {
        let more: usize = self.shown.iter().map(|row| row.div_ceil(columns.max(1)).saturating_sub(1)).sum();
        let rows = std::mem::take(&mut self.shown).len();
        if more == 0 {
            return;
        }
        let down = rows.saturating_sub(1);
        self.text.push_str(&format!("\r\x1b[{}A\x1b[J", down + more));
        if down > 0 {
            self.text.push_str(&format!("\x1b[{down}B"));
        }
    }

    fn row(&mut self, text: &str) {
        self.rows.push(width(&without_styles(text)));
    }
}

impl Canvas {
    pub(super) fn new(stream: Shared, terminal: Terminal, breaks_rows: bool) -> Self {
        Self { stream, terminal, breaks_rows, drawing: Mutex::default() }
    }

    fn draw(&self, change: impl FnOnce(&mut Drawing)) -> io::Result<()> {
        let mut drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        if !drawing.shown.is_empty() && self.breaks_rows {
            drawing.take_back(self.size().0);
        }
        change(&mut drawing);
        Ok(())
    }

    fn moved(&self, by: usize, code: char) -> io::Result<()> {
        self.draw(|drawing| {
            if by > 0 {
                drawing.text.push_str(&format!("\x1b[{by}{code}"));
            }
        })
    }

    fn size(&self) -> (usize, usize) {
        self.terminal.size().unwrap_or((80, 24))
    }
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canvas").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        u16::try_from(self.size().0).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.size().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.draw(|drawing| {
            drawing.text.push_str(s);
            drawing.text.push_str("\r\n");
            drawing.row(s);
            drawing.row_ended = false;
        })
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.draw(|drawing| {
            if !s.is_empty() && s.bytes().all(|byte| byte == b' ') {
                drawing.text.push_str("\x1b[K");
                drawing.row_ended = true;
                return;
            }
            if std::mem::take(&mut drawing.row_ended) {
                drawing.text.push_str("\r\n");
            }
            drawing.text.push_str(s);
            drawing.row(s);
        })
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(|drawing| drawing.text.push_str("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let text = {
            let mut drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
            drawing.row_ended = false;
            drawing.shown = std::mem::take(&mut drawing.rows);
            std::mem::take(&mut drawing.text)
        };
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written to begin a drawing over these rows, on a terminal that has so many columns now.
    fn begun(shown: &[usize], columns: usize) -> String {
        let mut drawing = Drawing { shown: shown.to_vec(), ..Drawing::default() };
        drawing.take_back(columns);
        assert!(drawing.shown.is_empty());
        drawing.text
    }

    #[test]
    fn h81_rows_that_a_narrower_terminal_has_broken_are_cleared() {
        assert_eq!(begun(&[77], 80), "");
        assert_eq!(begun(&[77], 77), "");
        assert_eq!(begun(&[77], 76), "\r\x1b[1A\x1b[J");
        assert_eq!(begun(&[77], 20), "\r\x1b[3A\x1b[J");
        assert_eq!(begun(&[77, 30, 0, 50], 40), "\r\x1b[5A\x1b[J\x1b[3B", "to where its last row would be");
        assert_eq!(begun(&[77], 0), "\r\x1b[76A\x1b[J");
    }

    #[test]
    fn h81_a_row_has_the_width_that_is_seen() {
        let canvas = |breaks_rows| {
            let stream: Shared = Arc::new(Mutex::new(Box::new(io::sink())));
            Canvas::new(stream, Terminal::Fixed { columns: 4, rows: 9 }, breaks_rows)
        };
        let second_drawing = |canvas: Canvas| {
            canvas.write_str("\x1b[1m日本語\x1b[0m").unwrap();
            canvas.write_str("   ").unwrap();
            canvas.flush().unwrap();
            canvas.clear_line().unwrap();
            canvas.drawing.into_inner().unwrap().text
        };
        assert_eq!(second_drawing(canvas(true)), "\r\x1b[1A\x1b[J\r\x1b[2K");
        assert_eq!(second_drawing(canvas(false)), "\r\x1b[2K");
    }
}
