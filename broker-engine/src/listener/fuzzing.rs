//! The decoders of this module as functions of any bytes.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;

use super::client_name::NameRule;
use super::proxy;
use crate::options::{SanType, TlsLogin};

/// A client's certificate: whatever it is, every rule finds a name or none.
pub fn certificates(bytes: &[u8]) {
    let types = [SanType::Dns, SanType::Email, SanType::Uri, SanType::Ip];
    let alternative = types.map(|san_type| (TlsLogin::SubjectAlternativeName, san_type));
    let others =
        [TlsLogin::DistinguishedName, TlsLogin::CommonName].map(|from| (from, SanType::Dns));
    for (from, san_type) in alternative.into_iter().chain(others) {
        let rule = NameRule {
            from,
            san_type,
            san_index: 0,
        };
        assert_ne!(rule.name(bytes).as_deref(), Some(""), "a name is not empty");
    }
}

/// The beginning of a connection that came through a balancer.
pub fn proxy_headers(bytes: &[u8]) {
    let (named, taken) = take_header(bytes);
    let Ok(client) = named else { return };
    let (header, _) = bytes.split_at(taken);
    // The protocol that follows is not looked at, and whatever is taken is needed.
    assert!(matches!(take_header(header), (Ok(again), _) if again == client));
    for short in 1..taken {
        assert!(
            take_header(&header[..short]).0.is_err(),
            "{short} are enough"
        );
    }
    match bytes.first() {
        Some(b'P') => {
            let line_end = bytes.windows(2).position(|two| two == b"\r\n");
            assert_eq!(line_end.map(|at| at + 2), Some(taken));
        }
        Some(b'\r') => assert_eq!(
            taken,
            16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]))
        ),
        _ => assert_eq!((client, taken), (None, 0)),
    }
    if let Some(client) = client {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let (address, port) = (client.ip(), client.port());
        let written = format!("PROXY {family} {address} {address} {port} {port}\r\n");
        assert!(matches!(take_header(written.as_bytes()), (Ok(again), _) if again == Some(client)));
    }
}

/// The client that is named, and how many bytes that took.
fn take_header(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
    let Some(first) = bytes.first() else {
        return (Ok(None), 0);
    };
    let mut rest = bytes;
    let named = proxy::header(*first, &mut rest).now_or_never();
    (
        named.expect("bytes in memory are there"),
        bytes.len() - rest.len(),
    )
}
