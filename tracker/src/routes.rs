//! The requests that a tracker answers.
//!
//! Whatever is asked of `/announce` or `/scrape`, the answer has status 200 and is bencoded, a failure as well: that
//! is what clients can read (BEP 3). Everything else is plain text and never markup, whatever a torrent is called.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, http};
use bytes::Bytes;
use metainfo::display_safe;
use tracker_proto::access::Refusal;

use crate::Access;
use crate::answer::{Answer, Sender};
use crate::metrics::{Kind, Outcome, Protocol};
use crate::state::{Link, State, torrent_path};

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/announce", any(announce))
        .route("/scrape", any(scrape))
        .route("/{passkey}/announce", any(announce))
        .route("/{passkey}/scrape", any(scrape))
        .route("/t/{file}", get(torrent))
        .route("/", get(status))
        .fallback(not_found)
        .with_state(state)
}

async fn announce(
    Shared(state): Shared<Arc<State>>,
    Extension(link): Extension<Link>,
    sent: Sent,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if sent.is_misplaced(&state) {
        return not_found(Shared(state)).await;
    }
    let (mut answer, started) = (Answer::default(), state.metrics.start());
    let outcome = match (method, sent.sender(link)) {
        (Method::GET, Ok(sender)) => answer.announce(&state, sender, query.unwrap_or_default().as_bytes()),
        (Method::GET, Err(refusal)) => answer.refused(refusal),
        _ => answer.failure("an announce is a GET request"),
    };
    state.metrics.request(Protocol::Http, Kind::Announce, outcome, started);
    plain(answer.body)
}

async fn scrape(
    Shared(state): Shared<Arc<State>>,
    Extension(link): Extension<Link>,
    sent: Sent,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if sent.is_misplaced(&state) {
        return not_found(Shared(state)).await;
    }
    let (mut answer, started) = (Answer::default(), state.metrics.start());
    let outcome = match (method, sent.sender(link)) {
        (Method::GET, Ok(sender)) => answer.scrape(&state, sender, query.unwrap_or_default().as_bytes()),
        (Method::GET, Err(refusal)) => answer.refused(refusal),
        _ => answer.failure("a scrape is a GET request"),
    };
    state.metrics.request(Protocol::Http, Kind::Scrape, outcome, started);
    plain(answer.body)
}

/// What a request says of its sender: the client behind the proxies that are trusted, and the first part of a path of two.
struct Sent {
    client: Result<IpAddr, Refusal>,
    passkey: Option<Vec<u8>>,
}

impl Sent {
    /// Paths with a passkey are there on private trackers only.
    fn is_misplaced(&self, state: &State) -> bool {
        self.passkey.is_some() && !state.gate.is_private()
    }

    fn sender(&self, link: Link) -> Result<Sender<'_>, Refusal> {
        Ok(Sender { link, client: self.client?, passkey: self.passkey.as_deref() })
    }
}

impl FromRequestParts<Arc<State>> for Sent {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, StatusCode> {
        // Every connection puts its link in.
        let link = parts.extensions.get::<Link>().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        let headers = parts.headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        let client = state.gate.client(link.remote.ip(), headers);
        let passkey = parts.uri.path().strip_prefix('/').and_then(|path| path.split_once('/'));
        Ok(Self { client, passkey: passkey.map(|(passkey, _)| passkey.as_bytes().to_vec()) })
    }
}

/// In what proxies say whom they speak for.
const FORWARDED_FOR: &str = "x-forwarded-for";

async fn torrent(Shared(state): Shared<Arc<State>>, Path(file): Path<String>) -> Response {
    let Some(bytes) = file.strip_suffix(".torrent").and_then(|name| state.torrent(name)) else {
        return not_found(Shared(state)).await;
    };
    count_page(&state, Outcome::Answered);
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
    count_page(&state, Outcome::Answered);
    plain(text.into_bytes())
}

/// Counts a request for a page.
fn count_page(state: &State, outcome: Outcome) {
    state.metrics.request(Protocol::Http, Kind::Other, outcome, state.metrics.start());
}

async fn not_found(Shared(state): Shared<Arc<State>>) -> Response {
    count_page(&state, Outcome::Invalid);
    respond(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"There is nothing here.\n"))
}

const TEXT: &str = "text/plain; charset=utf-8";

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
