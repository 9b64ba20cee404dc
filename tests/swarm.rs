//! Sharing and downloading: several processes, one folder.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::data::{assert_same, noise, photos, write};
use crate::support::inside::inside;
use crate::support::process::{Running, start};

/// Starts `share photos` in a folder; the URL that it prints.
fn share(folder: &Path) -> (Running, String) {
    let mut share = start(folder, &["share", "photos", "--port", "0", "--advertise", "127.0.0.1"]);
    let line = share.line();
    let url = line.rsplit(' ').next().unwrap().to_owned();
    assert_eq!(line, format!("{} download {url}", env!("CARGO_BIN_EXE_shoal")));
    share.event("seeding");
    (share, url)
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("{key}: {object}"))
}

#[test]
fn three_download_at_once_what_one_shares_and_upload_to_each_other() {
    let source = tempdir().unwrap();
    // Large enough for what is on its way at the end to be little of it.
    let top = photos(source.path(), 64_000_000);
    let (share, url) = share(source.path());
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/t/photos.torrent"), "{url}");

    let folders: Vec<TempDir> = (0..3).map(|_| tempdir().unwrap()).collect();
    let args = ["download", &url, "-d", "here", "--port", "0", "--seed"];
    let mut downloads: Vec<_> = folders.iter().map(|folder| start(folder.path(), &args)).collect();
    for download in &mut downloads {
        download.event("complete");
    }
    // Nobody leaves before all have everything, so that each has counted what it sent.
    let mut uploaded = 0;
    let mut downloaded = 0;
    for (folder, download) in folders.iter().zip(downloads) {
        download.signal("INT");
        let (code, last) = download.finish();
        assert_eq!(code, Some(0), "a complete download that seeds is done when it is told to end");
        assert_eq!(last["done_bytes"], last["total_bytes"]);
        uploaded += number(&last, "uploaded_bytes");
        downloaded += number(&last, "downloaded_bytes");
        assert_same(&top, &folder.path().join("here/photos"));
        let left: Vec<_> = std::fs::read_dir(folder.path().join("here")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing but the data stays: {left:?}");
    }
    share.signal("TERM");
    let (code, last) = share.finish();
    assert_eq!(code, Some(0), "a share that is told to end is done");
    uploaded += number(&last, "uploaded_bytes");
    let total = number(&last, "total_bytes");
    assert!(downloaded >= 3 * total, "{downloaded} of {total}");
    // What was on its way when somebody left is counted by one side only.
    let difference = uploaded.abs_diff(downloaded);
    assert!(difference * 100 <= downloaded, "sent {uploaded}, received {downloaded}");
}

#[test]
fn several_torrents_download_in_one_run_with_files_of_no_bytes_among_them() {
    let source = tempdir().unwrap();
    photos(source.path(), 3_000_000);
    write(&source.path().join("single.bin"), &noise(9, 1_234_567));
    write(&source.path().join("nothing/empty"), b"");
    for name in ["photos", "single.bin", "nothing"] {
        inside(source.path()).run(&["create", name]).done();
    }
    let torrents = ["photos.torrent", "single.bin.torrent", "nothing.torrent"];
    let mut seed = start(source.path(), &["seed", torrents[0], torrents[1], torrents[2], "--port", "0"]);
    let message = seed.event("seeding")["message"].as_str().unwrap().to_owned();
    let port = message.rsplit(' ').next().unwrap();

    let target = tempdir().unwrap();
    let paths = torrents.map(|name| source.path().join(name).into_os_string().into_string().unwrap());
    let peer = format!("127.0.0.1:{port}");
    let args = ["download", &paths[0], &paths[1], &paths[2], "--peer", &peer, "--port", "0", "--json"];
    let download = start(target.path(), &args);
    let (code, last) = download.finish();
    assert_eq!(code, Some(0), "{last}");
    for name in ["photos", "nothing"] {
        assert_same(&source.path().join(name), &target.path().join(name));
    }
    assert!(std::fs::read(target.path().join("single.bin")).unwrap() == noise(9, 1_234_567));
    seed.signal("INT");
    assert_eq!(seed.finish().0, Some(0));
}

#[test]
fn progress_objects_have_the_keys_of_the_contract() {
    let source = tempdir().unwrap();
    photos(source.path(), 1_000_000);
    let (mut share, url) = share(source.path());
    let object = share.event("progress");
    let mut keys: Vec<_> = object.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    let wanted = "done_bytes down_bytes_per_s downloaded_bytes eta_seconds event info_hash_v1 info_hash_v2 name \
        peers seeds total_bytes up_bytes_per_s uploaded_bytes";
    assert_eq!(keys, wanted.split_whitespace().collect::<Vec<_>>());
    assert_eq!(object["name"], "photos");

    let target = tempdir().unwrap();
    let mut download = start(target.path(), &["download", &url, "--port", "0"]);
    for event in ["checking", "started", "complete"] {
        let object = download.object(|object| object["event"] != "progress" && object["event"] != "log");
        if event == "checking" && object["event"] == "started" {
            // Checking nothing can be over before it is seen.
            assert_eq!(download.event("complete")["name"], "photos");
            break;
        }
        assert_eq!(object["event"], event);
        assert!(object["message"].is_string() && object["name"] == "photos", "{object}");
    }
    let (status, _) = download.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_download_that_is_to_seed_says_where_and_never_fetches_the_rest_of_all() {
    let source = tempdir().unwrap();
    photos(source.path(), 100_000);
    inside(source.path()).run(&["create", "photos"]).done();
    let args = ["download", "photos.torrent", "--seed", "--port", "0", "--bind", "127.0.0.1"];
    let mut download = start(source.path(), &args);
    assert_eq!(download.event("started")["message"], "all is there");
    download.event("complete");
    let message = download.event("seeding")["message"].as_str().unwrap().to_owned();
    let port: u16 = message.strip_prefix("seeding on port ").unwrap().parse().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    download.signal("INT");
    assert_eq!(download.finish().0, Some(0));
}

#[test]
fn piped_output_is_plain_lines_and_ends_with_a_summary() {
    let source = tempdir().unwrap();
    photos(source.path(), 1_000_000);
    let (_share, url) = share(source.path());
    let target = tempdir().unwrap();
    let output =
        crate::support::process::shoal(target.path()).args(["get", &url, "--port", "0"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{said}");
    assert!(!said.contains(['\u{1b}', '\r']), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("✓ photos: 977 KiB in ")
            && last.contains(", average ↓")
            && last.contains(", ratio 0.00, "),
        "{said}"
    );
    assert_same(&source.path().join("photos"), &target.path().join("photos"));
}

#[test]
fn a_folder_with_a_link_in_it_can_be_shared_by_its_own_link() {
    let source = tempdir().unwrap();
    photos(source.path(), 500_000);
    let links = tempdir().unwrap();
    std::os::unix::fs::symlink(source.path().join("photos"), links.path().join("photos")).unwrap();
    let (_share, url) = share(links.path());
    let target = tempdir().unwrap();
    let download = start(target.path(), &["download", &url, "--port", "0"]);
    assert_eq!(download.finish().0, Some(0));
    assert_same(&source.path().join("photos"), &target.path().join("photos"));
}

#[test]
fn two_shares_on_one_machine_both_work() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    photos(one.path(), 100_000);
    photos(two.path(), 200_000);
    let ((_first, first_url), (_second, second_url)) = (share(one.path()), share(two.path()));
    assert_ne!(first_url, second_url);
    let target = tempdir().unwrap();
    for (url, source) in [(first_url, one), (second_url, two)] {
        let download = start(target.path(), &["download", &url, "-d", "to", "--port", "0", "--overwrite"]);
        assert_eq!(download.finish().0, Some(0));
        assert_same(&source.path().join("photos"), &target.path().join("to/photos"));
        std::fs::remove_dir_all(target.path().join("to")).unwrap();
    }
}

#[test]
fn the_line_that_share_prints_runs_in_a_shell() {
    let source = tempdir().unwrap();
    photos(source.path(), 100_000);
    let (mut command, folder) = (Command::new("sh"), tempdir().unwrap());
    let mut share = start(source.path(), &["share", "photos", "--port", "0"]);
    let line = share.line();
    let output =
        command.current_dir(folder.path()).env("SHOAL_PORT", "0").arg("-c").arg(&line).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    assert_same(&source.path().join("photos"), &folder.path().join("photos"));
}

#[test]
fn a_share_by_a_host_name_is_reached_and_one_that_is_nobodys_is_told() {
    let source = tempdir().unwrap();
    photos(source.path(), 100_000);
    let mut share = start(source.path(), &["share", "photos", "--port", "0", "--advertise", "localhost"]);
    let line = share.line();
    let url = line.rsplit(' ').next().unwrap();
    assert!(url.starts_with("http://localhost:"), "{url}");
    let target = tempdir().unwrap();
    assert_eq!(start(target.path(), &["download", url, "--port", "0"]).finish().0, Some(0));
    assert_same(&source.path().join("photos"), &target.path().join("photos"));

    // A name of the kind that never exists (RFC 6761).
    let outcome = inside(source.path()).run(&["share", "photos", "--port", "0", "--advertise", "a.invalid"]);
    assert_eq!((outcome.exit, outcome.stderr.lines().count()), (shoal::Exit::Error, 1), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: --advertise a.invalid: "), "{outcome:?}");
}

#[test]
fn a_seed_on_one_interface_is_reached_there_and_its_log_names_who_came() {
    let source = tempdir().unwrap();
    let top = photos(source.path(), 1_000_000);
    inside(source.path()).run(&["create", "photos"]).done();
    let args = ["seed", "photos.torrent", "--port", "0", "--bind", "lo", "-v", "--log-file", "seed.log"];
    let mut seed = start(source.path(), &args);
    let message = seed.event("seeding")["message"].as_str().unwrap().to_owned();
    let peer = format!("127.0.0.1:{}", message.rsplit(' ').next().unwrap());

    let target = tempdir().unwrap();
    let torrent = source.path().join("photos.torrent").into_os_string().into_string().unwrap();
    let download = start(target.path(), &["download", &torrent, "--peer", &peer, "--port", "0"]);
    assert_eq!(download.finish().0, Some(0));
    assert_same(&top, &target.path().join("photos"));
    seed.signal("INT");
    assert_eq!(seed.finish().0, Some(0));
    let log = std::fs::read_to_string(source.path().join("seed.log")).unwrap();
    assert!(log.contains(": connected, -SH"), "{log}");
}

#[test]
fn an_interface_that_is_not_there_is_wrong_usage() {
    let source = tempdir().unwrap();
    photos(source.path(), 100_000);
    inside(source.path()).run(&["create", "photos"]).done();
    let outcome = inside(source.path()).run(&["seed", "photos.torrent", "--bind", "nosuch0"]);
    assert_eq!(outcome.exit, shoal::Exit::Usage);
    let start = "error: --bind nosuch0: neither an address nor an interface with one (there are ";
    assert!(outcome.stderr.starts_with(start), "{}", outcome.stderr);
}
