//! Queries of HTTP announces and scrapes: what is read says the same when it is written again.

use tracker_proto::http::{
    AnnounceRequest, MAX_SCRAPE_HASHES, MAX_TOKEN_BYTES, ScrapeRequest, granted_numwant, scrape_url,
};

/// See the module.
pub fn target(data: &[u8]) {
    match AnnounceRequest::parse_query(data) {
        Ok(request) => {
            assert_ne!(request.port, 0);
            let tokens = [&request.key, &request.tracker_id].into_iter().flatten();
            assert!(tokens.clone().all(|token| token.len() <= MAX_TOKEN_BYTES));
            assert!(granted_numwant(request.numwant) <= 200);
            assert_eq!(AnnounceRequest::parse_query(request.to_query().as_bytes()).as_ref(), Ok(&request));
        }
        Err(error) => crate::assert_one_line(&error.to_string()),
    }
    match ScrapeRequest::parse_query(data) {
        Ok(request) => {
            assert!((1..=MAX_SCRAPE_HASHES).contains(&request.info_hashes.len()));
            let url = request.to_url("http://t/scrape");
            let (_, query) = url.split_once('?').expect("a scrape has a query");
            assert_eq!(ScrapeRequest::parse_query(query.as_bytes()).as_ref(), Ok(&request));
        }
        Err(error) => crate::assert_one_line(&error.to_string()),
    }
    // The other way round: a URL of a torrent, to which the client appends its query.
    let Ok(url) = std::str::from_utf8(data) else { return };
    let request = AnnounceRequest::new(::metainfo::InfoHash::new([7; 20]), tracker_proto::PeerId([8; 20]), 1);
    let whole = request.to_url(url);
    assert!(!whole.contains('#') && whole.ends_with(&request.to_query()));
    if let Some(scrape) = scrape_url(url) {
        assert!(scrape.contains("/scrape") && scrape.len() + 2 == url.len());
    }
}
