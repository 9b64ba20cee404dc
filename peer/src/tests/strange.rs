//! Torrents that are named like what the user has already.

use std::fs;
use std::path::Path;

use metainfo::TorrentFile;
use sha1::{Digest, Sha1};
use tempfile::tempdir;

use super::support::{Sample, end, failure, noise, seeder, session, until};
use crate::{AddTorrent, FailureKind, Session, State};

const PIECE: usize = 16_384;

fn string(text: &str) -> String {
    format!("{}:{text}", text.len())
}

fn with_pieces(front: &str, name: &str, content: &[u8]) -> TorrentFile {
    let digests: Vec<u8> = content.chunks(PIECE).flat_map(Sha1::digest).collect();
    let name = string(name);
    let mut raw =
        format!("d4:infod{front}4:name{name}12:piece lengthi{PIECE}e6:pieces{}:", digests.len()).into_bytes();
    raw.extend(digests);
    raw.extend(b"ee");
    TorrentFile::parse(&raw).unwrap()
}

/// One file, `mine`.
fn single(content: &[u8]) -> TorrentFile {
    with_pieces(&format!("6:lengthi{}e", content.len()), "mine", content)
}

/// A folder, `top`, of files in order; one whose name is `pad` is padding (BEP 47).
fn folder(files: &[(&str, &[u8])]) -> TorrentFile {
    let entry = |(name, bytes): &(&str, &[u8])| {
        let padding = if *name == "pad" { "4:attr1:p" } else { "" };
        format!("d{padding}6:lengthi{}e4:pathl{}ee", bytes.len(), string(name))
    };
    let list: String = files.iter().map(entry).collect();
    let content: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    with_pieces(&format!("5:filesl{list}e"), "top", &content)
}

fn place(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The download is refused with these words about `path`, and nothing is changed.
async fn refused(torrent: &TorrentFile, root: &Path, path: &Path, words: &str) {
    let before = fs::read(path).unwrap();
    let session = session();
    let id = session.add(AddTorrent::download(torrent.clone(), root)).await.unwrap();
    let failure = failure(&session, id).await;
    end(&[&session]).await;
    assert_eq!(failure.kind, FailureKind::DataMismatch);
    assert_eq!(failure.message, format!("{} {words}", path.display()));
    assert!(fs::read(path).unwrap() == before, "the file is as it was");
    assert_eq!(fs::read_dir(root).unwrap().count(), 1, "no marker claims it");
}

/// With `overwrite` it is completed from what is there.
async fn completed(torrent: &TorrentFile, root: &Path, overwrite: bool) {
    let session = session();
    let add = AddTorrent { overwrite, ..AddTorrent::download(torrent.clone(), root) };
    let id = session.add(add).await.unwrap();
    until(&session, id, |stats| stats.state == State::Seeding).await;
    end(&[&session]).await;
}

const OTHER: &str = "exists and is something else; use --overwrite to replace it";

#[tokio::test]
async fn h72_a_torrent_of_no_bytes_does_not_empty_a_file_of_its_name() {
    let (torrent, dir) = (single(&[]), tempdir().unwrap());
    let path = dir.path().join("mine");
    place(&path, b"precious");
    refused(&torrent, dir.path(), &path, OTHER).await;
    completed(&torrent, dir.path(), true).await;
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[tokio::test]
async fn h72_files_of_no_bytes_beside_padding_do_not_empty_those_that_are_there() {
    let torrent = folder(&[("a", &[]), ("pad", &[0; 2 * PIECE]), ("b", &[])]);
    let dir = tempdir().unwrap();
    let path = dir.path().join("top/b");
    place(&path, b"precious");
    refused(&torrent, dir.path(), &path, OTHER).await;
    assert!(!dir.path().join("top/a").exists(), "nothing is made either");
}

#[tokio::test]
async fn h72_a_piece_of_padding_that_is_right_does_not_make_other_files_ours() {
    let content = noise(1, 2 * PIECE);
    let torrent = folder(&[("pad", &[0; PIECE]), ("a", &content)]);
    let dir = tempdir().unwrap();
    let path = dir.path().join("top/a");
    place(&path, &noise(2, 2 * PIECE));
    refused(&torrent, dir.path(), &path, OTHER).await;
}

#[tokio::test]
async fn h72_bytes_that_anybody_can_guess_do_not_make_a_file_ours() {
    let content = [b"%PDF-1.7\n".to_vec(), noise(1, 2 * PIECE)].concat();
    let torrent = folder(&[("pad", &[0; PIECE - 9]), ("a.pdf", &content)]);
    let dir = tempdir().unwrap();
    let path = dir.path().join("top/a.pdf");
    place(&path, &[b"%PDF-1.7\n".to_vec(), noise(2, 2 * PIECE)].concat());
    refused(&torrent, dir.path(), &path, OTHER).await;
}

#[tokio::test]
async fn h72_a_file_beside_others_that_are_right_is_refused_by_its_own_name() {
    let (a, b) = (noise(1, 2 * PIECE), noise(2, 2 * PIECE));
    let torrent = folder(&[("a", &a), ("b", &b)]);
    let dir = tempdir().unwrap();
    place(&dir.path().join("top/a"), &a);
    let path = dir.path().join("top/b");
    place(&path, &noise(3, 2 * PIECE));
    let hidden = format!(".top.{}.*", &torrent.info_hash().to_string()[..8]);
    let words = format!("{OTHER}; if a download was moved here, move its {hidden} here too");
    refused(&torrent, dir.path(), &path, &words).await;
    place(&path, &b);
    completed(&torrent, dir.path(), false).await;
}

#[tokio::test]
async fn h72_a_longer_file_of_which_all_pieces_match_is_not_cut_unless_asked() {
    let content = noise(1, 2 * PIECE);
    let torrent = single(&content);
    let dir = tempdir().unwrap();
    let path = dir.path().join("mine");
    place(&path, &[&content[..], b"precious"].concat());
    let words = "is longer than the torrent's 32768 bytes; use --overwrite to cut it";
    refused(&torrent, dir.path(), &path, words).await;
    completed(&torrent, dir.path(), true).await;
    assert!(fs::read(&path).unwrap() == content);
}

/// `a` and `b` side by side, of which `b` is somebody's, and a peer that has them.
async fn beside_mine() -> (Sample, Session, tempfile::TempDir, std::path::PathBuf) {
    // They share the third piece, and `b` has enough bytes of it to tell whose it is.
    let sample = Sample::folder(&[("a", 2 * PIECE + 1000), ("b", 20 * PIECE)], 16_384);
    let (seed, dir) = (seeder(&sample).await, tempdir().unwrap());
    let path = dir.path().join("sample/b");
    place(&path, b"precious");
    (sample, seed, dir, path)
}

/// A run that has all chosen refuses to write to `b`.
async fn refuses_mine((sample, seed): (&Sample, &Session), dir: &Path, path: &Path) {
    let again = session();
    let id = again.add(sample.download(dir, &[seed.port()])).await.unwrap();
    assert_eq!(failure(&again, id).await.kind, FailureKind::DataMismatch);
    assert!(fs::read(path).unwrap() == b"precious");
    end(&[&again]).await;
}

#[tokio::test]
async fn h72_a_file_that_was_not_chosen_is_asked_of_when_it_is_though_a_piece_of_it_is_right_aside() {
    let (sample, seed, dir, path) = beside_mine().await;
    let first = session();
    let add = AddTorrent { select: Some(vec![0]), ..sample.download(dir.path(), &[seed.port()]) };
    let id = first.add(add).await.unwrap();
    until(&first, id, |stats| stats.state == State::Seeding).await;
    end(&[&first]).await;
    refuses_mine((&sample, &seed), dir.path(), &path).await;
    end(&[&seed]).await;
}

#[tokio::test]
async fn h72_a_file_that_was_not_chosen_is_asked_of_when_it_is_though_a_marker_stands_there() {
    let (sample, seed, dir, path) = beside_mine().await;
    // Neither the first run, nor one that finds its marker, gets anything.
    for _ in 0..2 {
        let first = session();
        let add = AddTorrent { select: Some(vec![0]), ..sample.download(dir.path(), &[]) };
        let id = first.add(add).await.unwrap();
        until(&first, id, |stats| stats.state == State::Downloading).await;
        end(&[&first]).await;
    }
    refuses_mine((&sample, &seed), dir.path(), &path).await;
    end(&[&seed]).await;
}
