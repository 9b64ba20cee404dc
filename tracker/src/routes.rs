//! The requests that a tracker answers.
//!
//! Whatever is asked of `/announce` or `/scrape`, the answer has status 200 and is bencoded, a failure as well: that
//! is what clients can read (BEP 3). Everything else is plain text and never markup, whatever a torrent is called.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, http};
use bytes::Bytes;
use metainfo::display_safe;
use tracker_proto::address::{Asker, reachable};
use tracker_proto::http::{AnnounceReply, AnnounceRequest, ScrapeRequest, encode_failure};
use tracker_proto::swarm::{Announce, Answer};

use crate::Access;
use crate::state::{Link, State, torrent_path};

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/announce", any(announce))
        .route("/scrape", any(scrape))
        .route("/t/{file}", get(torrent))
        .route("/", get(status))
        .fallback(not_found)
        .with_state(state)
}

async fn announce(
    Shared(state): Shared<Arc<State>>,
    Extension(link): Extension<Link>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if method != Method::GET {
        return failure("an announce is a GET request");
    }
    let request = match AnnounceRequest::parse_query(query.unwrap_or_default().as_bytes()) {
        Ok(request) => request,
        Err(error) => return failure(&error.to_string()),
    };
    // The address is always the one that the request came from: `ip=` and forwarding headers can name a victim.
    let announce = Announce {
        info_hash: request.info_hash,
        address: (link.remote.ip(), request.port).into(),
        left: request.left,
        event: request.event,
        numwant: request.numwant,
    };
    let Some(answer) = state.announce(&announce) else {
        return failure("this tracker does not serve that torrent");
    };
    let reply = reply(&state, link, &announce, &answer);
    plain(if request.compact { reply.encode() } else { reply.encode_dictionaries(&[]) })
}

/// The reply as the asker can use it.
fn reply(state: &State, link: Link, announce: &Announce, answer: &Answer) -> AnnounceReply {
    let asker = Asker { remote: link.remote.ip(), local: link.local.ip() };
    let own = announce.address;
    let mut reply = AnnounceReply {
        interval: state.config.interval,
        complete: Some(answer.stats.complete),
        incomplete: Some(answer.stats.incomplete),
        downloaded: Some(answer.stats.downloaded),
        external_ip: Some(own.ip()).filter(says_something),
        ..AnnounceReply::default()
    };
    for &peer in &answer.peers {
        let address = reachable(peer, asker, state.config.advertise);
        // A machine known by loopback and by another address would be there twice, or be the asker.
        if address != own && !(peer != address && reply.peers.contains(&address)) {
            reply.peers.push(address);
        }
    }
    reply
}

/// Whether a client learns something from being told that this is its address.
fn says_something(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_private() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unique_local() && !ip.is_unicast_link_local(),
    }
}

async fn scrape(Shared(state): Shared<Arc<State>>, method: Method, RawQuery(query): RawQuery) -> Response {
    if method != Method::GET {
        return failure("a scrape is a GET request");
    }
    match ScrapeRequest::parse_query(query.unwrap_or_default().as_bytes()) {
        Ok(request) => plain(state.scrape(&request.info_hashes).encode()),
        Err(error) => failure(&error.to_string()),
    }
}

async fn torrent(Shared(state): Shared<Arc<State>>, Path(file): Path<String>) -> Response {
    let Some(bytes) = file.strip_suffix(".torrent").and_then(|name| state.torrent(name)) else {
        return not_found().await;
    };
    respond(StatusCode::OK, "application/x-bittorrent", bytes)
}

async fn status(Shared(state): Shared<Arc<State>>) -> Response {
    let mut text = "This is a BitTorrent tracker (shoal).\n".to_owned();
    if state.config.access == Access::Registered {
        for (name, stats) in state.torrents() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "\n{}\n  seeders {}, leechers {}, completed {}\n  {}",
                display_safe(&name),
                stats.complete,
                stats.incomplete,
                stats.downloaded,
                torrent_path(&name)
            );
        }
    }
    plain(text.into_bytes())
}

async fn not_found() -> Response {
    respond(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"There is nothing here.\n"))
}

const TEXT: &str = "text/plain; charset=utf-8";

fn failure(reason: &str) -> Response {
    plain(encode_failure(reason, None))
}

fn plain(body: Vec<u8>) -> Response {
    respond(StatusCode::OK, TEXT, Bytes::from(body))
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response: http::Response<Body> = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
