//! A tracker on sockets that are handed to it, restarted under load.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::support::inside::inside;
use crate::support::process::{Running, spawn_with};

/// Swarms that the load announces to, in turn.
const SWARMS: u64 = 64;
/// Who announce at once, each on a new connection every time.
const CLIENTS: u64 = 4;
/// How often the tracker is ended and started meanwhile.
const RESTARTS: u64 = 3;

/// Nobody waits that long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a service manager does: opens the sockets once and hands them to each tracker that it starts.
struct Manager {
    http: TcpListener,
    udp: UdpSocket,
}

impl Manager {
    fn start(&self, cwd: &Path) -> Running {
        // A child inherits its standard streams and no others: its shell gives them the numbers that are agreed on.
        let script = "exec 3<&0 4<&2 0</dev/null 2>/dev/null; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$@\"";
        let mut command = Command::new("sh");
        command.current_dir(cwd).env("XDG_CONFIG_HOME", "/nonexistent");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_shoal"), "tracker", "--state-dir", "state"]);
        let stdin = Stdio::from(OwnedFd::from(self.http.try_clone().unwrap()));
        let stderr = Stdio::from(OwnedFd::from(self.udp.try_clone().unwrap()));
        spawn_with(command, stdin, stderr)
    }
}

/// Sets what it holds when it is dropped.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A seeder's announce over HTTP, on a connection of its own, and whether it was answered.
fn announce(http: SocketAddr, number: u64) -> bool {
    let hash = format!("%{:02x}", number % SWARMS).repeat(20);
    let port = 1024 + number / SWARMS % 60_000;
    let announced = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let query = format!("info_hash={hash}&peer_id=-XX0001-{number:012}&port={port}&left=0");
        write!(stream, "GET /announce?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    announced().is_ok_and(|answer| answer.contains("8:intervali"))
}

/// Asks one question until it is answered, as BEP 15 wants, but more often.
fn ask_udp(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    for _ in 0..1000 {
        socket.send(question).unwrap();
        let mut answer = [0; 2048];
        if let Ok(length) = socket.recv(&mut answer) {
            return answer[..length].to_vec();
        }
    }
    panic!("nobody answers over UDP");
}

#[test]
fn a_given_socket_that_takes_both_families_is_named_by_its_place_among_those_given() {
    let folder = tempdir().unwrap();
    let (both, http) = (UdpSocket::bind("[::]:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let script = "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$@\"";
    let mut command = Command::new("sh");
    command.current_dir(folder.path()).env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_shoal"), "tracker"]);
    command.stdin(Stdio::from(OwnedFd::from(both))).stdout(Stdio::from(OwnedFd::from(http)));
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("socket 1 of those"), "{said}");
}

#[test]
fn a_restart_under_load_on_sockets_of_the_service_manager_keeps_few_waiting_and_forgets_nobody() {
    let folder = tempdir().unwrap();
    let manager = Manager {
        http: TcpListener::bind("127.0.0.1:0").unwrap(),
        udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
    };
    let (http, udp) = (manager.http.local_addr().unwrap(), manager.udp.local_addr().unwrap());
    let mut tracker = manager.start(folder.path());
    assert_eq!(tracker.line(), format!("http://{http}/announce"));
    assert_eq!(tracker.line(), format!("udp://{udp}/announce"));

    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(udp).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let connect = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0, 0, 0, 1];
    let proof = ask_udp(&client, &connect)[8..].to_vec();

    let (done, number, lost) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let tracker = std::thread::scope(|scope| {
        let mut tracker = tracker;
        // The load ends with this test, however it ends.
        let _end = Ended(&done);
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    while !announce(http, number) {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let more = || {
            let (until, began) = (number.load(Ordering::Relaxed) + 10 * SWARMS, Instant::now());
            while number.load(Ordering::Relaxed) < until {
                assert!(began.elapsed() < PATIENCE, "the tracker does not answer any more");
                std::thread::yield_now();
            }
        };
        more();
        for _ in 0..RESTARTS {
            tracker.signal("TERM");
            assert_eq!(tracker.end().0.code(), Some(0));
            // Who comes between the two waits in the kernel.
            tracker = manager.start(folder.path());
            more();
        }
        tracker
    });
    // None, unless a client needs more than a second from its connection to its request.
    let lost = lost.into_inner();
    assert!(lost <= CLIENTS * RESTARTS, "{lost} of {number:?} announces");

    // A scrape with the proof of before the restarts: the key was kept.
    let mut scrape = [proof.as_slice(), &[0, 0, 0, 2, 0, 0, 0, 2]].concat();
    scrape.extend([0x05; 20]);
    let answer = ask_udp(&client, &scrape);
    assert_eq!(answer[..8], [0, 0, 0, 2, 0, 0, 0, 2]);

    let peers = number.into_inner();
    for swarm in 0..SWARMS {
        let hash = format!("{swarm:02x}").repeat(20);
        let url = format!("http://{http}/announce");
        let scraped = inside(folder.path()).run(&["scrape", &url, &hash, "--json"]).done().json();
        let expected = peers / SWARMS + u64::from(peers % SWARMS > swarm);
        assert_eq!(scraped["torrents"][0]["seeders"], expected.min(60_000), "swarm {swarm} of {peers} peers");
    }
    tracker.signal("TERM");
    assert_eq!(tracker.end().0.code(), Some(0));
}
