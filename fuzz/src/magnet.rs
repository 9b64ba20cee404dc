//! Magnet links: a link that is read is within its limits, and is written as one that reads the same.

use ::metainfo::{MAX_MAGNET_PEERS, MAX_SELECTED_FILES, MAX_TRACKERS, MAX_WEB_SEEDS, Magnet};

/// See the module.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let magnet = match text.parse::<Magnet>() {
        Ok(magnet) => magnet,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    assert_eq!(magnet.to_string().parse::<Magnet>().as_ref(), Ok(&magnet), "{text}");
    assert!(magnet.trackers.len() <= MAX_TRACKERS && magnet.web_seeds.len() <= MAX_WEB_SEEDS);
    assert!(magnet.peers.len() <= MAX_MAGNET_PEERS && magnet.peers.iter().all(|peer| peer.port != 0));
    assert!(magnet.select.iter().all(|range| range.start() <= range.end()));
    let mut last = None;
    for range in &magnet.select {
        assert!(last.is_none_or(|last| last < *range.start()), "selected ranges are in order and apart");
        last = Some(*range.end());
    }
    let selected: u64 = magnet.select.iter().map(|range| u64::from(range.end() - range.start()) + 1).sum();
    assert!(selected <= u64::from(MAX_SELECTED_FILES), "{selected} files are selected");
}
