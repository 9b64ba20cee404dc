//! Sizes, durations, lists of trackers: values as people write them.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Multipliers of bytes by their suffix, without the `B`: binary with an `i`, decimal without.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("k", 1_000),
    ("ki", 1 << 10),
    ("m", 1_000_000),
    ("mi", 1 << 20),
    ("g", 1_000_000_000),
    ("gi", 1 << 30),
    ("t", 1_000_000_000_000),
    ("ti", 1 << 40),
];

/// Seconds by their suffix; a bare number is seconds.
const DURATION_UNITS: [(&str, f64); 6] =
    [("", 1.0), ("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// The longest duration taken, ten years: a sum with the clock can then never overflow.
const MAX_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// Splits `12.5MiB` into its number and its suffix.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..at], text[at..].trim())
}

/// Bytes: `16384`, `256KiB`, `4MiB`, `1MB`, `1.5GiB`; the `B` may be left out.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size; write it like 256KiB, 4MiB or 1MB");
    let (number, suffix) = split(text);
    let suffix = suffix.to_ascii_lowercase();
    let suffix = suffix.strip_suffix('b').unwrap_or(&suffix);
    let &(_, unit) = SIZE_UNITS.iter().find(|(name, _)| *name == suffix).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(wrong);
    }
    let (whole, fraction) = number.split_once('.').ok_or_else(wrong)?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    // Nine digits of a fraction of a TiB are thousands of bytes apart: nobody means more.
    let digits = u32::try_from(fraction.len()).ok().filter(|n| (1..=9).contains(n)).ok_or_else(wrong)?;
    let fraction: u128 = fraction.parse().map_err(|_| wrong())?;
    let part = u64::try_from(u128::from(unit) * fraction / 10u128.pow(digits)).map_err(|_| wrong())?;
    whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part)).ok_or_else(wrong)
}

/// An address to listen on: `0.0.0.0:6969`, `[::]:6969`.
pub(crate) fn listening(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "write an IP address and a port, like 0.0.0.0:6969 or [::]:6969".to_owned();
    text.parse().map_err(wrong)
}

/// Bytes a second: `10MB/s`, `500KiB`, `2.5M`; the `/s` may be left out.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    let trimmed = text.trim();
    let bytes = size(trimmed.strip_suffix("/s").unwrap_or(trimmed))
        .map_err(|_| format!("'{text}' is no rate; write it like 10MB/s, 500KiB/s or 2MiB"))?;
    NonZeroU64::new(bytes).ok_or_else(|| "0 would move nothing; leave it out for no limit".to_owned())
}

/// A piece length: a size that all clients can use, so a power of two of at least 16 KiB.
pub(crate) fn piece_length(text: &str) -> Result<u32, String> {
    let bytes = size(text)?;
    match u32::try_from(bytes) {
        Ok(length) if length > metainfo::MAX_PIECE_LENGTH => Err("the most is 512MiB".to_owned()),
        Ok(length) if length < metainfo::BLOCK_LENGTH => Err("the least is 16KiB".to_owned()),
        Ok(length) if length.is_power_of_two() => Ok(length),
        Ok(_) => Err("it must be a power of two, such as 256KiB, 1MiB or 4MiB".to_owned()),
        Err(_) => Err("the most is 512MiB".to_owned()),
    }
}

/// A duration: `90s`, `15m`, `2h`, `1h30m`, or seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration; write it like 90s, 15m or 2h");
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = split(rest);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = (after[..unit_end].trim(), &after[unit_end..]);
        let &(_, scale) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        seconds += number.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = next;
    }
    match seconds <= MAX_SECONDS {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(wrong()),
    }
}

/// A ratio of uploaded to downloaded bytes: a number of at least 0.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() && ratio >= 0.0 => Ok(ratio),
        _ => Err(format!("'{text}' is no ratio; write it like 1.5")),
    }
}

/// A port, as `6881`.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("'{}' is no port; it is a number from 0 to 65535", metainfo::display_safe(text)))
}

/// A host and a port, as `10.0.0.7:6881`, `[::1]:6881` or `example.org:6881`; the name is looked up later.
pub(crate) fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || format!("'{text}' is no HOST:PORT; write it like 10.0.0.7:6881 or example.org:6881");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fine = text.parse::<SocketAddr>().is_ok() || (!host.is_empty() && host.chars().all(is_name));
    match port.parse::<u16>() {
        Ok(1..) if fine => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

/// A tracker's URL, one that a torrent could carry too.
pub(crate) fn tracker_url(text: &str) -> Result<String, String> {
    metainfo::check_tracker_url(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// Ranges of files that are taken from one `--select`: more than anybody types, and few enough to be kept.
const MAX_FILE_RANGES: usize = 10_000;

/// Numbers of files, as ranges, sorted and disjoint; they begin with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileNumbers(Vec<RangeInclusive<usize>>);

impl FileNumbers {
    /// Whether this number is among them.
    pub(crate) fn contains(&self, number: usize) -> bool {
        let at = self.0.partition_point(|range| *range.end() < number);
        self.0.get(at).is_some_and(|range| range.contains(&number))
    }

    /// The first of them that is greater than `last`.
    pub(crate) fn first_beyond(&self, last: usize) -> Option<usize> {
        let range = self.0.iter().find(|range| *range.end() > last)?;
        Some((*range.start()).max(last.saturating_add(1)))
    }
}

/// Numbers of files: `1,3-5`, each once.
pub(crate) fn file_numbers(text: &str) -> Result<FileNumbers, String> {
    let wrong = |part: &str| format!("'{part}' is no number of a file; write them like 1,3-5, from 1 on");
    let number = |digits: &str| digits.trim().parse::<usize>().ok().filter(|&number| number > 0);
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(wrong(part)) };
        if first > last {
            return Err(format!("'{part}' goes backwards; write {last}-{first}"));
        }
        if ranges.len() == MAX_FILE_RANGES {
            return Err(format!("more than {MAX_FILE_RANGES} ranges"));
        }
        ranges.push(first..=last);
    }
    ranges.sort_by_key(|range| *range.start());
    let twice = ranges.windows(2).find_map(|pair| match pair {
        [before, after] if before.contains(after.start()) => Some(*after.start()),
        _ => None,
    });
    match twice {
        Some(number) => Err(format!("file {number} is named twice")),
        None => Ok(FileNumbers(ranges)),
    }
}

/// Tracker tiers: each time the option is given is a tier, its URLs parted by commas.
pub(crate) fn tiers(given: &[String]) -> Vec<Vec<String>> {
    given
        .iter()
        .map(|tier| {
            tier.split(',')
                .map(str::trim)
                .filter(|url| !url.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|tier| !tier.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("16384", 16_384),
            ("256KiB", 262_144),
            ("256k", 256_000),
            ("4MiB", 4 << 20),
            ("4 mib", 4 << 20),
            ("1MB", 1_000_000),
            ("1.5GiB", 1_610_612_736),
            ("2T", 2_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.2.3", "1XB", "1.", ".5", "99999999999999999999", "20000000TiB", "1e3"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_sizes_a_second_and_never_nothing() {
        for (text, bytes) in [
            ("10MB/s", 10_000_000),
            ("10MiB", 10 << 20),
            ("500k", 500_000),
            (" 1.5 MB/s ", 1_500_000),
            ("1", 1),
        ] {
            assert_eq!(rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for bad in ["", "/s", "fast", "1MB/m", "1MB/s/s", "-1"] {
            assert!(rate(bad).is_err_and(|error| error.contains("no rate")), "{bad}");
        }
        assert!(
            ["0", "0MB/s", "0.0000001k"]
                .iter()
                .all(|none| rate(none).is_err_and(|e| e.contains("leave it out")))
        );
    }

    #[test]
    fn piece_lengths_are_powers_of_two_in_range() {
        assert_eq!(piece_length("16KiB"), Ok(16_384));
        assert_eq!(piece_length("512MiB"), Ok(512 << 20));
        for bad in ["0", "8KiB", "1MB", "1GiB", "100GiB"] {
            assert!(piece_length(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("2", 2_000),
            ("250ms", 250),
            ("0.5s", 500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "1y", "-5s", "1..5s", "99999999999999d", "1h-3m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_a_number_of_16_bits() {
        assert_eq!((port("0"), port("65535")), (Ok(0), Ok(65_535)));
        for bad in ["65536", "-1", "1x", ""] {
            let due = format!("'{bad}' is no port; it is a number from 0 to 65535");
            assert_eq!(port(bad), Err(due));
        }
    }

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for good in ["10.0.0.7:6881", "[::1]:6881", "localhost:1", "a-b.example.org:65535"] {
            assert_eq!(host_and_port(good).as_deref(), Ok(good));
        }
        for bad in ["", "localhost", ":6881", "a:0", "a:65536", "::1:6881", "a b:1", "http://a:1", "a/b:1"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tracker_has_a_whole_url() {
        for good in
            ["http://10.0.0.7:6969/announce", "https://t.example/x?key=1", "udp://t.example:1/announce"]
        {
            assert_eq!(tracker_url(good).as_deref(), Ok(good));
        }
        for bad in ["", "t.example:6969", "t.example/announce", "http://", "ftp://t.example/", "http://a b/"]
        {
            assert!(tracker_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_of_files_are_ranges_from_1_on_and_each_is_named_once() {
        let numbers = file_numbers("7, 1,3-5").unwrap();
        assert_eq!((0..9).filter(|&number| numbers.contains(number)).collect::<Vec<_>>(), [1, 3, 4, 5, 7]);
        assert_eq!(
            [0, 4, 5, 6, 7].map(|last| numbers.first_beyond(last)),
            [Some(1), Some(5), Some(7), Some(7), None]
        );
        assert_eq!(file_numbers("1-18446744073709551615").unwrap().first_beyond(5), Some(6));
        for bad in
            ["", "0", "1,", "a", "1-", "-3", "5-3", "1,1", "1-3,2", "18446744073709551616", "1.5", "1-2-3"]
        {
            assert!(file_numbers(bad).is_err(), "{bad}");
        }
        assert_eq!(file_numbers("9,2-4,3").unwrap_err(), "file 3 is named twice");
        let many: Vec<String> = (1..=MAX_FILE_RANGES + 1).map(|number| (2 * number).to_string()).collect();
        assert!(file_numbers(&many.join(",")).is_err() && file_numbers(&many[1..].join(",")).is_ok());
    }

    #[test]
    fn each_option_is_a_tier_and_a_comma_parts_its_trackers() {
        let given = ["http://a/x,http://b/x".to_owned(), " http://c/x ,".to_owned(), ",".to_owned()];
        assert_eq!(tiers(&given), [vec!["http://a/x", "http://b/x"], vec!["http://c/x"]]);
    }
}
