//! Configuration files: any file is taken, or refused in one line that names it.
//!
//! It runs the command line itself, in this process, on `tracker --print-config`, which reads the file, holds it against the
//! options of every command and starts nothing.

use std::ffi::OsString;
use std::io::Write;
use std::sync::{Arc, Mutex};

use shoal::{Exit, Interrupt, Io, Terminal};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder for one file");
}

/// What was printed.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// See the module.
pub fn target(data: &[u8]) {
    FOLDER.with(|folder| {
        let file = folder.path().join("c.toml");
        std::fs::write(&file, data).expect("the folder takes a file");
        let (stdout, stderr) = (Kept::default(), Kept::default());
        let mut io = Io {
            stdin: Box::new(std::io::empty()),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            stdout_terminal: Terminal::None,
            stderr_terminal: Terminal::None,
            cwd: folder.path().to_path_buf(),
            env: Box::new(|_| None),
            program: "/opt/shoal".into(),
            interrupt: Interrupt::default(),
            owns_process: false,
        };
        let args = ["shoal", "tracker", "--print-config", "--config", "c.toml"].map(OsString::from);
        let exit = shoal::run(args, &mut io);
        let said = String::from_utf8(std::mem::take(&mut *stderr.0.lock().expect("nobody panics here")));
        let said = said.expect("what is said is text");
        let printed = !stdout.0.lock().expect("nobody panics here").is_empty();
        assert!(!said.contains("panicked"));
        match exit {
            Exit::Done => assert!(printed),
            Exit::Usage | Exit::Error => {
                assert!(!printed && said.starts_with("error: "), "{said:?}");
                assert!(said.contains("c.toml"), "the file is named: {said:?}");
                assert_eq!(said.lines().count(), 1, "one line: {said:?}");
                crate::assert_one_line(said.trim_end());
            }
            other => panic!("{other:?}: {said:?}"),
        }
    });
}
