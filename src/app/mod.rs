//! What a caller can ask for, one method of [`App`] for each operation.
//!
//! Every operation authorises, validates, and does its change, its job and its audit event in
//! one transaction. Nothing here waits for a host: work that takes time is a job. Knows nothing
//! of HTTP.

mod access_key;
mod account;
mod audit;
mod broker;
mod caller;
mod catalogue;
mod configuration;
mod credential;
mod group;
mod job;
mod page;
mod policy;
mod principal;
mod principal_tag;
mod quota;
mod session;
mod session_token;
mod settings;
mod tag;

use std::sync::Arc;

pub use access_key::NewAccessKey;
pub use audit::{CallNote, EndedCall};
pub use broker::{
    BrokerDescription, CreateBrokerOutput, MaintenanceDescription, UpdateBrokerOutput,
};
pub use caller::Caller;
pub use catalogue::{EngineVersions, InstanceOption, OptionFilter};
pub use configuration::ConfigurationDescription;
pub use credential::{Credential, CredentialKind, NoCredential, Standing};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use page::fuzzing;
pub use page::{Page, PageRequest};
pub use principal::PrincipalDescription;
pub use session::{CallerSession, Session};
pub use settings::Settings;

use crate::{
    db,
    error::Error,
    model::{clock::Clock, entropy::Entropy},
    secrets::MasterKey,
};

/// Everything that operations need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub pool: db::Pool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub master_key: MasterKey,
    pub settings: Arc<Settings>,
}

impl App {
    /// Whether the database answers.
    pub async fn health(&self) -> Result<(), Error> {
        Ok(db::ping(&self.pool).await?)
    }

    async fn begin(&self) -> Result<db::Transaction, Error> {
        Ok(db::begin(&self.pool).await?)
    }
}
