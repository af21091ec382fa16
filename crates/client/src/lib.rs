//! Typed client of Warren's Amazon MQ compatible API.
//!
//! Owns the wire shapes of the operations, SigV4 signing, retries, and where credentials, region
//! and endpoint come from (the environment variables and profile files of the AWS CLI). Knows
//! nothing of terminals: see the `cli` crate for those.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use warren_client::{Client, Config, Environment, Overrides};
//!
//! let config = Config::resolve(&Environment::of_process(), &Overrides::default())?;
//! let client = Client::new(config)?;
//! for broker in client.list_brokers(None, None).await?.broker_summaries {
//!     println!("{} {}", broker.broker_name, broker.broker_state);
//! }
//! # Ok(())
//! # }
//! ```

mod audit;
mod backoff;
mod broker;
mod client;
mod config;
mod configuration;
mod encode;
mod error;
mod maintenance;
mod sign;
mod tags;
mod user;

pub use audit::{AuditFilter, ListAuditEventsOutput};
pub use broker::{
    BrokerInstance, BrokerState, BrokerSummary, ConfigurationRef, Configurations, CreateBroker,
    CreateBrokerOutput, DeleteBrokerOutput, DescribeBrokerOutput, ListBrokersOutput, Logs,
    UpdateBroker, User, UserSummary, WeeklyStartTime,
};
pub use client::Client;
pub use config::{Config, ConfigError, Environment, Overrides, profile};
pub use configuration::{
    Configuration, ConfigurationOutput, ConfigurationRevision, CreateConfiguration,
    DescribeConfigurationRevisionOutput,
};
pub use encode::label as encode_label;
pub use error::{Error, ServiceError};
pub use maintenance::{
    Maintenance, MaintenanceEngine, MaintenanceRollback, MaintenanceRun, NodeAway,
    RejectedConfiguration,
};
pub use sign::Credentials;
pub use user::{DescribeUserOutput, UserInput};
