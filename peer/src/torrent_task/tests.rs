//! The edge of a torrent's task.

mod changes;

use peer_proto::torrent::Direction;
use peer_proto::wire::Message;
use peer_proto::{Action, PeerId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use storage::{StorageError, StorageErrorKind};

use super::*;
use crate::SessionConfig;
use crate::disk::{DiskThreads, ReadDone, Results};
use crate::net::Handshaken;
use crate::resume::Marker;
use crate::tests::support::Sample;

/// A torrent that downloads `sample` to `root`, of which it has all pieces.
fn context(sample: &Sample, root: &std::path::Path) -> Context {
    let disk = DiskThreads::start(1).unwrap();
    let shared = Shared::new(SessionConfig::default(), 1, disk, ChaCha8Rng::from_seed([0; 32]));
    let add = sample.download(root, &[]);
    Context {
        shared: Arc::new(shared),
        client: Arc::default(),
        id: TorrentId(1),
        stats: Arc::new(watch::channel(first_stats(&add)).0),
        add: Arc::new(add),
        commands: mpsc::channel(1).1,
        peers: vec![],
        limits: Limits::default(),
        known: vec![],
        announces: None,
        rest_first: false,
        added: Instant::now(),
    }
}

fn disk(context: &Context) -> Arc<TorrentDisk> {
    let options = storage::StorageOptions { access: storage::Access::ReadWrite, ..Default::default() };
    let storage = storage::Storage::new(&context.add.root, &context.add.torrent.info, options).unwrap();
    let add = Arc::clone(&context.add);
    Arc::new(TorrentDisk { key: 0, storage: Arc::new(storage), journal: None, add, inbox: Inbox::default() })
}

/// What was told since it was asked last.
fn told(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_download_tells_once_that_it_is_complete_and_its_marker_is_gone_by_then() {
    let (sample, dir) = (Sample::single(100_000, 16_384), tempfile::tempdir().unwrap());
    sample.write_to(dir.path());
    let mut context = context(&sample, dir.path());
    let mut events = context.shared.events.subscribe();
    let disk = disk(&context);
    let marker = Arc::new(Marker::take(&disk.storage, disk.info()).unwrap());
    let mut active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), Some(marker));
    active.start_finishing();
    let finished = active.finishing.join_next().await.unwrap();
    // The marker is gone before the torrent's task hears of it, which must not wait for the disk.
    sample.assert_complete_in(dir.path());
    assert_eq!(active.state(), State::Downloading);
    active.take_finished(finished);
    assert_eq!(active.state(), State::Seeding);
    let said = told(&mut events);
    assert!(matches!(said[..], [Event::Complete { .. }, Event::Seeding { .. }]), "{said:?}");
    // A piece was lost and came again.
    active.start_finishing();
    let finished = active.finishing.join_next().await.unwrap();
    active.take_finished(finished);
    let said = told(&mut events);
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn h68_a_download_that_lost_a_piece_while_its_files_were_completed_is_not_complete() {
    let (sample, dir) = (Sample::single(100_000, 16_384), tempfile::tempdir().unwrap());
    sample.write_to(dir.path());
    let mut context = context(&sample, dir.path());
    let mut events = context.shared.events.subscribe();
    let disk = disk(&context);
    let mut have = Bitfield::full(7);
    have.clear(3);
    let mut active = Active::new(&mut context, &disk, (have, Bitfield::new(7)), None);
    active.start_finishing();
    let finished = active.finishing.join_next().await.unwrap();
    active.take_finished(finished);
    assert_eq!(active.state(), State::Downloading);
    let said = told(&mut events);
    assert!(said.is_empty(), "{said:?}");
}

/// A connection of which only the link matters.
async fn handshaken(shared: &Arc<Shared>) -> (Handshaken, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, address) = listener.accept().await.unwrap();
    let (peer_id, place) = (PeerId([b'x'; 20]), shared.place(address).unwrap());
    (Handshaken { stream, address, direction: Direction::Incoming, peer_id, reserved: [0; 8], place }, theirs)
}

#[tokio::test]
async fn h76_a_read_that_fails_for_want_of_descriptors_costs_no_piece() {
    use rustix::io::Errno;
    let (sample, dir) = (Sample::single(100_000, 16_384), tempfile::tempdir().unwrap());
    let mut context = context(&sample, dir.path());
    let (connection, _theirs) = handshaken(&context.shared).await;
    let mut events = context.shared.events.subscribe();
    let disk = disk(&context);
    let mut active = Active::new(&mut context, &disk, (Bitfield::full(7), Bitfield::new(7)), None);
    active.open(connection);
    let now = active.now();
    let link = active.engine.link_stats(now).next().unwrap().0;
    let read = |errno: Errno| {
        let (path, kind) = (dir.path().join("sample.bin"), StorageErrorKind::Io);
        let error = StorageError { path, operation: "open", kind, source: errno.into() };
        let blocks = vec![disk.info().geometry().block(3, 0)];
        Results { reads: vec![ReadDone { link, epoch: 0, blocks, run: Err(error) }], ..Results::default() }
    };
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        active.take_results(now, read(errno));
    }
    assert!(active.engine.is_complete());
    assert!(told(&mut events).is_empty());
    active.take_results(now, read(Errno::IO));
    assert!(!active.engine.is_complete());
    assert_eq!(told(&mut events).len(), 1);
}

/// Whether the engine has asked anybody for a block.
fn asks(active: &mut Active<'_>) -> bool {
    let now = active.now();
    active.engine.plan(now);
    let actions: Vec<Action> = std::iter::from_fn(|| active.engine.poll_action()).collect();
    actions.iter().any(|action| matches!(action, Action::Send(_, Message::Request(_))))
}

#[tokio::test]
async fn h70_h73_a_download_that_lacks_pieces_asks_for_none_before_its_marker_stands_beside_it() {
    let (sample, dir) = (Sample::single(100_000, 16_384), tempfile::tempdir().unwrap());
    sample.write_to(dir.path());
    let mut context = context(&sample, dir.path());
    let (connection, _theirs) = handshaken(&context.shared).await;
    let disk = disk(&context);
    let mut have = Bitfield::full(7);
    have.clear(3);
    let mut active = Active::new(&mut context, &disk, (have, Bitfield::new(7)), None);
    active.open(connection);
    let now = active.now();
    let link = active.engine.link_stats(now).next().unwrap().0;
    active.mind_changes(now);
    active.engine.handle_message(now, link, Message::Bitfield(Bitfield::full(7).to_bytes()));
    active.engine.handle_message(now, link, Message::Unchoke);
    assert!(!asks(&mut active));
    let done = active.rechecks.done().await.unwrap();
    active.take_done(done);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "the marker is there");
    active.mind_changes(now);
    assert!(asks(&mut active));
}

#[tokio::test]
async fn a_panic_ends_one_torrent_and_is_told_without_its_text() {
    let disk = DiskThreads::start(1).unwrap();
    let shared = Arc::new(Shared::new(SessionConfig::default(), 1, disk, ChaCha8Rng::from_seed([0; 32])));
    let mut events = shared.events.subscribe();
    let sample = Sample::single(1, 16_384);
    let (stats, watcher) = watch::channel(first_stats(&sample.seed()));
    catch(async { panic!("the inside") }, &shared, TorrentId(1), &stats).await;
    let State::Failed(failure) = watcher.borrow().state.clone() else { panic!("not failed") };
    assert_eq!(failure.kind, FailureKind::Other);
    assert!(!failure.message.contains("the inside"));
    assert!(matches!(events.recv().await, Ok(Event::Failed { id: TorrentId(1), .. })));
}
