//! What LavinMQ does its own way, in its profile.

use broker_engine::broker::Alarm;
use broker_engine::codec::amqp::{
    BasicAck, BasicCancel, BasicConsume, BasicGet, BasicPublish, BasicQos, ChannelCloseOk,
    ConfirmSelect, ConnectionUpdateSecret, Encode, ExchangeBind, ExchangeDeclare, ExchangeDelete,
    FieldTable as Fields, Method, QueueBind, QueueDeclare, QueueDelete, QueuePurge, TxCommit,
    TxSelect, encode_content, encode_method,
};
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

/// One method in wire form, on channel 1.
fn wire<M: Encode>(method: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_method(&mut frame, 1, method);
    frame
}

fn queue(name: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        reserved_1: 0,
        queue: name,
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        no_wait: true,
        arguments: Fields::default(),
    }
}

fn exchange<'a>(name: &'a str, kind: &'a str) -> ExchangeDeclare<'a> {
    ExchangeDeclare {
        reserved_1: 0,
        exchange: name,
        kind,
        passive: false,
        durable: false,
        auto_delete: false,
        internal: false,
        no_wait: true,
        arguments: Fields::default(),
    }
}

fn consume(queue: &str) -> BasicConsume<'_> {
    BasicConsume {
        reserved_1: 0,
        queue,
        consumer_tag: "tag",
        no_local: false,
        no_ack: false,
        exclusive: false,
        no_wait: true,
        arguments: Fields::default(),
    }
}

/// What a client does wrong on a channel, and how that is told.
fn mistakes() -> Vec<(Vec<u8>, u16, &'static str)> {
    let publish = BasicPublish {
        reserved_1: 0,
        exchange: "none",
        routing_key: "k",
        mandatory: false,
        immediate: false,
    };
    let mut unroutable = wire(&publish);
    encode_content(&mut unroutable, 1, &[0, 0], b"body", 0);
    let mut stray_header = Vec::new();
    encode_content(&mut stray_header, 1, &[0, 0], b"", 0);
    let bind = QueueBind {
        reserved_1: 0,
        queue: "q",
        exchange: "none",
        routing_key: "k",
        no_wait: false,
        arguments: Fields::default(),
    };
    let bind_exchange = ExchangeBind {
        reserved_1: 0,
        destination: "none",
        source: "amq.fanout",
        routing_key: "",
        no_wait: false,
        arguments: Fields::default(),
    };
    let get = BasicGet {
        reserved_1: 0,
        queue: "none",
        no_ack: true,
    };
    let purge = QueuePurge {
        reserved_1: 0,
        queue: "none",
        no_wait: false,
    };
    let qos = BasicQos {
        prefetch_size: 1,
        prefetch_count: 0,
        global: false,
    };
    let ack = BasicAck {
        delivery_tag: 9,
        multiple: false,
    };
    let delete = ExchangeDelete {
        reserved_1: 0,
        exchange: "amq.direct",
        if_unused: false,
        no_wait: false,
    };
    let used = QueueDelete {
        reserved_1: 0,
        queue: "q",
        if_unused: true,
        if_empty: false,
        no_wait: false,
    };
    let passive = QueueDeclare {
        passive: true,
        ..queue("none")
    };
    let durable = QueueDeclare {
        durable: true,
        ..queue("q")
    };
    let exclusive = QueueDeclare {
        exclusive: true,
        ..queue("q")
    };
    let prefix =
        r#"ACCESS_REFUSED - Prefix ["mqtt.", "amq."] forbidden, please choose another name"#;
    let exists = "PRECONDITION_FAILED - Existing queue 'q' declared with other arguments";
    let confirm = wire(&ConfirmSelect { no_wait: true });
    vec![
        (
            wire(&passive),
            404,
            "NOT_FOUND - Queue 'none' doesn't exists",
        ),
        (wire(&durable), 406, exists),
        (
            wire(&exclusive),
            405,
            "RESOURCE_LOCKED - Not an exclusive queue",
        ),
        (wire(&queue("amq.mine")), 403, prefix),
        (wire(&queue("mqtt.mine")), 403, prefix),
        (
            wire(&queue("a\nb")),
            406,
            "PRECONDITION_FAILED - Queue name isn't valid",
        ),
        (
            wire(&exchange("e", "odd")),
            406,
            "PRECONDITION_FAILED - unknown exchange type 'odd'",
        ),
        (
            wire(&exchange("", "direct")),
            403,
            "ACCESS_REFUSED - Not allowed to declare the default exchange",
        ),
        (wire(&delete), 403, prefix),
        (wire(&bind), 404, "NOT_FOUND - Exchange 'none' not found"),
        (
            wire(&bind_exchange),
            404,
            "NOT_FOUND - Exchange 'none' doesn't exists",
        ),
        (wire(&purge), 404, "NOT_FOUND - Queue 'none' not found"),
        (wire(&get), 404, "NOT_FOUND - No queue 'none' in vhost '/'"),
        (
            wire(&consume("none")),
            404,
            "NOT_FOUND - Queue 'none' not declared",
        ),
        (
            [wire(&consume("q")), wire(&used)].concat(),
            406,
            "PRECONDITION_FAILED - Queue 'q' in use",
        ),
        (
            unroutable,
            404,
            "NOT_FOUND - No exchange 'none' in vhost '/'",
        ),
        (
            stray_header,
            505,
            "UNEXPECTED_FRAME - AMQ::Protocol::Frame::Header",
        ),
        (wire(&qos), 540, "NOT_IMPLEMENTED - "),
        (
            wire(&ack),
            406,
            "PRECONDITION_FAILED - unknown delivery tag 9",
        ),
        (
            wire(&TxCommit {}),
            406,
            "PRECONDITION_FAILED - Not in transaction mode",
        ),
        (
            [confirm, wire(&TxSelect {})].concat(),
            406,
            "PRECONDITION_FAILED - Channel already in confirm mode",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_end_the_channel_alone_in_the_words_of_lavinmq() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let mut raw = Raw::open(broker.address());
    raw.write(&wire(&queue("q")));
    for (mistake, code, text) in mistakes() {
        raw.write(&mistake);
        raw.expect_close(1, code, text);
        raw.send(1, &ChannelCloseOk {});
        raw.open_channel(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_the_end_of_its_channel_is_forgiven_and_other_methods_are_not() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let mut raw = Raw::open(broker.address());
    let ack = BasicAck {
        delivery_tag: 1,
        multiple: false,
    };
    raw.send(2, &ack);
    raw.open_channel(3);
    let cancel = BasicCancel {
        consumer_tag: "tag",
        no_wait: false,
    };
    raw.send(2, &cancel);
    raw.expect_close(0, 504, "CHANNEL_ERROR - Channel 2 not open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_has_no_secret_to_renew() {
    let broker = TestBroker::start_with(&[PROFILE]).await;
    let mut raw = Raw::open(broker.address());
    let update = ConnectionUpdateSecret {
        new_secret: b"new",
        reason: "",
    };
    raw.send(0, &update);
    let text = "ACCESS_REFUSED - update-secret not supported for current authentication mechanism";
    raw.expect_close(0, 403, text);
}
