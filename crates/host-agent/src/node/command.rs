//! The command line of a node.

use std::ffi::OsString;
use std::path::Path;

use agent_api::NodeIntent;

use super::state::Files;

/// The port of HTTPS URLs without one. Taking it may need a privilege that the agent lacks.
const HTTPS_PORT: u16 = 443;

/// RabbitMQ's management port over TLS: a node that has it has its address for itself.
const STANDARD_MANAGEMENT_PORT: u16 = 15671;

/// Arguments of the `node` role.
pub(super) fn arguments(
    intent: &NodeIntent,
    volume: &Path,
    files: &Files,
    control: &Path,
    is_gated: bool,
) -> Vec<OsString> {
    let listen = &intent.listen;
    let at = |port: u16| std::net::SocketAddr::new(listen.address, port).to_string();
    let mut arguments: Vec<OsString> = vec!["node".into()];
    let mut flag = |name: &str, value: OsString| {
        arguments.push(name.into());
        arguments.push(value);
    };
    flag("--data-dir", volume.into());
    flag("--node-name", format!("warren@{}", intent.node_id).into());
    flag("--generation", intent.generation.to_string().into());
    flag("--profile", intent.profile.clone().into());
    flag("--amqps", at(listen.amqps_port).into());
    flag("--management-tls", at(listen.management_port).into());
    if listen.management_port == STANDARD_MANAGEMENT_PORT {
        flag("--management-tls-try", at(HTTPS_PORT).into());
    }
    flag("--tls-cert", files.tls().into());
    flag("--tls-key", files.tls().into());
    flag("--monitoring-user-file", files.monitoring().into());
    flag("--definitions", files.definitions().into());
    flag("--settings", files.settings().into());
    flag("--logins", files.logins().into());
    flag("--control", control.into());
    if is_gated {
        flag("--gate", at(0).into());
    }
    let limits = &intent.limits;
    flag("--memory-limit", limits.memory_bytes.to_string().into());
    flag(
        "--disk-free-limit",
        limits.disk_free_bytes_min.to_string().into(),
    );
    flag(
        "--connections-max",
        limits.connections_max.to_string().into(),
    );
    flag(
        "--channels-max-per-node",
        limits.channels_max.to_string().into(),
    );
    let optional = [
        ("--queues-max", limits.queues_max),
        ("--vhosts-max", limits.vhosts_max),
        (
            "--consumers-per-channel-max",
            limits.consumers_per_channel_max,
        ),
    ];
    for (name, limit) in optional {
        if let Some(limit) = limit {
            flag(name, limit.to_string().into());
        }
    }
    arguments
}

#[cfg(test)]
pub(super) mod tests {
    use agent_api::{Defaults, EngineArtefact, Limits, Listen, NodeConfiguration, Run};
    use uuid::Uuid;

    use super::*;

    pub(in super::super) fn intent() -> NodeIntent {
        NodeIntent {
            node_id: Uuid::from_u128(9),
            broker_id: "b-1".to_owned(),
            broker_name: "orders".to_owned(),
            generation: 3,
            request_id: None,
            traceparent: None,
            run: Run::Running,
            engine: EngineArtefact {
                release: "0.1.0".to_owned(),
                artefact: "builtin".to_owned(),
                file: None,
            },
            profile: "rabbitmq-4.2".to_owned(),
            listen: Listen {
                address: "127.83.12.4".parse().unwrap(),
                amqps_port: 5671,
                management_port: 15671,
            },
            volume: "b-1-0".to_owned(),
            limits: Limits {
                memory_bytes: 1_000_000,
                disk_free_bytes_min: 2_000_000,
                connections_max: 100,
                channels_max: 200,
                queues_max: Some(300),
                vhosts_max: None,
                consumers_per_channel_max: Some(40),
            },
            configuration: NodeConfiguration::default(),
            proven_configuration: None,
            defaults: Defaults::default(),
            users: Vec::new(),
            fallback: None,
        }
    }

    fn line(intent: &NodeIntent) -> String {
        line_of(intent, false)
    }

    fn line_of(intent: &NodeIntent, is_gated: bool) -> String {
        let files = Files { dir: "/n".into() };
        let arguments = arguments(
            intent,
            Path::new("/v/b-1-0"),
            &files,
            Path::new("/r/c.sock"),
            is_gated,
        );
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        words.join(" ")
    }

    #[test]
    fn a_node_with_its_own_address_has_the_standard_ports() {
        assert_eq!(
            line(&intent()),
            "node --data-dir /v/b-1-0 --node-name warren@00000000-0000-0000-0000-000000000009 \
             --generation 3 --profile rabbitmq-4.2 --amqps 127.83.12.4:5671 \
             --management-tls 127.83.12.4:15671 --management-tls-try 127.83.12.4:443 \
             --tls-cert /n/tls.pem --tls-key /n/tls.pem --monitoring-user-file /n/monitoring.json \
             --definitions /n/definitions.json --settings /n/settings.json \
             --logins /n/logins.json --control /r/c.sock --memory-limit 1000000 \
             --disk-free-limit 2000000 --connections-max 100 --channels-max-per-node 200 \
             --queues-max 300 --consumers-per-channel-max 40"
        );
    }

    #[test]
    fn the_gate_is_on_the_address_that_the_certificate_names() {
        assert!(line_of(&intent(), true).contains(" --gate 127.83.12.4:0 "));
    }

    #[test]
    fn a_node_that_shares_its_address_leaves_the_https_port_alone() {
        let mut shared = intent();
        shared.listen.management_port = 20002;
        assert!(!line(&shared).contains(":443"));
    }
}
