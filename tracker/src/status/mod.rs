//! The status page: how the tracker fares, for people, on the operator's address.
//!
//! Purpose: numbers of now, graphs of the last five minutes, hour and day, and the swarms with the most peers, in any
//! browser, with nothing from elsewhere. What is sent first holds all numbers, so that it is of use without scripts.
//!
//! Invariants: nothing on it can be made markup, and its policy lets no script run but its own. It is answered only by a
//! name that no stranger's page can have ([`host`]). Looking at it locks each store for a few dozen look-ups, whatever the
//! tracker holds; nothing is sampled unless there is an operator's address.
//!
//! Unlike the metrics it names torrents, by their info-hashes. It names no peer.

mod figures;
mod history;
mod host;
mod page;
mod text;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};

pub(crate) use self::figures::Listening;
use self::figures::{Columns, Figures};
use self::history::{History, SPANS};
use crate::state::State;

/// How often [`Status::sample`] is to be called.
pub(crate) const SAMPLE_EVERY: Duration = history::SAMPLE_EVERY;

/// Scripts and styles of its own, data from here, and no place in another's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is asked for once by a page, and does not change while a tracker runs.
const ASSETS: [(&str, &str, &str); 3] = [
    ("/page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/graph.js", "text/javascript; charset=utf-8", include_str!("graph.js")),
];

/// The page's memory.
#[derive(Debug)]
pub(crate) struct Status {
    listening: Listening,
    history: Mutex<History>,
}

impl Status {
    /// Of a tracker that answers on these addresses.
    pub(crate) fn new(listening: Listening) -> Self {
        Self { listening, history: Mutex::new(History::new()) }
    }

    /// Takes note of how things are.
    pub(crate) fn sample(&self, state: &State) {
        let sample = figures::sample(state);
        self.history().record(state.uptime(), &sample);
    }

    /// Answers what is asked of the page and its parts; `None` where it is something else.
    pub(crate) fn answer(&self, state: &State, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
        let asset = ASSETS.iter().find(|(path, ..)| *path == uri.path());
        if asset.is_none() && !["/", "/status.json"].contains(&uri.path()) {
            return None;
        }
        let mut response = if !host::is_ours(headers) {
            let advice = "This page is not served by that name: use the tracker's address.\n";
            respond(StatusCode::MISDIRECTED_REQUEST, "text/plain; charset=utf-8", advice.to_owned())
        } else if let Some(&(_, content_type, content)) = asset {
            unless_known(headers, content_type, content)
        } else if uri.path() == "/" {
            let page = page::write(&self.figures(state));
            respond(StatusCode::OK, "text/html; charset=utf-8", page)
        } else {
            self.json(state, uri.query())
        };
        let mut set =
            |name: HeaderName, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_SECURITY_POLICY, POLICY);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
        Some(response)
    }

    fn figures(&self, state: &State) -> Figures {
        let present = self.history().present();
        Figures::collect(state, &self.listening, present)
    }

    /// The numbers, and the points of the span that the query names, such as `span=1h`.
    fn json(&self, state: &State, query: Option<&str>) -> Response<Body> {
        let [finest, ..] = SPANS;
        let span = query.map_or(Some(finest.name), |query| query.strip_prefix("span="));
        let history = span.and_then(|span| Columns::of(&self.history(), span));
        let Some(history) = history else {
            let spans = "There are span=5m, span=1h and span=24h.\n".to_owned();
            return respond(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", spans);
        };
        let figures = Figures { history: Some(history), ..self.figures(state) };
        match serde_json::to_string(&figures) {
            Ok(json) => respond(StatusCode::OK, "application/json", json),
            Err(error) => {
                tracing::error!("the status cannot be written as JSON: {error}");
                respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", String::new())
            }
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is of the moment only.
fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An asset, or that the browser has it already: it asks each time, because another version may run by then.
fn unless_known(headers: &HeaderMap, content_type: &'static str, content: &'static str) -> Response<Body> {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(content) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests;
