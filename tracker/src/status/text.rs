//! Numbers as people read them.

use std::time::Duration;

/// With a space after every three digits, one that does not break a line.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// With one decimal if it is small.
pub(super) fn rate(number: f32) -> String {
    if number >= 10.0 || number.fract() == 0.0 { grouped(whole(number)) } else { format!("{number:.1}") }
}

/// Of microseconds.
pub(super) fn latency(micros: Option<f32>) -> String {
    match micros {
        None => "–".to_owned(),
        Some(micros) if micros < 1_000.0 => format!("{micros:.0} µs"),
        Some(micros) if micros < 1_000_000.0 => format!("{} ms", rate(micros / 1e3)),
        Some(micros) => format!("{} s", rate(micros / 1e6)),
    }
}

/// In binary units.
pub(super) fn bytes(bytes: usize) -> String {
    let mut unit = 1usize;
    let mut name = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if bytes / unit < 1024 {
            break;
        }
        (unit, name) = (unit * 1024, larger);
    }
    let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
    if unit == 1 || whole >= 100 || tenth == 0 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenth} {name}")
    }
}

/// In its two largest units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// For text and attribute values of a page: whatever stands in it is no markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate; what is too large saturates"
)]
fn whole(number: f32) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!([0.0, 0.25, 9.94, 1234.4].map(rate), ["0", "0.2", "9.9", "1\u{202f}234"]);
        assert_eq!(
            [None, Some(7.4), Some(1500.0), Some(2.5e6)].map(latency),
            ["–", "7 µs", "1.5 ms", "2.5 s"]
        );
        assert_eq!(
            [0, 1023, 1024, 1 << 28, (1 << 20) + (1 << 19)].map(bytes),
            ["0 B", "1023 B", "1 KiB", "256 MiB", "1.5 MiB"]
        );
        let durations = [59, 61, 3_660, 90_000].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(durations, ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn h85_text_is_never_markup() {
        assert_eq!(escape("<script>\"a\" & 'b'"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;");
    }
}
