//! Where the load goes: a broker by its AMQP URI, or a relay that only moves bytes.

use std::str::FromStr;

use crate::Error;

/// A broker or relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
    /// Moves the bytes of publishers to consumers as they are: no handshake, no declarations.
    pub is_relay: bool,
    pub user: String,
    pub password: String,
    pub vhost: String,
}

impl Target {
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Name to check the certificate against: the host without the brackets of an IPv6 literal.
    pub(crate) fn server_name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Reads `amqp://[user:password@]host[:port][/vhost]`, with `amqps` for TLS, or
    /// `relay://host:port`. User, password and vhost may be percent-encoded.
    fn from_str(uri: &str) -> Result<Self, Error> {
        let usage = |reason: &str| Error::Usage(format!("{uri:?}: {reason}"));
        let (scheme, rest) = uri
            .split_once("://")
            .ok_or_else(|| usage("not an AMQP URI"))?;
        let (is_tls, is_relay, default_port) = match scheme {
            "amqp" => (false, false, 5672),
            "amqps" => (true, false, 5671),
            "relay" => (false, true, 0),
            _ => return Err(usage("the scheme is neither amqp, amqps nor relay")),
        };
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, decode(vhost)),
            None => (rest, Some("/".to_owned())),
        };
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (login, address),
            None => ("guest:guest", authority),
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let has_port = address.rfind(':') > address.rfind(']');
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if has_port => (
                host,
                port.parse().map_err(|_| usage("the port is no number"))?,
            ),
            _ => (address, default_port),
        };
        if host.is_empty() || port == 0 {
            return Err(usage("host or port is missing"));
        }
        let decoded = |text| decode(text).ok_or_else(|| usage("bad percent-encoding"));
        Ok(Self {
            host: host.to_owned(),
            port,
            is_tls,
            is_relay,
            user: decoded(user)?,
            password: decoded(password)?,
            vhost: vhost.ok_or_else(|| usage("bad percent-encoding"))?,
        })
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_with_their_defaults() {
        let plain: Target = "amqp://localhost".parse().unwrap();
        assert_eq!((plain.port, plain.vhost.as_str()), (5672, "/"));
        assert_eq!(
            (plain.user.as_str(), plain.password.as_str()),
            ("guest", "guest")
        );
        let full: Target = "amqps://a%40b:p%3Aq@[::1]:5679/%2Fx".parse().unwrap();
        assert_eq!(
            (full.address().as_str(), full.server_name()),
            ("[::1]:5679", "::1")
        );
        assert_eq!((full.user.as_str(), full.password.as_str()), ("a@b", "p:q"));
        assert_eq!((full.vhost.as_str(), full.is_tls), ("/x", true));
        let bare: Target = "amqp://[::1]".parse().unwrap();
        assert_eq!(bare.address(), "[::1]:5672");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for uri in [
            "localhost",
            "http://localhost",
            "amqp://h:x",
            "amqp://u%4@h",
            "relay://h",
            "amqp://",
        ] {
            assert!(uri.parse::<Target>().is_err(), "{uri}");
        }
    }
}
