//! The tracker client against servers whose certificate is not what it should be.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use metainfo::InfoHash;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};
use tracker_proto::http::AnnounceRequest;

use super::TrackerClient;

/// An HTTPS tracker for one connection, whose certificate nobody vouches for. Tells whether it was asked anything.
fn server() -> (SocketAddr, mpsc::Receiver<bool>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, was_asked) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = Stream::new(&mut connection, &mut stream);
        let mut question = [0; 1024];
        let length = tls.read(&mut question).unwrap_or(0);
        let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\nd8:intervali1800e5:peers0:ee");
        asked.send(length > 0).unwrap();
    });
    (address, was_asked)
}

#[tokio::test]
async fn h51_a_tracker_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let (address, was_asked) = server();
    let client = TrackerClient::new("test", Duration::from_secs(20));
    let request = AnnounceRequest::new(InfoHash::new([1; 20]), tracker_proto::PeerId([2; 20]), 6881);
    let url = format!("https://localhost:{}/announce", address.port());
    let error = client.announce(&url, false, &request).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot reach it: ") && error.contains("certificate"), "{error}");
    assert!(!was_asked.recv().unwrap(), "the question would say who downloads what");
}
