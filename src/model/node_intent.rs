//! From a broker to what the agent of a host is asked for.

use std::time::Duration;

use agent_api::{
    Capacity, Defaults, Fallback, Limits, Listen, NodeConfiguration, NodeIntent, PolicyIntent, Run,
    UserIntent, VhostLimits,
};

use super::{
    broker::{Broker, BrokerUser, DeploymentMode, Launch},
    engine::{EngineRelease, EngineType},
    instance_type::InstanceType,
    node::{Node, Placement},
};

/// The most consumers of a channel, of any instance type.
const CONSUMERS_PER_CHANNEL_MAX: u32 = 1000;

/// A node's configuration, and the one that it last proved to run with.
#[derive(Debug, Clone)]
pub struct Configurations {
    pub intended: NodeConfiguration,
    pub proven: Option<NodeConfiguration>,
}

/// The intent that one process of the broker's current generation serves the node's volume.
///
/// Limits are those of the instance type, or the host's where it has less; `capacity` is what
/// its agent last reported.
pub fn running(
    broker: &Broker,
    node: &Node,
    placement: &Placement,
    release: &EngineRelease,
    users: &[BrokerUser],
    configurations: Configurations,
    capacity: Option<&Capacity>,
) -> NodeIntent {
    NodeIntent {
        node_id: node.id.0,
        broker_id: broker.id.to_string(),
        broker_name: broker.name.clone(),
        generation: broker.generation,
        request_id: None,
        traceparent: None,
        run: Run::Running,
        engine: release.intent(),
        profile: release.profile(),
        listen: Listen {
            address: placement.address,
            amqps_port: placement.amqps_port,
            management_port: placement.management_port,
        },
        volume: volume(node),
        limits: limits(&broker.intended.host_instance_type, capacity),
        configuration: configurations.intended,
        proven_configuration: configurations.proven,
        defaults: defaults(broker),
        users: logins(users),
        fallback: None,
    }
}

/// The same intent with the way back to what the node runs with now, if the new engine or its
/// limits are others. `old` and `new` are the releases of `before` and of the intent.
pub fn with_fallback(
    intent: NodeIntent,
    before: &Launch,
    (old, new): (&EngineRelease, &EngineRelease),
    capacity: Option<&Capacity>,
    gate: Duration,
) -> NodeIntent {
    let fallback = Fallback {
        engine: old.intent(),
        profile: old.profile(),
        limits: limits(&before.host_instance_type, capacity),
        copy_volume: !old.formats.read(&new.formats),
        gate_s: gate.as_secs(),
    };
    let is_same = fallback.engine == intent.engine
        && fallback.profile == intent.profile
        && fallback.limits == intent.limits;
    NodeIntent {
        fallback: (!is_same).then_some(fallback),
        ..intent
    }
}

/// The intent of a node that has proven its generation, with what it was asked for or with its
/// fallback: from now on there is no other way.
pub fn settled(last: &NodeIntent, rolled_back: bool) -> NodeIntent {
    let mut settled = last.clone();
    if let Some(fallback) = settled.fallback.take().filter(|_| rolled_back) {
        settled.engine = fallback.engine;
        settled.profile = fallback.profile;
        settled.limits = fallback.limits;
        if let Some(proven) = &settled.proven_configuration {
            settled.configuration.clone_from(proven);
        }
    }
    settled
}

/// What the engine is to know of a broker's users.
pub fn logins(users: &[BrokerUser]) -> Vec<UserIntent> {
    users
        .iter()
        .map(|user| UserIntent {
            name: user.username.clone(),
            password_hash: user.password_hash.clone(),
            tags: user.tags(),
            revision: user.revision,
            removed: user.removed_at.is_some(),
        })
        .collect()
}

/// What a broker's default virtual host holds from the start: policies and limits of the guide,
/// "Amazon MQ for RabbitMQ broker defaults". Owners may change or delete them.
fn defaults(broker: &Broker) -> Defaults {
    let instance = instance_type(&broker.intended.host_instance_type);
    let limits = VhostLimits {
        connections_max: instance.connections_max,
        queues_max: instance.queues_max,
    };
    let name = match (broker.engine_type, broker.deployment_mode) {
        (EngineType::RabbitMq, DeploymentMode::SingleInstance) => {
            "AWS-DEFAULT-POLICY-SINGLE-INSTANCE"
        }
        // Modes of several nodes get theirs with what serves them.
        (EngineType::RabbitMq | EngineType::LavinMq | EngineType::ActiveMq, _) => {
            return Defaults {
                policies: Vec::new(),
                limits: broker.engine_type.is_rabbitmq_like().then_some(limits),
            };
        }
    };
    Defaults {
        policies: vec![PolicyIntent {
            name: name.to_owned(),
            pattern: ".*".to_owned(),
            apply_to: "queues".to_owned(),
            priority: 0,
            definition: [("queue-mode".to_owned(), "lazy".to_owned())].into(),
        }],
        limits: Some(limits),
    }
}

/// The intent that neither process nor volume of the node are left. Built on the last intent, so
/// that the agent knows what to remove.
pub fn absent(last: &NodeIntent) -> NodeIntent {
    NodeIntent {
        generation: last.generation + i64::from(last.run != Run::Absent),
        run: Run::Absent,
        users: Vec::new(),
        fallback: None,
        ..last.clone()
    }
}

/// The directory name of a node's volume: its id, which is never used again.
pub fn volume(node: &Node) -> String {
    node.id.to_string()
}

/// A type that is no longer in the table counts as the smallest one.
fn instance_type(name: &str) -> &'static InstanceType {
    InstanceType::find(name).unwrap_or_else(|| &InstanceType::all()[0])
}

/// What a node of this instance type may use on a host.
pub fn limits(name: &str, capacity: Option<&Capacity>) -> Limits {
    let instance = instance_type(name);
    let mut limits = Limits {
        memory_bytes: instance.memory_bytes(),
        disk_free_bytes_min: instance.disk_free_bytes_min(),
        connections_max: instance.connections_max,
        channels_max: instance.channels_max,
        queues_max: Some(instance.queues_max),
        vhosts_max: Some(instance.vhosts_max()),
        consumers_per_channel_max: Some(CONSUMERS_PER_CHANNEL_MAX),
    };
    if let Some(host) = capacity {
        limits.memory_bytes = limits.memory_bytes.min(host.memory_bytes);
        // A host with little space left must not raise the alarm before the first message.
        limits.disk_free_bytes_min = limits.disk_free_bytes_min.min(host.disk_free_bytes / 10);
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::engine::{DataFormats, EngineType, EngineVersion};

    fn intent(release: &EngineRelease) -> NodeIntent {
        NodeIntent {
            node_id: uuid::Uuid::nil(),
            broker_id: "b".to_owned(),
            broker_name: "b".to_owned(),
            generation: 2,
            run: Run::Running,
            engine: release.intent(),
            profile: release.profile(),
            listen: Listen {
                address: std::net::Ipv4Addr::LOCALHOST.into(),
                amqps_port: 1,
                management_port: 2,
            },
            volume: "v".to_owned(),
            configuration: NodeConfiguration::default(),
            proven_configuration: None,
            defaults: Defaults::default(),
            limits: limits("mq.m7g.large", None),
            users: Vec::new(),
            fallback: None,
            request_id: None,
            traceparent: None,
        }
    }

    #[test]
    fn the_way_back_is_given_for_another_engine_and_taken_away_once_the_node_is_settled() {
        let line = |version: &str, release: &str, writes| EngineRelease {
            release: release.to_owned(),
            formats: DataFormats {
                reads: (1..=writes).collect(),
                writes,
            },
            ..EngineRelease::builtin(EngineType::RabbitMq, EngineVersion::parse(version).unwrap())
        };
        let before: Launch = serde_json::from_value(serde_json::json!({
            "engine_version": "3.13", "host_instance_type": "mq.m7g.large",
            "configuration": {"id": "c-00000000-0000-0000-0000-000000000000", "revision": 1},
        }))
        .unwrap();
        let gate = Duration::from_secs(60);
        let old = line("3.13.7", "1", 2);
        let same = with_fallback(intent(&old), &before, (&old, &old), None, gate);
        assert_eq!(same, intent(&old));

        for (new, copies) in [
            (line("4.2.1", "1", 2), false),
            (line("4.2.1", "2", 3), true),
        ] {
            let told = with_fallback(intent(&new), &before, (&old, &new), None, gate);
            let fallback = told.fallback.clone().unwrap();
            assert_eq!((fallback.copy_volume, fallback.gate_s), (copies, 60));
            assert_eq!(settled(&told, false), intent(&new));
            assert_eq!(settled(&told, true), intent(&old));
        }
    }

    #[test]
    fn limits_are_the_smaller_of_instance_type_and_host() {
        let large = limits("mq.m7g.large", None);
        assert_eq!(large.memory_bytes, 8 << 30);
        assert_eq!((large.connections_max, large.channels_max), (5_000, 15_000));
        assert_eq!(
            (large.queues_max, large.vhosts_max),
            (Some(20_000), Some(1_500))
        );

        let small = Capacity {
            cpus: 2,
            memory_bytes: 2 << 30,
            disk_free_bytes: 10 << 30,
        };
        let squeezed = limits("mq.m7g.large", Some(&small));
        assert_eq!(squeezed.memory_bytes, 2 << 30);
        assert_eq!(squeezed.disk_free_bytes_min, 1 << 30);

        let huge = Capacity {
            cpus: 64,
            memory_bytes: 1 << 40,
            disk_free_bytes: 1 << 45,
        };
        assert_eq!(limits("mq.m7g.large", Some(&huge)), large);
    }
}
