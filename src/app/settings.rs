//! What an installation's operator decides about the API.

use crate::model::{Region, parity::Parity, throttle::Rate};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The regions that the API answers for.
    pub regions: Vec<Region>,
    /// Zones that brokers are spread over when their creators name no subnet; not empty.
    pub zones: Vec<String>,
    /// Most brokers of an account in a region. Creates that race may exceed it by their number.
    pub brokers_max: i64,
    pub parity: Parity,
    /// What an account may ask of each process that serves the API; `None`: as much as it likes.
    pub requests: Option<Rate>,
}

impl Settings {
    /// The defaults: three zones and Amazon MQ's quota.
    pub fn new(regions: Vec<Region>) -> Self {
        let zones = ["a", "b", "c"].map(str::to_owned).to_vec();
        Self {
            regions,
            zones,
            brokers_max: 200,
            parity: Parity::default(),
            requests: None,
        }
    }

    /// With each account held to a rate.
    pub fn with_requests(self, requests: Option<Rate>) -> Self {
        Self { requests, ..self }
    }

    /// As strict as asked for.
    pub fn with_parity(self, parity: Parity) -> Self {
        Self { parity, ..self }
    }
}
