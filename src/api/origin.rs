//! Where a request came from, and which host its sender addressed.
//!
//! Forwarding headers are believed only from proxies that the operator has named: anyone else
//! could invent them.

use std::net::IpAddr;

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, header::HOST, request::Parts},
};

use crate::listener::Peer;

pub(super) struct Origin {
    /// As in the `Host` header, with the port when there was one.
    pub(super) host: Option<String>,
    pub(super) address: Option<IpAddr>,
    /// Whether it came over TLS all the way.
    pub(super) is_secure: bool,
}

pub(super) fn of(parts: &Parts, trusted_proxies: &[IpAddr]) -> Origin {
    let peer = parts.extensions.get::<ConnectInfo<Peer>>();
    let address = peer.map(|ConnectInfo(peer)| peer.addr.ip().to_canonical());
    let is_secure = peer.is_some_and(|ConnectInfo(peer)| peer.is_secure);
    let origin = forwarded(&parts.headers, address, trusted_proxies);
    Origin {
        is_secure: origin.is_secure || is_secure,
        ..origin
    }
}

fn forwarded(headers: &HeaderMap, peer: Option<IpAddr>, trusted_proxies: &[IpAddr]) -> Origin {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).map(str::to_owned);
    if !peer.is_some_and(|peer| trusted_proxies.contains(&peer)) {
        return Origin {
            host,
            address: peer,
            is_secure: false,
        };
    }
    // The last entry is the one that the trusted proxy wrote.
    let client =
        text("x-forwarded-for").and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    Origin {
        host: text("x-forwarded-host").map(str::to_owned).or(host),
        address: client.or(peer),
        is_secure: text("x-forwarded-proto") == Some("https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_proxy_speaks_for_others() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "10.0.0.1:8080".parse().unwrap());
        headers.insert("x-forwarded-host", "mq.example.org".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        headers.insert("x-forwarded-for", "6.6.6.6, 192.0.2.7".parse().unwrap());
        let proxy: IpAddr = "10.0.0.9".parse().unwrap();

        let direct = forwarded(&headers, Some(proxy), &[]);
        assert_eq!(direct.host.as_deref(), Some("10.0.0.1:8080"));
        assert_eq!(direct.address, Some(proxy));
        assert!(!direct.is_secure);

        let proxied = forwarded(&headers, Some(proxy), &[proxy]);
        assert_eq!(proxied.host.as_deref(), Some("mq.example.org"));
        assert_eq!(proxied.address, Some("192.0.2.7".parse().unwrap()));
        assert!(proxied.is_secure);
    }
}
