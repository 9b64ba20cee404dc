//! By which names the status page is answered.
//!
//! A stranger's web page can let its own name lead to an address that only the operator's browser reaches, and then read
//! what is there as if it were its own (DNS rebinding). So only an address is right, which no page can make its own, and
//! `localhost`, which the browser resolves itself; a name without a dot can be a stranger's too, as `ai` is somebody's.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, header};

/// Whether a request was meant for this page. Programs that name no host are no browsers.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    headers.get_all(header::HOST).iter().all(|host| host.to_str().is_ok_and(is_local))
}

fn is_local(host: &str) -> bool {
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':').unwrap_or_default();
        rest.is_empty() || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if let Some(ipv6) = host.strip_prefix('[') {
        return ipv6
            .split_once(']')
            .is_some_and(|(address, rest)| address.parse::<Ipv6Addr>().is_ok() && is_port(rest));
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    (name.parse::<Ipv4Addr>().is_ok() || name.eq_ignore_ascii_case("localhost")) && is_port(rest)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn h82_addresses_and_localhost_are_ours_and_names_are_not() {
        for ours in
            ["127.0.0.1:9969", "[::1]:9969", "[2001:db8::1]", "192.0.2.7", "localhost:9969", "LocalHost"]
        {
            assert!(is_local(ours), "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:9969",
            "127.0.0.1.evil.example",
            "[::1].evil.example",
            "[evil",
            "",
            ":9969",
            "1.2.3",
            "localhost.evil.example",
            "com.",
            "ai",
            "tracker1:9969",
            "a.localhost:80",
            "[::1]:9:evil.example",
            "[::1]:9969evil.example",
            "[::1]:",
            "127.0.0.1:80@evil.example",
            "localhost:80@evil.example",
            "localhost:evil.example",
        ] {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn h82_of_several_hosts_all_have_to_be_ours() {
        let mut headers = HeaderMap::new();
        assert!(is_ours(&headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(is_ours(&headers));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(!is_ours(&headers));
    }
}
