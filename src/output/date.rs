//! Dates, without a library for the two forms that are needed.

use std::time::Duration;

/// The end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// `2026-11-23 02:51:23 UTC` of seconds since 1970; the bare number where no calendar goes so far.
pub(crate) fn utc(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Beyond the year 9999 nobody made a torrent.
    if !(-719_162..2_932_897).contains(&days) {
        return seconds.to_string();
    }
    let ([year, month, day], [hour, minute, second]) = (civil(days), clock(second));
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `2026-11-23T02:51:23.042Z` of the time since 1970, as RFC 3339 has it.
pub(crate) fn rfc3339(since: Duration) -> String {
    // Its years have four digits.
    let seconds = i64::try_from(since.as_secs()).map_or(LAST_SECOND, |seconds| seconds.min(LAST_SECOND));
    let ([year, month, day], [hour, minute, second]) = (civil(seconds / 86_400), clock(seconds % 86_400));
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Hour, minute and second of a second of the day.
fn clock(second: i64) -> [i64; 3] {
    [second / 3_600, second / 60 % 60, second % 60]
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar. Years are counted from March,
/// so that the leap day is a year's last.
fn civil(days: i64) -> [i64; 3] {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    // 0000-03-01 lies 719,468 days before 1970-01-01.
    let since = days + 719_468;
    let (era, day_of_era) = (since.div_euclid(DAYS_IN_400_YEARS), since.rem_euclid(DAYS_IN_400_YEARS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days over and over: 153 in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    [year, month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_402_283), "2026-11-23 02:51:23 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(utc(253_402_300_799), "9999-12-31 23:59:59 UTC");
        assert_eq!(utc(i64::MAX), i64::MAX.to_string());
        assert_eq!(utc(i64::MIN), i64::MIN.to_string());
    }

    #[test]
    fn the_times_of_a_log_are_those_that_other_programs_read() {
        assert_eq!(rfc3339(Duration::ZERO), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Duration::from_millis(1_795_402_283_042)), "2026-11-23T02:51:23.042Z");
        assert_eq!(rfc3339(Duration::MAX), "9999-12-31T23:59:59.999Z");
    }
}
