use metainfo::InfoBuilder;

use super::*;

fn info() -> Info {
    let builder = InfoBuilder { name: "a".into(), piece_length: 16_384, private: false, source: None };
    builder.single_file(1, &[0; 20]).unwrap()
}

/// What a marker says to which this was appended, of a torrent of a thousand files.
fn said(appended: &str) -> Vec<usize> {
    let marker = text(&info()) + appended;
    assert_eq!(check(marker.as_bytes(), &info()), Ok(()), "it is one all the same");
    strangers(marker.as_bytes(), 1000).into_iter().collect()
}

#[test]
fn h72_a_marker_names_the_files_that_are_somebodys() {
    assert_eq!(said(""), Vec::<usize>::new());
    for files in [vec![0], vec![7, 999], (0..MAX_STRANGERS).collect()] {
        let appended = strangers_text(&files.iter().copied().collect());
        assert_eq!(said(&appended), files);
        assert_eq!(said(&(appended.clone() + &appended)), files, "however often it is said");
    }
    assert_eq!(said(&strangers_text(&(500..700).collect())).len(), 1000, "of many it does not say which");
}

#[test]
fn h72_a_marker_that_was_cut_or_says_too_much_names_no_other_file_and_none_too_few() {
    assert_eq!(said("not-ours 12"), Vec::<usize>::new(), "half of 123");
    assert_eq!(said("not-ours 5\nnot-ours 12"), [5]);
    assert_eq!(said("not-ours 1000\nnot-ours -1\nnot-ours\nnot-ours x\n not-ours 3\n"), Vec::<usize>::new());
    let much: String = (0..=MAX_STRANGERS).map(|file| format!("not-ours {file}\n")).collect();
    assert_eq!(said(&much).len(), 1000);
    assert_eq!(said(&"not-ours 3\n".repeat(1000)).len(), 1000, "more than is read may name others");
}
