//! A relay between a downloader and a seeder, with a gate: so that a test decides how far a download gets, and not
//! the speed of the machine.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

struct Gate {
    /// Where connections lead.
    target: SocketAddr,
    /// Bytes that may still come from there.
    left: u64,
}

/// A running relay. It ends with the process.
#[derive(Clone)]
pub(crate) struct Relay {
    address: SocketAddr,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

impl Relay {
    /// Relays to this port of this machine, and lets through so many bytes that come from there.
    pub(crate) fn start(port: u16, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate { target: ([127, 0, 0, 1], port).into(), left: bytes };
        let relay = Self {
            address: listener.local_addr().unwrap(),
            gate: Arc::new((Mutex::new(gate), Condvar::new())),
        };
        let own = relay.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        relay
    }

    /// Its address, for `--peer`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        self.gate.0.lock().unwrap().left = u64::MAX;
        self.gate.1.notify_all();
    }

    /// Leads connections that come from now on to another port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.gate.0.lock().unwrap().target.set_port(port);
    }

    fn serve(&self, near: &TcpStream) {
        let target = self.gate.0.lock().unwrap().target;
        let Ok(far) = TcpStream::connect(target) else { return };
        std::thread::scope(|scope| {
            scope.spawn(|| copy(near, &far, |_| {}));
            copy(&far, near, |bytes| self.pass(bytes));
        });
    }

    /// Waits until so many bytes may pass.
    fn pass(&self, bytes: u64) {
        let mut gate = self.gate.1.wait_while(self.gate.0.lock().unwrap(), |gate| gate.left < bytes).unwrap();
        gate.left -= bytes;
    }
}

/// Copies until either side ends, then ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut before: impl FnMut(u64)) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(count as u64);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
