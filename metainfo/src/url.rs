//! Which URLs of a stranger are kept: trackers and web seeds.
//!
//! Invariant: a kept URL has one of the listed schemes, a host of plain ASCII, and no character that a log, a terminal
//! or another URL parser could read differently. It is kept as it was written.
//!
//! International host names are refused, also as `xn--` labels: `trаcker.org` with a Cyrillic letter looks like
//! another host, and trackers do without them (libtorrent refuses them by default too). Whether the address may be
//! asked at all (loopback, private networks) is decided where connections are made.

use std::net::Ipv6Addr;

use crate::path::is_deceptive;
use crate::{Error, ErrorKind, display_safe};

/// Schemes that trackers are asked by.
pub(crate) const TRACKER_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];

/// Schemes that web seeds are asked by.
pub(crate) const WEB_SEED_SCHEMES: &[&str] = &["http", "https"];

/// The longest URL kept. Private trackers put keys into theirs; a quarter of this is long.
const MAX_URL_BYTES: usize = 2048;

/// Checks a tracker's URL.
///
/// # Errors
/// If it is not one that a torrent may carry; the text says why.
pub fn check_tracker_url(url: &str) -> Result<(), Error> {
    check(url, TRACKER_SCHEMES, "tracker")
}

/// Checks a web seed's URL.
///
/// # Errors
/// If it is not one that a torrent may carry; the text says why.
pub fn check_web_seed_url(url: &str) -> Result<(), Error> {
    check(url, WEB_SEED_SCHEMES, "web seed")
}

/// Whether a torrent may carry this URL.
pub(crate) fn is_kept(url: &str, schemes: &[&str]) -> bool {
    problem(url, schemes).is_none()
}

fn check(url: &str, schemes: &[&str], what: &str) -> Result<(), Error> {
    let why = match problem(url, schemes) {
        None => return Ok(()),
        Some(Problem::TooLong) => format!("it is longer than {MAX_URL_BYTES} bytes"),
        Some(Problem::Character) => "it contains a space or a control character".to_owned(),
        Some(Problem::Scheme) => format!("it must begin with one of {}", schemes.join("://, ") + "://"),
        Some(Problem::Host) => "it has no valid host and port".to_owned(),
        Some(Problem::International) => "its host is not plain ASCII and could look like another".to_owned(),
    };
    let shown: String = url.chars().take(200).collect();
    Err(Error::new(ErrorKind::Url(format!("'{}' is no {what} address: {why}", display_safe(&shown)))))
}

enum Problem {
    TooLong,
    Character,
    Scheme,
    Host,
    International,
}

fn problem(url: &str, schemes: &[&str]) -> Option<Problem> {
    if url.len() > MAX_URL_BYTES {
        return Some(Problem::TooLong);
    }
    if url.chars().any(|c| is_deceptive(c) || c.is_whitespace()) {
        return Some(Problem::Character);
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Some(Problem::Scheme) };
    if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Some(Problem::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !authority.is_ascii() {
        return Some(Problem::International);
    }
    // Browsers' rules end the host at a backslash, RFC 3986 does not know it: two readers, two hosts.
    if authority.contains('\\') {
        return Some(Problem::Host);
    }
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(host_and_port);
    host_problem(host).or_else(|| (!is_port(port)).then_some(Problem::Host))
}

/// Host, with the brackets of an IPv6 address, and what follows it.
fn split_port(authority: &str) -> (&str, &str) {
    let end = match authority.starts_with('[') {
        true => authority.find(']').map_or(authority.len(), |at| at + 1),
        false => authority.find(':').unwrap_or(authority.len()),
    };
    authority.split_at_checked(end).unwrap_or((authority, ""))
}

fn host_problem(host: &str) -> Option<Problem> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|a| a.parse::<Ipv6Addr>().ok());
        return address.is_none().then_some(Problem::Host);
    }
    // Nothing else: `%`, `\` and the like are read as parts of a host by one parser and not by another.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(is_plain) {
        return Some(Problem::Host);
    }
    let is_punycode = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    host.split('.').any(is_punycode).then_some(Problem::International)
}

fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some("") => true,
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0),
    }
}

/// Whether text can be the host of a peer or node: an address or a plain name.
pub(crate) fn is_host(host: &str) -> bool {
    host.len() <= 255
        && (host.parse::<Ipv6Addr>().is_ok() || host_problem(host).is_none() && !host.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(url: &str) -> bool {
        is_kept(url, TRACKER_SCHEMES)
    }

    #[test]
    fn the_schemes_and_hosts_of_real_trackers_are_kept() {
        for url in [
            "http://tracker.example/announce",
            "HTTPS://tracker.example:443/abc/announce?passkey=1",
            "udp://tracker.example:1337",
            "udp://tracker.example:1337/announce",
            "wss://tracker.example",
            "http://[2001:db8::1]:6969/announce",
            "http://127.0.0.1:6969/announce",
            "http://user:pass@tracker.example/announce",
            "http://under_score.example:/announce",
            "http://tracker.example/путь",
        ] {
            assert!(kept(url), "{url}");
        }
    }

    #[test]
    fn h20_other_schemes_and_look_alike_hosts_are_refused() {
        for url in [
            "file:///etc/passwd",
            "javascript://x/announce",
            "ftp://tracker.example/",
            "tracker.example/announce",
            "http://",
            "http:///announce",
            "http://tracker.example:99999/",
            "http://tracker.example:0/",
            "http://tracker.example:+80/",
            "http://tr\u{430}cker.example/announce",
            "http://xn--trcker-3ve.example/announce",
            "http://www.XN--80ak6aa92e.example/",
            "http://%65xample.org/",
            "http://good.example\\@evil.example/",
            "http://good.example\t.evil.example/",
            "http://tracker.example/a b",
            "http://tracker.example/\u{202e}ecnuonna",
            "http://tracker.example/announce?\u{200f}\u{2066}key",
            "http://[::1/announce",
            "http://[tracker]/announce",
        ] {
            assert!(!kept(url), "{url}");
        }
        assert!(!kept(&format!("http://tracker.example/{}", "a".repeat(MAX_URL_BYTES))));
        assert!(!is_kept("udp://seed.example/", WEB_SEED_SCHEMES));
    }

    #[test]
    fn an_error_says_what_a_url_lacks_and_shows_it_escaped() {
        let text = |url| check_tracker_url(url).unwrap_err().to_string();
        assert_eq!(
            text("ftp://x\u{1b}"),
            "'ftp://x\\u{1b}' is no tracker address: it contains a space or a control character"
        );
        assert_eq!(
            text("tracker"),
            "'tracker' is no tracker address: it must begin with one of http://, https://, udp://, ws://, wss://"
        );
        assert_eq!(
            check_web_seed_url("http://b\u{fc}cher.example/").unwrap_err().to_string(),
            "'http://b\u{fc}cher.example/' is no web seed address: its host is not plain ASCII and could look like \
             another"
        );
    }
}
