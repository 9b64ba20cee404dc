//! Where the engine is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use redis::{ConnectionAddr, IntoConnectionInfo as _};

/// The address of a Redis or Valkey: `redis://HOST:PORT/DB`, `rediss://` over TLS, `redis+unix:///PATH`, with `USER:PASSWORD@`
/// before the host where it wants them.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    pub(super) fn client(&self) -> Result<redis::Client, redis::RedisError> {
        redis::Client::open(self.0.as_str())
    }

    fn addr(&self) -> Option<ConnectionAddr> {
        Some(self.0.as_str().into_connection_info().ok()?.addr().clone())
    }

    /// Whether the engine is on this machine, as all of its nodes are then: loopback means the same to them.
    pub(super) fn is_on_this_machine(&self) -> bool {
        match self.addr() {
            Some(ConnectionAddr::Unix(_)) => true,
            Some(ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            _ => false,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    /// Does not repeat the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.into_connection_info() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("it is not of the form redis://HOST:PORT".to_owned()),
        }
    }
}

impl fmt::Display for StoreUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr() {
            Some(addr) => write!(f, "{addr}"),
            None => f.write_str("the store"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: StoreUrl = "redis://user:secret@store.example:7000/3".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "store.example:7000 StoreUrl(store.example:7000)");
        let error = "http://user:secret@store.example".parse::<StoreUrl>().unwrap_err();
        assert_eq!(error, "it is not of the form redis://HOST:PORT");
    }

    #[test]
    fn an_engine_at_loopback_or_a_unix_socket_is_on_this_machine() {
        let is_here = |text: &str| text.parse::<StoreUrl>().unwrap().is_on_this_machine();
        for here in
            ["redis://127.0.0.1", "redis://[::1]:7", "redis://localhost/1", "redis+unix:///run/x.sock"]
        {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["redis://192.0.2.1", "rediss://store.example"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
