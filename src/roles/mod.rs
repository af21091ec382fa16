//! The roles of the binary but `dev`: each wires modules together and runs until it is told to
//! stop.
//!
//! Own nothing but the wiring and the order of a clean stop. Get plain values; the command line is
//! read in `main`.

pub mod admin;
pub mod agent;
pub mod catalog;
mod installation;
pub mod migrate;
mod monitor;
pub mod node;
pub mod policy;
mod proxy;
pub mod serve;
mod shutdown;
pub mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use installation::{Installation, connect};
pub use monitor::Monitor;
pub use shutdown::on_signals;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database: {0}")]
    Database(#[from] crate::db::Error),
    #[error("the database has no schema, or an older one: run `warren migrate` first ({0})")]
    Schema(crate::db::Error),
    #[error(transparent)]
    Secrets(#[from] crate::secrets::Error),
    #[error("the certificate authority in the database was sealed under another master key")]
    OtherMasterKey,
    #[error("the certificate authority: {0}")]
    Pki(#[from] crate::pki::Error),
    #[error(transparent)]
    Listen(#[from] crate::listener::Error),
    #[error(transparent)]
    Certificates(#[from] crate::listener::CertificatesError),
    #[error(transparent)]
    App(#[from] crate::error::Error),
    #[error("there is no audit event {0}")]
    NoAuditEvent(uuid::Uuid),
    #[error(
        "{0} is open to the network, and plain HTTP is not: give --tls-cert and --tls-key, or name the proxies in front with --trusted-proxy"
    )]
    PlainOnNetwork(SocketAddr),
    #[error("the agent: {0}")]
    Agent(#[from] host_agent::Error),
    #[error("the engine: {0}")]
    Engine(#[from] broker_engine::Error),
    #[error("there is no account with the name or id {0}")]
    NoAccount(String),
    #[error("nothing was done: repeat the command with --yes")]
    NotConfirmed,
    #[error("serving ended: {0}")]
    Serve(std::io::Error),
    #[error("stopped before the database answered")]
    Stopped,
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

/// The program that runs now, to start nodes with: on Linux by the kernel's own link, which stays
/// good when the file is replaced or removed under a running agent.
pub fn own_executable() -> std::io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        return Ok(link.to_owned());
    }
    std::env::current_exe()
}
