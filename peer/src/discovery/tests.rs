//! The tracker client against servers that answer with anything at all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use metainfo::InfoHash;
use tracker_proto::http::AnnounceRequest;

use super::http::{FetchError, Http, Reach};
use super::{Announced, TrackerClient};

/// A server that answers the n-th request as `answer` writes, then closes. Tells the paths asked for.
pub(crate) fn server(
    mut answer: impl FnMut(usize, &str, &mut TcpStream) + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, paths) = mpsc::channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.extend_from_slice(&byte);
            }
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            // The test may have ended.
            let _ = asked.send(path.clone());
            answer(n, &path, &mut stream);
        }
    });
    (address, paths)
}

/// Writes a whole answer. A client that has heard enough may be gone.
pub(crate) fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

async fn announce(address: SocketAddr, deadline: Duration) -> Result<Announced, FetchError> {
    let client = TrackerClient::new("test", deadline);
    let request = AnnounceRequest::new(InfoHash::new([1; 20]), tracker_proto::PeerId([2; 20]), 6881);
    client.announce(&format!("http://{address}/announce"), false, &request).await
}

async fn complaint(answer: impl FnMut(usize, &str, &mut TcpStream) + Send + 'static) -> String {
    announce(server(answer).0, Duration::from_secs(20)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_announce_says_who_we_are_and_gives_the_peers_of_the_answer() {
    let body = b"d8:intervali1800e5:peers12:\x7f\0\0\x01\x1a\xe1\x01\x02\x03\x04\0\x05e";
    let (address, paths) = server(|_, _, stream| respond(stream, "200 OK", "", body));
    let announced = announce(address, Duration::from_secs(20)).await.unwrap();
    let peers: Vec<SocketAddr> = ["127.0.0.1:6881", "1.2.3.4:5"].map(|peer| peer.parse().unwrap()).into();
    assert_eq!((announced.reply.interval, announced.peers), (Duration::from_secs(1800), peers));
    let path = paths.recv().unwrap();
    assert!(path.starts_with("/announce?info_hash=%01%01") && path.contains("&port=6881&"), "{path}");
}

#[tokio::test]
async fn h45_a_body_without_end_is_cut_off() {
    let endless = |_: usize, _: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    };
    assert_eq!(complaint(endless).await, "its answer is longer than 2097152 bytes");
}

#[tokio::test]
async fn h45_a_gzip_bomb_is_cut_off() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..64).for_each(|_| encoder.write_all(&vec![0; 1 << 20]).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000, "small on the wire");
    let bomb = move |_: usize, _: &str, stream: &mut TcpStream| {
        respond(stream, "200 OK", "content-encoding: gzip\r\n", &bomb);
    };
    assert_eq!(complaint(bomb).await, "its answer is longer than 2097152 bytes");
}

#[tokio::test]
async fn h46_a_page_a_404_and_a_failure_reason_are_told_as_such() {
    let page = b"<!DOCTYPE html><html><body>hello</body></html>";
    let text = complaint(|_, _, stream| respond(stream, "200 OK", "", page)).await;
    assert!(text.contains("web page"), "{text}");
    let text = complaint(|_, _, stream| respond(stream, "404 Not Found", "", b"no such thing")).await;
    assert!(text.contains("404"), "{text}");
    let reason = b"d14:failure reason16:torrent unknown\x1be";
    let text = complaint(|_, _, stream| respond(stream, "200 OK", "", reason)).await;
    assert!(text.starts_with("the tracker says: torrent unknown") && !text.contains('\x1b'), "{text}");
}

#[tokio::test]
async fn h47_a_redirect_loop_ends_after_five() {
    let (address, paths) =
        server(|_, path, stream| respond(stream, "302 Found", &format!("location: {path}\r\n"), b""));
    let error = announce(address, Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(error.to_string(), "it redirects more than 5 times");
    assert_eq!(paths.recv().map(|_| 1 + paths.try_iter().count()).unwrap(), 6);
}

#[tokio::test]
async fn h47_a_redirect_to_another_host_is_followed_and_to_another_scheme_is_not() {
    let body = b"d8:intervali900e5:peers0:e";
    let (other, _paths) = server(|_, _, stream| respond(stream, "200 OK", "", body));
    let location = format!("location: http://localhost:{}/announce\r\n", other.port());
    let (address, _paths) =
        server(move |_, _, stream| respond(stream, "301 Moved Permanently", &location, b""));
    assert_eq!(announce(address, Duration::from_secs(20)).await.unwrap().reply.interval.as_secs(), 900);
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/"] {
        let location = format!("location: {target}\r\n");
        let text = complaint(move |_, _, stream| respond(stream, "302 Found", &location, b"")).await;
        assert_eq!(text, "it redirects to something that is neither http nor https");
    }
}

#[tokio::test]
async fn h48_a_tracker_that_stalls_is_given_up_and_odd_intervals_are_clamped() {
    let (address, _paths) = server(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nd8:");
        // Until the client has given up.
        let _ = stream.read(&mut [0]);
    });
    let error = announce(address, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 0.1 seconds");
    for interval in ["0", "-1", "9223372036854775807"] {
        let body = format!("d8:intervali{interval}e5:peers0:e");
        let (address, _paths) = server(move |_, _, stream| respond(stream, "200 OK", "", body.as_bytes()));
        let reply = announce(address, Duration::from_secs(20)).await.unwrap().reply;
        assert!((60..=3600).contains(&reply.interval.as_secs()), "{interval}: {:?}", reply.interval);
    }
}

#[tokio::test]
async fn h52_what_must_be_public_is_not_asked_for_on_this_machine() {
    let (address, paths) = server(|_, _, stream| respond(stream, "200 OK", "", b"secret"));
    let http = Http::new("test", Duration::from_secs(20));
    let url = format!("http://{address}/");
    assert!(matches!(http.get(&url, Reach::Public, 100).await, Err(FetchError::Inward)));
    let named = format!("http://localhost:{}/", address.port());
    let error = http.get(&named, Reach::Public, 100).await.unwrap_err();
    assert!(matches!(error, FetchError::Inward), "{error}");
    // A torrent may name a tracker here only if it looks like one; a user may name anything.
    let client = TrackerClient::new("test", Duration::from_secs(20));
    let request = AnnounceRequest::new(InfoHash::new([1; 20]), tracker_proto::PeerId([2; 20]), 6881);
    let url = format!("http://{address}/admin?do=harm&x=/announce");
    assert!(matches!(client.announce(&url, false, &request).await, Err(FetchError::Inward)));
    assert!(paths.try_recv().is_err(), "nothing was asked");
    let answer = client.announce(&url, true, &request).await;
    assert!(matches!(answer, Err(FetchError::Reply(_))), "{answer:?}");
}

#[tokio::test]
async fn scrapes_and_torrents_are_fetched_and_other_urls_refused() {
    let mut body = b"d5:filesd20:".to_vec();
    body.extend_from_slice(&[1; 20]);
    body.extend_from_slice(b"d8:completei3e10:downloadedi9e10:incompletei4eeee");
    let (address, paths) = server(move |_, _, stream| respond(stream, "200 OK", "", &body));
    let client = TrackerClient::default();
    let hash = InfoHash::new([1; 20]);
    for name in ["announce", "scrape"] {
        let reply = client.scrape(&format!("http://{address}/{name}"), &[hash]).await.unwrap();
        let stats = reply.files.get(&hash).unwrap();
        assert_eq!((stats.complete, stats.incomplete, stats.downloaded), (3, 4, 9));
        assert!(paths.recv().unwrap().starts_with("/scrape?info_hash=%01"));
    }
    assert_eq!(client.fetch_torrent(&format!("http://{address}/x.torrent")).await.unwrap().len(), 81);
    let none = client.scrape(&format!("http://{address}/x"), &[hash]).await;
    assert!(matches!(none, Err(FetchError::NoScrape)));
    for url in ["udp://a:1/announce", "file:///etc/passwd", "nonsense"] {
        assert!(matches!(client.fetch_torrent(url).await, Err(FetchError::Url)), "{url}");
    }
    let (address, _paths) = server(|_, _, stream| respond(stream, "404 Not Found", "", b"no"));
    let missing = client.fetch_torrent(&format!("http://{address}/x.torrent")).await.unwrap_err();
    assert_eq!(missing.to_string(), "it answered with HTTP status 404");
}

#[tokio::test]
async fn a_tracker_that_cannot_be_reached_is_told_in_one_line() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = announce(closed, Duration::from_secs(20)).await.unwrap_err().to_string();
    assert!(text.starts_with("cannot reach it: ") && text.contains("refused"), "{text}");
}
