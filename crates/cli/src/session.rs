//! What every command needs: the client, and how to print.

use std::path::{Path, PathBuf};

use client::{Client, Config, ConfigError, Environment, Overrides};

use crate::error::Error;
use crate::output::Format;

/// Written by `warren dev` into its default data directory.
const DEV_CREDENTIALS: &str = ".warren/credentials.env";

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub struct Session {
    /// Profile of ~/.aws/config and ~/.aws/credentials [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Region of the request [env: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Address of the API [env: AWS_ENDPOINT_URL_MQ, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// PEM certificates to verify the API's TLS certificate with [env: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// How results are printed
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

impl Session {
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let overrides = Overrides {
            profile: self.profile.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            ca_bundle: self.ca_bundle.clone(),
        };
        match Config::resolve(&Environment::of_process(), &overrides) {
            Ok(config) => Ok(Client::new(config)?),
            Err(ConfigError::NoCredentials) if Path::new(DEV_CREDENTIALS).exists() => {
                Err(Error::NoCredentialsYet(DEV_CREDENTIALS.into()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
