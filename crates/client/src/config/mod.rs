//! Where credentials, region and endpoint come from: the same places as the AWS CLI, in the
//! same order.
//!
//! | setting | looked up in this order |
//! |---|---|
//! | profile | override, `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default` |
//! | credentials | environment (unless the profile is an override), credentials file, config file |
//! | region | override, `AWS_REGION`, `AWS_DEFAULT_REGION`, profile |
//! | endpoint | override, `AWS_ENDPOINT_URL_MQ`, `AWS_ENDPOINT_URL`, the profile's `services` section, the profile's `endpoint_url`, AWS's own |
//! | CA bundle | override, `AWS_CA_BUNDLE`, profile |

mod environment;
pub mod profile;

use std::path::PathBuf;

use reqwest::{Certificate, Url};

pub use environment::Environment;
use profile::{Profile, ProfileFile};

use crate::sign::Credentials;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials"
    )]
    NoCredentials,
    #[error("the credentials in {origin} have no {missing}")]
    PartialCredentials {
        origin: &'static str,
        missing: &'static str,
    },
    #[error(
        "profile {profile} gets its credentials by {mechanism}, which is not supported: use an access key"
    )]
    UnsupportedCredentials {
        profile: String,
        mechanism: &'static str,
    },
    #[error("no region: set AWS_REGION, or region in a profile of ~/.aws/config")]
    NoRegion,
    #[error("the config profile ({0}) could not be found")]
    NoProfile(String),
    #[error("the endpoint {0} is not an http:// or https:// address")]
    Endpoint(String),
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}, line {line}: {problem}")]
    Syntax {
        path: PathBuf,
        line: usize,
        problem: &'static str,
    },
    #[error("the CA bundle {path} is not valid: {cause}")]
    CaBundle { path: PathBuf, cause: String },
    #[error("the HTTP client cannot be set up: {0}")]
    Http(String),
}

/// What a command line says, which wins over everything.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub profile: Option<String>,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
    pub ca_bundle: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub credentials: Credentials,
    pub region: String,
    pub endpoint: Url,
    /// Instead of the system's certificate authorities.
    pub ca_bundle: Option<CaBundle>,
}

/// PEM certificates of the authorities to trust.
#[derive(Debug, Clone)]
pub struct CaBundle {
    path: PathBuf,
    pem: Vec<u8>,
}

impl CaBundle {
    fn read(path: PathBuf) -> Result<CaBundle, ConfigError> {
        match std::fs::read(&path) {
            Ok(pem) => Ok(CaBundle { path, pem }),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, ConfigError> {
        Certificate::from_pem_bundle(&self.pem).map_err(|error| ConfigError::CaBundle {
            path: self.path.clone(),
            cause: error.to_string(),
        })
    }
}

impl Config {
    pub fn resolve(
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let var = |name: &str| environment.var(name);
        let named = overrides
            .profile
            .clone()
            .or_else(|| var("AWS_PROFILE"))
            .or_else(|| var("AWS_DEFAULT_PROFILE"));
        let name = named.clone().unwrap_or_else(|| "default".to_owned());
        let file = ProfileFile::read(environment)?;
        let profile = match (file.profile(&name), named) {
            (Some(profile), _) => profile,
            (None, None) => Profile::default(),
            (None, Some(name)) => return Err(ConfigError::NoProfile(name)),
        };
        let credentials = credentials(environment, overrides, &profile, &name)?;
        let region = overrides
            .region
            .clone()
            .or_else(|| var("AWS_REGION"))
            .or_else(|| var("AWS_DEFAULT_REGION"))
            .or_else(|| profile.get("region"))
            .ok_or(ConfigError::NoRegion)?;
        let endpoint = overrides
            .endpoint_url
            .clone()
            .or_else(|| configured_endpoint(environment, &file, &profile))
            .unwrap_or_else(|| format!("https://mq.{region}.amazonaws.com"));
        let ca_bundle = overrides
            .ca_bundle
            .clone()
            .or_else(|| var("AWS_CA_BUNDLE").map(PathBuf::from))
            .or_else(|| profile.get("ca_bundle").map(PathBuf::from));
        Ok(Config {
            credentials,
            region,
            endpoint: parse_endpoint(&endpoint)?,
            ca_bundle: ca_bundle.map(CaBundle::read).transpose()?,
        })
    }
}

fn credentials(
    environment: &Environment,
    overrides: &Overrides,
    profile: &Profile,
    name: &str,
) -> Result<Credentials, ConfigError> {
    if overrides.profile.is_none()
        && let Some(id) = environment.var("AWS_ACCESS_KEY_ID")
    {
        let secret =
            environment
                .var("AWS_SECRET_ACCESS_KEY")
                .ok_or(ConfigError::PartialCredentials {
                    origin: "the environment",
                    missing: "AWS_SECRET_ACCESS_KEY",
                })?;
        return Ok(Credentials {
            access_key_id: id,
            secret_access_key: secret,
            session_token: environment.var("AWS_SESSION_TOKEN"),
        });
    }
    if let Some(id) = profile.get("aws_access_key_id") {
        let secret =
            profile
                .get("aws_secret_access_key")
                .ok_or(ConfigError::PartialCredentials {
                    origin: "the profile",
                    missing: "aws_secret_access_key",
                })?;
        return Ok(Credentials {
            access_key_id: id,
            secret_access_key: secret,
            session_token: profile.get("aws_session_token"),
        });
    }
    let mechanisms = [
        "role_arn",
        "sso_session",
        "sso_start_url",
        "credential_process",
        "login_session",
    ];
    match mechanisms
        .into_iter()
        .find(|key| profile.get(key).is_some())
    {
        Some(mechanism) => Err(ConfigError::UnsupportedCredentials {
            profile: name.to_owned(),
            mechanism,
        }),
        None => Err(ConfigError::NoCredentials),
    }
}

fn configured_endpoint(
    environment: &Environment,
    file: &ProfileFile,
    profile: &Profile,
) -> Option<String> {
    let ignore = environment
        .var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .or_else(|| profile.get("ignore_configured_endpoint_urls"));
    if ignore.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return None;
    }
    environment
        .var("AWS_ENDPOINT_URL_MQ")
        .or_else(|| environment.var("AWS_ENDPOINT_URL"))
        .or_else(|| file.service_endpoint(&profile.get("services")?, "mq"))
        .or_else(|| profile.get("endpoint_url"))
}

fn parse_endpoint(text: &str) -> Result<Url, ConfigError> {
    let refuse = || ConfigError::Endpoint(text.to_owned());
    let url = Url::parse(text).map_err(|_| refuse())?;
    let usable =
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if usable { Ok(url) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests;
