//! How each client is started as a seeder and as a leecher.
//!
//! All speak plain BEP 3 over TCP here: DHT, local discovery, peer exchange, uTP and encryption are off or unused, so
//! that peers meet through the tracker and nowhere else.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::net::Host;
use super::process::Process;
use super::programs::{PYTHON, require_libtorrent};
use super::{SCRIPTS, SHOAL};

/// The port every client listens on: each has a host of its own.
pub(crate) const PORT: &str = "6881";

/// A make of client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// aria2c.
    Aria2,
    /// libtorrent-rasterbar, by a script.
    Libtorrent,
    /// The shoal that is tested.
    Shoal,
    /// transmission-cli.
    Transmission,
}

/// A client that downloads.
pub(crate) struct Leecher {
    process: Process,
    /// Appears when the download is complete, for a client that goes on seeding.
    flag: Option<PathBuf>,
}

impl Leecher {
    /// Waits until the download is complete.
    pub(crate) fn finish(&mut self) {
        match &self.flag {
            Some(flag) => {
                let flag = flag.clone();
                self.process.until("the download is complete", |_| flag.exists().then_some(()));
            }
            None => self.process.finish(),
        }
    }

    /// Ends a client that goes on seeding.
    pub(crate) fn leave(&mut self) {
        self.process.interrupt();
    }
}

impl Client {
    /// Seeds what lies in `data`, until dropped. Its settings and output go to `scratch`.
    pub(crate) fn seed(self, host: &Host, torrent: &Path, data: &Path, scratch: &Path) -> Process {
        let scratch = own_folder(scratch, "seeder");
        let command = match self {
            Self::Aria2 => {
                let mut command = aria2(host, torrent, data, &scratch);
                command.extend(words(&["--check-integrity", "--seed-ratio=0.0"]));
                command
            }
            Self::Libtorrent => libtorrent("seed", host, torrent, data),
            Self::Shoal => shoal("seed", torrent, data),
            Self::Transmission => transmission(host, torrent, data, &scratch),
        };
        Process::start(host, self.name(), &scratch, &command)
    }

    /// Downloads a torrent, given as a file or a magnet link, into `data`, a folder that is there. Its settings and
    /// output go to `scratch`.
    pub(crate) fn leech(
        self,
        host: &Host,
        torrent: impl AsRef<Path>,
        data: &Path,
        scratch: &Path,
    ) -> Leecher {
        let torrent = torrent.as_ref();
        let scratch = own_folder(scratch, "leecher");
        let mut flag = None;
        let command = match self {
            Self::Aria2 => {
                let mut command = aria2(host, torrent, data, &scratch);
                command.extend(words(&["--seed-time=0"]));
                command
            }
            Self::Libtorrent => libtorrent("leech", host, torrent, data),
            Self::Shoal => shoal("download", torrent, data),
            Self::Transmission => {
                let complete = scratch.join("complete");
                let mut command = transmission(host, torrent, data, &scratch);
                command.extend(["-f".into(), script(&scratch, &complete).into()]);
                flag = Some(complete);
                command
            }
        };
        Leecher { process: Process::start(host, self.name(), &scratch, &command), flag }
    }

    /// Whether it makes the files that have no bytes: transmission 3.00 makes a file when its first byte comes.
    pub(crate) fn makes_empty_files(self) -> bool {
        self != Self::Transmission
    }

    /// Whether it is there after a download until it is ended.
    pub(crate) fn goes_on_seeding(self) -> bool {
        self == Self::Transmission
    }

    /// Whether it tells a tracker that it has completed a download: aria2 1.36, told not to seed, only says that it leaves.
    pub(crate) fn says_completed(self) -> bool {
        self != Self::Aria2
    }

    /// Whether it tells a tracker that it leaves: transmission-cli 3.00 ends before its HTTP request has gone out.
    pub(crate) fn says_goodbye(self, scheme: &str) -> bool {
        (self, scheme) != (Self::Transmission, "http")
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aria2 => "aria2",
            Self::Libtorrent => "libtorrent",
            Self::Shoal => "shoal",
            Self::Transmission => "transmission",
        }
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn shoal(command: &str, torrent: &Path, data: &Path) -> Vec<OsString> {
    vec![SHOAL.into(), command.into(), torrent.into(), "-d".into(), data.into(), "--port".into(), PORT.into()]
}

fn libtorrent(mode: &str, host: &Host, torrent: &Path, data: &Path) -> Vec<OsString> {
    require_libtorrent();
    let port = PORT.parse().expect("a port");
    let listen: Vec<_> =
        host.addresses().into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect();
    let (script, listen) = (Path::new(SCRIPTS).join("lt_peer.py"), listen.join(","));
    vec![PYTHON.into(), script.into(), mode.into(), torrent.into(), data.into(), listen.into()]
}

/// Its DHT is on, without anybody to ask, because it has no UDP trackers without it.
fn aria2(host: &Host, torrent: &Path, data: &Path, scratch: &Path) -> Vec<OsString> {
    let mut command = words(&[
        "aria2c",
        "--no-conf",
        "--enable-dht=true",
        "--enable-dht6=false",
        "--enable-peer-exchange=false",
        "--bt-enable-lpd=false",
        "--file-allocation=none",
        "--summary-interval=0",
        "--console-log-level=notice",
    ]);
    // An address would keep it from the other family.
    let interface = host.address_v6().map_or_else(|| host.address().to_string(), |_| "eth0".to_owned());
    command.extend([
        format!("--listen-port={PORT}").into(),
        format!("--interface={interface}").into(),
        format!("--dht-file-path={}", scratch.join("dht.dat").display()).into(),
        "-d".into(),
        data.into(),
        torrent.into(),
    ]);
    command
}

/// It keeps its settings in a file, and seeds after a download until it is ended.
fn transmission(host: &Host, torrent: &Path, data: &Path, scratch: &Path) -> Vec<OsString> {
    let mut settings = serde_json::json!({
        "dht-enabled": false,
        "encryption": 0,
        "lpd-enabled": false,
        "pex-enabled": false,
        "port-forwarding-enabled": false,
        "rpc-enabled": false,
        "utp-enabled": false,
    });
    // It would ask trackers over IPv6 from that address too, in vain.
    if host.address_v6().is_none() {
        settings["bind-address-ipv4"] = host.address().to_string().into();
    }
    fs::write(scratch.join("settings.json"), settings.to_string()).expect("the settings can be written");
    let mut command = words(&["transmission-cli", "--no-portmap", "--port", PORT, "--config-dir"]);
    command.extend([scratch.into(), "--download-dir".into(), data.into(), torrent.into()]);
    command
}

/// A script that makes an empty file.
fn script(scratch: &Path, creates: &Path) -> PathBuf {
    let path = scratch.join("complete.sh");
    fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", creates.display()))
        .expect("the script can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the script can be made executable");
    path
}

fn own_folder(scratch: &Path, name: &str) -> PathBuf {
    let folder = scratch.join(name);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
