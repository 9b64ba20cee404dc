//! Every client seeds to shoal and leeches from it, through every tracker, and the copy is right to the byte.

use std::fs;

use tempfile::TempDir;

use super::support::clients::Client::{self, Aria2, Libtorrent, Shoal, Transmission};
use super::support::data::{LIBRARY, assert_same_but_for_empty_files, library};
use super::support::net::Network;
use super::support::readers;
use super::support::trackers::Tracker;
use super::support::trackers::TrackerKind::{self, Opentracker, Shoal as ShoalTracker};
use crate::support::data::assert_same;

/// One host runs the tracker, one seeds, one leeches.
fn copy_is_right(seeder: Client, leecher: Client, tracker: TrackerKind, scheme: &str) {
    let network = Network::new(3);
    let scratch = TempDir::new().expect("a folder can be made");
    let [original, copy, logs] = ["original", "copy", "logs"].map(|name| scratch.path().join(name));
    for folder in [&copy, &logs] {
        fs::create_dir(folder).expect("a folder can be made");
    }
    library(&original);
    let torrent = scratch.path().join("library.torrent");
    readers::shoal_create(
        &original.join(LIBRARY),
        &torrent,
        &["-p", "64KiB", "-a", &Tracker::url_over(scheme, network.host(0))],
    );
    let info_hash = readers::shoal_show(&torrent).info_hash;

    let tracker = Tracker::start(tracker, network.host(0), &info_hash, &logs);
    let _seeder = seeder.seed(network.host(1), &torrent, &original, &logs);
    tracker.wait_for_seeds(&info_hash, 1);
    leecher.leech(network.host(2), &torrent, &copy, &logs).finish();

    let same = if leecher.makes_empty_files() { assert_same } else { assert_same_but_for_empty_files };
    same(&original.join(LIBRARY), &copy.join(LIBRARY));
}

/// A test for each pair of clients and each tracker, which they ask over HTTP or UDP: over UDP opentracker alone, since ours
/// is asked in [`super::tracking`].
macro_rules! copies {
    ($scheme:literal; $($name:ident: $seeder:ident to $leecher:ident through $tracker:ident;)*) => {$(
        #[test]
        #[ignore = "needs real clients: apt-get install iproute2 transmission-cli aria2 python3-libtorrent \
                    opentracker, be root, and run with --ignored"]
        fn $name() {
            copy_is_right($seeder, $leecher, $tracker, $scheme);
        }
    )*};
}

copies! {
    "http";
    aria2_seeds_to_shoal_through_opentracker: Aria2 to Shoal through Opentracker;
    aria2_seeds_to_shoal_through_our_tracker: Aria2 to Shoal through ShoalTracker;
    libtorrent_seeds_to_shoal_through_opentracker: Libtorrent to Shoal through Opentracker;
    libtorrent_seeds_to_shoal_through_our_tracker: Libtorrent to Shoal through ShoalTracker;
    transmission_seeds_to_shoal_through_opentracker: Transmission to Shoal through Opentracker;
    transmission_seeds_to_shoal_through_our_tracker: Transmission to Shoal through ShoalTracker;
    shoal_seeds_to_aria2_through_opentracker: Shoal to Aria2 through Opentracker;
    shoal_seeds_to_aria2_through_our_tracker: Shoal to Aria2 through ShoalTracker;
    shoal_seeds_to_libtorrent_through_opentracker: Shoal to Libtorrent through Opentracker;
    shoal_seeds_to_libtorrent_through_our_tracker: Shoal to Libtorrent through ShoalTracker;
    shoal_seeds_to_transmission_through_opentracker: Shoal to Transmission through Opentracker;
    shoal_seeds_to_transmission_through_our_tracker: Shoal to Transmission through ShoalTracker;
    shoal_seeds_to_shoal_through_opentracker: Shoal to Shoal through Opentracker;
    shoal_seeds_to_shoal_through_our_tracker: Shoal to Shoal through ShoalTracker;
}

copies! {
    "udp";
    shoal_seeds_to_aria2_through_opentracker_over_udp: Shoal to Aria2 through Opentracker;
    shoal_seeds_to_shoal_through_opentracker_over_udp: Shoal to Shoal through Opentracker;
}
