//! Loopback addresses that belong to one installation.
//!
//! On Linux all of 127.0.0.0/8 is the loopback interface, so each installation can have a block of
//! its own and every node the standard ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Place;

/// Where nodes on this machine listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Range {
    /// A block of loopback addresses, one for each node: its first address, and how many bits of it
    /// all share, 16 to 24.
    Addresses(Ipv4Addr, u8),
    /// Ports on 127.0.0.1, for machines without other loopback addresses. The value is the first
    /// port; each node takes two.
    Ports(u16),
}

/// Nodes that a range of ports has room for.
pub(super) const PORT_PAIRS: u16 = 500;

impl Range {
    /// How many places it has.
    pub(super) fn count(self) -> u32 {
        match self {
            // Neither the first two addresses, nor the last.
            Self::Addresses(_, prefix) => (!mask(prefix)).saturating_sub(2),
            Self::Ports(first) => {
                let pairs = (u32::from(u16::MAX) + 1 - u32::from(first)) / 2;
                pairs.min(PORT_PAIRS.into())
            }
        }
    }

    /// One of its places, from 0.
    pub(super) fn place(self, index: u32) -> Place {
        match self {
            Self::Addresses(base, _) => {
                let address = Ipv4Addr::from_bits(base.to_bits() | (index + 2));
                (IpAddr::V4(address), 5671, 15671)
            }
            Self::Ports(first) => {
                let pair = u16::try_from(index).unwrap_or(u16::MAX);
                let amqps = first.saturating_add(pair.saturating_mul(2));
                let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                (address, amqps, amqps.saturating_add(1))
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(base, prefix) => write!(f, "{base}/{prefix}"),
            Self::Ports(first) => write!(f, "ports:{first}"),
        }
    }
}

/// The bits that all addresses of a block share.
fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// Neither `127.x.y.0/24` nor `ports:N`.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a loopback range: use 127.x.y.0/24, a larger block up to /16, or ports:FIRST"
)]
pub struct InvalidRange(String);

impl FromStr for Range {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange(text.to_owned());
        if let Some(first) = text.strip_prefix("ports:") {
            let first: u16 = first.parse().map_err(|_| invalid())?;
            return if first >= 1024 {
                Ok(Self::Ports(first))
            } else {
                Err(invalid())
            };
        }
        let (base, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let base: Ipv4Addr = base.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        let is_block = (16..=24).contains(&prefix) && base.to_bits() & !mask(prefix) == 0;
        if base.is_loopback() && is_block {
            Ok(Self::Addresses(base, prefix))
        } else {
            Err(invalid())
        }
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for Range {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<Self, InvalidRange> {
        text.parse()
    }
}

/// Chooses a range that nobody uses: a /24 in 127.64.0.0/10, else ports. `seed` decides where the
/// search begins, so that installations side by side rarely meet. The caller keeps the choice.
pub fn probe_range(seed: u64) -> Range {
    const CANDIDATES: u64 = 64 * 256;
    const TRIES: u64 = 32;
    let candidates = (0..TRIES).map(|step| {
        let index = seed.wrapping_add(step.wrapping_mul(4099)) % CANDIDATES;
        let [.., high, low] = index.to_be_bytes();
        Range::Addresses(Ipv4Addr::new(127, 64 + high, low, 0), 24)
    });
    let free = |range: &Range| {
        // The first, the middle and the last address stand for all of them.
        let count = range.count();
        let mut places = [0, count / 2, count.saturating_sub(1)]
            .into_iter()
            .map(|index| range.place(index));
        places.all(|(address, amqps, management)| is_free(address, &[amqps, management]))
    };
    let ports = || {
        let spread = u16::try_from(seed % 20).unwrap_or(0);
        Range::Ports(20_000 + spread * PORT_PAIRS * 2)
    };
    candidates.into_iter().find(free).unwrap_or_else(ports)
}

/// Whether the address exists here and nobody listens on the ports.
pub(super) fn is_free(address: IpAddr, ports: &[u16]) -> bool {
    ports
        .iter()
        .all(|port| TcpListener::bind(SocketAddr::new(address, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_back_as_they_are_written() {
        for text in ["127.83.12.0/24", "127.83.0.0/16", "ports:20000"] {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
        for text in [
            "10.0.0.0/24",
            "127.0.0.1/24",
            "127.0.0.0/8",
            "127.83.12.0/16",
            "127.83.12.0/25",
            "ports:80",
            "ports:",
            "",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_skip_the_first_two_and_the_last() {
        let range: Range = "127.83.12.0/24".parse().unwrap();
        assert_eq!(range.count(), 253);
        assert_eq!(
            range.place(0),
            ("127.83.12.2".parse().unwrap(), 5671, 15671)
        );
        let last = "127.83.12.254".parse::<IpAddr>().unwrap();
        assert_eq!(range.place(252).0, last);
        let range: Range = "127.83.0.0/16".parse().unwrap();
        assert_eq!(range.count(), 65_533);
        let last = "127.83.255.254".parse::<IpAddr>().unwrap();
        assert_eq!(range.place(65_532).0, last);
    }

    #[test]
    fn ports_never_overlap() {
        for (first, pairs) in [(20_000, u32::from(PORT_PAIRS)), (65_530, 3), (65_535, 0)] {
            let range = Range::Ports(first);
            assert_eq!(range.count(), pairs);
            let mut ports: Vec<u16> = (0..pairs)
                .map(|index| range.place(index))
                .flat_map(|(_, amqps, management)| [amqps, management])
                .collect();
            ports.dedup();
            assert_eq!(ports.len(), usize::try_from(pairs).unwrap() * 2);
        }
    }

    #[test]
    fn probing_passes_over_a_range_that_is_in_use() {
        let Range::Addresses(base, prefix) = probe_range(7) else {
            return;
        };
        let [a, b, c, _] = base.octets();
        let Ok(_listener) = TcpListener::bind((Ipv4Addr::new(a, b, c, 2), 5671)) else {
            return;
        };
        assert_ne!(probe_range(7), Range::Addresses(base, prefix));
    }
}
