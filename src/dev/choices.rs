//! What the first start chose for this data directory, and later starts keep: brokers' endpoints
//! depend on it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde::{Deserialize, Serialize};

use super::Error;
use super::data_dir::DataDir;
use crate::model::entropy::Entropy;
use crate::provision::{Range, probe_range};

const FILE: &str = "choices.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Choices {
    /// Where nodes listen.
    pub(super) range: Range,
    /// Port of the agents' endpoint on 127.0.0.1.
    pub(super) agent_port: u16,
}

impl Choices {
    pub(super) fn load(data_dir: &DataDir, entropy: &dyn Entropy) -> Result<Choices, Error> {
        let kept =
            match data_dir.read(FILE)? {
                Some(text) => Some(serde_json::from_str::<Choices>(&text).map_err(|cause| {
                    Error::Choices {
                        path: data_dir.join(FILE),
                        cause,
                    }
                })?),
                None => None,
            };
        let choices = match &kept {
            // Agents are told the port at every start, so another one does no harm.
            Some(kept) => Choices {
                range: kept.range,
                agent_port: free_port(kept.agent_port)?,
            },
            None => Choices {
                range: probe_range(seed(entropy)),
                agent_port: free_port(0)?,
            },
        };
        if kept.as_ref() != Some(&choices) {
            let text =
                serde_json::to_string_pretty(&choices).expect("two plain members always encode");
            data_dir.write(FILE, &text, 0o600)?;
        }
        Ok(choices)
    }
}

fn seed(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// `wanted` if nobody has it, else another.
fn free_port(wanted: u16) -> Result<u16, Error> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    let free = bind(wanted).or_else(|_| bind(0));
    free.map(|address: SocketAddr| address.port())
        .map_err(Error::NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entropy::SystemEntropy;

    #[test]
    fn choices_are_kept_but_for_a_port_that_someone_took() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        let first = Choices::load(&data_dir, &SystemEntropy).unwrap();
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, first.agent_port)).unwrap();
        let second = Choices::load(&data_dir, &SystemEntropy).unwrap();
        assert_eq!(second.range, first.range);
        assert_ne!(second.agent_port, first.agent_port);
        drop(holder);
        assert_eq!(Choices::load(&data_dir, &SystemEntropy).unwrap(), second);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_new_range() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        data_dir.write(FILE, "{", 0o600).unwrap();
        let error = Choices::load(&data_dir, &SystemEntropy).unwrap_err();
        assert!(matches!(error, Error::Choices { .. }), "{error}");
    }
}
