//! The programs of others that these tests run, and what to install when one is missing.

use std::path::Path;
use std::process::Command;

/// The Python that Debian's `python3-libtorrent` is for; another on `PATH` would not find it.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Ends the test, saying why, unless it runs as root: network namespaces need that.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes network namespaces, which takes root: run it as root (sudo -E cargo test …)"
    );
}

/// Ends the test, saying what to install, when a program is missing.
pub(crate) fn require(program: &str) {
    let Some(package) = package_of(program) else { return };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(there || Path::new(program).is_file(), "{program} is missing: apt-get install {package}");
}

/// Ends the test, saying what to install, when libtorrent's Python binding is missing.
pub(crate) fn require_libtorrent() {
    require(PYTHON);
    let import = Command::new(PYTHON).args(["-c", "import libtorrent"]).output();
    assert!(
        import.is_ok_and(|out| out.status.success()),
        "libtorrent for {PYTHON} is missing: apt-get install python3-libtorrent"
    );
}

/// The Debian package that brings a program; `None` for our own.
fn package_of(program: &str) -> Option<&'static str> {
    Some(match program {
        "aria2c" => "aria2",
        "chromium" => "chromium",
        "ip" | "ss" | "tc" => "iproute2",
        "mkfs.ext4" => "e2fsprogs",
        "mktorrent" => "mktorrent",
        "openssl" => "openssl",
        "mount" => "mount",
        "opentracker" => "opentracker",
        "redis-server" => "redis-server",
        "redis-cli" => "redis-tools",
        "prlimit" | "setpriv" => "util-linux",
        "transmission-cli" | "transmission-create" | "transmission-show" => "transmission-cli",
        PYTHON => "python3-libtorrent",
        _ => return None,
    })
}

/// Runs a program to its end and answers what it printed; the test ends with the program's own words if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    require(&program);
    // Dates and numbers are read by the tests, so they come in one language.
    let out = command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").output();
    let out = out.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        out.status.success(),
        "{command:?} ended with {}\n{}{}",
        out.status,
        text(&out.stdout),
        text(&out.stderr)
    );
    text(&out.stdout)
}
