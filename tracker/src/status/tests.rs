use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use metainfo::InfoHash;
use tracker_proto::http::Event;
use tracker_proto::swarm::{Announce, Families};

use super::*;
use crate::TrackerConfig;
use crate::metrics::serve;

/// A tracker with an operator's address, and what it shows there.
struct Bench {
    state: State,
    status: Status,
}

impl Bench {
    fn new() -> Self {
        let metrics = Some(([127, 0, 0, 1], 0).into());
        // Its peers are all at two addresses.
        let limit_swarm_peers = None;
        let config = TrackerConfig { metrics, limit_swarm_peers, ..TrackerConfig::open() };
        let state = State::new(config).unwrap();
        let http = vec![([192, 0, 2, 1], 6969).into()];
        Self { state, status: Status::new(Listening { http, udp: Vec::new() }) }
    }

    /// A swarm of so many peers, every second one a seed, every third over IPv6.
    fn swarm(&self, number: u8, peers: u16) {
        for peer in 0..peers {
            let ip = if peer % 3 == 0 { "2001:db8::1" } else { "192.0.2.1" };
            let announce = Announce {
                info_hash: InfoHash::new([number; 20]),
                address: (ip.parse::<std::net::IpAddr>().unwrap(), 1000 + peer).into(),
                left: u64::from(peer % 2),
                event: Event::Started,
                numwant: None,
            };
            self.state.announce_into(&announce, Families::Both, &mut Vec::new()).unwrap();
        }
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::builder().method(Method::GET).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        serve::answer(&self.state, &self.status, &request.body(()).unwrap())
    }

    async fn text(&self, path: &str) -> String {
        let response = self.ask(path, &[("host", "127.0.0.1")]);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }
}

#[tokio::test]
async fn the_page_holds_its_numbers_without_scripts() {
    let bench = Bench::new();
    bench.swarm(0xab, 1200);
    bench.swarm(0xcd, 6);
    bench.state.tick();
    let page = bench.text("/").await;
    assert!(!page.contains("{{") && !page.contains("}}"), "a place is not filled");
    for text in [
        "<b id=\"peers\">1\u{202f}206</b>",
        "<span id=\"seeds\">seeds 603</span>",
        "804 over IPv4, 402 over IPv6",
        "<b id=\"swarms\">2</b>",
        "603 peers each",
        &"ab".repeat(20),
        &"cd".repeat(20),
        "<td>600</td>",
        "HTTP announces",
        "192.0.2.1:6969",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

/// Every place of the page is one that is known: a name with a slip would show nothing.
#[tokio::test]
async fn what_scripts_fill_in_is_there_and_filled_at_first() {
    let page = Bench::new().text("/").await;
    let script = include_str!("page.js");
    let ids = script.match_indices("setText(\"").chain(script.match_indices("byId(\""));
    let ids: Vec<_> = ids.map(|(at, call)| script[at + call.len()..].split('"').next().unwrap()).collect();
    assert!(ids.len() > 15, "{ids:?}");
    for id in ids {
        assert!(page.contains(&format!("id=\"{id}\"")), "the page has no {id}");
        assert!(!page.contains(&format!("<b id=\"{id}\"></b>")), "{id} is empty");
        assert!(!page.contains(&format!("<span id=\"{id}\"></span>")), "{id} is empty");
    }
}

#[tokio::test]
async fn the_data_are_the_numbers_the_busiest_swarms_and_the_points_of_a_span() {
    let bench = Bench::new();
    bench.status.sample(&bench.state);
    for number in 1..=30 {
        bench.swarm(number, number.into());
    }
    bench.state.tick();
    let status = bench.json("/status.json").await;
    assert_eq!(status["peers"]["all"], 30 * 31 / 2);
    assert_eq!(status["swarms"], 30);
    let busiest = status["busiest"].as_array().unwrap();
    assert_eq!(busiest.len(), 20);
    assert_eq!(busiest[0]["info_hash"], "1e".repeat(20));
    assert_eq!((&busiest[0]["seeders"], &busiest[0]["leechers"]), (&15.into(), &15.into()));
    assert_eq!(busiest[19]["info_hash"], "0b".repeat(20));
    let seconds = ["5m", "1h", "24h"].map(async |span| {
        bench.json(&format!("/status.json?span={span}")).await["history"]["seconds"].clone()
    });
    let [minutes, hour, day] = seconds;
    assert_eq!([minutes.await, hour.await, day.await], [300, 3600, 86_400]);
    for query in ["span=7d", "span=", "x", "span=5m&x", ""] {
        let response = bench.ask(&format!("/status.json?{query}"), &[]);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[test]
fn nothing_may_run_on_the_page_but_its_own() {
    let bench = Bench::new();
    for path in ["/", "/status.json", "/page.js", "/graph.js", "/page.css"] {
        let response = bench.ask(path, &[]);
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("cache-control"),
            if path.len() > 1 && path != "/status.json" { "no-cache" } else { "no-store" }
        );
        assert!(!header("content-type").is_empty());
    }
    let page = include_str!("page.html");
    for inline in ["style=", "<style", "onclick", "onload", "<script>", "http://", "https://"] {
        let allowed = page.matches("xmlns='http://www.w3.org/2000/svg'").count();
        let found = page.matches(inline).count();
        assert_eq!(found, if inline == "http://" { allowed } else { 0 }, "{inline}");
    }
}

#[test]
fn an_asset_that_the_browser_has_is_not_sent_again() {
    let bench = Bench::new();
    let first = bench.ask("/page.js", &[]);
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = bench.ask("/page.js", &[("if-none-match", &tag)]);
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let other = bench.ask("/graph.js", &[("if-none-match", &tag)]);
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn h82_a_name_that_a_stranger_can_lead_here_reads_nothing() {
    let bench = Bench::new();
    for path in ["/", "/status.json", "/page.js"] {
        let foreign = bench.ask(path, &[("host", "rebound.example:9969")]);
        assert_eq!(foreign.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        for host in ["127.0.0.1:9969", "localhost:9969", "[::1]:9969"] {
            assert_eq!(bench.ask(path, &[("host", host)]).status(), StatusCode::OK, "{path} of {host}");
        }
    }
    // Prometheus and balancers ask by whatever name they know, and learn of no torrent.
    assert_eq!(bench.ask("/metrics", &[("host", "tracker.example")]).status(), StatusCode::OK);
}
