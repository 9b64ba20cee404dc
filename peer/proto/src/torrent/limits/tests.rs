//! Limits in virtual time: real engines that seed and fetch over links that deliver as fast as asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::torrent::{About, Action, BlockVerdict, Direction, Opened, TorrentConfig};
use crate::wire::Message;
use crate::{Allocator, Bitfield, Block, Geometry, PeerId, TorrentKey};

const MEGABYTE: u64 = 1_000_000;
const LATENCY: Duration = Duration::from_millis(10);
/// What each node's line sends a second, if nothing limits it.
const LINE: u64 = 50 * MEGABYTE;
const PIECES: u32 = 512;
const PIECE: u32 = 16 * BLOCK_LENGTH;

fn limits(up: u64, down: u64) -> Limits {
    Limits { up: NonZeroU64::new(up), down: NonZeroU64::new(down) }
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn config(complete: bool, id: u8) -> TorrentConfig {
    TorrentConfig {
        geometry: Geometry::new(u64::from(PIECES) * u64::from(PIECE), PIECE).unwrap(),
        have: if complete { Bitfield::full(PIECES) } else { Bitfield::new(PIECES) },
        peer_id: PeerId([id; 20]),
        max_links: 50,
        max_dials: 0,
        upload_slots: 20,
        super_seeding: true,
        about: About::default(),
        disk_budget: 1024,
        disk_backlog: 1024,
        upload_budget: 8 << 20,
    }
}

enum What {
    Message { to: usize, link: LinkId, message: Message },
    Block { to: usize, link: LinkId, block: Block },
    Sent { node: usize, link: LinkId, bytes: u32 },
}

struct Node {
    torrent: Torrent,
    /// The session that it belongs to.
    session: Option<usize>,
    line_free: Time,
    line: u64,
    ends: BTreeMap<LinkId, (usize, LinkId)>,
    written: BTreeMap<u32, u32>,
    /// When so many bytes of payload came.
    received: Vec<(Time, u64)>,
    /// Most blocks that were asked for and not here.
    most_awaited: u32,
}

#[derive(Default)]
struct Net {
    now: Time,
    nodes: Vec<Node>,
    sessions: Vec<Allocator>,
    events: BTreeMap<(Time, u64), What>,
    next: u64,
}

impl Net {
    fn session(&mut self, limits: Limits) -> usize {
        self.sessions.push(Allocator::new(self.now, limits));
        self.sessions.len() - 1
    }

    fn add(&mut self, complete: bool, session: Option<usize>, limits: Limits) -> usize {
        let index = self.nodes.len();
        let id = u8::try_from(index + 1).unwrap();
        let mut torrent =
            Torrent::new(config(complete, id), self.now, ChaCha8Rng::seed_from_u64(index as u64));
        torrent.set_limits(self.now, limits);
        self.nodes.push(Node {
            torrent,
            session,
            line_free: self.now,
            line: LINE,
            ends: BTreeMap::new(),
            written: BTreeMap::new(),
            received: Vec::new(),
            most_awaited: 0,
        });
        index
    }

    fn seed(&mut self) -> usize {
        self.add(true, None, Limits::default())
    }

    fn leech(&mut self) -> usize {
        self.add(false, None, Limits::default())
    }

    fn connect(&mut self, a: usize, b: usize) {
        let open = |net: &mut Self, node: usize, other: usize, direction| {
            let id = u8::try_from(other + 1).unwrap();
            let address = SocketAddr::from(([10, 0, 0, id], 6881));
            let opened = Opened { address, direction, peer_id: PeerId([id; 20]), reserved: [0; 8] };
            net.nodes[node].torrent.handle_opened(net.now, opened).unwrap()
        };
        let near = open(self, a, b, Direction::Outgoing);
        let far = open(self, b, a, Direction::Incoming);
        self.nodes[a].ends.insert(near, (b, far));
        self.nodes[b].ends.insert(far, (a, near));
        self.settle(a);
        self.settle(b);
    }

    fn after(&mut self, delay: Duration, what: What) {
        self.next += 1;
        self.events.insert((self.now + delay, self.next), what);
    }

    fn run(&mut self, until: Time) {
        loop {
            let event = self.events.keys().next().map(|&(at, _)| at);
            let timers = self.nodes.iter().enumerate();
            let timer = timers.filter_map(|(node, n)| Some((n.torrent.poll_timeout()?, node))).min();
            let next = event.into_iter().chain(timer.map(|(due, _)| due)).min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            self.now = self.now.max(next);
            match timer {
                Some((due, node)) if event.is_none_or(|event| due < event) => {
                    self.nodes[node].torrent.handle_timeout(self.now);
                    self.settle(node);
                }
                _ => {
                    let (_, what) = self.events.pop_first().unwrap();
                    self.happen(what);
                }
            }
        }
        self.now = until;
    }

    fn happen(&mut self, what: What) {
        let now = self.now;
        match what {
            What::Message { to, link, message } => {
                self.nodes[to].torrent.handle_message(now, link, message);
                self.settle(to);
            }
            What::Sent { node, link, bytes } => {
                self.nodes[node].torrent.handle_upload_sent(now, link, bytes, true);
                self.settle(node);
            }
            What::Block { to, link, block } => {
                let node = &mut self.nodes[to];
                node.received.push((now, u64::from(block.length)));
                if node.torrent.handle_block(now, link, block) == BlockVerdict::Write {
                    node.torrent.handle_blocks_written(1);
                    let written = node.written.entry(block.piece).or_default();
                    *written += 1;
                    if *written == PIECE / BLOCK_LENGTH {
                        node.torrent.handle_piece_result(now, block.piece, true);
                    }
                }
                self.settle(to);
            }
        }
    }

    fn settle(&mut self, index: usize) {
        let now = self.now;
        self.share(index);
        loop {
            self.nodes[index].torrent.plan(now);
            while let Some(action) = self.nodes[index].torrent.poll_action() {
                self.act(index, action);
            }
            if !self.share(index) {
                break;
            }
        }
        let node = &mut self.nodes[index];
        node.most_awaited = node.most_awaited.max(node.torrent.disk_in_use);
    }

    fn share(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        let Some(session) = node.session else { return false };
        self.sessions[session].settle(self.now, TorrentKey(u32::try_from(index).unwrap()), &mut node.torrent)
    }

    fn act(&mut self, index: usize, action: Action) {
        let now = self.now;
        match action {
            Action::Send(link, message) => {
                let (to, link) = self.nodes[index].ends[&link];
                self.after(LATENCY, What::Message { to, link, message });
            }
            Action::Upload(link, block) => {
                let node = &mut self.nodes[index];
                let took = Duration::from_micros(u64::from(block.length) * 1_000_000 / node.line);
                node.line_free = node.line_free.max(now) + took;
                let gone = node.line_free.saturating_since(now);
                let (to, far) = node.ends[&link];
                self.after(gone, What::Sent { node: index, link, bytes: block.length });
                self.after(gone + LATENCY, What::Block { to, link: far, block });
            }
            Action::GotPiece(_) | Action::ForgetUploads(_) | Action::UnsentRoom(..) => {}
            other => panic!("{other:?}"),
        }
    }

    /// Bytes of payload that a node got in this time.
    fn received(&self, node: usize, from: u64, to: u64) -> u64 {
        let within = self.nodes[node].received.iter().filter(|(when, _)| (at(from)..at(to)).contains(when));
        within.map(|(_, bytes)| bytes).sum()
    }

    #[track_caller]
    fn assert_rate(&self, nodes: &[usize], rate: u64) {
        let bytes: u64 = nodes.iter().map(|&node| self.received(node, 5, 25)).sum();
        let due = 20 * rate;
        assert!(bytes.abs_diff(due) * 100 <= due * 3, "{bytes} of {due}");
    }
}

/// A node with these limits of its own, or in a session that has them, and so many others around it.
fn star(complete: bool, limits: Limits, in_session: bool, others: usize) -> (Net, usize, Vec<usize>) {
    let mut net = Net::default();
    let session = in_session.then(|| net.session(limits));
    let centre = net.add(complete, session, if in_session { Limits::default() } else { limits });
    let others: Vec<usize> = (0..others).map(|_| net.add(!complete, None, Limits::default())).collect();
    others.iter().for_each(|&other| net.connect(centre, other));
    (net, centre, others)
}

#[test]
fn an_upload_limit_holds_at_one_receiver_and_at_ten() {
    for (in_session, receivers) in [(false, 1), (false, 10), (true, 1), (true, 10)] {
        let (mut net, _, others) = star(true, limits(MEGABYTE, 0), in_session, receivers);
        net.run(at(25));
        net.assert_rate(&others, MEGABYTE);
        let each = others.iter().map(|&other| net.received(other, 5, 25));
        // In a session those without a slot wait for their turn.
        let each: Vec<u64> = each.filter(|&bytes| !in_session || bytes > 0).collect();
        assert!(each.len() >= receivers.min(8), "{each:?}");
        let fair = 20 * MEGABYTE / each.len() as u64;
        assert!(each.iter().all(|bytes| bytes.abs_diff(fair) < fair / 10), "{each:?}");
    }
}

#[test]
fn a_download_limit_holds_with_one_sender_and_with_ten() {
    for (in_session, senders) in [(false, 1), (false, 10), (true, 1), (true, 10)] {
        let (mut net, centre, others) = star(false, limits(0, MEGABYTE), in_session, senders);
        net.run(at(25));
        net.assert_rate(&[centre], MEGABYTE);
        let each: Vec<u64> = others.iter().map(|&o| net.nodes[o].torrent.totals().uploaded).collect();
        let fair = each.iter().sum::<u64>() / each.len() as u64;
        assert!(each.iter().all(|bytes| bytes.abs_diff(fair) < fair / 10), "{each:?}");
    }
}

#[test]
fn the_lower_of_a_torrents_and_its_sessions_limit_counts() {
    for (own, session) in [(MEGABYTE, 3 * MEGABYTE), (3 * MEGABYTE, MEGABYTE)] {
        let mut net = Net::default();
        let session = net.session(limits(session, session));
        let from = net.seed();
        let to = net.add(false, Some(session), limits(0, own));
        net.connect(from, to);
        let from = net.add(true, Some(session), limits(own, 0));
        let other = net.leech();
        net.connect(from, other);
        net.run(at(25));
        net.assert_rate(&[to], MEGABYTE);
        net.assert_rate(&[other], MEGABYTE);
    }
}

#[test]
fn two_torrents_share_a_sessions_limit_evenly_and_many_peers_do_not_starve_few() {
    for peers in [(1, 1), (10, 1)] {
        let mut net = Net::default();
        let session = net.session(limits(MEGABYTE, MEGABYTE));
        let downloads = [
            net.add(false, Some(session), Limits::default()),
            net.add(false, Some(session), Limits::default()),
        ];
        let seeds = [
            net.add(true, Some(session), Limits::default()),
            net.add(true, Some(session), Limits::default()),
        ];
        let mut receivers = [Vec::new(), Vec::new()];
        for (torrent, peers) in [peers.0, peers.1].into_iter().enumerate() {
            for _ in 0..peers {
                let sender = net.seed();
                net.connect(downloads[torrent], sender);
                let receiver = net.leech();
                net.connect(seeds[torrent], receiver);
                receivers[torrent].push(receiver);
            }
        }
        net.run(at(25));
        for torrent in 0..2 {
            net.assert_rate(&downloads[torrent..=torrent], MEGABYTE / 2);
            net.assert_rate(&receivers[torrent], MEGABYTE / 2);
        }
    }
}

#[test]
fn what_an_idle_torrent_leaves_the_other_gets_and_limits_change_while_they_run() {
    let mut net = Net::default();
    let session = net.session(limits(0, MEGABYTE));
    let (busy, _idle) =
        (net.add(false, Some(session), Limits::default()), net.add(false, Some(session), Limits::default()));
    let from = net.seed();
    net.connect(busy, from);
    net.run(at(25));
    net.assert_rate(&[busy], MEGABYTE);
    let now = net.now;
    net.sessions[session].set_limits(now, limits(0, 2 * MEGABYTE));
    net.settle(busy);
    net.run(at(35));
    assert!(net.received(busy, 26, 35).abs_diff(18 * MEGABYTE) < MEGABYTE / 2);
    net.nodes[busy].torrent.set_limits(at(35), limits(0, MEGABYTE / 2));
    net.settle(busy);
    net.run(at(45));
    assert!(net.received(busy, 37, 45).abs_diff(4 * MEGABYTE) < MEGABYTE / 5);
    net.sessions[session].set_limits(at(45), Limits::default());
    net.nodes[busy].torrent.set_limits(at(45), Limits::default());
    net.settle(busy);
    net.run(at(46));
    assert!(net.received(busy, 45, 46) > 10 * MEGABYTE);
}

#[test]
fn under_a_low_limit_nobody_is_taken_for_slow_or_silent() {
    let (mut net, centre, _) = star(false, limits(0, 20_000), false, 10);
    net.run(at(100));
    let torrent = &net.nodes[centre].torrent;
    assert!(torrent.links.values().all(|link| !link.pipeline.is_snubbed() && link.down.total() > 0));
    assert!(net.received(centre, 20, 100).abs_diff(80 * 20_000) < 80 * 20_000 * 3 / 100 + 16_384);
}

#[test]
fn no_more_than_a_second_of_the_limit_is_asked_for_ahead_however_slow_the_peers_are() {
    let (mut net, centre, others) = star(false, limits(0, MEGABYTE), false, 10);
    others.iter().for_each(|&other| net.nodes[other].line = 1000);
    net.run(at(15));
    let second = u32::try_from(MEGABYTE / u64::from(BLOCK_LENGTH)).unwrap();
    assert!(
        (second - 10..=second).contains(&net.nodes[centre].most_awaited),
        "{}",
        net.nodes[centre].most_awaited
    );
}

#[test]
fn one_peer_that_does_not_deliver_leaves_the_rate_to_the_others() {
    let (mut net, centre, others) = star(false, limits(0, MEGABYTE), false, 5);
    net.nodes[others[0]].line = 1;
    net.run(at(25));
    net.assert_rate(&[centre], MEGABYTE);
}

/// An engine that is alone, with a link to a seed that has unchoked it.
fn fed(limits: Limits) -> (Torrent, LinkId) {
    let mut torrent = Torrent::new(config(false, 1), Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    torrent.set_limits(Time::ZERO, limits);
    let address = SocketAddr::from(([10, 0, 0, 2], 6881));
    let opened =
        Opened { address, direction: Direction::Incoming, peer_id: PeerId([2; 20]), reserved: [0; 8] };
    let link = torrent.handle_opened(Time::ZERO, opened).unwrap();
    torrent.handle_message(Time::ZERO, link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    torrent.handle_message(Time::ZERO, link, Message::Unchoke);
    (torrent, link)
}

fn asked(torrent: &mut Torrent, now: Time) -> Vec<Block> {
    torrent.plan(now);
    std::iter::from_fn(|| torrent.poll_action())
        .filter_map(|action| match action {
            Action::Send(_, Message::Request(block)) => Some(block),
            _ => None,
        })
        .collect()
}

#[test]
fn credit_for_blocks_that_do_not_come_is_given_back_and_taken_again_when_they_do_after_all() {
    let (mut torrent, link) = fed(limits(0, MEGABYTE));
    assert_eq!(asked(&mut torrent, Time::ZERO), []);
    let blocks = asked(&mut torrent, at(1));
    assert_eq!(blocks.len(), 13, "200 ms of 1 MB/s");
    assert_eq!(asked(&mut torrent, at(1)), []);
    torrent.handle_message(at(1), link, Message::Choke);
    torrent.handle_message(at(1), link, Message::Unchoke);
    assert_eq!(asked(&mut torrent, at(1)).len(), 13);
    torrent.handle_message(at(1), link, Message::Choke);
    for &block in &blocks[..10] {
        torrent.handle_block(at(1), link, block);
    }
    torrent.handle_message(at(1), link, Message::Unchoke);
    assert_eq!(asked(&mut torrent, at(1)).len(), 3);
}

#[test]
fn a_torrent_that_ends_leaves_to_the_others_what_it_paid_for_blocks_that_did_not_come() {
    let mut allocator = Allocator::new(Time::ZERO, limits(0, MEGABYTE));
    let mut all_it_may = |key, torrent: &mut Torrent, ends: bool| {
        allocator.settle(at(1), TorrentKey(key), torrent);
        let mut blocks = asked(torrent, at(1)).len();
        while allocator.settle(at(1), TorrentKey(key), torrent) {
            blocks += asked(torrent, at(1)).len();
        }
        if ends {
            torrent.handle_shutdown(at(1));
            allocator.settle(at(1), TorrentKey(key), torrent);
            allocator.remove(TorrentKey(key));
        }
        blocks
    };
    let [mut first, mut second, mut third] = [(); 3].map(|()| fed(Limits::default()).0);
    let due = all_it_may(1, &mut first, true);
    assert!(due >= 12, "{due}");
    assert_eq!(all_it_may(2, &mut second, false), due);
    assert_eq!(all_it_may(3, &mut third, false), 0, "it is spent");
}

#[test]
fn uploads_that_are_forgotten_cost_no_credit() {
    let config = TorrentConfig { super_seeding: false, ..config(true, 1) };
    let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    torrent.set_limits(Time::ZERO, limits(MEGABYTE, 0));
    let address = SocketAddr::from(([10, 0, 0, 2], 6881));
    let opened =
        Opened { address, direction: Direction::Incoming, peer_id: PeerId([2; 20]), reserved: [0; 8] };
    let link = torrent.handle_opened(Time::ZERO, opened).unwrap();
    torrent.handle_message(Time::ZERO, link, Message::Interested);
    torrent.plan(Time::ZERO);
    let uploads = |torrent: &mut Torrent| {
        (0..16).for_each(|n| {
            let block = torrent.config.geometry.block(0, n);
            torrent.handle_message(at(1), link, Message::Request(block));
        });
        torrent.plan(at(1));
        std::iter::from_fn(|| torrent.poll_action()).filter(|a| matches!(a, Action::Upload(..))).count()
    };
    assert_eq!(uploads(&mut torrent), 4);
    for _ in 0..100 {
        torrent.handle_upload_sent(at(1), link, 4 * BLOCK_LENGTH, false);
        assert_eq!(
            uploads(&mut torrent),
            4,
            "as many bytes as the limit allows in six seconds were never sent"
        );
    }
}

#[test]
fn a_limited_torrent_that_has_nothing_to_move_has_no_deadline() {
    let mut torrent = Torrent::new(config(false, 1), Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    let mut allocator = Allocator::new(Time::ZERO, limits(1000, 1000));
    torrent.set_limits(Time::ZERO, limits(1000, 1000));
    assert!(!allocator.settle(Time::ZERO, TorrentKey(1), &mut torrent));
    torrent.plan(Time::ZERO);
    assert!(!allocator.settle(Time::ZERO, TorrentKey(1), &mut torrent));
    assert_eq!(torrent.poll_timeout(), None);
    assert_eq!((torrent.limits(), allocator.limits()), (limits(1000, 1000), limits(1000, 1000)));
}

#[test]
fn slots_come_from_the_session_and_follow_the_demand() {
    let mut net = Net::default();
    let session = net.session(limits(MEGABYTE, 0));
    let seeds = [0; 2].map(|_| net.add(true, Some(session), Limits::default()));
    let unchoked =
        |net: &Net, seed: usize| net.nodes[seed].torrent.links.values().filter(|l| !l.we_choke).count();
    for _ in 0..20 {
        let leech = net.leech();
        net.connect(seeds[0], leech);
    }
    net.run(at(1));
    assert_eq!(unchoked(&net, seeds[0]), 8, "1 MB/s feeds so many");
    let leech = net.leech();
    net.connect(seeds[1], leech);
    net.run(at(2));
    assert_eq!(unchoked(&net, seeds[1]), 1, "a newcomer has its slot at once");
    net.run(at(15));
    assert_eq!((unchoked(&net, seeds[0]), unchoked(&net, seeds[1])), (7, 1));
}
