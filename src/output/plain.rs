//! Plain lines: progress for a file, a pipe, a log.
//!
//! One line says all there is of one torrent. When lines are due is for [`super::transfer`] to say.

use super::size::{duration, percent, plural, rate, size, size_of};
use super::view::{Phase, View};

/// `name: 63% 1.2/1.9 GiB ↓12.3 MiB/s ↑1.1 MiB/s ETA 41s peers 9 (4 seeds)`.
pub(crate) fn line(view: &View) -> String {
    let View { name, done, total, peers, seeds, .. } = view;
    let share = format!("{}% {}", percent(*done, *total), size_of(*done, *total));
    let eta = view.eta.map(|eta| format!(" ETA {}", duration(eta))).unwrap_or_default();
    let why = view.note.as_deref().filter(|_| !view.moves());
    let up = rate(view.up);
    match (view.phase, why) {
        (Phase::Asking, why) => format!("{name}: {}", why.unwrap_or("looking for the torrent")),
        (Phase::Making, _) => format!("{name}: making {share}{eta}"),
        (Phase::Checking, _) => format!("{name}: checking {share}{eta}"),
        (Phase::Downloading, Some(why)) => format!("{name}: {share} {why}"),
        (Phase::Downloading, None) => {
            format!(
                "{name}: {share} ↓{} ↑{up}{eta} peers {peers} ({})",
                rate(view.down),
                plural(*seeds as u64, "seed")
            )
        }
        (Phase::Seeding, Some(why)) if *peers == 0 => format!("{name}: seeding, {why}"),
        (Phase::Seeding, _) => {
            let (sent, ratio) = (size(view.uploaded), view.ratio());
            format!("{name}: seeding ↑{up} sent {sent} ratio {ratio} peers {peers}")
        }
        (Phase::Stopped, _) => format!("{name}: stopped at {share}"),
        (Phase::Failed, _) => format!("{name}: {}", view.note.as_deref().unwrap_or("failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::download;
    use super::*;

    #[test]
    fn a_line_says_what_the_bar_says() {
        assert_eq!(
            line(&download("a.bin")),
            "a.bin: 63% 1.2/1.9 GiB ↓12.3 MiB/s ↑1.1 MiB/s ETA 41s peers 9 (4 seeds)"
        );
        let still =
            View { down: 0, up: 0, note: Some("no tracker answered".to_owned()), ..download("a.bin") };
        assert_eq!(line(&still), "a.bin: 63% 1.2/1.9 GiB no tracker answered");
    }
}
