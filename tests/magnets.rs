//! Downloads that begin with a magnet link.

use std::path::Path;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, tree, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};

/// A link that nobody answers for.
fn link() -> String {
    format!("magnet:?xt=urn:btih:{}&dn=a+b", "ab".repeat(20))
}

#[test]
fn a_link_that_finds_nobody_times_out_with_code_4_and_the_reason() {
    let folder = tempdir().unwrap();
    let mut download = start(folder.path(), &["download", &link(), "--port", "0", "--timeout", "1s"]);
    let error = download.event("error");
    assert_eq!(
        error["message"],
        "a b: no progress for 1s: no peers yet, no tracker to ask: see --tracker, --peer"
    );
    // How to go on is said once.
    let (status, lines) = download.end_with_all();
    assert_eq!(status.code(), Some(4));
    let again = lines.iter().filter(|line| line.contains("run the same command again to go on")).count();
    assert_eq!(again, 1, "{lines:#?}");
}

#[test]
fn a_link_that_is_interrupted_ends_in_order_and_nothing_is_complete() {
    let folder = tempdir().unwrap();
    let mut download = start(folder.path(), &["download", &link(), &link(), "--port", "0", "--json"]);
    let progress = download.event("progress");
    assert_eq!((&progress["name"], &progress["total_bytes"]), (&"a b".into(), &0.into()));
    download.signal("INT");
    let line = download.line();
    assert!(line.contains(r#""complete":false"#), "{line}");
    let told = download.event("log");
    assert_eq!(
        told["message"],
        "a b: stopped before its torrent was found; run the same command again to go on"
    );
    assert_eq!(download.finish().0, Some(130));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_link_that_is_wrong_is_named_beside_others_that_are_right() {
    let folder = tempdir().unwrap();
    inside(folder.path())
        .run(&["download", "magnet:?dn=x"])
        .failed(shoal::Exit::Error, "magnet link: the link names no torrent: 'xt=urn:btih:…' is missing");
    let args = ["download", "magnet:?dn=x", &link(), "--port", "0", "--timeout", "1s"];
    let mut download = start(folder.path(), &args);
    let error = download.event("error");
    assert!(error["message"].as_str().unwrap().starts_with("magnet link: "), "{error}");
    assert_eq!(download.finish().0, Some(4));
}

#[test]
fn a_link_where_only_a_torrent_will_do_is_refused_as_such() {
    let folder = tempdir().unwrap();
    let text = format!("{}: a magnet link is not enough here; give the torrent file", link());
    for command in ["seed", "magnet"] {
        inside(folder.path()).run(&[command, &link()]).failed(shoal::Exit::Error, &text);
    }
}

/// A folder of four files that is seeded, of which others know a link.
struct Source {
    folder: TempDir,
    _seed: Running,
    port: u16,
}

const FILES: [(&str, usize); 4] = [("a.bin", 300_000), ("b.bin", 40_000), ("c/c.bin", 900_000), ("d.bin", 5)];

fn source() -> Source {
    let folder = tempdir().unwrap();
    for (number, (path, length)) in (1..).zip(FILES) {
        write(&folder.path().join("four").join(path), &noise(number, length));
    }
    inside(folder.path()).run(&["create", "four", "-p", "16KiB"]).done();
    let mut seed = start(folder.path(), &["seed", "four.torrent", "--port", "0", "--bind", "127.0.0.1"]);
    let port = port(&seed.event("seeding"));
    Source { folder, _seed: seed, port }
}

/// The port of which the event of seeding tells.
fn port(seeding: &Value) -> u16 {
    seeding["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

impl Source {
    fn link(&self) -> String {
        inside(self.folder.path()).run(&["magnet", "four.torrent"]).done().out().trim().to_owned()
    }

    /// The link, with the seed's address in it.
    fn link_with_address(&self) -> String {
        format!("{}&x.pe=127.0.0.1:{}", self.link(), self.port)
    }

    fn peer(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[track_caller]
    fn assert_same(&self, target: &Path) {
        assert_same(&self.folder.path().join("four"), &target.join("four"));
    }
}

/// Runs a download to its end; the code, stdout and stderr.
fn download(target: &Path, args: &[&str]) -> crate::support::inside::Outcome {
    inside(target)
        .run(&[&["download", "--port", "0", "--bind", "127.0.0.1", "--timeout", "60s"], args].concat())
}

#[test]
fn a_seed_gives_the_torrent_to_those_who_have_a_link_and_its_address() {
    let (source, named, linked) = (source(), tempdir().unwrap(), tempdir().unwrap());
    download(named.path(), &[&source.link(), "--peer", &source.peer()]).done();
    source.assert_same(named.path());
    download(linked.path(), &[&source.link_with_address(), "--sequential"]).done();
    source.assert_same(linked.path());
}

#[test]
fn a_link_and_the_tracker_of_a_share_are_enough() {
    let (folder, target) = (tempdir().unwrap(), tempdir().unwrap());
    write(&folder.path().join("it/it.bin"), &noise(1, 700_000));
    let args = ["share", "it", "--json", "--port", "0", "--bind", "127.0.0.1", "--advertise", "127.0.0.1"];
    let mut share = start(folder.path(), &args);
    let said: Value = serde_json::from_str(&share.line()).unwrap();
    share.event("seeding");
    download(target.path(), &[said["magnet"].as_str().unwrap()]).done();
    assert_same(&folder.path().join("it"), &target.path().join("it"));
}

#[test]
fn a_share_that_listens_on_one_address_is_reached_by_that() {
    let (folder, target) = (tempdir().unwrap(), tempdir().unwrap());
    write(&folder.path().join("it/it.bin"), &noise(1, 700_000));
    let args = ["share", "it", "--port", "0", "--bind", "127.0.0.1", "--tracker-port", "0"];
    let mut share = start(folder.path(), &args);
    let line = share.line();
    let url = line.rsplit(' ').next().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{line}");
    share.event("seeding");
    download(target.path(), &[url]).done();
    assert_same(&folder.path().join("it"), &target.path().join("it"));
}

#[test]
fn a_share_has_its_tracker_on_the_port_that_was_asked_for_or_none() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("it/it.bin"), &noise(1, 1000));
    let held = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let args = ["share", "it", "--json", "--port", "0", "--bind", "127.0.0.1", "--tracker-port"];
    let mut refused = start(folder.path(), &[&args[..], &[&port]].concat());
    let error = refused.event("error")["message"].as_str().unwrap().to_owned();
    assert!(error.starts_with(&format!("--tracker-port {port}: ")) && error.contains("in use"), "{error}");
    assert!(error.ends_with("; choose another port (0 = any), or leave the option out"), "{error}");
    assert_eq!(refused.finish().0, Some(1));
    // Any but the usual ones.
    let mut share = start(folder.path(), &[&args[..], &["0"]].concat());
    let said: Value = serde_json::from_str(&share.line()).unwrap();
    let url = said["url"].as_str().unwrap();
    let port: u16 = url.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    assert!(port >= 1024 && !(6969..=6979).contains(&port), "{url}");
}

#[test]
fn the_files_of_a_link_are_listed_and_nothing_is_made() {
    let (source, target) = (source(), tempdir().unwrap());
    let list = download(target.path(), &[&source.link_with_address(), "--list", "-d", "x"]).done();
    let there: Vec<_> = list.out().lines().collect();
    assert_eq!(
        there,
        [
            "file: 1 300000 four/a.bin",
            "file: 2 40000 four/b.bin",
            "file: 3 900000 four/c/c.bin",
            "file: 4 5 four/d.bin"
        ]
    );
    let args = [&source.link(), "--peer", &source.peer(), "--list", "--select", "2,4", "--json"];
    let json = download(target.path(), &args).done().json();
    assert_eq!(json["files"][1], serde_json::json!({"number": 4, "path": "four/d.bin", "length": 5}));
    assert!(tree(target.path()).is_empty());
}

#[test]
fn a_link_chooses_files_unless_the_user_does() {
    let (source, linked, chosen) = (source(), tempdir().unwrap(), tempdir().unwrap());
    let link = format!("{}&so=1,3,77", source.link_with_address());
    let names = |target: &Path| tree(&target.join("four")).into_keys().collect::<Vec<_>>();
    download(linked.path(), &[&link]).done();
    assert_eq!(names(linked.path()), [Path::new("b.bin"), Path::new("d.bin")]);
    download(chosen.path(), &[&link, "--select", "1,3"]).done();
    assert_eq!(names(chosen.path()), [Path::new("a.bin"), Path::new("c/c.bin")]);
}

#[test]
fn a_number_of_no_file_is_a_mistake_of_usage_once_the_torrent_is_there() {
    let (source, target) = (source(), tempdir().unwrap());
    for option in [&["--select", "5"][..], &["--select", "5", "--list"]] {
        let outcome = download(target.path(), &[&[source.link_with_address().as_str()], option].concat());
        assert!(outcome.stderr.ends_with("error: --select 5: four has 4 files, 1 to 4\n"), "{outcome:?}");
        assert_eq!((outcome.exit, outcome.out()), (shoal::Exit::Usage, ""));
    }
    assert!(tree(target.path()).is_empty());
}

#[test]
fn a_list_that_does_not_come_times_out_and_prints_nothing() {
    let folder = tempdir().unwrap();
    let args = ["download", &link(), "--list", "--json", "--port", "0", "--timeout", "1s"];
    let outcome = inside(folder.path()).run(&args);
    assert_eq!((outcome.exit, outcome.out()), (shoal::Exit::TimedOut, ""));
}
