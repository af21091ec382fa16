//! What the actors do: each round is one visit, whole in itself.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeBindOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use reqwest::Method;
use serde_json::json;

use super::Actor;
use crate::api::{ADMINISTRATOR, Api};

/// Queues that are there all the time.
pub(super) const STEADY: &str = "steady";
pub(super) const DEAD: &str = "dead";
pub(super) const SHARED: &str = "shared";

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

pub(super) async fn declare(
    actor: &Actor,
    channel: &Channel,
    name: &str,
    fields: &[(&str, AMQPValue)],
    durable: bool,
) -> Result<()> {
    let options = QueueDeclareOptions {
        durable,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, table(fields));
    actor.step("queue.declare", declared).await?;
    Ok(())
}

/// Publishes and waits for the confirms.
async fn publish(
    actor: &Actor,
    channel: &Channel,
    key: &str,
    count: usize,
    len: usize,
    properties: BasicProperties,
) -> Result<()> {
    let selected = channel.confirm_select(ConfirmSelectOptions::default());
    actor.step("confirm.select", selected).await?;
    let mut confirms = Vec::with_capacity(count);
    for _ in 0..count {
        let options = BasicPublishOptions::default();
        let body = vec![7; len];
        let sent = channel.basic_publish("".into(), key.into(), options, &body, properties.clone());
        confirms.push(actor.step("basic.publish", sent).await?);
    }
    for confirm in confirms {
        if !actor.step("confirm", confirm).await?.is_ack() {
            bail!("a message was refused");
        }
    }
    Ok(())
}

/// A connection with a few channels and an exclusive queue; half of them go without a word.
pub(super) async fn visit(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let connection = actor.connect("%2f").await?;
    let mut channels = Vec::new();
    for _ in 0..random.usize(1..5) {
        channels.push(actor.open_channel(&connection).await?);
    }
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channels[0].queue_declare("".into(), options, FieldTable::default());
    let queue = actor.step("queue.declare", declared).await?;
    let name = queue.name().as_str().to_owned();
    publish(
        &actor,
        &channels[0],
        &name,
        random.usize(1..20),
        100,
        BasicProperties::default(),
    )
    .await?;
    let options = BasicGetOptions { no_ack: false };
    let got = channels[0].basic_get(name.as_str().into(), options);
    actor.step("basic.get", got).await?;
    if random.bool() {
        actor.close(&connection).await?;
    }
    Ok(())
}

/// A queue with rules, bound, filled, rejected from, unbound, deleted.
pub(super) async fn govern(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let (connection, channel) = actor.channel().await?;
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
    declare(&actor, &channel, &name, &rules, random.bool()).await?;
    let queue = || name.as_str().into();
    let bound = channel.queue_bind(
        queue(),
        "amq.topic".into(),
        "a.#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    actor.step("queue.bind", bound).await?;
    for number in 0..random.usize(1..60) {
        let properties = BasicProperties::default()
            .with_priority((number % 10) as u8)
            .with_delivery_mode(1 + (number % 2) as u8);
        let options = BasicPublishOptions::default();
        let (exchange, key) = ("amq.topic".into(), "a.b".into());
        let sent = channel.basic_publish(exchange, key, options, b"governed", properties);
        actor.step("basic.publish", sent).await?;
    }
    let mut last = None;
    for _ in 0..random.usize(..10) {
        let options = BasicGetOptions { no_ack: false };
        let got = channel.basic_get(queue(), options);
        last = actor.step("basic.get", got).await?.or(last);
    }
    if let Some(last) = last {
        let options = BasicNackOptions {
            multiple: true,
            requeue: random.bool(),
        };
        let refused = last.delivery.acker.nack(options);
        actor.step("basic.nack", refused).await?;
    }
    let (exchange, key) = ("amq.topic".into(), "a.#".into());
    let unbound = channel.queue_unbind(queue(), exchange, key, FieldTable::default());
    actor.step("queue.unbind", unbound).await?;
    let deleted = channel.queue_delete(queue(), QueueDeleteOptions::default());
    actor.step("queue.delete", deleted).await?;
    actor.close(&connection).await
}

/// Persistent messages through a queue that stays: published with confirms, consumed, acknowledged.
pub(super) async fn stream(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let (connection, channel) = actor.channel().await?;
    let count = random.usize(50..300);
    let properties = BasicProperties::default().with_delivery_mode(2);
    publish(
        &actor,
        &channel,
        STEADY,
        count,
        random.usize(1..4000),
        properties,
    )
    .await?;
    let bounded = channel.basic_qos(random.u16(1..100), BasicQosOptions::default());
    actor.step("basic.qos", bounded).await?;
    let options = BasicConsumeOptions::default();
    let subscribed =
        channel.basic_consume(STEADY.into(), "".into(), options, FieldTable::default());
    let mut consumer = actor.step("basic.consume", subscribed).await?;
    for _ in 0..count {
        let delivery = actor.step("basic.deliver", consumer.next()).await;
        let delivery = delivery.context("the consumer ended")??;
        let acked = delivery.acker.ack(BasicAckOptions::default());
        actor.step("basic.ack", acked).await?;
    }
    actor.close(&connection).await
}

/// Consumers with priorities on a queue that stays: they come, get something, and are cancelled or cut off.
pub(super) async fn subscribe(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let (connection, channel) = actor.channel().await?;
    let mut consumers = Vec::new();
    for _ in 0..random.usize(1..6) {
        let arguments = table(&[("x-priority", AMQPValue::LongInt(random.i32(-5..5)))]);
        let options = BasicConsumeOptions::default();
        let subscribed = channel.basic_consume(SHARED.into(), "".into(), options, arguments);
        consumers.push(actor.step("basic.consume", subscribed).await?);
    }
    publish(
        &actor,
        &channel,
        SHARED,
        random.usize(1..40),
        200,
        BasicProperties::default(),
    )
    .await?;
    let first = consumers.first_mut().context("there is one")?.tag().clone();
    let cancelled = channel.basic_cancel(first, BasicCancelOptions::default());
    actor.step("basic.cancel", cancelled).await?;
    if random.bool() {
        // What they hold goes back.
        actor.close(&connection).await?;
    }
    // Otherwise it goes back too.
    let (connection, channel) = actor.channel().await?;
    let purged = channel.queue_purge(SHARED.into(), QueuePurgeOptions::default());
    actor.step("queue.purge", purged).await?;
    actor.close(&connection).await
}

/// Messages that expire one by one into the queue of the dead, and a queue that expires itself.
pub(super) async fn expire(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let (connection, channel) = actor.channel().await?;
    let name = format!("expiring-{}", random.u32(..));
    let rules = [
        ("x-expires", AMQPValue::LongInt(500)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(DEAD)),
    ];
    declare(&actor, &channel, &name, &rules, true).await?;
    let properties = BasicProperties::default()
        .with_expiration(random.u32(..50).to_string().into())
        .with_delivery_mode(2);
    publish(
        &actor,
        &channel,
        &name,
        random.usize(1..50),
        300,
        properties,
    )
    .await?;
    let purged = channel.queue_purge(DEAD.into(), QueuePurgeOptions::default());
    actor.step("queue.purge", purged).await?;
    actor.close(&connection).await
}

/// Exchanges of all types bound to each other and to a queue, and taken apart.
pub(super) async fn wire(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let (connection, channel) = actor.channel().await?;
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
        let declared =
            channel.exchange_declare(name.as_str().into(), kind, options, FieldTable::default());
        actor.step("exchange.declare", declared).await?;
        if let Some(source) = &before {
            let options = ExchangeBindOptions::default();
            let bound = channel.exchange_bind(
                name.as_str().into(),
                source.as_str().into(),
                "k".into(),
                options,
                FieldTable::default(),
            );
            actor.step("exchange.bind", bound).await?;
        }
        before = Some(name.clone());
        made.push(name);
    }
    for name in made {
        let deleted =
            channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default());
        actor.step("exchange.delete", deleted).await?;
    }
    actor.close(&connection).await
}

/// A virtual host with a user's permission, a policy and a durable queue with messages, and the end of all of it.
pub(super) async fn found(actor: Arc<Actor>, mut random: fastrand::Rng) -> Result<()> {
    let api = Api::at(actor.place.management);
    let name = format!("v{}", random.u32(..));
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    let policy = json!({"pattern": ".*", "definition": {"max-length": 10}, "apply-to": "queues"});
    let put = |path: String, body| {
        let api = &api;
        let put = async move {
            api.try_to_ask(Method::PUT, &path, ADMINISTRATOR, Some(body))
                .await
        };
        actor.step("PUT", put)
    };
    put(format!("/vhosts/{name}"), json!({})).await?;
    put(format!("/permissions/{name}/test"), all).await?;
    put(format!("/policies/{name}/p"), policy).await?;
    let connection = actor.connect(&name).await?;
    let channel = actor.open_channel(&connection).await?;
    declare(&actor, &channel, "q", &[], true).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    publish(&actor, &channel, "q", 20, 100, properties).await?;
    let path = format!("/vhosts/{name}");
    let deleted = api.try_to_ask(Method::DELETE, &path, ADMINISTRATOR, None);
    let (status, body) = actor.step("DELETE", deleted).await?;
    if status.as_u16() != 204 {
        bail!("{status}: {body}");
    }
    Ok(())
}
