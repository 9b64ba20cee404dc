//! Sessions and their trackers.

use std::net::TcpStream;

use tempfile::tempdir;

use super::support::{Sample, end, seeder, session, until};
use crate::discovery::tests::{respond, server};
use crate::{AddTorrent, Event, State};

#[tokio::test]
async fn peers_come_from_the_tracker_and_it_hears_of_start_completion_and_end() {
    let sample = Sample::single(300_000, 16_384);
    let seed = seeder(&sample).await;
    let [high, low] = seed.port().to_be_bytes();
    let body = [b"d8:intervali1800e5:peers6:\x7f\0\0\x01", &[high, low][..], b"e"].concat();
    let (address, paths) = server(move |_, _, stream| respond(stream, "200 OK", "", &body));
    let (leecher, dir) = (session(), tempdir().unwrap());
    let trackers = vec![format!("http://{address}/announce")];
    let add = AddTorrent { trackers, ..sample.download(dir.path(), &[]) };
    let id = leecher.add(add).await.unwrap();
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding).await;
    assert!(stats.tracker.answered && stats.tracker.last_error.is_none());
    sample.assert_complete_in(dir.path());
    let port = format!("&port={}&", leecher.port());
    let paths = tokio::task::spawn_blocking(move || {
        let first = paths.recv().unwrap();
        let second = paths.recv().unwrap();
        (first, second, paths)
    });
    let (first, second, paths) = paths.await.unwrap();
    assert!(first.contains("event=started") && first.contains("&left=300000&") && first.contains(&port));
    assert!(second.contains("event=completed") && second.contains("&left=0&"), "{second}");
    end(&[&leecher, &seed]).await;
    // The end may come before the answer to `completed`, which is then said once more.
    let third = paths.iter().find(|path| !path.contains("event=completed")).unwrap();
    assert!(third.contains("event=stopped") && third.contains("&downloaded=300000&"), "{third}");
}

#[tokio::test]
async fn whoever_has_the_files_it_chose_announces_what_it_lacks_and_no_completion() {
    let sample = Sample::folder(&[("a", 50_000), ("b", 50_000)], 16_384);
    let seed = seeder(&sample).await;
    let (address, paths) = server(|_, _, stream: &mut TcpStream| {
        respond(stream, "200 OK", "", b"d8:intervali1800e5:peers0:e");
    });
    let (leecher, dir) = (session(), tempdir().unwrap());
    let trackers = vec![format!("http://{address}/announce")];
    let add =
        AddTorrent { trackers, select: Some(vec![0, 7]), ..sample.download(dir.path(), &[seed.port()]) };
    let id = leecher.add(add).await.unwrap();
    let stats = until(&leecher, id, |stats| stats.state == State::Seeding && stats.tracker.answered).await;
    // The first file and what the second has of the fourth piece.
    assert_eq!((stats.total_bytes, stats.done_bytes, stats.selected_files), (65_536, 65_536, Some((1, 2))));
    end(&[&leecher, &seed]).await;
    let paths = tokio::task::spawn_blocking(move || (paths.recv().unwrap(), paths.recv().unwrap()));
    let (first, last) = paths.await.unwrap();
    assert!(first.contains("event=started"), "{first}");
    assert!(last.contains("event=stopped") && last.contains("&left=34464&"), "{last}");
}

#[tokio::test]
async fn a_trackers_id_is_sent_back_to_it_also_when_later_replies_do_not_name_it() {
    let sample = Sample::single(300_000, 16_384);
    let seed = seeder(&sample).await;
    let [high, low] = seed.port().to_be_bytes();
    let (address, paths) = server(move |n, _, stream: &mut TcpStream| {
        let id = if n == 0 { &b"10:tracker id4:a&\xff%"[..] } else { b"" };
        let body = [b"d8:intervali1800e5:peers6:\x7f\0\0\x01", &[high, low][..], id, b"e"].concat();
        respond(stream, "200 OK", "", &body);
    });
    let (leecher, dir) = (session(), tempdir().unwrap());
    let trackers = vec![format!("http://{address}/announce")];
    let add = AddTorrent { trackers, ..sample.download(dir.path(), &[]) };
    let id = leecher.add(add).await.unwrap();
    until(&leecher, id, |stats| stats.state == State::Seeding).await;
    end(&[&leecher, &seed]).await;
    // An announce that the end overtook may have said nothing.
    let mut events = paths.iter().filter(|path| !path.is_empty()).map(|path| {
        let id = path.split('&').find_map(|pair| pair.strip_prefix("trackerid=")).map(str::to_owned);
        (path.contains("event=stopped"), id)
    });
    assert_eq!(events.next(), Some((false, None)));
    let last = events.find(|(is_last, id)| {
        assert_eq!(id.as_deref(), Some("a%26%FF%25"));
        *is_last
    });
    assert!(last.is_some());
}

#[tokio::test]
async fn h46_what_a_tracker_says_is_shown_and_the_next_tier_is_asked() {
    let sample = Sample::single(300_000, 16_384);
    let no = b"d14:failure reason13:not my swarm!e";
    let (refuses, _paths) = server(|_, _, stream: &mut TcpStream| respond(stream, "200 OK", "", no));
    let warns = b"d8:intervali1800e5:peers0:15:warning message9:be quick!e";
    let (answers, _paths) = server(|_, _, stream: &mut TcpStream| respond(stream, "200 OK", "", warns));
    let (session, dir) = (session(), tempdir().unwrap());
    let mut events = session.events();
    let trackers = vec![
        "wss://127.0.0.1:1/announce".to_owned(),
        format!("http://{refuses}/announce"),
        format!("http://{answers}/announce"),
    ];
    session.add(AddTorrent { trackers, ..sample.download(dir.path(), &[]) }).await.unwrap();
    let mut warnings = Vec::new();
    while warnings.len() < 3 {
        if let Event::Warning { message, .. } = events.next().await.unwrap() {
            warnings.push(message);
        }
    }
    assert_eq!(
        warnings,
        [
            "wss trackers are not supported yet: wss://127.0.0.1:1/announce will not be asked".to_owned(),
            format!("http://{refuses}/announce: the tracker says: not my swarm!"),
            format!("http://{answers}/announce: the tracker warns: be quick!"),
        ]
    );
    end(&[&session]).await;
}
