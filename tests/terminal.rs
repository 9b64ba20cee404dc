//! What is left on a terminal.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::tempdir;

use crate::support::process::shoal;

/// A program that has not said it by then does not.
const DEADLINE: Duration = Duration::from_secs(60);

/// A program whose stderr is a terminal.
struct OnTerminal {
    child: Child,
    terminal: File,
    /// Everything that came on the terminal.
    seen: String,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).unwrap();
        let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(end).spawn().unwrap();
        // The command keeps an end of its own, with which the terminal would never end.
        command.stderr(Stdio::null());
        Self { child, terminal: controller.into(), seen: String::new() }
    }

    /// Reads until this has come, and the rest of what was drawn with it.
    fn read_until(&mut self, text: &str) {
        // The last row of a drawing is cleared to its end.
        let has_come = |seen: &str| seen.rsplit_once(text).is_some_and(|(_, after)| after.contains("\x1b[K"));
        let began = Instant::now();
        while !has_come(&self.seen) {
            assert!(self.read(began), "the program has ended without {text:?}: {:?}", self.seen);
        }
    }

    /// Reads until the program has left the terminal.
    fn read_to_end(&mut self) {
        let began = Instant::now();
        while self.read(began) {}
    }

    /// Reads once; false when there is nothing to come.
    fn read(&mut self, began: Instant) -> bool {
        let left = DEADLINE.saturating_sub(began.elapsed());
        let ready =
            poll(&mut [PollFd::new(&self.terminal, PollFlags::IN)], Some(&Timespec::try_from(left).unwrap()));
        assert_ne!(ready.unwrap(), 0, "nothing more has come: {:?}", self.seen);
        let mut bytes = [0; 4096];
        // A terminal that everybody has left is an error to read (EIO), not an end.
        match self.terminal.read(&mut bytes) {
            Ok(count @ 1..) => self.seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
            _ => return false,
        }
        true
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn h81_a_second_ctrl_c_leaves_the_next_prompt_a_line_of_its_own() {
    // A tracker that takes the connection and says nothing, so that ending in order takes its time.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let tracker = format!("http://{}/announce", silent.local_addr().unwrap());
    let folder = tempdir().unwrap();
    let link = format!("magnet:?xt=urn:btih:{}&dn=name", "ab".repeat(20));
    let mut command = shoal(folder.path());
    command.args(["download", &link, "--tracker", &tracker, "--port", "0"]);
    let mut download = OnTerminal::start(command);
    // It has been asked.
    let _asked = silent.accept().unwrap();
    download.read_until("no peers yet");
    download.interrupt();
    download.read_until("Ctrl-C again ends it at once");
    download.interrupt();
    assert_eq!(download.child.wait().unwrap().code(), Some(130));
    download.read_to_end();
    assert!(download.seen.ends_with("\r\n"), "{:?}", download.seen);
}
