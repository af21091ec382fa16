//! How a trace is handed on: from a call of the API to its job, from the job to the host's agent, and back
//! with what the agent reports.
//!
//! Spans are those of `tracing`, with the target [`TARGET`]: they are built only where somebody exports
//! them, and never seen by the log, whose own spans carry the request id. What goes from process to process
//! is a [`TraceParent`]. Nothing here sends anything.

mod traceparent;

use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use traceparent::{InvalidTraceParent, TraceParent};

/// Of all spans that are exported.
pub const TARGET: &str = "warren::trace";

/// The HTTP header by which traces are handed on: W3C Trace Context, section 3.2.
pub const HEADER: &str = "traceparent";

/// Makes a new span, which nobody has entered yet, a part of what its caller traces.
pub fn join(span: &Span, parent: Option<TraceParent>) {
    let Some(parent) = parent else { return };
    let context = SpanContext::new(
        TraceId::from_bytes(parent.trace_id()),
        SpanId::from_bytes(parent.span_id()),
        TraceFlags::new(parent.flags()),
        true,
        TraceState::NONE,
    );
    // Without an exporter there is nothing to join.
    drop(span.set_parent(Context::new().with_remote_span_context(context)));
}

/// What others have to be told to make their spans a part of this one; none when it is not exported.
pub fn of(span: &Span) -> Option<TraceParent> {
    told(&span.context())
}

/// [`of`] the innermost span that is exported here.
pub fn current() -> Option<TraceParent> {
    told(&Context::current()).or_else(|| of(&Span::current()))
}

fn told(context: &Context) -> Option<TraceParent> {
    let span = context.span();
    let context = span.span_context();
    TraceParent::new(
        context.trace_id().to_bytes(),
        context.span_id().to_bytes(),
        context.trace_flags().to_u8(),
    )
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// One callsite each: `tracing` remembers for the whole process whether anybody wants a callsite.
    macro_rules! span {
        () => {
            tracing::info_span!(target: TARGET, parent: None, "work")
        };
    }

    #[test]
    fn where_nobody_exports_there_is_nothing() {
        let caller = CALLER.parse().unwrap();
        let span = span!();
        join(&span, Some(caller));
        assert_eq!(of(&span), None);
        assert_eq!(span.in_scope(current), None);
    }

    #[test]
    fn a_span_is_a_part_of_what_its_caller_traces_and_so_is_what_it_leads_to() {
        let provider = SdkTracerProvider::builder().build();
        let exported = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
        let subscriber = tracing_subscriber::registry().with(exported);
        tracing::subscriber::with_default(subscriber, || {
            let caller: TraceParent = CALLER.parse().unwrap();
            let outer = span!();
            join(&outer, Some(caller));
            let told = of(&outer).unwrap();
            assert_eq!(told.trace_id(), caller.trace_id());
            assert_ne!(told.span_id(), caller.span_id());
            assert_eq!(told.flags(), 1, "who samples is the caller's choice");
            // Spans of the log in between change nothing.
            let log = tracing::error_span!(target: "warren::jobs", "job");
            let within = outer.in_scope(|| log.in_scope(current));
            assert_eq!(within, Some(told));

            let alone = span!();
            let first = of(&alone).unwrap();
            assert_ne!(first.trace_id(), caller.trace_id());
        });
    }
}
