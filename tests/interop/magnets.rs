//! Magnet links: the torrent itself comes from a peer, most often of another make, found through a tracker or named by
//! the link. aria2 does not read the addresses in links.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::support::SHOAL;
use super::support::clients::Client::{self, Aria2, Libtorrent, Shoal};
use super::support::clients::PORT;
use super::support::data::{LIBRARY, library};
use super::support::net::Network;
use super::support::process::eventually;
use super::support::programs::run;
use super::support::readers;
use super::support::trackers::Tracker;
use super::support::trackers::TrackerKind::Opentracker;
use crate::support::data::assert_same;

/// How the leecher finds the seeder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The link has a tracker.
    ItsTracker,
    /// The link has only the seeder's address.
    ItsAddress,
}

use By::{ItsAddress, ItsTracker};

/// One host runs the tracker, one seeds, one leeches with nothing but a link.
fn copy_is_right(seeder: Client, leecher: Client, by: By) {
    let network = Network::new(3);
    let scratch = TempDir::new().expect("a folder can be made");
    let [original, copy, logs] = ["original", "copy", "logs"].map(|name| scratch.path().join(name));
    for folder in [&copy, &logs] {
        fs::create_dir(folder).expect("a folder can be made");
    }
    library(&original);
    let torrent = scratch.path().join("library.torrent");
    let url = Tracker::url(network.host(0));
    // Small pieces make for metadata of more than one of its own.
    let announce: &[&str] =
        if by == By::ItsTracker { &["-p", "16KiB", "-a", &url] } else { &["-p", "16KiB"] };
    readers::shoal_create(&original.join(LIBRARY), &torrent, announce);
    let info_hash = readers::shoal_show(&torrent).info_hash;
    let mut link = run(Command::new(SHOAL).arg("magnet").arg(&torrent)).trim().to_owned();

    let address = SocketAddr::new(network.host(1).address().into(), PORT.parse().expect("a port"));
    let tracker =
        (by == By::ItsTracker).then(|| Tracker::start(Opentracker, network.host(0), &info_hash, &logs));
    let _seeder = seeder.seed(network.host(1), &torrent, &original, &logs);
    match tracker {
        Some(tracker) => {
            tracker.wait_for_seeds(&info_hash, 1);
            leecher.leech(network.host(2), link, &copy, &logs).finish();
        }
        None => {
            link.push_str(&format!("&x.pe={address}"));
            eventually("the seeder takes connections", || network.host(2).connect(address).ok());
            leecher.leech(network.host(2), link, &copy, &logs).finish();
        }
    }
    assert_same(&original.join(LIBRARY), &copy.join(LIBRARY));
}

/// A test for each pair of clients and each way to meet.
macro_rules! links {
    ($($name:ident: $seeder:ident to $leecher:ident by $by:ident;)*) => {$(
        #[test]
        #[ignore = "needs real clients: apt-get install iproute2 aria2 python3-libtorrent opentracker, be root, \
                    and run with --ignored"]
        fn $name() {
            copy_is_right($seeder, $leecher, $by);
        }
    )*};
}

links! {
    aria2_gives_the_torrent_of_a_link_with_a_tracker: Aria2 to Shoal by ItsTracker;
    aria2_gives_the_torrent_of_a_link_with_its_address: Aria2 to Shoal by ItsAddress;
    libtorrent_gives_the_torrent_of_a_link_with_a_tracker: Libtorrent to Shoal by ItsTracker;
    libtorrent_gives_the_torrent_of_a_link_with_its_address: Libtorrent to Shoal by ItsAddress;
    aria2_gets_the_torrent_of_a_link_with_a_tracker: Shoal to Aria2 by ItsTracker;
    libtorrent_gets_the_torrent_of_a_link_with_a_tracker: Shoal to Libtorrent by ItsTracker;
    libtorrent_gets_the_torrent_of_a_link_with_its_address: Shoal to Libtorrent by ItsAddress;
    shoal_gets_the_torrent_of_a_link_with_a_tracker: Shoal to Shoal by ItsTracker;
    shoal_gets_the_torrent_of_a_link_with_its_address: Shoal to Shoal by ItsAddress;
}
