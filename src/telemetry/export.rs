//! Sends finished spans to an OpenTelemetry collector: OTLP over HTTP, in batches, from a thread of its own.
//!
//! A collector that is away or slow costs spans and nothing else. The usual environment variables of
//! OpenTelemetry's SDKs set what is not set here: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_*`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the last spans, when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Where spans are sent, and whose they are.
#[derive(Debug, Clone)]
pub struct Export {
    /// Base URL of the collector: `/v1/traces` is added.
    pub endpoint: String,
    pub service: &'static str,
}

/// The endpoint is no URL, or an environment variable of OpenTelemetry asks for what is not built in.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported to {endpoint}: {reason}")]
pub struct Error {
    endpoint: String,
    reason: String,
}

/// Keeps the sender alive.
#[derive(Debug)]
pub(super) struct Exporter(pub(super) SdkTracerProvider);

impl Exporter {
    /// Sends by the runtime that the caller is in.
    pub(super) fn start(export: &Export) -> Result<Self, Error> {
        let failed = |reason: &dyn std::fmt::Display| Error {
            endpoint: export.endpoint.clone(),
            reason: reason.to_string(),
        };
        let client = reqwest::Client::builder().timeout(TIMEOUT).build();
        let sender = Sender {
            client: client.map_err(|error| failed(&error))?,
            runtime: Handle::try_current().map_err(|error| failed(&error))?,
            fails: AtomicBool::new(false),
        };
        let url = format!("{}/v1/traces", export.endpoint.trim_end_matches('/'));
        url.parse::<reqwest::Url>()
            .map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(|error| failed(&error))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(export.service);
        }
        let resource = resource.with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter);
        Ok(Self(provider.build()))
    }

    /// Sends what is left. Blocks, and needs the runtime: to be called outside of it, before it ends.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_MAX) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// The sending thread has no runtime of its own: it waits while this process' sends.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    /// Told once, until it works again.
    fails: AtomicBool,
}

impl HttpClient for Sender {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sent = self.runtime.spawn(send(self.client.clone(), request));
        Box::pin(async move {
            let answer = match sent.await {
                Ok(answer) => answer,
                Err(ended) => Err(ended.into()),
            };
            let trouble = match &answer {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(answer.status().to_string()),
                Err(error) => Some(error.to_string()),
            };
            let failed = self.fails.swap(trouble.is_some(), Ordering::Relaxed);
            match trouble {
                Some(error) if !failed => {
                    tracing::warn!(error, "the collector does not take traces");
                }
                None if failed => tracing::info!("the collector takes traces again"),
                Some(_) | None => {}
            }
            answer
        })
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let mut response = client.execute(request.try_into()?).await?;
    let headers = std::mem::take(response.headers_mut());
    let status = response.status();
    let mut answer = Response::new(response.bytes().await?);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}
