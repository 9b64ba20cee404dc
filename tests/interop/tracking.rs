//! Clients of other makes at `shoal tracker`, over HTTP and UDP, IPv4 and IPv6: it knows each by its right address, counts
//! it, brings it together with others, and forgets it when it leaves. And shoal at opentracker.
//!
//! What the others cannot do, so that no test shows it: aria2 1.36 has no UDP trackers over IPv6 and no command to scrape;
//! transmission 3.00 scrapes over HTTP only, reads no IPv6 address in an announce URL over UDP (a name works) and no
//! IPv6 peers in an answer over UDP; neither sends the path of a URL over UDP (BEP 41). Debian's opentracker serves IPv4
//! only.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tempfile::TempDir;

use super::support::asking::{announce, scrape, shoal_scrape, until_scraped};
use super::support::clients::Client::{self, Aria2, Libtorrent, Shoal, Transmission};
use super::support::clients::PORT;
use super::support::data::{LIBRARY, assert_same_but_for_empty_files, library};
use super::support::net::{Host, NAME_BOTH, NAME_V4, NAME_V6, Network};
use super::support::process::{Process, eventually};
use super::support::programs::run;
use super::support::readers;
use super::support::trackers::Tracker;
use super::support::trackers::TrackerKind::Opentracker;

/// A network, whose first host is for the tracker and whose last one asks, and something to share.
struct Stage {
    network: Network,
    scratch: TempDir,
    /// The announce URL in the torrent.
    url: String,
    torrent: PathBuf,
    info_hash: String,
}

impl Stage {
    fn new(network: Network, url: String) -> Self {
        let scratch = TempDir::new().expect("a folder can be made");
        for folder in ["copy", "logs"] {
            fs::create_dir(scratch.path().join(folder)).expect("a folder can be made");
        }
        let (original, torrent) = (scratch.path().join("original"), scratch.path().join("library.torrent"));
        library(&original);
        readers::shoal_create(&original.join(LIBRARY), &torrent, &["-p", "64KiB", "-a", &url]);
        let info_hash = readers::shoal_show(&torrent).info_hash;
        Self { network, scratch, url, torrent, info_hash }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn tracker_host(&self) -> &Host {
        self.network.host(0)
    }

    /// Starts a seeder on a host.
    fn seed(&self, client: Client, host: usize) -> Process {
        client.seed(self.network.host(host), &self.torrent, &self.folder("original"), &self.folder("logs"))
    }
}

/// The announce URL of host 0 by one of its names or addresses.
fn url(scheme: &str, host: &str) -> String {
    format!("{scheme}://{host}:{}/announce", Tracker::PORT)
}

fn peer(ip: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(ip.into(), PORT.parse().expect("a port"))
}

/// The only peer that a tracker at this address can know of a host that runs one client.
fn peer_at(host: &Host, place: &str) -> SocketAddr {
    match place {
        NAME_V6 | "[2001:db8:77::1]" => peer(host.address_v6().expect("the network has IPv6")),
        _ => peer(host.address()),
    }
}

/// One seeds, the tracker is asked about it in every way there is, another leeches, and both leave.
fn is_tracked(scheme: &str, place: &str, seeder: Client, leecher: Option<Client>) {
    let stage = Stage::new(Network::dual_stack(3), url(scheme, place));
    let (url, hash, asker) = (stage.url.as_str(), stage.info_hash.as_str(), stage.network.host(2));
    let logs = stage.folder("logs");
    let _tracker = Tracker::shoal(stage.tracker_host(), &logs, &[]);
    assert_eq!(shoal_scrape(asker, url, hash), [0, 0, 0]);

    let mut seeding = stage.seed(seeder, 1);
    until_scraped(asker, url, hash, [1, 0, 0]);
    let answer = announce(asker, url, hash).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(answer.peers, [peer_at(stage.network.host(1), place)]);
    assert_eq!(answer.counts, [1, 1], "the seeder, and who asks");
    assert_eq!(scrape(asker, url, hash), [1, 0, 0]);
    match (seeder, scheme) {
        (Libtorrent, _) => seeding.until("it is told the numbers", |seeding| {
            seeding.stdout().contains("scrape reply: 0 1").then_some(())
        }),
        (Transmission, "http") => {
            let told = run(asker.command("transmission-show").arg("--scrape").arg(&stage.torrent));
            assert!(told.contains("1 seeders, 0 leechers"), "{told}");
        }
        _ => {}
    }

    let mut completed = 0;
    if let Some(leecher) = leecher {
        let copy = stage.folder("copy");
        let mut leeching = leecher.leech(asker, &stage.torrent, &copy, &logs);
        leeching.finish();
        assert_same_but_for_empty_files(&stage.folder("original").join(LIBRARY), &copy.join(LIBRARY));
        completed = u64::from(leecher.says_completed());
        if leecher.goes_on_seeding() {
            until_scraped(asker, url, hash, [2, 0, completed]);
            leeching.leave();
        }
    }
    seeding.interrupt();
    let clients = [Some(seeder), leecher];
    let silent = clients.iter().flatten().filter(|client| !client.says_goodbye(scheme)).count();
    until_scraped(asker, url, hash, [u64::try_from(silent).expect("two at most"), 0, completed]);
}

/// A test for each client, protocol and family, with another client that leeches or without.
macro_rules! tracked {
    ($($name:ident: $scheme:literal $place:expr, $seeder:ident to $leecher:expr;)*) => {$(
        #[test]
        #[ignore = "needs real clients: apt-get install iproute2 transmission-cli aria2 python3-libtorrent, be root, \
                    and run with --ignored"]
        fn $name() {
            is_tracked($scheme, $place, $seeder, $leecher);
        }
    )*};
}

// Where transmission seeds or leeches it takes the 10 s until it looks again whom to unchoke: not more often than needed.
tracked! {
    libtorrent_is_tracked_over_http_and_ipv4: "http" "10.77.0.1", Libtorrent to Some(Aria2);
    aria2_is_tracked_over_http_and_ipv4: "http" NAME_V4, Aria2 to Some(Libtorrent);
    transmission_is_tracked_over_http_and_ipv4: "http" NAME_V4, Transmission to None;
    libtorrent_is_tracked_over_http_and_ipv6: "http" "[2001:db8:77::1]", Libtorrent to Some(Aria2);
    aria2_is_tracked_over_http_and_ipv6: "http" "[2001:db8:77::1]", Aria2 to Some(Libtorrent);
    transmission_is_tracked_over_http_and_ipv6: "http" NAME_V6, Transmission to Some(Shoal);
    libtorrent_is_tracked_over_udp_and_ipv4: "udp" "10.77.0.1", Libtorrent to Some(Transmission);
    aria2_is_tracked_over_udp_and_ipv4: "udp" NAME_V4, Aria2 to Some(Libtorrent);
    transmission_is_tracked_over_udp_and_ipv4: "udp" "10.77.0.1", Transmission to Some(Shoal);
    libtorrent_is_tracked_over_udp_and_ipv6: "udp" "[2001:db8:77::1]", Libtorrent to Some(Shoal);
    transmission_is_tracked_over_udp_and_ipv6: "udp" NAME_V6, Transmission to None;
    shoal_is_tracked_over_udp_and_ipv6: "udp" NAME_V6, Shoal to Some(Libtorrent);
}

/// A client with addresses of both families, at a tracker with both.
fn is_known_by_both_addresses(scheme: &str, client: Client) {
    let stage = Stage::new(Network::dual_stack(3), url(scheme, NAME_BOTH));
    let (hash, host, asker) = (stage.info_hash.as_str(), stage.network.host(1), stage.network.host(2));
    let _tracker = Tracker::shoal(stage.tracker_host(), &stage.folder("logs"), &[]);
    let mut seeding = stage.seed(client, 1);
    until_scraped(asker, &stage.url, hash, [2, 0, 0]);
    let known = |scheme: &str, place: &str| announce(asker, &url(scheme, place), hash).expect("peers").peers;
    let [v4, v6] = [NAME_V4, NAME_V6].map(|place| peer_at(host, place));
    for place in [NAME_V4, NAME_V6] {
        assert_eq!(known("http", place), [v4, v6], "an answer over HTTP has peers of both families");
    }
    assert_eq!(known("udp", NAME_V4), [v4]);
    assert_eq!(known("udp", NAME_V6), [v6]);
    seeding.interrupt();
    until_scraped(asker, &stage.url, hash, [0, 0, 0]);
}

#[test]
#[ignore = "needs a real client: apt-get install iproute2 python3-libtorrent, be root, and run with --ignored"]
fn libtorrent_is_known_by_both_its_addresses_over_http() {
    is_known_by_both_addresses("http", Libtorrent);
}

#[test]
#[ignore = "needs a real client: apt-get install iproute2 python3-libtorrent, be root, and run with --ignored"]
fn libtorrent_is_known_by_both_its_addresses_over_udp() {
    is_known_by_both_addresses("udp", Libtorrent);
}

#[test]
#[ignore = "needs python3 and network namespaces: apt-get install iproute2 python3-libtorrent, be root, and run with --ignored"]
fn shoal_is_known_by_both_its_addresses_over_udp() {
    is_known_by_both_addresses("udp", Shoal);
}

/// Everybody seeds with a passkey in the announce URL, and these are let in by a tracker that asks for one.
fn are_let_in_by_their_passkey(scheme: &str, let_in: &[Client]) {
    const PASSKEY: &str = "0123456789abcdefghij";
    const CLIENTS: [Client; 4] = [Libtorrent, Shoal, Aria2, Transmission];
    let of = |passkey: &str| format!("{scheme}://10.77.0.1:{}/{passkey}announce", Tracker::PORT);
    let stage = Stage::new(Network::new(6), of(&format!("{PASSKEY}/")));
    let (hash, asker, logs) = (stage.info_hash.as_str(), stage.network.host(5), stage.folder("logs"));
    fs::write(stage.folder("passkeys"), PASSKEY).expect("a file can be written");
    let options = ["--passkeys".into(), stage.folder("passkeys").into()];
    let _tracker = Tracker::shoal(stage.tracker_host(), &logs, &options);
    for stranger in [of(""), of("0123456789abcdefghik/")] {
        let refusal = announce(asker, &stranger, hash).err().expect("a refusal");
        assert!(refusal.contains("passkey"), "{refusal}");
    }

    let mut clients: Vec<_> =
        (1..).zip(CLIENTS).map(|(i, client)| (i, client, stage.seed(client, i))).collect();
    for (_, client, seeding) in &mut clients {
        // aria2 does not print it.
        if *client == Transmission && !let_in.contains(client) {
            seeding.until("it is told why", |seeding| seeding.stderr().contains("passkey").then_some(()));
        }
    }
    let due = clients.iter().filter(|(_, client, _)| let_in.contains(client));
    let due: Vec<_> = due.map(|(i, _, _)| peer(stage.network.host(*i).address())).collect();
    eventually("those with a passkey are let in", || {
        (announce(asker, &stage.url, hash).ok()?.peers == due).then_some(())
    });
}

#[test]
#[ignore = "needs real clients: apt-get install iproute2 transmission-cli aria2 python3-libtorrent, be root, and run with --ignored"]
fn all_are_let_in_by_their_passkey_over_http() {
    are_let_in_by_their_passkey("http", &[Libtorrent, Shoal, Aria2, Transmission]);
}

#[test]
#[ignore = "needs real clients: apt-get install iproute2 transmission-cli aria2 python3-libtorrent, be root, and run with --ignored"]
fn those_that_send_the_path_are_let_in_by_their_passkey_over_udp() {
    are_let_in_by_their_passkey("udp", &[Libtorrent, Shoal]);
}

#[test]
#[ignore = "needs a real tracker: apt-get install iproute2 opentracker python3-libtorrent, be root, and run with --ignored"]
fn shoal_is_counted_by_opentracker_and_reads_its_numbers() {
    let stage = Stage::new(Network::new(3), url("udp", "10.77.0.1"));
    let (hash, asker, logs) = (stage.info_hash.as_str(), stage.network.host(2), stage.folder("logs"));
    let _tracker = Tracker::start(Opentracker, stage.tracker_host(), hash, &logs);
    let everywhere = |due| {
        for scheme in ["udp", "http"] {
            let url = url(scheme, "10.77.0.1");
            until_scraped(asker, &url, hash, due);
            assert_eq!(scrape(asker, &url, hash), due);
        }
    };
    let mut seeding = stage.seed(Shoal, 1);
    everywhere([1, 0, 0]);
    Shoal.leech(asker, &stage.torrent, &stage.folder("copy"), &logs).finish();
    everywhere([1, 0, 1]);
    seeding.interrupt();
    everywhere([0, 0, 1]);
}
