//! Clients that come, do a little of everything, and go: some politely, some not. What they make they take away again,
//! or the broker does in time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeBindOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{ADMINISTRATOR, Api};
use crate::support::PATIENCE;

/// Queues that are there all the time.
const STEADY: &str = "steady";
const DEAD: &str = "dead";
const SHARED: &str = "shared";

/// Time between two rounds of one actor: enough of them, and other tests get their turn.
const PAUSE: Duration = Duration::from_millis(15);

/// Where everybody goes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) amqp: SocketAddr,
    pub(crate) management: SocketAddr,
}

impl Place {
    async fn connect(&self, vhost: &str) -> Result<Connection> {
        let uri = format!("amqp://test:secret@{}/{vhost}", self.amqp);
        Ok(Connection::connect(&uri, ConnectionProperties::default()).await?)
    }

    async fn channel(&self) -> Result<(Connection, Channel)> {
        let connection = self.connect("%2f").await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    }
}

/// Declares what stays.
pub(crate) async fn prepare(place: Place) -> Result<()> {
    let (connection, channel) = place.channel().await?;
    for queue in [STEADY, DEAD, SHARED] {
        declare(&channel, queue, &[], true).await?;
    }
    connection.close(0, "".into()).await?;
    Ok(())
}

/// Empties what stays.
pub(crate) async fn purge(place: Place) -> Result<()> {
    let (connection, channel) = place.channel().await?;
    for queue in [STEADY, DEAD, SHARED] {
        channel
            .queue_purge(queue.into(), QueuePurgeOptions::default())
            .await?;
    }
    connection.close(0, "".into()).await?;
    Ok(())
}

/// Everybody at once, for a while. Returns how many rounds they made together.
pub(crate) async fn churn(place: Place, time: Duration, seed: u64) -> Result<u64> {
    let until = Instant::now() + time;
    let mut actors = JoinSet::new();
    let mut add = |number: u64, round: Round| {
        actors.spawn(act(
            place,
            until,
            fastrand::Rng::with_seed(seed ^ number),
            round,
        ));
    };
    let rounds: [Round; 7] = [
        |place, random| Box::pin(visit(place, random)),
        |place, random| Box::pin(govern(place, random)),
        |place, random| Box::pin(stream(place, random)),
        |place, random| Box::pin(subscribe(place, random)),
        |place, random| Box::pin(expire(place, random)),
        |place, random| Box::pin(wire(place, random)),
        |place, random| Box::pin(found(place, random)),
    ];
    for (number, round) in (1..).zip(rounds) {
        add(number, round);
    }
    let mut total = 0;
    while let Some(done) = actors.join_next().await {
        total += done??;
    }
    Ok(total)
}

type Doing = std::pin::Pin<Box<dyn Future<Output = Result<fastrand::Rng>> + Send>>;
type Round = fn(Place, fastrand::Rng) -> Doing;

/// Repeats a round until the time is over.
async fn act(place: Place, until: Instant, mut random: fastrand::Rng, round: Round) -> Result<u64> {
    let mut rounds = 0;
    while Instant::now() < until {
        random = timeout(PATIENCE, round(place, random))
            .await
            .context("a round hangs")??;
        rounds += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(rounds)
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare(
    channel: &Channel,
    name: &str,
    fields: &[(&str, AMQPValue)],
    durable: bool,
) -> Result<()> {
    let options = QueueDeclareOptions {
        durable,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, table(fields))
        .await?;
    Ok(())
}

/// Publishes and waits for the confirms.
async fn publish(
    channel: &Channel,
    key: &str,
    count: usize,
    len: usize,
    properties: BasicProperties,
) -> Result<()> {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut confirms = Vec::with_capacity(count);
    for _ in 0..count {
        let options = BasicPublishOptions::default();
        let body = vec![7; len];
        confirms.push(
            channel
                .basic_publish("".into(), key.into(), options, &body, properties.clone())
                .await?,
        );
    }
    for confirm in confirms {
        if !confirm.await?.is_ack() {
            bail!("a message was refused");
        }
    }
    Ok(())
}

/// A connection with a few channels and an exclusive queue; half of them go without a word.
async fn visit(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let connection = place.connect("%2f").await?;
    let mut channels = Vec::new();
    for _ in 0..random.usize(1..5) {
        channels.push(connection.create_channel().await?);
    }
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channels[0]
        .queue_declare("".into(), options, FieldTable::default())
        .await?;
    let name = queue.name().as_str().to_owned();
    publish(
        &channels[0],
        &name,
        random.usize(1..20),
        100,
        BasicProperties::default(),
    )
    .await?;
    let options = BasicGetOptions { no_ack: false };
    channels[0].basic_get(name.as_str().into(), options).await?;
    if random.bool() {
        connection.close(0, "".into()).await?;
    }
    Ok(random)
}

/// A queue with rules, bound, filled, rejected from, unbound, deleted.
async fn govern(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let (connection, channel) = place.channel().await?;
    let name = format!("governed-{}", random.u32(..));
    let rules = [
        ("x-message-ttl", AMQPValue::LongInt(random.i32(1..2000))),
        ("x-max-length", AMQPValue::LongInt(random.i32(1..30))),
        ("x-max-priority", AMQPValue::LongInt(random.i32(1..10))),
        ("x-expires", AMQPValue::LongInt(60_000)),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-overflow", text("reject-publish-dlx")),
    ];
    let mut rules: Vec<_> = rules.into_iter().filter(|_| random.bool()).collect();
    rules.push(("x-dead-letter-exchange", text("")));
    rules.push(("x-dead-letter-routing-key", text(DEAD)));
    declare(&channel, &name, &rules, random.bool()).await?;
    let queue = || name.as_str().into();
    let bound = channel.queue_bind(
        queue(),
        "amq.topic".into(),
        "a.#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await?;
    for number in 0..random.usize(1..60) {
        let properties = BasicProperties::default()
            .with_priority((number % 10) as u8)
            .with_delivery_mode(1 + (number % 2) as u8);
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(
                "amq.topic".into(),
                "a.b".into(),
                options,
                b"governed",
                properties,
            )
            .await?;
    }
    let mut last = None;
    for _ in 0..random.usize(..10) {
        let options = BasicGetOptions { no_ack: false };
        last = channel.basic_get(queue(), options).await?.or(last);
    }
    if let Some(last) = last {
        let options = BasicNackOptions {
            multiple: true,
            requeue: random.bool(),
        };
        last.delivery.acker.nack(options).await?;
    }
    channel
        .queue_unbind(
            queue(),
            "amq.topic".into(),
            "a.#".into(),
            FieldTable::default(),
        )
        .await?;
    channel
        .queue_delete(queue(), QueueDeleteOptions::default())
        .await?;
    connection.close(0, "".into()).await?;
    Ok(random)
}

/// Persistent messages through a queue that stays: published with confirms, consumed, acknowledged.
async fn stream(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let (connection, channel) = place.channel().await?;
    let count = random.usize(50..300);
    let properties = BasicProperties::default().with_delivery_mode(2);
    publish(&channel, STEADY, count, random.usize(1..4000), properties).await?;
    channel
        .basic_qos(random.u16(1..100), BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(STEADY.into(), "".into(), options, FieldTable::default())
        .await?;
    for _ in 0..count {
        let delivery = consumer.next().await.context("the consumer ended")??;
        delivery.acker.ack(BasicAckOptions::default()).await?;
    }
    connection.close(0, "".into()).await?;
    Ok(random)
}

/// Consumers with priorities on a queue that stays: they come, get something, and are cancelled or cut off.
async fn subscribe(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let (connection, channel) = place.channel().await?;
    let mut consumers = Vec::new();
    for _ in 0..random.usize(1..6) {
        let arguments = table(&[("x-priority", AMQPValue::LongInt(random.i32(-5..5)))]);
        let options = BasicConsumeOptions::default();
        consumers.push(
            channel
                .basic_consume(SHARED.into(), "".into(), options, arguments)
                .await?,
        );
    }
    publish(
        &channel,
        SHARED,
        random.usize(1..40),
        200,
        BasicProperties::default(),
    )
    .await?;
    let first = consumers.first_mut().context("there is one")?.tag().clone();
    channel
        .basic_cancel(first, BasicCancelOptions::default())
        .await?;
    if random.bool() {
        // What they hold goes back.
        connection.close(0, "".into()).await?;
    }
    // Otherwise it goes back too.
    let (connection, channel) = place.channel().await?;
    channel
        .queue_purge(SHARED.into(), QueuePurgeOptions::default())
        .await?;
    connection.close(0, "".into()).await?;
    Ok(random)
}

/// Messages that expire one by one into the queue of the dead, and a queue that expires itself.
async fn expire(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let (connection, channel) = place.channel().await?;
    let name = format!("expiring-{}", random.u32(..));
    let rules = [
        ("x-expires", AMQPValue::LongInt(500)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(DEAD)),
    ];
    declare(&channel, &name, &rules, true).await?;
    let properties = BasicProperties::default()
        .with_expiration(random.u32(..50).to_string().into())
        .with_delivery_mode(2);
    publish(&channel, &name, random.usize(1..50), 300, properties).await?;
    channel
        .queue_purge(DEAD.into(), QueuePurgeOptions::default())
        .await?;
    connection.close(0, "".into()).await?;
    Ok(random)
}

/// Exchanges of all types bound to each other and to a queue, and taken apart.
async fn wire(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let (connection, channel) = place.channel().await?;
    let kinds = [
        ExchangeKind::Direct,
        ExchangeKind::Fanout,
        ExchangeKind::Topic,
        ExchangeKind::Headers,
    ];
    let mut before: Option<String> = None;
    let mut made = Vec::new();
    for kind in kinds {
        let name = format!("wired-{}", random.u64(..));
        let options = ExchangeDeclareOptions {
            durable: random.bool(),
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.as_str().into(), kind, options, FieldTable::default())
            .await?;
        if let Some(source) = &before {
            let options = ExchangeBindOptions::default();
            let bound = channel.exchange_bind(
                name.as_str().into(),
                source.as_str().into(),
                "k".into(),
                options,
                FieldTable::default(),
            );
            bound.await?;
        }
        before = Some(name.clone());
        made.push(name);
    }
    for name in made {
        channel
            .exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default())
            .await?;
    }
    connection.close(0, "".into()).await?;
    Ok(random)
}

/// A virtual host with a user's permission, a policy and a durable queue with messages, and the end of all of it.
async fn found(place: Place, mut random: fastrand::Rng) -> Result<fastrand::Rng> {
    let api = Api::at(place.management);
    let name = format!("v{}", random.u32(..));
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    let policy = json!({"pattern": ".*", "definition": {"max-length": 10}, "apply-to": "queues"});
    api.put(&format!("/vhosts/{name}"), json!({})).await;
    api.put(&format!("/permissions/{name}/test"), all).await;
    api.put(&format!("/policies/{name}/p"), policy).await;
    let connection = place.connect(&name).await?;
    let channel = connection.create_channel().await?;
    declare(&channel, "q", &[], true).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    publish(&channel, "q", 20, 100, properties).await?;
    let (status, body) = api
        .ask(
            Method::DELETE,
            &format!("/vhosts/{name}"),
            ADMINISTRATOR,
            None,
        )
        .await;
    if status.as_u16() != 204 {
        bail!("{status}: {body}");
    }
    Ok(random)
}
