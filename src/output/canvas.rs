//! The terminal as `indicatif` draws on it: bars as rows that end where their text ends.
//!
//! `indicatif` fills each row with spaces up to the edge, so that the next text starts on the next row. The `^C` that
//! a terminal echoes would then start a row of its own, and clearing the bars would leave one behind. So the spaces
//! are not written here: a row is cleared to its end, and the next one begins with a line break.
//!
//! Invariant: a drawing is written in one piece, so that nothing flickers.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::TermLike;

use super::terminal::Terminal;

/// A stream that several threads write to.
pub(super) type Shared = Arc<Mutex<Box<dyn Write + Send>>>;

/// A terminal to draw on.
pub(super) struct Canvas {
    stream: Shared,
    terminal: Terminal,
    drawing: Mutex<Drawing>,
}

#[derive(Default)]
struct Drawing {
    text: String,
    /// Whether a row is finished and the next text starts another.
    row_ended: bool,
}

impl Canvas {
    pub(super) fn new(stream: Shared, terminal: Terminal) -> Self {
        Self { stream, terminal, drawing: Mutex::default() }
    }

    fn draw(&self, change: impl FnOnce(&mut Drawing)) -> io::Result<()> {
        change(&mut self.drawing.lock().unwrap_or_else(PoisonError::into_inner));
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
        })
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(|drawing| drawing.text.push_str("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let text = {
            let mut drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
            drawing.row_ended = false;
            std::mem::take(&mut drawing.text)
        };
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}
