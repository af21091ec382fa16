//! What an installation's operator decides about the API.

use crate::model::{Region, broker::SimulatedHosts, parity::Parity, throttle::Rate};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The regions that the API answers for.
    pub regions: Vec<Region>,
    /// Zones that brokers are spread over when their creators name no subnet; not empty.
    pub zones: Vec<String>,
    pub parity: Parity,
    /// Whether brokers that no engine serves yet can be had.
    pub simulated_hosts: SimulatedHosts,
    /// What an account may ask of each process that serves the API; `None`: as much as it likes.
    pub requests: Option<Rate>,
}

impl Settings {
    /// The defaults: three zones.
    pub fn new(regions: Vec<Region>) -> Self {
        let zones = ["a", "b", "c"].map(str::to_owned).to_vec();
        Self {
            regions,
            zones,
            parity: Parity::default(),
            simulated_hosts: SimulatedHosts::default(),
            requests: None,
        }
    }

    /// With each account held to a rate.
    pub fn with_requests(self, requests: Option<Rate>) -> Self {
        Self { requests, ..self }
    }

    /// With hosts that play what no engine serves yet, or without.
    pub fn with_simulated_hosts(self, simulated_hosts: SimulatedHosts) -> Self {
        Self {
            simulated_hosts,
            ..self
        }
    }

    /// As strict as asked for.
    pub fn with_parity(self, parity: Parity) -> Self {
        Self { parity, ..self }
    }
}
