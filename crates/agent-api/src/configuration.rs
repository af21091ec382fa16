//! How a node is set up, and what became of a set-up that it did not take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A revision of a customer's configuration, as the engine reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfiguration {
    /// Empty where there is none.
    pub id: String,
    pub revision: i32,
    /// Keys of `rabbitmq.conf`, or `section.key` of LavinMQ's INI file, with their values.
    pub settings: BTreeMap<String, String>,
}

/// A configuration that the engine refused, or did not come up with. The node runs with what it last proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedConfiguration {
    pub id: String,
    pub revision: i32,
    /// In the engine's words.
    pub reason: String,
}

/// What a new volume holds from the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// Of the default virtual host.
    pub policies: Vec<PolicyIntent>,
    /// Of the default virtual host.
    pub limits: Option<VhostLimits>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyIntent {
    pub name: String,
    /// Regular expression for the names that it applies to.
    pub pattern: String,
    /// `all`, `queues` …
    pub apply_to: String,
    pub priority: i32,
    pub definition: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VhostLimits {
    pub connections_max: u32,
    pub queues_max: u32,
}
