//! How the whole installation stands, as the database tells at one moment.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Brokers and hosts with a series of their own; of more, those that are not well come first.
const BROKERS_MAX: usize = 10_000;
const HOSTS_MAX: usize = 10_000;

/// A moment of the installation. Several processes may tell of it: the newest is as good as any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    pub brokers: Vec<BrokerStanding>,
    pub hosts: Vec<HostStanding>,
    pub jobs: Vec<JobsStanding>,
    /// How long the job has been due that nobody took for longest, in seconds; 0 without any.
    pub oldest_due_s: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerStanding {
    pub id: String,
    pub account_id: String,
    pub region: String,
    pub engine_type: &'static str,
    /// As DescribeBroker names it.
    pub state: &'static str,
    /// Whether it serves, and nobody has to do anything about it.
    pub is_healthy: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HostStanding {
    pub name: String,
    pub zone: String,
    /// Seconds since its agent was heard; none when it never was.
    pub silent_s: Option<f64>,
    pub nodes: u64,
}

/// Jobs of one kind in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsStanding {
    pub kind: String,
    pub state: String,
    pub count: u64,
}

/// Written as it stands: a scrape copies none of it.
impl Collector for Fleet {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_brokers(&mut encoder)?;
        self.encode_hosts(&mut encoder)?;
        let mut jobs = gauge(&mut encoder, "jobs", "Jobs that are not done.")?;
        for JobsStanding { kind, state, count } in &self.jobs {
            let labels = [("kind", kind.as_str()), ("state", state)];
            jobs.encode_family(&labels)?.encode_gauge(count)?;
        }
        let help = "How long the job has been due that nobody took for longest.";
        gauge(&mut encoder, "job_oldest_due_seconds", help)?.encode_gauge(&self.oldest_due_s)
    }
}

impl Fleet {
    fn encode_brokers(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut counts = BTreeMap::<_, u64>::new();
        for broker in &self.brokers {
            *counts
                .entry((broker.engine_type, broker.state))
                .or_default() += 1;
        }
        let mut states = gauge(encoder, "brokers", "Brokers by engine and state.")?;
        for ((engine_type, state), count) in counts {
            let labels = [("engine_type", engine_type), ("state", state)];
            states.encode_family(&labels)?.encode_gauge(&count)?;
        }

        let help = "1 for a broker that serves and needs nobody's help.";
        let mut healthy = gauge(encoder, "broker_healthy", help)?;
        let of_health =
            |is_healthy| move |broker: &&BrokerStanding| broker.is_healthy == is_healthy;
        let unwell = self.brokers.iter().filter(of_health(false));
        let well = self.brokers.iter().filter(of_health(true));
        for broker in unwell.chain(well).take(BROKERS_MAX) {
            let labels = [
                ("broker_id", broker.id.as_str()),
                ("account_id", &broker.account_id),
                ("region", &broker.region),
                ("state", broker.state),
            ];
            let value = u64::from(broker.is_healthy);
            healthy.encode_family(&labels)?.encode_gauge(&value)?;
        }
        let help = "Healthy brokers without a series of their own, because there are too many.";
        let left_out = self.brokers.len().saturating_sub(BROKERS_MAX);
        gauge(encoder, "broker_series_left_out", help)?.encode_gauge(&left_out)
    }

    fn encode_hosts(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        let silence = |host: &HostStanding| host.silent_s.unwrap_or(f64::INFINITY);
        hosts.sort_by(|one, other| silence(other).total_cmp(&silence(one)));
        hosts.truncate(HOSTS_MAX);
        let help = "Time since the host's agent was heard.";
        let mut silent = gauge(encoder, "host_silent_seconds", help)?;
        for host in &hosts {
            let value = silence(host);
            silent.encode_family(&host.labels())?.encode_gauge(&value)?;
        }
        let mut nodes = gauge(encoder, "host_nodes", "Nodes placed on the host.")?;
        for host in &hosts {
            nodes
                .encode_family(&host.labels())?
                .encode_gauge(&host.nodes)?;
        }
        Ok(())
    }
}

impl HostStanding {
    fn labels(&self) -> [(&'static str, &str); 2] {
        [("host", &self.name), ("zone", &self.zone)]
    }
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;

    fn broker(id: usize, is_healthy: bool) -> BrokerStanding {
        BrokerStanding {
            id: format!("b-{id}"),
            account_id: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
            engine_type: "RABBITMQ",
            state: if is_healthy {
                "RUNNING"
            } else {
                "CREATION_FAILED"
            },
            is_healthy,
        }
    }

    #[test]
    fn of_too_many_brokers_the_unhealthy_have_their_series() {
        let mut fleet = Fleet {
            brokers: (0..=BROKERS_MAX).map(|id| broker(id, true)).collect(),
            ..Fleet::default()
        };
        fleet.brokers.push(broker(77_777, false));
        let text = Metrics::default().render(Some(Arc::new(fleet)), None);
        let series = text
            .lines()
            .filter(|l| l.starts_with("warren_broker_healthy{"));
        assert_eq!(series.count(), BROKERS_MAX);
        assert!(text.contains(r#"warren_broker_healthy{broker_id="b-77777","#));
        assert!(
            text.contains("\nwarren_broker_series_left_out 2\n"),
            "{}",
            &text[..400]
        );
        let count = r#"warren_brokers{engine_type="RABBITMQ",state="RUNNING"} 10001"#;
        assert!(text.contains(count));
    }
}
