//! `warren agent`: the agent of this host, whose nodes are processes of this same program.

use std::path::PathBuf;

use host_agent::{OnStop, Timing};
use signing::TrustedKeys;
use tokio_util::sync::CancellationToken;

use super::Error;

#[derive(Debug, Clone)]
pub struct Options {
    /// `https://host:port` of the agents' endpoint.
    pub control_url: String,
    /// Of the installation's certificate authority.
    pub ca_pem: String,
    /// Needed until the host has an identity.
    pub token: Option<String>,
    pub data_dir: PathBuf,
    /// This program, which nodes are processes of. Looked up at the start of the process: after an
    /// upgrade in place the kernel names a file that is gone.
    pub executable: PathBuf,
    /// Whose engine releases this host runs beside the built-in one.
    pub engine_keys: TrustedKeys,
}

pub async fn run(
    options: Options,
    on_stop: OnStop,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let options = host_agent::Options {
        control_url: options.control_url,
        ca_pem: options.ca_pem,
        token: options.token,
        data_dir: options.data_dir,
        executable: options.executable,
        engine_keys: options.engine_keys,
        timing: Timing::default(),
    };
    Ok(host_agent::run(options, shutdown, on_stop).await?)
}
