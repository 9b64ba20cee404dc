//! The address of the operator's own: the status page, `/metrics`, `/health` and `/ready`, apart from the tracker's addresses, so that what
//! strangers do to those does not hide how the tracker fares, and strangers need not see it.
//!
//! Invariant: a few connections with deadlines, as on the tracker's own addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::connections::Connections;
use crate::state::State;
use crate::status::{Listening, SAMPLE_EVERY, Status};
use crate::{TrackerError, listen};

/// Prometheus, a balancer or two, and somebody who looks.
const MAX_CONNECTIONS: usize = 32;
/// For the head of a request.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// For a connection in all; a scraper opens another.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// What a connection can make us hold.
const BUFFER_BYTES: usize = 8 << 10;
/// After an error of `accept`, such as no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// The operator's address, listened on.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl MetricsServer {
    /// Listens.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, TrackerError> {
        let bound = listen::bind(address, false)
            .and_then(TcpListener::from_std)
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Ok(Self { listener, address }),
            Err(source) => Err(TrackerError::Metrics { address, source }),
        }
    }

    /// Answers until it is dropped; says that the tracker is on these addresses.
    pub(crate) async fn run(self, state: Arc<State>, listening: Listening) {
        let status = Arc::new(Status::new(listening));
        let mut connections = Connections::new(MAX_CONNECTIONS);
        let mut sample = interval(SAMPLE_EVERY);
        sample.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = sample.tick() => {
                    status.sample(&state);
                    continue;
                }
            };
            match accepted {
                Ok((stream, _)) => connections.add(serve(stream, Arc::clone(&state), Arc::clone(&status))),
                Err(error) => {
                    tracing::debug!("the metrics' address: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, status: Arc<Status>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&state, &status, &request);
        async { Ok::<_, io::Error>(response) }
    });
    let connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(BUFFER_BYTES)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    // An error is the other side's: it went away, or does not speak HTTP.
    let _ = timeout(CONNECTION_LIFETIME, connection).await;
}

pub(crate) fn answer<B>(state: &State, status: &Status, request: &Request<B>) -> Response<Body> {
    let text = |status, text: &'static str| respond(status, "text/plain; charset=utf-8", text.into());
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here.\n");
    }
    match request.uri().path() {
        "/metrics" => {
            let page = state.metrics.page(&state.totals());
            respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
        }
        "/health" => text(StatusCode::OK, "alive\n"),
        "/ready" if state.metrics.is_ready() && state.fleet.as_ref().is_some_and(|fleet| !fleet.is_up()) => {
            text(StatusCode::OK, "ready, but the store does not answer: swarms are not shared\n")
        }
        "/ready" if state.metrics.is_ready() => text(StatusCode::OK, "ready\n"),
        "/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => status.answer(state, request.uri(), request.headers()).unwrap_or_else(|| {
            text(StatusCode::NOT_FOUND, "There is a page at /, /status.json, /metrics, /health and /ready.\n")
        }),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
