//! The requests that a tracker answers.
//!
//! Whatever is asked of `/announce` or `/scrape`, the answer has status 200 and is bencoded, a failure as well: that
//! is what clients can read (BEP 3). Everything else is plain text and never markup, whatever a torrent is called.

use std::fmt::Write as _;
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

use crate::Access;
use crate::answer::Answer;
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
    let mut answer = Answer::default();
    if method == Method::GET {
        answer.announce(&state, link, query.unwrap_or_default().as_bytes());
    } else {
        answer.failure("an announce is a GET request");
    }
    plain(answer.body)
}

async fn scrape(Shared(state): Shared<Arc<State>>, method: Method, RawQuery(query): RawQuery) -> Response {
    let mut answer = Answer::default();
    if method == Method::GET {
        answer.scrape(&state, query.unwrap_or_default().as_bytes());
    } else {
        answer.failure("a scrape is a GET request");
    }
    plain(answer.body)
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
