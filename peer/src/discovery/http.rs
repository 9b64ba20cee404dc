//! HTTP as far as trackers need it: one bounded, time-limited GET.
//!
//! Invariants: no more than the given number of bytes is kept, decompressed or not; redirects are followed here, at
//! most [`MAX_REDIRECTS`](tracker_proto::http::MAX_REDIRECTS) of them, to http and https only, and never from a public
//! address to one that is not; no proxy is used unless one is asked for.
//!
//! Root certificates are loaded when the first https URL is met, not before.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use peer_proto::scope::Scope;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::LOCATION;
use reqwest::{Client, Response, Url};
use thiserror::Error;
use tracker_proto::http::{RedirectError, ReplyError, check_redirect};

/// Why there is no answer. One line, without the URL: the caller names it.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Not a URL that can be asked.
    #[error("it is not an http or https URL")]
    Url,
    /// Not a URL by which a UDP tracker can be asked.
    #[error("it is not of the form udp://HOST:PORT")]
    UdpUrl,
    /// A redirect that is not followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// A redirect that leads nowhere.
    #[error("it redirects to something that is no URL")]
    BadRedirect,
    /// A torrent names an address of this machine or this network, and not as a tracker's.
    #[error(
        "a torrent may name a tracker on this machine or this network only if its last part begins with 'announce'; to \
         ask this one, name it with --tracker"
    )]
    Inward,
    /// A redirect leads there.
    #[error("it redirects to an address of this machine or this network, which is not followed")]
    RedirectInward,
    /// No answer in time.
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// No connection, or a broken one.
    #[error("cannot reach it: {0}")]
    Network(String),
    /// An answer without end.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// An answer that is none.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// An answer that is no success.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// A tracker that has no scrape URL (BEP 48).
    #[error("this tracker cannot be scraped: the last part of its path does not begin with 'announce'")]
    NoScrape,
}

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the user named the URL, or it has the shape of an announce.
    Any,
    /// Only those that the whole world can reach.
    Public,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Who answered.
    pub(super) from: Option<SocketAddr>,
}

/// The clients, each made when it is first needed.
#[derive(Debug)]
pub(super) struct Http {
    user_agent: String,
    deadline: Duration,
    /// By reach, then by scheme.
    clients: [[OnceLock<Client>; 2]; 2],
}

impl Http {
    pub(super) fn new(user_agent: &str, deadline: Duration) -> Self {
        Self { user_agent: user_agent.to_owned(), deadline, clients: Default::default() }
    }

    /// Gets a URL, following redirects, all within the deadline.
    pub(super) async fn get(&self, url: &str, reach: Reach, limit: usize) -> Result<Fetched, FetchError> {
        let timed = tokio::time::timeout(self.deadline, self.follow(url, reach, limit)).await;
        timed.unwrap_or(Err(FetchError::TimedOut(self.deadline)))
    }

    async fn follow(&self, url: &str, mut reach: Reach, limit: usize) -> Result<Fetched, FetchError> {
        let mut url = Url::parse(url).map_err(|_| FetchError::Url)?;
        for followed in 0.. {
            let response = self.ask(&url, reach).await.map_err(|error| match error {
                FetchError::Inward if followed > 0 => FetchError::RedirectInward,
                error => error,
            })?;
            let status = response.status();
            let target = response.headers().get(LOCATION).filter(|_| status.is_redirection());
            let Some(target) = target else { return read(response, limit).await };
            let target = target.to_str().ok().and_then(|target| url.join(target).ok());
            let target = target.ok_or(FetchError::BadRedirect)?;
            check_redirect(followed, target.as_str())?;
            if response.remote_addr().is_none_or(|from| Scope::of(from.ip()) == Scope::Global) {
                reach = Reach::Public;
            }
            url = target;
        }
        Err(RedirectError::TooMany.into())
    }

    async fn ask(&self, url: &Url, reach: Reach) -> Result<Response, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Url);
        }
        // An address in the URL itself is never looked up, so the resolver below does not see it.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if reach == Reach::Public && literal.is_some_and(|ip| Scope::of(ip) != Scope::Global) {
            return Err(FetchError::Inward);
        }
        let client = self.client(reach, url.scheme() == "https")?;
        client.get(url.clone()).send().await.map_err(network)
    }

    fn client(&self, reach: Reach, tls: bool) -> Result<&Client, FetchError> {
        let [any, public] = &self.clients;
        let [plain, secure] = if reach == Reach::Any { any } else { public };
        let slot = if tls { secure } else { plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .user_agent(&self.user_agent)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Announces are minutes apart: a connection kept would only be in the tracker's way.
            .pool_max_idle_per_host(0)
            .http1_only();
        if !tls {
            builder = builder.tls_built_in_root_certs(false);
        }
        if reach == Reach::Public {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let client = builder.build().map_err(network)?;
        Ok(slot.get_or_init(|| client))
    }
}

async fn read(mut response: Response, limit: usize) -> Result<Fetched, FetchError> {
    let (status, from) = (response.status().as_u16(), response.remote_addr());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if chunk.len() > limit - body.len() {
            return Err(FetchError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, body, from })
}

/// The innermost reason: what is around it only says that a request failed.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn network(error: reqwest::Error) -> FetchError {
    let mut reason: &dyn std::error::Error = &error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    // The resolver's, below.
    if matches!(reason.downcast_ref(), Some(FetchError::Inward)) {
        return FetchError::Inward;
    }
    FetchError::Network(metainfo::display_safe(metainfo::without_os_error(&reason.to_string())))
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|address| Scope::of(address.ip()) == Scope::Global).collect();
            match public.is_empty() {
                true => Err(FetchError::Inward.into()),
                false => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}
