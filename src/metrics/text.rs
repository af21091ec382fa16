//! Prometheus' text form.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::fleet::{Fleet, signed};
use super::{Metrics, PoolStanding};

/// OpenMetrics, the text form that Prometheus asks for first.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// Everything as text: this process' counters, and what the caller knows of the rest.
    pub fn render(&self, fleet: Option<Arc<Fleet>>, pool: Option<PoolStanding>) -> String {
        let mut moment = Registry::with_prefix("warren");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        moment.register(
            "build",
            "What runs here",
            prometheus_client::metrics::info::Info::new(version),
        );
        if let Some(fleet) = fleet {
            moment.register_collector(Box::new(fleet));
        }
        if let Some(pool) = pool {
            register_pool(pool, &mut moment);
        }
        let mut text = String::new();
        let mut encode = || -> fmt::Result {
            encode_registry(&mut text, &self.0.registry)?;
            encode_registry(&mut text, &moment)?;
            encode_eof(&mut text)
        };
        encode().expect("a String takes any text");
        text
    }
}

fn register_pool(pool: PoolStanding, registry: &mut Registry) {
    let connections = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for (state, count) in [("idle", pool.idle), ("used", pool.used)] {
        connections
            .get_or_create(&[("state", state)])
            .set(signed(count));
    }
    registry.register(
        "db_connections",
        "Connections of this process to the database",
        connections,
    );
    let max = Gauge::<i64>::default();
    max.set(signed(pool.max));
    registry.register("db_connections_max", "The most there may be", max);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(3);
        let running = metrics.api_begins();
        metrics.api_answered("ListBrokers", 200, None, took);
        metrics.api_answered("ListBrokers", 429, Some("TooManyRequestsException"), took);
        metrics.agent_answered("intent", 200, None);
        metrics.job_ran("broker_create", "done", took);
        metrics.step_ended("broker_create", "wait_ready", "waits");
        metrics.swept("job_watcher", took, false);
        let pool = PoolStanding {
            idle: 1,
            used: 2,
            max: 16,
        };
        let text = metrics.render(Some(Arc::default()), Some(pool));
        for line in [
            r#"warren_api_requests_total{operation="ListBrokers",status="200"} 1"#,
            r#"warren_api_refusals_total{operation="ListBrokers",code="TooManyRequestsException"} 1"#,
            r#"warren_api_request_seconds_bucket{le="0.005",operation="ListBrokers"} 2"#,
            "warren_api_requests_in_flight 1",
            r#"warren_agent_requests_total{operation="intent",status="200"} 1"#,
            r#"warren_job_runs_total{kind="broker_create",outcome="done"} 1"#,
            r#"warren_workflow_steps_total{workflow="broker_create",step="wait_ready",outcome="waits"} 1"#,
            r#"warren_reconciler_failures_total{reconciler="job_watcher"} 1"#,
            r#"warren_db_connections{state="used"} 2"#,
            "warren_job_oldest_due_seconds 0.0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(running);
        let text = metrics.render(None, None);
        assert!(text.contains("\nwarren_api_requests_in_flight 0\n"));
        assert!(
            !text.contains("warren_brokers"),
            "only who looked tells of the fleet"
        );
    }
}
