//! One call: sign, send, retry, decode.

use std::time::Duration;

use aws_lc_rs::rand;
use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::backoff::{ATTEMPTS_MAX, delay};
use crate::config::{Config, ConfigError};
use crate::encode;
use crate::error::{Error, ServiceError};
use crate::sign::{Unsigned, sign};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";

/// The API of one endpoint and region, as one principal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
    clock: fn() -> DateTime<Utc>,
}

/// One request; path labels and query members still in clear.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a [&'a str]) -> Call<'a> {
        Call {
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    /// A read of the largest page of a list that there can be.
    pub(crate) fn page(path: &'a [&'a str], next_token: Option<String>) -> Call<'a> {
        let mut call = Call::new(Method::GET, path);
        call.query.push(("maxResults", "100".to_owned()));
        call.query
            .extend(next_token.map(|token| ("nextToken", token)));
        call
    }
}

impl Client {
    pub fn new(config: Config) -> Result<Client, Error> {
        // Several parts of one process may do this; the first wins and all want the same.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("warren-client/", env!("CARGO_PKG_VERSION")));
        if let Some(bundle) = &config.ca_bundle {
            builder = builder.tls_certs_only(bundle.certificates()?);
        }
        let http = builder.build().map_err(|e| ConfigError::Http(chain(&e)))?;
        Ok(Client {
            http,
            config,
            clock,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Calls and decodes the answer's body.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        let (status, body) = self.send(call).await?;
        serde_json::from_slice(&body).map_err(|_| self.unintelligible(status))
    }

    /// Calls an operation whose answer says nothing.
    pub(crate) async fn call_empty(&self, call: Call<'_>) -> Result<(), Error> {
        self.send(call).await.map(drop)
    }

    async fn send(&self, call: Call<'_>) -> Result<(u16, Vec<u8>), Error> {
        let mut failed = 0;
        loop {
            match self.attempt(&call).await {
                Err(error) if error.is_transient() && failed + 1 < ATTEMPTS_MAX => {
                    failed += 1;
                    let mut jitter = [0u8];
                    // Without randomness the delay is merely the full one.
                    rand::fill(&mut jitter).ok();
                    tokio::time::sleep(delay(failed, jitter[0])).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Signs anew each time: a signature is only as fresh as its date.
    async fn attempt(&self, call: &Call<'_>) -> Result<(u16, Vec<u8>), Error> {
        let endpoint = &self.config.endpoint;
        let path: String = std::iter::once(endpoint.path().trim_end_matches('/').to_owned())
            .chain(
                call.path
                    .iter()
                    .map(|label| format!("/{}", encode::label(label))),
            )
            .collect();
        let query: Vec<(String, String)> = call
            .query
            .iter()
            .map(|(k, v)| (encode::label(k), encode::label(v)))
            .collect();
        let mut url = endpoint.clone();
        url.set_path(&path);
        if !query.is_empty() {
            let query: Vec<String> = query.iter().map(|(k, v)| format!("{k}={v}")).collect();
            url.set_query(Some(&query.join("&")));
        }
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let body = call.body.as_deref();
        let headers = sign(
            Unsigned {
                method: call.method.as_str(),
                host: &host,
                path: &path,
                query: &query,
                content_type: body.map(|_| JSON),
                body: body.unwrap_or_default(),
            },
            &self.config.credentials,
            &self.config.region,
            (self.clock)(),
        );
        let mut request = self.http.request(call.method.clone(), url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", JSON).body(body.to_vec());
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        let success = answer.status().is_success();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (code, request_id) = (header("x-amzn-errortype"), header("x-amzn-requestid"));
        let body = answer
            .bytes()
            .await
            .map_err(|e| self.unreachable(&e))?
            .to_vec();
        if success {
            return Ok((status, body));
        }
        Err(service_error(status, code, request_id, &body).map_or_else(
            || self.unintelligible(status),
            |error| Box::new(error).into(),
        ))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable {
            endpoint: self.config.endpoint.to_string(),
            cause: chain(error),
        }
    }

    fn unintelligible(&self, status: u16) -> Error {
        Error::Unintelligible {
            endpoint: self.config.endpoint.to_string(),
            status,
        }
    }
}

fn service_error(
    status: u16,
    code: Option<String>,
    request_id: Option<String>,
    body: &[u8],
) -> Option<ServiceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        #[serde(alias = "Message")]
        message: Option<String>,
        error_attribute: Option<String>,
        #[serde(alias = "__type")]
        code: Option<String>,
    }
    let body: Option<Body> = serde_json::from_slice(body).ok();
    let (message, error_attribute, body_code) = match body {
        Some(body) => (body.message, body.error_attribute, body.code),
        None => (None, None, None),
    };
    // A code may carry a documentation address after a colon.
    let code = code.or(body_code)?.split(':').next()?.to_owned();
    let message = message.unwrap_or_else(|| format!("status {status}"));
    Some(ServiceError {
        status,
        code,
        message,
        error_attribute,
        request_id,
    })
}

/// An error with its causes: reqwest's own text leaves out why a connection failed.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client's signatures carry real time"
)]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests;
