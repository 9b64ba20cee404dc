//! Markers of downloads: only one that names its torrent, in a version that is known, says that the data is ours.

use ::metainfo::{Info, InfoBuilder};
use peer::marker_text::{check, strangers, text};

use crate::input::Input;

/// The first byte chooses whether the rest is a marker, or is put into ours, where the next two say.
pub fn target(data: &[u8]) {
    let (ours, other) = (info(1), info(2));
    let mut input = Input::new(data);
    let whole = text(&ours);
    assert_eq!((check(whole.as_bytes(), &ours), check(whole.as_bytes(), &other).is_err()), (Ok(()), true));
    let bytes = match input.byte() % 4 {
        0 => input.rest().to_vec(),
        1 => whole.as_bytes().iter().copied().take(usize::from(input.short()) % whole.len()).collect(),
        choice => {
            let at = usize::from(input.short()) % whole.len();
            let (front, back) = whole.as_bytes().split_at(at);
            let put = input.rest();
            let over = if choice == 2 { 0 } else { put.len().min(back.len()) };
            [front, put, back.get(over..).unwrap_or_default()].concat()
        }
    };
    match check(&bytes, &ours) {
        Ok(()) => {
            let said = String::from_utf8_lossy(&bytes);
            let mut lines = said.lines();
            assert_eq!(lines.next(), whole.lines().next(), "another version is not ours");
            assert!(lines.any(|line| Some(line) == whole.lines().nth(1)), "it does not name the torrent");
            assert!(check(&bytes, &other).is_err(), "it is of one torrent");
        }
        Err(what) => crate::assert_one_line(what),
    }
    assert!(strangers(&bytes, 3).into_iter().all(|file| file < 3), "a file that there is not");
}

fn info(length: u64) -> Info {
    let builder = InfoBuilder { name: "a".into(), piece_length: 16_384, private: false, source: None };
    builder.single_file(length, &[0; 20]).expect("the torrent is sound")
}
