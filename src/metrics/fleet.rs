//! How the whole installation stands, as the database tells at one moment.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    engine_type: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broker {
    broker_id: String,
    account_id: String,
    region: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Host {
    host: String,
    zone: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Jobs {
    kind: String,
    state: String,
}

impl Fleet {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_brokers(registry);
        self.register_hosts(registry);
        let jobs = Family::<Jobs, Gauge>::default();
        for JobsStanding { kind, state, count } in &self.jobs {
            let (kind, state) = (kind.clone(), state.clone());
            jobs.get_or_create(&Jobs { kind, state })
                .set(signed(*count));
        }
        registry.register("jobs", "Jobs that are not done", jobs);
        let oldest = Seconds::default();
        oldest.set(self.oldest_due_s);
        registry.register(
            "job_oldest_due_seconds",
            "How long the job has been due that nobody took for longest",
            oldest,
        );
    }

    fn register_brokers(&self, registry: &mut Registry) {
        let mut counts = BTreeMap::<_, i64>::new();
        for broker in &self.brokers {
            *counts
                .entry((broker.engine_type, broker.state))
                .or_default() += 1;
        }
        let states = Family::<State, Gauge>::default();
        for ((engine_type, state), count) in counts {
            let labels = State { engine_type, state };
            states.get_or_create(&labels).set(count);
        }
        registry.register("brokers", "Brokers by engine and state", states);

        let mut brokers: Vec<_> = self.brokers.iter().collect();
        brokers.sort_by_key(|broker| broker.is_healthy);
        let healthy = Family::<Broker, Gauge>::default();
        for broker in brokers.iter().take(BROKERS_MAX) {
            let labels = Broker {
                broker_id: broker.id.clone(),
                account_id: broker.account_id.clone(),
                region: broker.region.clone(),
                state: broker.state,
            };
            healthy
                .get_or_create(&labels)
                .set(i64::from(broker.is_healthy));
        }
        registry.register(
            "broker_healthy",
            "1 for a broker that serves and needs nobody's help",
            healthy,
        );
        let left_out = Gauge::<i64>::default();
        left_out.set(signed(left_over(self.brokers.len(), BROKERS_MAX)));
        registry.register(
            "broker_series_left_out",
            "Healthy brokers without a series of their own, because there are too many",
            left_out,
        );
    }

    fn register_hosts(&self, registry: &mut Registry) {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        let silence = |host: &HostStanding| host.silent_s.unwrap_or(f64::INFINITY);
        hosts.sort_by(|one, other| silence(other).total_cmp(&silence(one)));
        let silent = Family::<Host, Seconds>::default();
        let nodes = Family::<Host, Gauge>::default();
        for host in hosts.into_iter().take(HOSTS_MAX) {
            let labels = Host {
                host: host.name.clone(),
                zone: host.zone.clone(),
            };
            silent.get_or_create(&labels).set(silence(host));
            nodes.get_or_create(&labels).set(signed(host.nodes));
        }
        registry.register(
            "host_silent_seconds",
            "Time since the host's agent was heard",
            silent,
        );
        registry.register("host_nodes", "Nodes placed on the host", nodes);
    }
}

fn left_over(count: usize, max: usize) -> u64 {
    u64::try_from(count.saturating_sub(max)).unwrap_or(u64::MAX)
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
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
        let text = Metrics::default().render(Some(&fleet), None);
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
