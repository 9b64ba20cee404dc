//! Downloads that begin with a magnet link.

use tempfile::tempdir;

use crate::support::inside::inside;
use crate::support::process::start;

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
        "a b: no progress for 1s: no peers yet; run the same command again to go on"
    );
    assert_eq!(download.finish().0, Some(4));
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
