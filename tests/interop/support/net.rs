//! Hosts that are network namespaces, joined by a bridge that has a namespace of its own.
//!
//! Some clients refuse loopback peers, and a sender's rate can only be held down where it has a link: so each peer
//! of a test is a host. Since the bridge is in a namespace too, networks share nothing with each other or with the
//! machine: every one uses the same addresses, and tests run side by side.
//!
//! Invariant: a network's namespaces carry the id of this process in their names; they go when the network is
//! dropped, and those that a killed test run left behind go, with all that runs there, when the next one is made.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::programs::{require, require_root, run};

/// Where `ip netns` keeps the names.
const NAMESPACES: &str = "/run/netns";

/// Where `ip netns exec` finds the files that take the place of those in `/etc`.
const SETTINGS: &str = "/etc/netns";

/// The names of host 0 on a network of both families, by the address that a name leads to.
pub(crate) const NAME_V4: &str = "four.test";
/// The name of its IPv6 address.
pub(crate) const NAME_V6: &str = "six.test";
/// The name of both of its addresses.
pub(crate) const NAME_BOTH: &str = "both.test";

/// Networks made by this process, so that each has a name of its own.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Hosts on one switch: host `i` is 10.77.0.`i+1`, and 2001:db8:77::`i+1` if it has IPv6.
pub(crate) struct Network {
    hosts: Vec<Host>,
    switch: Namespace,
}

impl Network {
    /// Joins so many hosts; their links have no limit.
    pub(crate) fn new(hosts: u8) -> Self {
        Self::join(hosts, false)
    }

    /// Joins so many hosts that have addresses of both families, and names for those of host 0.
    ///
    /// IPv6 addresses are of the documentation's network (RFC 3849): transmission uses IPv6 only where it has a global
    /// address.
    pub(crate) fn dual_stack(hosts: u8) -> Self {
        Self::join(hosts, true)
    }

    fn join(hosts: u8, has_ipv6: bool) -> Self {
        require_root();
        remove_stale();
        let prefix = format!("shoal-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let switch = Namespace::new(format!("{prefix}-switch"));
        switch.ip("link add bridge type bridge");
        switch.ip("link set bridge up");
        let hosts = (0..hosts).map(|i| Host::join(&switch, &prefix, i, has_ipv6)).collect();
        Self { hosts, switch }
    }

    /// Host number `i`, from 0.
    pub(crate) fn host(&self, i: usize) -> &Host {
        &self.hosts[i]
    }

    /// Pulls the cable of host `i` out of the switch: neither end notices, and what is sent is lost.
    pub(crate) fn unplug(&self, i: usize) {
        self.switch.ip(&format!("link set port{i} nomaster"));
    }

    /// Puts it in again.
    pub(crate) fn plug_in(&self, i: usize) {
        self.switch.ip(&format!("link set port{i} master bridge"));
    }
}

/// A machine with one link, `eth0`, and one address of each family that it has.
pub(crate) struct Host {
    namespace: Namespace,
    address: Ipv4Addr,
    address_v6: Option<Ipv6Addr>,
}

impl Host {
    fn join(switch: &Namespace, prefix: &str, i: u8, has_ipv6: bool) -> Self {
        let host = Self {
            namespace: Namespace::new(format!("{prefix}-h{i}")),
            address: address_v4(i),
            address_v6: has_ipv6.then(|| address_v6(i)),
        };
        let name = host.name();
        switch.ip(&format!("link add port{i} type veth peer name eth0 netns {name}"));
        switch.ip(&format!("link set port{i} master bridge up"));
        host.namespace.ip(&format!("addr add {}/24 dev eth0", host.address));
        host.namespace.ip("link set eth0 up");
        host.namespace.ip("link set lo up");
        host.namespace.ip("route add default dev eth0");
        if let Some(address) = host.address_v6 {
            // Nobody else has it: it is there at once, and not after a second of asking around.
            host.namespace.ip(&format!("addr add {address}/64 dev eth0 nodad"));
            host.namespace.ip("-6 route add default dev eth0");
            host.namespace.name_host_0();
        }
        host
    }

    /// The name of its namespace.
    pub(crate) fn name(&self) -> &str {
        &self.namespace.0
    }

    /// Its IPv4 address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its IPv6 address, if it has one.
    pub(crate) fn address_v6(&self) -> Option<Ipv6Addr> {
        self.address_v6
    }

    /// Its addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let v6 = self.address_v6.map(IpAddr::V6);
        [IpAddr::V4(self.address)].into_iter().chain(v6).collect()
    }

    /// A command that runs here.
    pub(crate) fn command(&self, program: &str) -> Command {
        require(program);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(), program]);
        command
    }

    /// Holds what it sends down to a rate in the words of `tc`, such as `40mbit`.
    pub(crate) fn limit(&self, rate: &str) {
        let words = "qdisc replace dev eth0 root tbf burst 64kb latency 200ms rate";
        run(Command::new("tc").args(["-n", self.name()]).args(words.split(' ')).arg(rate));
    }

    /// Bytes that left its link since it was made, all headers counted.
    pub(crate) fn sent_bytes(&self) -> u64 {
        let shown =
            run(Command::new("ip").args(["-n", self.name(), "-j", "-s", "link", "show", "dev", "eth0"]));
        let links: serde_json::Value = serde_json::from_str(&shown).expect("ip -j prints JSON");
        links[0]["stats64"]["tx"]["bytes"].as_u64().expect("ip -s counts what was sent")
    }

    /// Resets every TCP connection that it has: each end is told at once.
    pub(crate) fn reset_connections(&self) {
        run(self.command("ss").args(["--kill", "--tcp", "state", "connected"]));
    }

    /// Connects from this host.
    pub(crate) fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.there(move || TcpStream::connect(to))
    }

    /// Waits for connections on this host, on any port of this address.
    pub(crate) fn listen(&self, at: Ipv4Addr) -> io::Result<TcpListener> {
        self.there(move || TcpListener::bind((at, 0)))
    }

    /// Makes a socket on this host. It stays in the namespace that its thread was in, so a thread that goes there hands
    /// it over.
    fn there<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let namespace = File::open(Path::new(NAMESPACES).join(self.name()))?;
        let make = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            make()
        };
        thread::spawn(make).join().expect("making a socket does not panic")
    }
}

/// A named network namespace, deleted when dropped.
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        run(Command::new("ip").args(["netns", "add", &name]));
        Self(name)
    }

    /// Runs `ip` there; the arguments hold no spaces.
    fn ip(&self, arguments: &str) {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')));
    }

    /// Lets programs there find host 0 by name.
    fn name_host_0(&self) {
        let (v4, v6) = (address_v4(0), address_v6(0));
        let names = format!(
            "127.0.0.1 localhost\n::1 localhost\n\
             {v4} {NAME_V4}\n{v6} {NAME_V6}\n{v4} {NAME_BOTH}\n{v6} {NAME_BOTH}\n"
        );
        let folder = Path::new(SETTINGS).join(&self.0);
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("hosts"), names));
        written.expect("the names of a namespace can be written");
    }
}

fn address_v4(i: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, i + 1)
}

fn address_v6(i: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, u16::from(i) + 1)
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.0);
    }
}

/// Deletes a namespace that may be gone already: this runs while a test unwinds, and beside others that do the same.
fn delete(name: &str) {
    let _ = Command::new("ip").args(["netns", "delete", name]).output();
    let _ = fs::remove_dir_all(Path::new(SETTINGS).join(name));
}

/// Kills what runs in a namespace: a tracker that gave up root when it started lost the signal that it would have
/// got when its test run died.
fn kill_all_in(namespace: &str) {
    let Ok(listed) = Command::new("ip").args(["netns", "pids", namespace]).output() else { return };
    for id in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.parse().ok()) {
        let _ = Pid::from_raw(id).map(|id| kill_process(id, Signal::KILL));
    }
}

/// Deletes the namespaces of test runs that were killed, and what still runs there.
fn remove_stale() {
    let Ok(names) = fs::read_dir(NAMESPACES) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("shoal-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| id.parse::<u32>().is_ok() && !Path::new("/proc").join(id).exists()) {
            kill_all_in(&name);
            delete(&name);
        }
    }
}
