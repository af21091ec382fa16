//! Addresses and networks of those who may speak for others.

use std::net::IpAddr;
use std::str::FromStr;

/// A network in CIDR notation, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network")]
pub struct InvalidNetwork;

impl Network {
    /// Whether an address is in it. An IPv4 address that a socket tells as IPv6 is that IPv4 address.
    #[must_use]
    pub fn includes(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - self.prefix;
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - self.prefix;
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse);
        match prefix {
            Ok(prefix) if prefix <= most => Ok(Self { address, prefix }),
            Ok(_) | Err(_) => Err(InvalidNetwork),
        }
    }
}

/// Some networks; none named is everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedSources(Vec<Network>);

impl TrustedSources {
    #[must_use]
    pub fn includes(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.includes(address))
    }

    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for TrustedSources {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let named = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Ok(Self(named.map(str::parse).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_include_what_shares_their_prefix() {
        let cases = [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ];
        for (network, address, expected) in cases {
            let network: Network = network.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(network.includes(address), expected, "{network:?} {address}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "x", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
