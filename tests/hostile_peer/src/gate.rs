//! A relay between the two honest ones, with a gate: so that the attack decides when their transfer may end, and not
//! the speed of the machine.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

/// Bytes read at once: it stops within so many of its mark.
const STEP: usize = 4096;

/// A running relay. Its thread waits for connections as long as the process lives.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) at: SocketAddr,
    /// Bytes that may still come from the seeder; and whoever waits for that, or for none to be left.
    left: Arc<(Mutex<u64>, Condvar)>,
}

impl Gate {
    /// Relays to this port of this machine, and lets through so many bytes that come from there.
    pub(crate) fn start(port: u16, bytes: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let gate = Self { at: listener.local_addr()?, left: Arc::new((Mutex::new(bytes), Condvar::new())) };
        std::thread::spawn({
            let gate = gate.clone();
            move || {
                for near in listener.incoming().map_while(Result::ok) {
                    let gate = gate.clone();
                    std::thread::spawn(move || gate.serve(&near, port));
                }
            }
        });
        Ok(gate)
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        *self.lock() = u64::MAX;
        self.left.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.left.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, near: &TcpStream, port: u16) {
        let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        std::thread::scope(|scope| {
            scope.spawn(|| copy(near, &far, |_| {}));
            copy(&far, near, |bytes| self.pass(bytes));
        });
    }

    /// Waits until so many bytes may pass.
    fn pass(&self, bytes: u64) {
        let waited = self.left.1.wait_while(self.lock(), |left| *left < bytes);
        *waited.unwrap_or_else(PoisonError::into_inner) -= bytes;
    }
}

/// Copies until either side ends, then ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream, before: impl Fn(u64)) {
    let mut buffer = [0; STEP];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(count as u64);
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
