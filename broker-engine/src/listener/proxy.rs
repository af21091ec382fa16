//! The PROXY protocol, versions 1 and 2: a balancer in front tells who the client is, before anything else.
//!
//! Takes exactly the header off the stream, never a byte more: a TLS handshake may follow at once. No protocol that is
//! served begins as a header does, so the first byte decides whether there is one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::HANDSHAKE_TIMEOUT;

/// Bytes of the longest header of version 1, line end included.
const TEXT_SIZE_MAX: usize = 107;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the longest body of version 2 that is read: addresses and some extensions.
const BODY_SIZE_MAX: usize = 4096;

/// Reads the header, if there is one, and returns the client that it names.
pub(super) async fn client(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    timeout(HANDSHAKE_TIMEOUT, read(stream)).await?
}

async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    header(first[0], stream).await
}

/// Takes the header off a stream that begins with `first`, if there is one.
pub(super) async fn header(
    first: u8,
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    match first {
        b'P' => read_text(stream).await,
        b'\r' => read_binary(stream).await,
        _ => Ok(None),
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a PROXY header")
}

async fn read_text(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut line = Vec::with_capacity(TEXT_SIZE_MAX);
    while !line.ends_with(b"\r\n") {
        if line.len() == TEXT_SIZE_MAX {
            return Err(invalid());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| invalid())?;
    line.strip_suffix("\r\n")
        .and_then(parse_text)
        .ok_or_else(invalid)
}

/// The client that a line names. None: no header; the inner none: the balancer speaks for itself.
fn parse_text(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let source: IpAddr = words.next()?.parse().ok()?;
    let destination: IpAddr = words.next()?.parse().ok()?;
    let port = parse_port(words.next()?)?;
    parse_port(words.next()?)?;
    let is_family = matches!(
        (family, source, destination),
        ("TCP4", IpAddr::V4(_), IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_), IpAddr::V6(_))
    );
    (is_family && words.next().is_none()).then(|| Some(SocketAddr::new(source, port)))
}

/// A decimal number without a sign or leading zeros (section 2.1 of the protocol's specification).
fn parse_port(word: &str) -> Option<u16> {
    let is_plain = word == "0" || word.starts_with(|first: char| matches!(first, '1'..='9'));
    word.parse().ok().filter(|_| is_plain)
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if head[..12] != SIGNATURE || head[12] >> 4 != 2 || length > BODY_SIZE_MAX {
        return Err(invalid());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    parse_binary(head[12] & 0xf, head[13], &body).ok_or_else(invalid)
}

/// As [`parse_text`], of command, family and body.
fn parse_binary(command: u8, family: u8, body: &[u8]) -> Option<Option<SocketAddr>> {
    const LOCAL: u8 = 0;
    const PROXY: u8 = 1;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    match (command, family) {
        (LOCAL, _) => Some(None),
        (PROXY, TCP_OVER_IPV4) => {
            let source: [u8; 4] = *body.first_chunk()?;
            Some(Some(SocketAddr::new(
                Ipv4Addr::from(source).into(),
                port(8)?,
            )))
        }
        (PROXY, TCP_OVER_IPV6) => {
            let source: [u8; 16] = *body.first_chunk()?;
            Some(Some(SocketAddr::new(
                Ipv6Addr::from(source).into(),
                port(32)?,
            )))
        }
        // Datagrams and local sockets name nobody who could be a client here.
        (PROXY, _) => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What is read of `sent`, and what is left for the protocol.
    async fn take(sent: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client_side = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client_side.write_all(sent).await.unwrap();
        drop(client_side);
        let named = client(&mut stream).await;
        let mut rest = Vec::new();
        if named.is_ok() {
            stream.read_to_end(&mut rest).await.unwrap();
        }
        (named, rest)
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, body].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_the_rest() {
        let six: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let four_body = [10, 1, 2, 3, 10, 0, 0, 1, 0x13, 0x88, 0x16, 0x27, 9, 9, 9];
        let six_body = [&six.octets()[..], &six.octets(), &[0x13, 0x88, 0x16, 0x27]].concat();
        let headers = [
            (
                b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 5671\r\n".to_vec(),
                "10.1.2.3:5000",
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 5671\r\n".to_vec(),
                "[2001:db8::7]:5000",
            ),
            (binary(1, 0x11, &four_body), "10.1.2.3:5000"),
            (binary(1, 0x21, &six_body), "[2001:db8::7]:5000"),
        ];
        for (header, expected) in headers {
            let (named, rest) = take(&[&header[..], b"AMQP\0\0\x09\x01"].concat()).await;
            assert_eq!(named.unwrap(), Some(expected.parse().unwrap()));
            assert_eq!(rest, b"AMQP\0\0\x09\x01");
        }
    }

    #[tokio::test]
    async fn without_a_header_nothing_is_taken() {
        for sent in [&b"AMQP\0\0\x09\x01"[..], b"\x16\x03\x01", b""] {
            let (named, rest) = take(sent).await;
            assert_eq!((named.unwrap(), rest.as_slice()), (None, sent));
        }
        let (named, rest) = take(&[&binary(0, 0, b"")[..], b"A"].concat()).await;
        assert_eq!((named.unwrap(), rest.as_slice()), (None, &b"A"[..]));
        let (named, rest) = take(b"PROXY UNKNOWN\r\nA").await;
        assert_eq!((named.unwrap(), rest.as_slice()), (None, &b"A"[..]));
    }

    #[tokio::test]
    async fn what_only_begins_like_a_header_ends_the_connection() {
        let endless = [b'P'; 200];
        for sent in [
            &b"PROXY TCP4 10.1.2.3 10.0.0.1 5000\r\n"[..],
            b"PROXY TCP4 2001:db8::7 10.0.0.1 5000 5671\r\n",
            b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 5671 x\r\n",
            b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 5671 \r\n",
            b"PROXY TCP4 10.1.2.3 10.0.0.1 +500 5671\r\n",
            b"PROXY TCP4 10.1.2.3 10.0.0.1 5000 05671\r\n",
            b"PROXY TCP4 10.1.2.3 2001:db8::1 5000 5671\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
            &binary(1, 0x11, b"short"),
            &binary(2, 0x11, &[0; 12]),
            &endless,
        ] {
            assert!(take(sent).await.0.is_err(), "{sent:?}");
        }
    }
}
