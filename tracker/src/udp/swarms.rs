//! The tracker's swarms as a UDP client sees them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use metainfo::InfoHash;
use tracker_proto::access;
use tracker_proto::address::{Asker, reachable};
use tracker_proto::compact::{self, IPV4_LENGTH, IPV6_LENGTH};
use tracker_proto::http::ScrapeStats;
use tracker_proto::swarm::{Announce, Families, PeerSink};
use tracker_proto::udp::{Refusal, Swarms, UrlData};

use crate::limits::TOO_OFTEN;
use crate::metrics::Outcome;
use crate::state::State;

/// What one packet is answered from.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    /// The tracker's own address on which the packet came in.
    pub(super) local: IpAddr,
    /// Where it came from.
    pub(super) from: IpAddr,
    /// What comes of it, if nothing is wrong with the packet.
    pub(super) outcome: Outcome,
    /// When to come back.
    wait: Duration,
}

impl<'a> View<'a> {
    pub(super) fn new(state: &'a State, from: IpAddr, local: IpAddr) -> Self {
        Self { state, local, from, outcome: Outcome::Answered, wait: state.config.interval }
    }

    fn judge(&mut self, passkey: Option<&[u8]>, info_hash: &InfoHash) -> Result<(), Refusal> {
        let judged = self.state.gate.judge(self.from.to_canonical(), passkey, info_hash);
        judged.map_err(|refusal| self.refused(refusal))
    }

    /// Counts the first refusal of a packet: a scrape can have many.
    fn refused(&mut self, refusal: access::Refusal) -> Refusal {
        if self.outcome != Outcome::Refused {
            self.state.gate.count(refusal);
            self.outcome = Outcome::Refused;
        }
        Refusal(refusal.reason())
    }
}

/// The passkey of a path such as `/PASSKEY/announce`.
fn passkey(path: &[u8]) -> Option<&[u8]> {
    let mut parts = path.strip_prefix(b"/")?.splitn(2, |&byte| byte == b'/');
    let passkey = parts.next()?;
    parts.next().map(|_| passkey)
}

impl Swarms for View<'_> {
    fn interval(&self) -> Duration {
        self.wait
    }

    fn announce(
        &mut self,
        announce: &Announce,
        url_data: UrlData<'_>,
        peers: &mut Vec<u8>,
    ) -> Result<ScrapeStats, Refusal> {
        if self.state.limits.admit(self.state.clock.lately(), self.from).is_err() {
            self.outcome = Outcome::Limited;
            return Err(Refusal(TOO_OFTEN));
        }
        // Who has no passkey sends none: nothing is copied for a tracker that asks for none.
        let path = if self.state.gate.is_private() { url_data.to_vec() } else { Vec::new() };
        self.judge(passkey(&path), &announce.info_hash)?;
        let own = announce.address;
        let asker = Asker { remote: own.ip(), local: self.local };
        let mut peers = Peers {
            first: peers.len(),
            out: peers,
            own,
            asker,
            advertise: self.state.config.advertise,
            is_elsewhere: !own.ip().is_loopback(),
        };
        let Some(announced) = self.state.announce_into(announce, Families::Own, &mut peers) else {
            return Err(self.refused(access::Refusal::Torrent));
        };
        self.wait = announced.wait.interval;
        Ok(announced.stats)
    }

    /// A packet has room for numbers only: whoever may not know them is told of an empty swarm. Scrapes carry no
    /// passkey (BEP 41), so that a private tracker tells no numbers over UDP.
    fn scrape(&mut self, info_hash: InfoHash) -> ScrapeStats {
        if self.judge(None, &info_hash).is_err() {
            return ScrapeStats::default();
        }
        self.state.scrape(&[info_hash]).files.get(&info_hash).copied().unwrap_or_default()
    }
}

/// The peers of a reply, as the asker can use them.
struct Peers<'a> {
    out: &'a mut Vec<u8>,
    /// Where they begin.
    first: usize,
    own: SocketAddr,
    asker: Asker,
    advertise: Option<IpAddr>,
    /// Whether the asker is elsewhere, where loopback means another machine.
    is_elsewhere: bool,
}

impl Peers<'_> {
    /// A peer on the tracker's own machine, by an address that the asker can reach. A machine known by loopback and by
    /// another address would be there twice, or be the asker.
    #[cold]
    fn add_loopback(&mut self, peer: SocketAddr) {
        let address = reachable(peer, self.asker, self.advertise);
        let before = self.out.len();
        if address == self.own || address.is_ipv4() != peer.is_ipv4() {
            return;
        }
        compact::encode(address, self.out);
        let stride = self.out.len() - before;
        let all = self.out.get(self.first..).and_then(|all| all.split_at_checked(before - self.first));
        if all.is_some_and(|(given, this)| given.chunks_exact(stride).any(|one| one == this)) {
            self.out.truncate(before);
        }
    }
}

impl PeerSink for Peers<'_> {
    fn ipv4(&mut self, peer: &[u8; IPV4_LENGTH]) {
        let [a, b, c, d, high, low] = *peer;
        if a != 127 || !self.is_elsewhere {
            self.out.extend_from_slice(peer);
            return;
        }
        self.add_loopback((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into());
    }

    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]) {
        let [ip @ .., high, low] = *peer;
        let ip = Ipv6Addr::from(ip);
        if !ip.is_loopback() || !self.is_elsewhere {
            self.out.extend_from_slice(peer);
            return;
        }
        self.add_loopback((ip, u16::from_be_bytes([high, low])).into());
    }
}

#[cfg(test)]
mod tests {
    use tracker_proto::PeerId;
    use tracker_proto::connection_id::ConnectionIds;
    use tracker_proto::http::{AnnounceRequest, Event};
    use tracker_proto::udp::{self, TransactionId};

    use super::*;
    use crate::{Access, AccessConfig, TrackerConfig};

    /// What `asker` is given, after all `peers` have announced; he comes in on 192.168.1.2 or 2001:db8::2.
    fn given(peers: &[&str], asker: &str, advertise: Option<&str>) -> Vec<SocketAddr> {
        let advertise = advertise.map(|ip| ip.parse().unwrap());
        let state = State::new(TrackerConfig { advertise, ..TrackerConfig::open() }).unwrap();
        let asker: SocketAddr = asker.parse().unwrap();
        let local = if asker.is_ipv4() { "192.168.1.2" } else { "2001:db8::2" }.parse().unwrap();
        let mut out = Vec::new();
        for address in peers.iter().map(|peer| peer.parse().unwrap()).chain([asker]) {
            out.clear();
            let (info_hash, event) = (InfoHash::new([1; 20]), Event::Started);
            let announce = Announce { info_hash, address, left: 1, event, numwant: None };
            View::new(&state, announce.address.ip(), local)
                .announce(&announce, UrlData::default(), &mut out)
                .unwrap();
        }
        let mut given = match asker.is_ipv4() {
            true => compact::decode_ipv4(&out, 100).addresses,
            false => compact::decode_ipv6(&out, 100).addresses,
        };
        given.sort();
        given
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_peer_on_this_machine_is_given_by_the_address_on_which_the_asker_came_in() {
        let peers = ["127.0.0.1:1", "127.0.0.2:1", "10.0.0.1:2", "[::1]:3", "[2001:db8::7]:4"];
        assert_eq!(given(&peers, "10.0.0.9:9", None), addresses(&["10.0.0.1:2", "192.168.1.2:1"]));
        assert_eq!(
            given(&peers, "[2001:db8::9]:9", None),
            addresses(&["[2001:db8::2]:3", "[2001:db8::7]:4"])
        );
        let advertised = given(&peers, "10.0.0.9:9", Some("203.0.113.5"));
        assert_eq!(advertised, addresses(&["10.0.0.1:2", "203.0.113.5:1"]));
    }

    #[test]
    fn somebody_on_this_machine_is_given_loopback() {
        let peers = ["127.0.0.1:1", "127.0.0.2:1"];
        assert_eq!(given(&peers, "127.0.0.1:9", None), addresses(&peers));
    }

    #[test]
    fn h60_who_announces_too_often_gets_less_than_he_sent_and_counts_nothing() {
        let config = TrackerConfig { limit_announces: "1/min".parse().ok(), ..TrackerConfig::open() };
        let state = State::new(config).unwrap();
        let (from, ids) = ("203.0.113.5:1".parse::<SocketAddr>().unwrap(), ConnectionIds::new(&[1; 16]));
        let now = Duration::from_secs(1_700_000_000);
        let connection = ids.issue(from.ip(), now);
        let ask = |port| {
            let request = AnnounceRequest::new(InfoHash::new([1; 20]), PeerId([1; 20]), port);
            let announce = udp::Announce::from(&request);
            let packet = udp::Request::Announce { connection, announce: &announce, url_data: b"" }
                .encode(TransactionId(7));
            let mut view = View::new(&state, from.ip(), "192.0.2.1".parse().unwrap());
            let mut out = Vec::new();
            let kind = udp::respond(&packet, from, now, &ids, &mut view, &mut out);
            (kind, view.outcome, out, packet.len())
        };
        let (kind, outcome, reply, _) = ask(1001);
        assert_eq!((kind, outcome), (Some(udp::Kind::Announce), Outcome::Answered));
        let interval = u32::from_be_bytes(reply[8..12].try_into().unwrap());
        assert!((1620..=1980).contains(&interval), "{interval}");
        let (kind, outcome, reply, asked) = ask(1002);
        assert_eq!((kind, outcome), (Some(udp::Kind::Error), Outcome::Limited));
        assert_eq!(&reply[8..], TOO_OFTEN.as_bytes());
        assert!(reply.len() < asked, "{} for {asked}", reply.len());
        assert_eq!(state.totals().peers, 1);
    }

    #[test]
    fn a_packet_is_refused_once_however_many_swarms_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let denied = folder.path().join("denied");
        std::fs::write(&denied, format!("{}\n{}", "01".repeat(20), "02".repeat(20))).unwrap();
        let lists = AccessConfig { deny_hashes: Some(denied), ..AccessConfig::default() };
        let state = State::new(TrackerConfig { lists, ..TrackerConfig::open() }).unwrap();
        let [from, local] = ["203.0.113.5", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        let refused = || state.gate.refusals().iter().sum::<u64>();
        let mut packet = View::new(&state, from, local);
        for n in 1..=3 {
            packet.scrape(InfoHash::new([n; 20]));
        }
        assert_eq!((packet.outcome, refused()), (Outcome::Refused, 1));
        View::new(&state, from, local).scrape(InfoHash::new([3; 20]));
        assert_eq!(refused(), 1);
        View::new(&state, from, local).scrape(InfoHash::new([2; 20]));
        assert_eq!(refused(), 2);
    }

    #[test]
    fn an_announce_of_a_torrent_that_is_not_registered_is_counted_as_refused() {
        let state =
            State::new(TrackerConfig { access: Access::Registered, ..TrackerConfig::open() }).unwrap();
        let address: SocketAddr = "203.0.113.5:1".parse().unwrap();
        let announce = Announce {
            info_hash: InfoHash::new([1; 20]),
            address,
            left: 1,
            event: Event::Started,
            numwant: None,
        };
        let mut packet = View::new(&state, address.ip(), "192.0.2.1".parse().unwrap());
        packet.announce(&announce, UrlData::default(), &mut Vec::new()).unwrap_err();
        let counts = crate::access::REASONS.iter().map(|(_, why, _)| *why).zip(state.gate.refusals());
        assert!(counts.eq([
            ("network", 0),
            ("torrent", 1),
            ("no_passkey", 0),
            ("wrong_passkey", 0),
            ("forwarder", 0)
        ]));
    }

    #[test]
    fn nobody_is_given_himself_by_another_address() {
        assert_eq!(given(&["127.0.0.1:9"], "192.168.1.2:9", None), []);
    }
}
