//! Logging: `tracing` to stderr, filtered by `RUST_LOG`. Every line of a call, of a job or of a
//! node carries the request id it goes back to, in the span around it.
//!
//! Traces: spans of their own (the `trace` crate), exported where the operator says so. Without that none
//! is built, and the log never sees them.

mod export;

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use export::Exporter;
pub use export::{Error, Export};

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pretty,
    Json,
}

/// What runs until the process ends.
#[derive(Debug)]
#[must_use]
pub struct Telemetry(Option<Exporter>);

impl Telemetry {
    /// Sends the last spans. Blocks: to be called outside of the runtime, before it ends.
    pub fn end(self) {
        if let Some(exporter) = self.0 {
            exporter.end();
        }
    }
}

/// Starts logging, and exporting if that is asked for; to be called once, first, inside the runtime. Without
/// `RUST_LOG`, `default_filter` applies. What `RUST_LOG` says that cannot be understood is ignored.
///
/// # Errors
/// When spans can never be exported; logging has started all the same.
pub fn start(
    format: Format,
    default_filter: &str,
    export: Option<&Export>,
) -> Result<Telemetry, Error> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::builder().parse_lossy(text),
        _ => EnvFilter::builder().parse_lossy(default_filter),
    };
    let no_spans = format!("{}=off", trace::TARGET).parse();
    let filter = filter.add_directive(no_spans.expect("a target can be switched off"));
    let log = fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        Format::Pretty => log
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        Format::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    let (exporter, failure) = match export.map(Exporter::start).transpose() {
        Ok(exporter) => (exporter, None),
        Err(error) => (None, Some(error)),
    };
    let spans = exporter.as_ref().map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter.0.tracer("warren"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(trace::TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(spans)
        .init();
    match failure {
        Some(error) => Err(error),
        None => Ok(Telemetry(exporter)),
    }
}
