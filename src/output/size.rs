//! Numbers as people read them, and text cut to a width.
//!
//! Sizes are binary (KiB, MiB) and carry at most three digits that matter.

use std::time::Duration;

pub(crate) use metainfo::{count, plural};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// The unit in which a number of bytes has one to four digits before the point, as a power of 1024.
fn exponent(bytes: u64) -> u32 {
    // 1000 KiB and up read better as 1.0 MiB: a fourth digit says nothing.
    let mut exponent = 0;
    while exponent < 6 && bytes >= 1000 << (10 * exponent) {
        exponent += 1;
    }
    exponent
}

/// A number of bytes in a unit: one decimal below 100, none above or in bytes.
fn in_unit(bytes: u64, exponent: u32) -> String {
    if exponent == 0 {
        return bytes.to_string();
    }
    let unit = u128::from(1u64 << (10 * exponent));
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    if tenths < 1000 { format!("{}.{}", tenths / 10, tenths % 10) } else { ((tenths + 5) / 10).to_string() }
}

fn unit(exponent: u32) -> &'static str {
    usize::try_from(exponent).ok().and_then(|at| UNITS.get(at)).copied().unwrap_or("EiB")
}

/// `1.9 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let exponent = exponent(bytes);
    format!("{} {}", in_unit(bytes, exponent), unit(exponent))
}

/// `1.2/1.9 GiB`: both in the unit of the whole.
pub(crate) fn size_of(done: u64, total: u64) -> String {
    let exponent = exponent(total);
    // Rounding must not call a thing complete that is not.
    let mut shown = in_unit(done, exponent);
    let whole = in_unit(total, exponent);
    if shown == whole && done < total {
        let step = (1u64 << (10 * exponent)) / if whole.contains('.') { 10 } else { 1 };
        shown = in_unit(done.saturating_sub(step.div_ceil(2)), exponent);
    }
    format!("{shown}/{whole} {}", unit(exponent))
}

/// `12.3 MiB/s`.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// Whole percent, rounded down so that 100 means all; 100 of nothing.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    u64::try_from(u128::from(done.min(total)) * 100 / u128::from(total)).unwrap_or(100)
}

/// `41s`, `3m12s`, `2h05m`, `3d04h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () if days < 1_000 => format!("{days}d{:02}h", hours % 24),
        () => "years".to_owned(),
    }
}

/// A duration at the end of work, with tenths while they matter: `0.8 s`, `12.4 s`, `3m12s`.
pub(crate) fn elapsed(elapsed: Duration) -> String {
    if elapsed.as_secs() < 60 { format!("{:.1} s", elapsed.as_secs_f64()) } else { duration(elapsed) }
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Holds words of a line together that [`wrap`] would part; it is shown as a space.
pub(crate) const TIE: char = '\u{a0}';

/// The text on lines of at most `columns` as far as its words allow, broken at spaces; those after the first are
/// indented. Colour takes no columns.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    const INDENT: &str = "  ";
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let more = visible_width(word);
        if used > 0 && used + 1 + more > columns {
            lines.push(std::mem::replace(&mut line, INDENT.to_owned()));
            used = INDENT.len();
        } else if !line.is_empty() {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += more;
    }
    lines.push(line);
    lines.iter().map(|line| line.replace(TIE, " ")).collect()
}

/// Columns of a text that may have colour in it.
fn visible_width(text: &str) -> usize {
    let mut rest = text;
    let mut columns = 0;
    while let Some((before, after)) = rest.split_once('\x1b') {
        columns += width(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    columns + width(rest)
}

/// The text in at most `columns`, cut on a character, with `…` where something is gone.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let more = c.width().unwrap_or(0);
        // One column is kept for the ellipsis.
        if used + more + 1 > columns {
            break;
        }
        used += more;
        out.push(c);
    }
    if columns > 0 {
        out.truncate(out.trim_end().len());
        out.push('…');
    }
    out
}

/// The text cut to `columns` and filled up with spaces.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_at_most_three_digits_that_matter() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (16_384, "16.0 KiB"),
            (102_400, "100 KiB"),
            (1_023_999, "1000 KiB"),
            (1_048_576, "1.0 MiB"),
            (2_040_109_466, "1.9 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn a_part_is_never_shown_as_the_whole() {
        assert_eq!(size_of(1_288_490_189, 2_040_109_466), "1.2/1.9 GiB");
        assert_eq!(size_of(0, 0), "0/0 B");
        assert_eq!(size_of(2_040_109_465, 2_040_109_466), "1.8/1.9 GiB");
        assert_eq!(size_of(2_040_109_466, 2_040_109_466), "1.9/1.9 GiB");
        assert_eq!((percent(999, 1000), percent(1000, 1000), percent(0, 0)), (99, 100, 100));
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }

    #[test]
    fn durations_show_two_units() {
        let seconds = [41, 192, 7_500, 273_600, u64::MAX];
        let shown = seconds.map(|s| duration(Duration::from_secs(s)));
        assert_eq!(shown, ["41s", "3m12s", "2h05m", "3d04h", "years"]);
    }

    #[test]
    fn text_is_cut_on_a_character_by_its_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(fit("日本", 6), "日本  ");
        assert_eq!(width(&fit("日本語", 4)), 4);
    }

    #[test]
    fn lines_break_between_words_and_colour_takes_no_room() {
        assert_eq!(wrap("one two three", 80), ["one two three"]);
        assert_eq!(wrap("one two three four", 8), ["one two", "  three", "  four"]);
        assert_eq!(wrap("one two\u{a0}three", 8), ["one", "  two three"]);
        assert_eq!(wrap("\x1b[1mone\x1b[0m two three", 7), ["\x1b[1mone\x1b[0m two", "  three"]);
        assert_eq!(wrap("", 0), [""]);
    }
}
