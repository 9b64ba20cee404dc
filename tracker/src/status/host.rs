//! By which names the status page is answered.
//!
//! A stranger's web page can let its own name lead to an address that only the operator's browser reaches, and then read
//! what is there as if it were its own (DNS rebinding). Its name is one with a dot. So an address is right, and a name
//! without a dot, as a machine has in its own network; what is called `localhost` is resolved by the browser itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, header};

/// Whether a request was meant for this page. Programs that name no host are no browsers.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    headers.get_all(header::HOST).iter().all(|host| host.to_str().is_ok_and(is_local))
}

fn is_local(host: &str) -> bool {
    if let Some(ipv6) = host.strip_prefix('[') {
        return ipv6.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.starts_with(':'))
        });
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    let is_single = !name.is_empty() && !name.contains('.');
    is_address || is_single || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn h82_addresses_and_names_without_a_dot_are_ours_and_those_of_others_are_not() {
        for ours in [
            "127.0.0.1:9969",
            "[::1]:9969",
            "[2001:db8::1]",
            "192.0.2.7",
            "localhost:9969",
            "tracker1",
            "a.localhost:80",
        ] {
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
