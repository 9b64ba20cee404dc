use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;

use super::*;
use crate::TrackerConfig;
use crate::fleet::FleetTotals;
use crate::state::State;
use crate::status::{Listening, Status};

fn value(page: &str, sample: &str) -> Option<String> {
    page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ').map(str::to_owned))
}

fn served() -> Metrics {
    Metrics::new(true)
}

#[test]
fn requests_are_counted_by_protocol_kind_and_outcome() {
    let metrics = served();
    for _ in 0..3 {
        metrics.request(Protocol::Http, Kind::Announce, Outcome::Answered, metrics.start());
    }
    metrics.request(Protocol::Udp, Kind::Scrape, Outcome::Invalid, metrics.start());
    let page = metrics.page(&Totals::default());
    let count = |labels| value(&page, &format!("shoal_tracker_requests_total{{{labels}}}")).unwrap();
    assert_eq!(count("protocol=\"http\",kind=\"announce\",outcome=\"answered\""), "3");
    assert_eq!(count("protocol=\"udp\",kind=\"scrape\",outcome=\"invalid\""), "1");
    assert_eq!(count("protocol=\"udp\",kind=\"announce\",outcome=\"answered\""), "0");
    assert_eq!(page.matches("shoal_tracker_requests_total{").count(), CELLS);
}

#[test]
fn what_several_threads_count_is_added_up() {
    let metrics = served();
    std::thread::scope(|scope| {
        for _ in 0..2 * SHARDS {
            scope.spawn(|| {
                for _ in 0..100 {
                    metrics.request(Protocol::Http, Kind::Other, Outcome::Refused, metrics.start());
                    metrics.connection();
                }
            });
        }
    });
    let page = metrics.page(&Totals::default());
    let expected = (2 * SHARDS * 100).to_string();
    let refused = "shoal_tracker_requests_total{protocol=\"http\",kind=\"other\",outcome=\"refused\"}";
    assert_eq!(value(&page, refused).as_ref(), Some(&expected));
    assert_eq!(value(&page, "shoal_tracker_connections_total").as_ref(), Some(&expected));
    assert_eq!(value(&page, "shoal_tracker_request_seconds_count{protocol=\"http\"}"), Some(expected));
}

#[test]
fn the_histogram_counts_each_answer_at_every_bound_that_it_kept() {
    let metrics = served();
    let latency = &metrics.shards[0].latency[Protocol::Http as usize];
    for micros in [1, 2, 3, 20, 900, 3_000_000] {
        latency.add(Duration::from_micros(micros));
    }
    let page = metrics.page(&Totals::default());
    let below = |bound| {
        let sample = format!("shoal_tracker_request_seconds_bucket{{protocol=\"http\",le=\"{bound}\"}}");
        value(&page, &sample).unwrap()
    };
    let counts = ["0.000002", "0.000005", "0.00002", "0.00025", "0.001", "2.5", "+Inf"].map(below);
    assert_eq!(counts, ["2", "3", "4", "4", "5", "5", "6"]);
    let sum = value(&page, "shoal_tracker_request_seconds_sum{protocol=\"http\"}");
    assert_eq!(sum.as_deref(), Some("3.000926000"));
}

#[test]
fn bounds_rise_and_are_written_in_seconds() {
    for (micros, text) in histogram::BOUNDS {
        assert_eq!(text.parse::<f64>().unwrap(), Duration::from_micros(micros).as_secs_f64());
    }
    assert!(histogram::BOUNDS.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn metrics_that_nobody_can_read_are_not_counted() {
    let metrics = Metrics::new(false);
    assert!(metrics.start().0.is_none());
    metrics.request(Protocol::Http, Kind::Announce, Outcome::Answered, metrics.start());
    metrics.connection();
    assert_eq!(metrics.sum(|shard| shard.requests.first()), 0);
    assert_eq!(metrics.sum(|shard| Some(&shard.connections)), 0);
}

#[test]
fn every_metric_has_a_type_and_stands_in_the_operators_page() {
    let fleet = FleetTotals { is_up: true, lag_millis: 1050, written: 1, read: 2, dropped: 3, errors: 4 };
    let snapshot_age = Some(Duration::from_secs(7));
    let totals = Totals { snapshot_age, fleet: Some(fleet), ..Totals::default() };
    let page = served().page(&totals);
    assert_eq!(value(&page, "shoal_fleet_lag_seconds").as_deref(), Some("1.050"));
    let names = |prefix: &str| -> BTreeSet<String> {
        page.lines()
            .filter_map(|line| line.strip_prefix(prefix)?.split(' ').next().map(str::to_owned))
            .collect()
    };
    let typed = names("# TYPE ");
    assert_eq!(typed, names("# HELP "));
    for sample in page.lines().filter(|line| !line.starts_with('#')) {
        let name = sample.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(typed.contains(name) || typed.contains(base.unwrap_or_default()), "{sample}");
    }
    let documents = [
        include_str!("../../../docs/operating.md"),
        include_str!("../../../docs/tracker/alerts.yml"),
        include_str!("../../../docs/tracker/dashboard.json"),
    ];
    for name in &typed {
        assert!(documents[0].contains(&format!("`{name}`")), "docs/operating.md does not explain {name}");
    }
    for document in documents {
        let words = document.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in
            words.filter(|word| word.starts_with("shoal_tracker_") || word.starts_with("shoal_fleet_"))
        {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            assert!(typed.contains(word) || typed.contains(base.unwrap_or_default()), "there is no {word}");
        }
    }
}

#[tokio::test]
async fn the_operators_address_tells_metrics_health_and_readiness() {
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let state = State::new(TrackerConfig { metrics, ..TrackerConfig::open() }).unwrap();
    let status = Status::new(Listening::default());
    let ask = |method, path| {
        serve::answer(&state, &status, &Request::builder().method(method).uri(path).body(()).unwrap())
    };
    let get = async |path| {
        let response = ask(Method::GET, path);
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(get("/health").await, (StatusCode::OK, "alive\n".to_owned()));
    assert_eq!(get("/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    state.metrics.set_ready(true);
    assert_eq!(get("/ready").await.0, StatusCode::OK);
    let (status, page) = get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(value(&page, "shoal_tracker_ready").as_deref(), Some("1"));
    assert_eq!(
        value(&page, "shoal_tracker_store_limit_bytes"),
        Some(crate::memory::for_swarms(&state.config).to_string())
    );
    assert_eq!(value(&page, "shoal_fleet_up"), None, "there is none");
    assert_eq!(get("/announce").await.0, StatusCode::NOT_FOUND);
    let post = ask(Method::POST, "/metrics");
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn a_connection_that_stays_is_open_until_it_ends_on_whatever_thread() {
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let state = Arc::new(State::new(TrackerConfig { metrics, ..TrackerConfig::open() }).unwrap());
    let (first, second) = (Metrics::stays(&state), Metrics::stays(&state));
    assert!(first.is_some());
    assert_eq!(state.metrics.counts().open, 2);
    std::thread::spawn(move || drop(first)).join().unwrap();
    assert_eq!(state.metrics.counts().open, 1);
    drop(second);
    assert_eq!(state.metrics.counts().open, 0);
    let unserved = Arc::new(State::new(TrackerConfig::open()).unwrap());
    assert!(Metrics::stays(&unserved).is_none());
}

#[tokio::test]
async fn a_tracker_whose_store_is_gone_is_ready_all_the_same_and_says_so() {
    let store = Some("redis://user:secret@127.0.0.1:1".parse().unwrap());
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let state = State::new(TrackerConfig { store, metrics, ..TrackerConfig::open() }).unwrap();
    state.metrics.set_ready(true);
    let status = Status::new(Listening::default());
    let get = async |path| {
        let request = Request::builder().uri(path).header("host", "127.0.0.1").body(()).unwrap();
        let response = serve::answer(&state, &status, &request);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert_eq!(get("/ready").await, "ready, but the store does not answer: swarms are not shared\n");
    assert_eq!(value(&get("/metrics").await, "shoal_fleet_up").as_deref(), Some("0"));
    let page = get("/").await;
    assert!(page.contains("<dd>127.0.0.1:1 does not answer: swarms are not shared</dd>"), "{page}");
    assert!(!page.contains("secret"));
}
