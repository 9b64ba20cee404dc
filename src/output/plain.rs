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
    let has = if view.has_lost_some() { format!(" {share}") } else { String::new() };
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
        (Phase::Seeding, Some(why)) if *peers == 0 => format!("{name}: seeding{has}, {why}"),
        (Phase::Seeding, _) => {
            let (sent, ratio) = (size(view.uploaded), view.ratio());
            format!("{name}: seeding{has} ↑{up} sent {sent} ratio {ratio} peers {peers}")
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

    #[test]
    fn a_seed_that_has_lost_a_part_says_what_it_has() {
        let whole = View { phase: Phase::Seeding, done: 2_040_109_466, uploaded: 0, ..download("a.bin") };
        assert_eq!(line(&whole), "a.bin: seeding ↑1.1 MiB/s sent 0 B ratio 0.00 peers 9");
        let part = View { phase: Phase::Seeding, uploaded: 0, ..download("a.bin") };
        assert_eq!(line(&part), "a.bin: seeding 63% 1.2/1.9 GiB ↑1.1 MiB/s sent 0 B ratio 0.00 peers 9");
        let lonely = View { up: 0, down: 0, peers: 0, note: Some("why".to_owned()), ..part };
        assert_eq!(line(&lonely), "a.bin: seeding 63% 1.2/1.9 GiB, why");
    }
}
