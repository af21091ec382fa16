//! Logging: `tracing` to stderr, filtered by `RUST_LOG`. Every line of a call, of a job or of a
//! node carries the request id it goes back to, in the span around it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pretty,
    Json,
}

/// Starts logging; to be called once, first. Without `RUST_LOG`, `default_filter` applies.
/// What `RUST_LOG` says that cannot be understood is ignored.
pub fn start(format: Format, default_filter: &str) {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::builder().parse_lossy(text),
        _ => EnvFilter::builder().parse_lossy(default_filter),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Pretty => {
            builder
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                .init();
        }
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .init(),
    }
}
