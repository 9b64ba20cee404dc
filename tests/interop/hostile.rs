//! The hostile peer on a host of its own, where bans, caps and scopes go by addresses: on one machine they cannot.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hostile_peer::Sample;
use hostile_peer::guest::{self, Guest, MODERN, extended, hello};
use hostile_peer::poison::{self, Poisoner, SEEDERS, Verdict};
use serde_json::Value;
use tempfile::TempDir;

use super::support::SHOAL;
use super::support::clients::PORT;
use super::support::net::{Host, Network};
use super::support::process::Process;

/// What a host can send: slow enough for pieces to come from several at once.
const SLOW_LINK: &str = "10mbit";

fn at(host: &Host) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(host.address()), PORT.parse().unwrap())
}

fn seed(host: &Host, sample: &Sample, logs: &Path) -> Process {
    let torrent = sample.torrent();
    let words: [OsString; 5] = [SHOAL.into(), "seed".into(), torrent.into(), "--port".into(), PORT.into()];
    let mut seed = Process::start(host, "seed", logs, &words);
    seed.until("it seeds", |seed| seed.stderr().contains("seeding on port").then_some(()));
    seed
}

fn download(host: &Host, sample: &Sample, folder: &Path, logs: &Path, peers: &[SocketAddr]) -> Process {
    let words = sample.download(&sample.torrent().to_string_lossy(), folder, peers);
    let words = words.into_iter().map(|word| if word == "0" { PORT.to_owned() } else { word });
    let words: Vec<OsString> =
        [SHOAL.to_owned(), "-vv".to_owned()].into_iter().chain(words).map(Into::into).collect();
    Process::start(host, "download", logs, &words)
}

/// Everything that a process said.
fn messages(process: &Process) -> Vec<String> {
    let said = process.stderr();
    let objects = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter_map(|object| object["message"].as_str().map(str::to_owned)).collect()
}

fn poisoned(every: u32, piece_length: u32) {
    let network = Network::new(u8::try_from(SEEDERS).unwrap() + 2);
    let (logs, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sample = Arc::new(Sample::make(Path::new(SHOAL), poison::SIZE, piece_length).unwrap());
    let (bad, own) = (network.host(SEEDERS), network.host(SEEDERS + 1));
    let seeders: Vec<Process> = (0..SEEDERS).map(|i| seed(network.host(i), &sample, logs.path())).collect();
    (0..=SEEDERS).for_each(|i| network.host(i).limit(SLOW_LINK));
    let poisoner = Poisoner::start(bad.listen(bad.address()).unwrap(), Arc::clone(&sample), every).unwrap();
    let peers: Vec<SocketAddr> =
        [poisoner.at].into_iter().chain((0..SEEDERS).map(|i| at(network.host(i)))).collect();
    let mut download = download(own, &sample, folder.path(), logs.path(), &peers);
    download.finish();
    sample.assert_in(folder.path()).unwrap();
    let verdict = Verdict::read(messages(&download));
    println!("one in {every}: given, wrong {:?}; {verdict:?}", poisoner.given());
    assert!(poisoner.given().1 > 0, "it was asked for nothing that it poisons");
    assert_eq!(verdict.banned, [bad.address().to_string()], "{verdict:?}");
    assert_eq!(verdict.closed, [poisoner.at.to_string()], "{verdict:?}");
    assert!(verdict.failed_before <= poison::MOST_FAILED, "{verdict:?}");
    drop(seeders);
}

#[test]
#[ignore = "interop: needs network namespaces: be root, and run with --ignored"]
fn h33_a_poisoner_with_an_address_of_its_own_is_banned_by_it_and_no_seeder_is() {
    poisoned(1, poison::PIECE_LENGTH);
}

#[test]
#[ignore = "interop: needs network namespaces: be root, and run with --ignored"]
fn h33_a_poisoner_of_one_block_in_ten_with_an_address_of_its_own_is_banned_by_it_and_no_seeder_is() {
    poisoned(10, poison::PIECE_LENGTH);
}

/// Long enough for no link to be given a piece of its own.
const LONG_PIECES: u32 = 2 * 1024 * 1024;

#[test]
#[ignore = "interop: needs network namespaces: be root, and run with --ignored"]
fn h33_a_poisoner_that_never_sends_a_whole_piece_is_banned_and_no_seeder_is() {
    poisoned(10, LONG_PIECES);
}

#[test]
#[ignore = "interop: takes the ten seconds of a deadline: run with --ignored"]
fn h24_strangers_who_never_finish_their_handshake_are_closed_and_a_transfer_goes_on() {
    crate::hostile_sockets::play(24);
}

/// Connections that one address may have, as the program says.
const PER_ADDRESS: usize = 50;

#[test]
#[ignore = "interop: needs network namespaces: be root, and run with --ignored"]
fn h40_one_address_gets_its_share_of_places_and_others_are_served() {
    let network = Network::new(3);
    let (logs, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sample = Sample::make(Path::new(SHOAL), 3_000_000, 64 * 1024).unwrap();
    let (target, bad, honest) = (network.host(0), network.host(1), network.host(2));
    let _seed = seed(target, &sample, logs.path());
    let mut answered = Vec::new();
    for _ in 0..4 * PER_ADDRESS {
        let mut guest = Guest::over(bad.connect(at(target)).unwrap()).unwrap();
        guest.send(&hello(MODERN, sample.info_hash, guest::fresh_id()));
        if guest.read_hello().unwrap() {
            answered.push(guest);
        }
    }
    assert_eq!(answered.len(), PER_ADDRESS);
    // They stay while another comes.
    download(honest, &sample, folder.path(), logs.path(), &[at(target)]).finish();
    sample.assert_in(folder.path()).unwrap();
    drop(answered);
}

/// The number that the program gives to peer exchange.
const PEX: u8 = 2;

#[test]
#[ignore = "interop: needs network namespaces: be root, and run with --ignored"]
fn h38_a_neighbour_may_name_his_neighbours_and_not_what_only_we_can_reach() {
    let network = Network::new(3);
    let (logs, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sample = Sample::make(Path::new(SHOAL), 6_000_000, 64 * 1024).unwrap();
    let (own, bad, honest) = (network.host(0), network.host(1), network.host(2));
    let _seed = seed(honest, &sample, logs.path());
    honest.limit(SLOW_LINK);
    // A service that trusts whoever is on its machine, and a neighbour of the stranger.
    let service = own.listen(Ipv4Addr::LOCALHOST).unwrap();
    let neighbour = bad.listen(bad.address()).unwrap();
    let mut download = download(own, &sample, folder.path(), logs.path(), &[at(honest)]);
    download.until("it has begun", |download| download.stderr().contains(": connected, ").then_some(()));

    let mut guest = Guest::over(bad.connect(at(own)).unwrap()).unwrap();
    guest.send(&hello(MODERN, sample.info_hash, guest::fresh_id()));
    assert!(guest.read_hello().unwrap());
    let named = [service.local_addr().unwrap(), neighbour.local_addr().unwrap()];
    let entries = named.iter().flat_map(|address| match address.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &address.port().to_be_bytes()].concat(),
        IpAddr::V6(_) => panic!("all of this network is IPv4"),
    });
    let entries: Vec<u8> = entries.collect();
    guest.send(&extended(PEX, &[format!("d5:added{}:", entries.len()).as_bytes(), &entries, b"e"].concat()));
    let dialler = neighbour.accept().unwrap().1.ip();
    assert_eq!(dialler, IpAddr::V4(own.address()));
    download.finish();
    sample.assert_in(folder.path()).unwrap();
    service.set_nonblocking(true).unwrap();
    let came = service.accept().map(|(_, from)| from).map_err(|error| error.kind());
    assert_eq!(came, Err(ErrorKind::WouldBlock), "it was sent to its own machine");
}
