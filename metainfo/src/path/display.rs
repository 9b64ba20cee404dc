//! Text of strangers on a terminal.

use std::fmt::Write as _;

/// Whether a character acts on a terminal or on its neighbours instead of being seen: control characters, line and
/// paragraph separators, and the marks and overrides of writing direction (`U+202E` makes `exe.gpj` of `jpg.exe`).
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with control characters, escapes and direction overrides shown as `\u{..}`, so that it can be printed
/// on a terminal and stays on one line.
#[must_use]
pub fn display_safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What the system says of an error, without the number that tells most people nothing: of `No such file or directory (os
/// error 2)`, as [`std::io::Error`] is shown, what stands before the bracket.
#[must_use]
pub fn without_os_error(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_shown_without_its_number() {
        let error = std::io::Error::from_raw_os_error(2).to_string();
        assert_ne!(without_os_error(&error), error);
        for words in [without_os_error(&error), "no number", ""] {
            assert!(!words.contains("os error"), "{words}");
            assert_eq!(without_os_error(words), words);
        }
    }
}
