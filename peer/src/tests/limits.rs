//! Limits of sessions and torrents. How well they are kept is tested in virtual time, beside the engine; here, that
//! they arrive there.

use std::num::NonZeroU64;

use tempfile::tempdir;

use super::support::{Sample, config, end, until};
use crate::{AddTorrent, Limits, Session, SessionConfig, State};

/// A byte a second: one block goes, and the next in hours.
fn almost_nothing(up: bool) -> Limits {
    let one = Some(NonZeroU64::MIN);
    if up { Limits { up: one, down: None } } else { Limits { up: None, down: one } }
}

/// A transfer with these limits of the session and of the torrent on one side: it stands still after a block or two.
async fn held_up(
    up: bool,
    of_session: Limits,
    of_torrent: Limits,
    lift: impl AsyncFn(&Session, crate::TorrentId),
) {
    let sample = Sample::single(3_000_001, 65_536);
    let dir = tempdir().unwrap();
    let limited = SessionConfig { limits: of_session, ..config() };
    let sessions = (
        Session::start(if up { limited.clone() } else { config() }).unwrap(),
        Session::start(if up { config() } else { limited }).unwrap(),
    );
    let (seed, leecher) = &sessions;
    let own = |mine| if mine { of_torrent } else { Limits::default() };
    let seeding = seed.add(AddTorrent { limits: own(up), ..sample.seed() }).await.unwrap();
    until(seed, seeding, |stats| stats.state == State::Seeding).await;
    let add = AddTorrent { limits: own(!up), ..sample.download(dir.path(), &[seed.port()]) };
    let id = leecher.add(add).await.unwrap();
    let stats = until(leecher, id, |stats| stats.downloaded > 0).await;
    assert!(stats.downloaded <= 2 * 16_384, "{}", stats.downloaded);
    if up {
        lift(seed, seeding).await;
    } else {
        lift(leecher, id).await;
    }
    until(leecher, id, |stats| stats.state == State::Seeding).await;
    sample.assert_complete_in(dir.path());
    end(&[leecher, seed]).await;
}

#[tokio::test]
async fn a_sessions_limit_holds_until_it_is_lifted() {
    for up in [true, false] {
        held_up(up, almost_nothing(up), Limits::default(), async |session, _| {
            assert_eq!(session.limits(), almost_nothing(up));
            session.set_limits(Limits::default()).await;
            assert_eq!(session.limits(), Limits::default());
        })
        .await;
    }
}

#[tokio::test]
async fn a_torrents_limit_holds_until_it_is_lifted() {
    for up in [true, false] {
        held_up(up, Limits::default(), almost_nothing(up), async |session, id| {
            session.set_torrent_limits(id, Limits::default()).await;
        })
        .await;
    }
}
