//! Whether a node serves: a round trip that a customer's client could make.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use agent_api::{Alarms, NodeIntent};
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::control;
use super::secrets::Monitoring;

const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a node is not called ready, for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwell {
    #[error("the control socket does not answer: {0}")]
    Silent(#[source] std::io::Error),
    #[error("starting")]
    Starting,
    #[error("process {pid} of generation {generation} answers in its place")]
    Impostor { pid: u32, generation: i64 },
    #[error("the engine says it is release {says}, not {wanted}")]
    OtherRelease { says: String, wanted: String },
    #[error("{0}")]
    Gate(String),
    #[error("recovery set {0} damaged pieces of the volume aside")]
    Damaged(u32),
    #[error("the round trip did not end within {} s", ROUND_TRIP_TIMEOUT.as_secs())]
    Slow,
    #[error("the round trip failed: {0}")]
    Amqp(#[from] lapin::Error),
    #[error("the round trip failed: {0}")]
    Wrong(&'static str),
}

/// How a node that is well stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Serves,
    /// It could serve, and keeps clients out.
    BehindGate,
}

impl Unwell {
    /// Whether the intended process answers, and yet no client is served.
    pub(super) fn is_useless(&self) -> bool {
        match self {
            Self::Slow | Self::Amqp(_) | Self::Wrong(_) => true,
            Self::Silent(_)
            | Self::Starting
            | Self::Impostor { .. }
            | Self::OtherRelease { .. }
            | Self::Gate(_)
            | Self::Damaged(_) => false,
        }
    }
}

/// Succeeds when the process `pid` of the intended generation is the one that answers, and an
/// authenticated AMQPS round trip through it worked: where clients come in, or through the gate; under an alarm,
/// as much of it as may.
pub(super) async fn check(
    intent: &NodeIntent,
    pid: u32,
    socket: &Path,
    user: &Monitoring,
    ca_pem: &str,
) -> Result<Health, Unwell> {
    let status = control::status(socket).await.map_err(Unwell::Silent)?;
    if status.pid != pid || status.generation != intent.generation {
        return Err(Unwell::Impostor {
            pid: status.pid,
            generation: status.generation,
        });
    }
    // Whoever publishes under an alarm waits for its end, as it should, or is refused a queue already.
    let publishes = status.alarms() == Alarms::default();
    let address = match status.gate {
        Some(gate) => {
            let wanted = &intent.engine.release;
            // The built-in engine is the agent's own program, whatever the catalogue calls it.
            let says = status.release.filter(|_| !intent.engine.is_builtin());
            if let Some(says) = says.filter(|says| says != wanted) {
                let wanted = wanted.clone();
                return Err(Unwell::OtherRelease { says, wanted });
            }
            if status.damages > 0 {
                return Err(Unwell::Damaged(status.damages));
            }
            gate
        }
        None if !status.ready => return Err(Unwell::Starting),
        None => SocketAddr::new(intent.listen.address, intent.listen.amqps_port),
    };
    let round_trip = Box::pin(round_trip(address, user, ca_pem, publishes));
    let done = timeout(ROUND_TRIP_TIMEOUT, round_trip).await;
    done.map_err(|_| Unwell::Slow)??;
    Ok(match status.gate {
        Some(_) => Health::BehindGate,
        None => Health::Serves,
    })
}

async fn round_trip(
    address: SocketAddr,
    user: &Monitoring,
    ca_pem: &str,
    publishes: bool,
) -> Result<(), Unwell> {
    let uri = format!(
        "amqps://{}:{}@{address}/%2f?heartbeat=0",
        user.name, user.password
    );
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: Some(ca_pem.to_owned()),
    };
    let properties =
        ConnectionProperties::default().with_connection_name("warren health check".into());
    let runtime = lapin::runtime::default_runtime()?;
    let connection = Connection::connect_with_config(&uri, properties, tls, runtime).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;

    if publishes {
        exchange(&channel).await?;
    }
    // What the check promises is done: a close that fails changes nothing.
    if let Err(error) = connection.close(200, "OK".into()).await {
        tracing::debug!(%error, "the health check's connection was not closed in order");
    }
    Ok(())
}

/// A message goes into a queue of its own, is confirmed, and comes out.
async fn exchange(channel: &Channel) -> Result<(), Unwell> {
    let nonce = format!("{:032x}", fastrand::u128(..));
    let queue = format!("warren.health.{nonce}");
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..Default::default()
    };
    channel
        .queue_declare(queue.as_str().into(), options, FieldTable::default())
        .await?;
    let confirm = channel
        .basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            },
            nonce.as_bytes(),
            BasicProperties::default(),
        )
        .await?
        .await?;
    if !matches!(confirm, Confirmation::Ack(None)) {
        return Err(Unwell::Wrong("the message was not confirmed"));
    }
    let message = channel
        .basic_get(queue.as_str().into(), BasicGetOptions::default())
        .await?;
    let message = message.ok_or(Unwell::Wrong("the confirmed message is not in its queue"))?;
    if message.delivery.data != nonce.as_bytes() {
        return Err(Unwell::Wrong("the message came back changed"));
    }
    message.delivery.ack(BasicAckOptions::default()).await?;
    channel
        .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
        .await?;
    Ok(())
}
