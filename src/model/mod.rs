//! The pure domain: ids, entities, state machines, validation, job payloads.
//!
//! No I/O, no async, no reading of clocks outside [`clock`]; the agents' contract
//! (`agent_api`) is the only thing of ours it knows.

pub mod access_key;
pub mod arn;
pub mod audit;
pub mod authorisation;
pub mod broker;
pub mod clock;
pub mod configuration;
pub mod constraint;
pub mod engine;
pub mod entropy;
pub mod host;
pub mod id;
pub mod inline_policy;
pub mod instance_type;
pub mod invalid;
pub mod job;
pub mod maintenance;
pub mod node;
pub mod node_intent;
pub mod page;
pub mod parity;
pub mod password;
pub mod policy;
pub mod principal;
pub mod principal_tag;
pub mod quota;
pub mod region;
pub mod role;
pub mod session;
pub mod tag;
pub mod throttle;

pub use id::{AccessKeyId, AccountId, BrokerId, ConfigurationId, HostId, JobId, NodeId, RequestId};
pub use invalid::Invalid;
pub use region::{Region, Scope};
