//! From a broker to what the agent of a host is asked for.

use agent_api::{Capacity, EngineArtefact, Limits, Listen, NodeIntent, Run, UserIntent};

use super::{
    broker::{Broker, BrokerUser},
    engine::EngineRelease,
    instance_type::InstanceType,
    node::{Node, Placement},
};

/// The tag that lets a login manage the broker.
const ADMINISTRATOR: &str = "administrator";

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
    capacity: Option<&Capacity>,
) -> NodeIntent {
    NodeIntent {
        node_id: node.id.0,
        broker_id: broker.id.to_string(),
        broker_name: broker.name.clone(),
        generation: broker.generation,
        request_id: None,
        run: Run::Running,
        engine: EngineArtefact {
            release: release.release.clone(),
            artefact: release.artefact.clone(),
            file: None,
        },
        profile: release.profile(),
        listen: Listen {
            address: placement.address,
            amqps_port: placement.amqps_port,
            management_port: placement.management_port,
        },
        volume: volume(node),
        limits: limits(&broker.intended.host_instance_type, capacity),
        users: users
            .iter()
            .map(|user| UserIntent {
                name: user.username.clone(),
                password_hash: user.password_hash.clone(),
                tags: vec![ADMINISTRATOR.to_owned()],
            })
            .collect(),
        fallback: None,
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

/// What a node of this instance type may use on a host. A type that is no longer in the table
/// gets the smallest one's limits.
pub fn limits(instance_type: &str, capacity: Option<&Capacity>) -> Limits {
    let instance = InstanceType::find(instance_type).unwrap_or_else(|| &InstanceType::all()[0]);
    let mut limits = Limits {
        memory_bytes: instance.memory_bytes(),
        disk_free_bytes_min: instance.disk_free_bytes_min(),
        connections_max: instance.connections_max,
        channels_max: instance.channels_max,
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

    #[test]
    fn limits_are_the_smaller_of_instance_type_and_host() {
        let large = limits("mq.m7g.large", None);
        assert_eq!(large.memory_bytes, 8 << 30);
        assert_eq!((large.connections_max, large.channels_max), (5_000, 15_000));

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
