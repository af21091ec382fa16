//! What LavinMQ does its own way, in its profile.

use broker_engine::broker::Alarm;
use broker_engine::codec::amqp::{BasicPublish, Method, encode_content};
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

use crate::raw::Raw;
use crate::support::{TestBroker, confirm_mode, declare, get};

const PROFILE: &str = "--profile=lavinmq-2.9";

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

async fn declare_with(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, table(arguments))
        .await
        .unwrap();
}

async fn send(channel: &Channel, queue: &str, properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, b"body", properties);
    sent.await.unwrap().await.unwrap();
}

/// The headers of the next message of a queue, once there is one.
async fn headers(channel: &Channel, queue: &str) -> FieldTable {
    loop {
        let options = BasicGetOptions { no_ack: true };
        let message = channel.basic_get(queue.into(), options).await.unwrap();
        if let Some(message) = message {
            let headers = message.delivery.properties.headers();
            return headers.clone().unwrap_or_default();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_durable_queue_survives_a_restart_whatever_its_delivery_mode() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let (connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    send(&channel, "q", BasicProperties::default()).await;
    let transient = BasicProperties::default().with_delivery_mode(1);
    send(&channel, "q", transient).await;
    connection.close(200, "bye".into()).await.unwrap();
    let broker = broker.restart().await;
    let (_connection, channel) = broker.channel().await;
    for _ in 0..2 {
        assert!(get(&channel, "q").await.is_some());
    }
    assert!(get(&channel, "q").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_say_where_it_goes_when_it_dies() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare_with(&channel, "plain", &[]).await;
    let burying = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("of queue")),
    ];
    declare_with(&channel, "burying", &burying).await;
    for queue in ["of queue", "of message"] {
        declare(&channel, queue).await;
    }
    let own = table(&[
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("of message")),
    ]);
    let dying = || BasicProperties::default().with_expiration("1".into());
    for queue in ["plain", "burying"] {
        send(&channel, queue, dying().with_headers(own.clone())).await;
        let headers = headers(&channel, "of message").await;
        let named = |name: &str| headers.inner().get(name).cloned();
        assert_eq!(named("x-first-death-queue"), Some(text(queue)));
        assert_eq!(named("x-dead-letter-exchange"), None, "once said is enough");
        assert_eq!(named("x-dead-letter-routing-key"), None);
    }
    send(&channel, "burying", dying()).await;
    headers(&channel, "of queue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bytes_are_another_reason_than_too_many_messages() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare(&channel, "dead").await;
    for (limit, max, reason) in [
        ("x-max-length", 1, "maxlen"),
        ("x-max-length-bytes", 4, "maxlenbytes"),
    ] {
        let arguments = [
            (limit, AMQPValue::LongInt(max)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("dead")),
        ];
        declare_with(&channel, limit, &arguments).await;
        send(&channel, limit, BasicProperties::default()).await;
        send(&channel, limit, BasicProperties::default()).await;
        let headers = headers(&channel, "dead").await;
        let found = headers.inner().get("x-first-death-reason");
        assert_eq!(found, Some(&text(reason)), "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_loses_its_channel_when_the_volume_is_nearly_full() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let mut raw = Raw::open(broker.address());
    let alarms = broker.engine.broker().alarms();
    alarms.set(Alarm::Disk, true);
    let publish = BasicPublish {
        reserved_1: 0,
        exchange: "",
        routing_key: "q",
        mandatory: false,
        immediate: false,
    };
    raw.send(1, &publish);
    let mut content = Vec::new();
    encode_content(&mut content, 1, &[0, 0], b"body", 0);
    raw.write(&content);
    let close = raw.expect(1, "channel.close");
    let Ok(Method::ChannelClose(close)) = Method::decode(&close) else {
        panic!("{close:?}");
    };
    let expected = (406, "PRECONDITION_FAILED - Server low on disk space");
    assert_eq!((close.reply_code, close.reply_text), expected);
    alarms.set(Alarm::Disk, false);
}
