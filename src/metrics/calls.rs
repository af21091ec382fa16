//! Calls of the API, and of the hosts' agents.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, durations};

type Durations = Family<Operation, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    operation: &'static str,
    code: &'static str,
}

#[derive(Debug)]
pub(super) struct Calls {
    requests: Family<Answered, Counter>,
    refusals: Family<Refused, Counter>,
    seconds: Durations,
    in_flight: Gauge,
    agent_requests: Family<Answered, Counter>,
    agent_seconds: Durations,
}

impl Calls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let calls = Self {
            requests: Family::default(),
            refusals: Family::default(),
            seconds: Family::new_with_constructor(durations),
            in_flight: Gauge::default(),
            agent_requests: Family::default(),
            agent_seconds: Family::new_with_constructor(durations),
        };
        registry.register(
            "api_requests",
            "Calls of the API that were answered",
            calls.requests.clone(),
        );
        registry.register(
            "api_refusals",
            "Calls of the API that were answered with an error, by its name",
            calls.refusals.clone(),
        );
        registry.register(
            "api_request_seconds",
            "Time from a call's head to its answer's",
            calls.seconds.clone(),
        );
        registry.register(
            "api_requests_in_flight",
            "Calls of the API that are being answered",
            calls.in_flight.clone(),
        );
        registry.register(
            "agent_requests",
            "Calls of hosts' agents that were answered",
            calls.agent_requests.clone(),
        );
        registry.register(
            "agent_request_seconds",
            "Time of agents' calls but the long poll, which waits on purpose",
            calls.agent_seconds.clone(),
        );
        calls
    }
}

/// Counts a call as under way while it exists, however that ends.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub fn api_begins(&self) -> InFlight {
        let gauge = self.0.calls.in_flight.clone();
        gauge.inc();
        InFlight(gauge)
    }

    /// `refusal` is the name of the error that it was answered with.
    pub fn api_answered(
        &self,
        operation: &'static str,
        status: u16,
        refusal: Option<&'static str>,
        took: Duration,
    ) {
        let calls = &self.0.calls;
        let answered = Answered { operation, status };
        calls.requests.get_or_create(&answered).inc();
        calls
            .seconds
            .get_or_create(&Operation { operation })
            .observe(took.as_secs_f64());
        if let Some(code) = refusal {
            let refused = Refused { operation, code };
            calls.refusals.get_or_create(&refused).inc();
        }
    }

    /// `took` is none for a call that waits on purpose.
    pub fn agent_answered(&self, operation: &'static str, status: u16, took: Option<Duration>) {
        let calls = &self.0.calls;
        let answered = Answered { operation, status };
        calls.agent_requests.get_or_create(&answered).inc();
        if let Some(took) = took {
            calls
                .agent_seconds
                .get_or_create(&Operation { operation })
                .observe(took.as_secs_f64());
        }
    }
}
