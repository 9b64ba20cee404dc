//! A tracker on a host, and what it knows of a swarm.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::{fs, io};

use super::SHOAL;
use super::net::Host;
use super::process::{Process, eventually};

/// A make of tracker.
#[derive(Clone, Copy)]
pub(crate) enum TrackerKind {
    /// Debian's opentracker, which serves only the info-hashes on its white list.
    Opentracker,
    /// `shoal tracker`.
    Shoal,
}

/// A tracker that answers.
pub(crate) struct Tracker<'net> {
    host: &'net Host,
    /// One of its addresses.
    address: SocketAddr,
    _process: Process,
}

impl<'net> Tracker<'net> {
    /// Its port on any host.
    pub(crate) const PORT: u16 = 6969;

    /// The announce URL that a tracker on `host` will have.
    pub(crate) fn url(host: &Host) -> String {
        Self::url_over("http", host)
    }

    /// The announce URL over HTTP or UDP.
    pub(crate) fn url_over(scheme: &str, host: &Host) -> String {
        format!("{scheme}://{}:{}/announce", host.address(), Self::PORT)
    }

    /// Starts one that serves this info-hash (40 hexadecimal digits), and waits until it takes connections.
    pub(crate) fn start(kind: TrackerKind, host: &'net Host, info_hash: &str, folder: &Path) -> Self {
        match kind {
            TrackerKind::Opentracker => Self::opentracker(host, info_hash, folder),
            TrackerKind::Shoal => Self::shoal(host, folder, &[]),
        }
    }

    /// Starts `shoal tracker` on the addresses of a host, over HTTP and UDP, with these options.
    pub(crate) fn shoal(host: &'net Host, folder: &Path, options: &[OsString]) -> Self {
        let mut command: Vec<OsString> = vec![SHOAL.into(), "tracker".into()];
        let addresses: Vec<_> =
            host.addresses().into_iter().map(|ip| SocketAddr::new(ip, Self::PORT)).collect();
        for address in &addresses {
            let address = address.to_string();
            command.extend(["--http", &address, "--udp", &address].map(OsString::from));
        }
        command.extend_from_slice(options);
        let process = Process::start(host, "shoal-tracker", folder, &command);
        Self::once_listening(host, &addresses, process)
    }

    /// It serves IPv4 only: Debian's is built so (`opentracker -i ::1` ends with "V4 Tracker is V4 only!").
    fn opentracker(host: &'net Host, info_hash: &str, folder: &Path) -> Self {
        let address = SocketAddr::from((host.address(), Self::PORT));
        let whitelist = "whitelist.txt";
        fs::write(folder.join(whitelist), format!("{info_hash}\n")).expect("the list can be written");
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        // It makes the folder its root and reads the list there. It will not run as root.
        let command = ["opentracker", "-i", &ip, "-p", &port, "-P", &port, "-u", "nobody", "-d"];
        let rest = [folder.as_os_str().to_owned(), "-w".into(), whitelist.into()];
        let command = [command.map(OsString::from).as_slice(), &rest].concat();
        let process = Process::start(host, "opentracker", folder, &command);
        Self::once_listening(host, &[address], process)
    }

    fn once_listening(host: &'net Host, addresses: &[SocketAddr], mut process: Process) -> Self {
        for address in addresses {
            process.until("the tracker takes connections", |_| host.connect(*address).ok());
        }
        Self { host, address: addresses[0], _process: process }
    }

    /// Waits until so many peers have announced themselves as complete.
    pub(crate) fn wait_for_seeds(&self, info_hash: &str, seeds: u64) {
        eventually(&format!("the tracker knows {seeds} seeds"), || {
            (self.scrape(info_hash).ok()? >= seeds).then_some(())
        });
    }

    /// How many peers the tracker says are complete (BEP 48).
    fn scrape(&self, info_hash: &str) -> io::Result<u64> {
        let escaped: String = info_hash.as_bytes().chunks(2).map(escape).collect();
        let mut stream = self.host.connect(self.address)?;
        let request = format!("GET /scrape?info_hash={escaped} HTTP/1.1\r\nHost: {}\r\n", self.address);
        stream.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        let reply = String::from_utf8_lossy(&reply);
        let number = reply.split_once("8:completei").and_then(|(_, rest)| rest.split_once('e'));
        number.and_then(|(digits, _)| digits.parse().ok()).ok_or_else(|| io::Error::other(reply.into_owned()))
    }
}

/// A byte as two hexadecimal digits, for a URL.
fn escape(digits: &[u8]) -> String {
    format!("%{}", String::from_utf8_lossy(digits))
}
