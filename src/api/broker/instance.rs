//! Where a broker is reached, on the wire.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::model::{
    broker::{Broker, DeploymentMode},
    engine::EngineType,
    node::Placement,
};

const HTTPS_PORT: u16 = 443;
const ACTIVEMQ_CONSOLE_PORT: u16 = 8162;

/// ActiveMQ's protocols with their ports, in the order that clients tell them apart by.
const ACTIVEMQ_ENDPOINTS: [(&str, u16); 5] = [
    ("ssl", 61617),
    ("amqp+ssl", 5671),
    ("stomp+ssl", 61614),
    ("mqtt+ssl", 8883),
    ("wss", 61619),
];

#[derive(Serialize)]
pub(in crate::api) struct Instance {
    #[serde(rename = "consoleURL")]
    console_url: String,
    endpoints: Vec<String>,
    /// Of one node alone: a cluster is reached by one name.
    #[serde(rename = "ipAddress", skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
}

/// Every node of ActiveMQ is an instance, a whole cluster of the others is one.
pub(super) fn of(broker: &Broker, places: &[Placement]) -> Vec<Instance> {
    if !broker.has_run() {
        return Vec::new();
    }
    let mut places = places.iter();
    match (broker.engine_type, broker.deployment_mode) {
        (EngineType::ActiveMq, _) => places.map(activemq).collect(),
        (EngineType::LavinMq | EngineType::RabbitMq, DeploymentMode::ClusterMultiAz) => {
            let cluster = |place| Instance {
                ip_address: None,
                ..rabbitmq(place)
            };
            places.next().map(cluster).into_iter().collect()
        }
        (
            EngineType::LavinMq | EngineType::RabbitMq,
            DeploymentMode::SingleInstance | DeploymentMode::ActiveStandbyMultiAz,
        ) => places.map(rabbitmq).collect(),
    }
}

fn rabbitmq(place: &Placement) -> Instance {
    let amqps = SocketAddr::new(place.address, place.amqps_port);
    Instance {
        console_url: console(place.address, place.management_port),
        endpoints: vec![format!("amqps://{amqps}")],
        ip_address: Some(place.address.to_string()),
    }
}

fn activemq(place: &Placement) -> Instance {
    let endpoint = |(scheme, port)| format!("{scheme}://{}", SocketAddr::new(place.address, port));
    Instance {
        console_url: console(place.address, ACTIVEMQ_CONSOLE_PORT),
        endpoints: ACTIVEMQ_ENDPOINTS.into_iter().map(endpoint).collect(),
        ip_address: Some(place.address.to_string()),
    }
}

fn console(address: IpAddr, port: u16) -> String {
    let host = match (port, address) {
        (HTTPS_PORT, IpAddr::V4(address)) => address.to_string(),
        (HTTPS_PORT, IpAddr::V6(address)) => format!("[{address}]"),
        (port, address) => SocketAddr::new(address, port).to_string(),
    };
    format!("https://{host}")
}
