//! Asking a tracker from a host: by `shoal scrape`, and by a script that takes nothing but a perfect answer.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::net::Host;
use super::process::eventually;
use super::programs::{PYTHON, run};
use super::{SCRIPTS, SHOAL};

/// Seeders, leechers and completed downloads.
pub(crate) type Numbers = [u64; 3];

/// What a tracker answered to an announce.
pub(crate) struct Answer {
    /// Seeders and leechers.
    pub(crate) counts: [u64; 2],
    /// The peers that it named, sorted.
    pub(crate) peers: Vec<SocketAddr>,
}

/// What `shoal scrape` says. The tracker must answer; a swarm that it does not know has nobody.
pub(crate) fn shoal_scrape(from: &Host, url: &str, info_hash: &str) -> Numbers {
    let printed = run(from.command(SHOAL).args(["scrape", "--json", url, info_hash]));
    let scraped = &json(&printed)["torrents"][0];
    assert_eq!(scraped["info_hash_v1"], info_hash);
    ["seeders", "leechers", "completed"].map(|key| scraped[key].as_u64().unwrap_or(0))
}

/// Waits until `shoal scrape` says so.
pub(crate) fn until_scraped(from: &Host, url: &str, info_hash: &str, due: Numbers) {
    let mut last = None;
    let come = || {
        let numbers = shoal_scrape(from, url, info_hash);
        if last.replace(numbers) != Some(numbers) {
            eprintln!("{url} has {numbers:?}");
        }
        (numbers == due).then_some(())
    };
    eventually(&format!("{url} has {due:?} seeders, leechers and completed downloads"), come);
}

/// What the strict asker is told by a scrape.
pub(crate) fn scrape(from: &Host, url: &str, info_hash: &str) -> Numbers {
    let scraped = ask(from, &["scrape", url, info_hash]).unwrap_or_else(|failure| panic!("{failure}"));
    ["complete", "incomplete", "downloaded"].map(|key| number(&scraped, key))
}

/// What the strict asker is told when it comes as a leecher, who leaves at once; or why it is told nothing.
pub(crate) fn announce(from: &Host, url: &str, info_hash: &str) -> Result<Answer, String> {
    /// No client of these tests has it.
    const PORT: &str = "7000";
    let answer = ask(from, &["announce", url, info_hash, "1", "started", PORT])?;
    ask(from, &["announce", url, info_hash, "1", "stopped", PORT])?;
    let peers = answer["peers"].as_array().expect("peers are a list").iter();
    let mut peers: Vec<SocketAddr> = peers
        .map(|peer| peer.as_str().and_then(|peer| peer.parse().ok()).expect("a peer is an address"))
        .collect();
    peers.sort_unstable();
    Ok(Answer { counts: ["complete", "incomplete"].map(|key| number(&answer, key)), peers })
}

fn ask(from: &Host, arguments: &[&str]) -> Result<Value, String> {
    let script = Path::new(SCRIPTS).join("ask_tracker.py");
    let answer = json(&run(from.command(PYTHON).arg(script).args(arguments)));
    match answer["failure"].as_str() {
        Some(failure) => Err(failure.to_owned()),
        None => Ok(answer),
    }
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("not JSON: {error}\n{printed}"))
}

fn number(answer: &Value, key: &str) -> u64 {
    answer[key].as_u64().unwrap_or_else(|| panic!("{key} in {answer}"))
}
