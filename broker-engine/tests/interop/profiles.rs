//! Where RabbitMQ and LavinMQ differ, the profile decides; and how both bound a connection.

use broker_engine::broker::Alarm;
use broker_engine::codec::amqp::{
    BasicConsume, BasicPublish, BasicRecover, ConfirmSelect, ConnectionClose, ConnectionCloseOk,
    ConnectionOpen, ConnectionTuneOk, FieldTable, Method, QueueDeclare, encode_content,
};

use crate::raw::Raw;
use crate::support::{TestBroker, confirm_mode, declare, publish};

fn consume(raw: &mut Raw, queue: &str) {
    raw.send(
        1,
        &BasicConsume {
            reserved_1: 0,
            queue,
            consumer_tag: "tag",
            no_local: false,
            no_ack: false,
            exclusive: false,
            no_wait: false,
            arguments: FieldTable::default(),
        },
    );
    raw.expect(1, "basic.consume-ok");
}

fn queue(name: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        reserved_1: 0,
        queue: name,
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        no_wait: false,
        arguments: FieldTable::default(),
    }
}

fn send(raw: &mut Raw, queue: &str, immediate: bool) {
    raw.send(
        1,
        &BasicPublish {
            reserved_1: 0,
            exchange: "",
            routing_key: queue,
            mandatory: false,
            immediate,
        },
    );
    let mut content = Vec::new();
    encode_content(&mut content, 1, &[0, 0], b"body", 0);
    raw.write(&content);
}

/// Reads a method with content: the code of a return, the tag and flag of a delivery.
fn with_content(raw: &mut Raw, name: &str) -> (u64, bool) {
    let payload = raw.expect(1, name);
    let method = Method::decode(&payload).unwrap();
    let read = if let Method::BasicReturn(returned) = method {
        (u64::from(returned.reply_code), false)
    } else if let Method::BasicDeliver(deliver) = method {
        (deliver.delivery_tag, deliver.redelivered)
    } else {
        panic!("{method:?}");
    };
    raw.next().unwrap();
    raw.next().unwrap();
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn lavinmq_returns_what_nobody_takes_at_once_if_it_is_asked_to() {
    let broker = TestBroker::start_with(&["--profile=lavinmq-2.9"]).await;
    let mut raw = Raw::open(broker.address());
    raw.send(1, &queue("q"));
    raw.expect(1, "queue.declare-ok");
    raw.send(1, &ConfirmSelect { no_wait: false });
    raw.expect(1, "confirm.select-ok");
    send(&mut raw, "q", true);
    assert_eq!(with_content(&mut raw, "basic.return").0, 313);
    raw.expect(1, "basic.ack");
    let mut consumer = Raw::open(broker.address());
    consume(&mut consumer, "q");
    send(&mut raw, "q", true);
    raw.expect(1, "basic.ack");
    assert_eq!(with_content(&mut consumer, "basic.deliver"), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn lavinmq_hands_messages_out_again_to_the_same_consumer_and_rabbitmq_does_not() {
    for (profile, is_built) in [("lavinmq-2.9", true), ("rabbitmq-4.2", false)] {
        let broker = TestBroker::start_with(&[&format!("--profile={profile}")]).await;
        let (_connection, channel) = broker.channel().await;
        declare(&channel, "q").await;
        confirm_mode(&channel).await;
        for body in [b"1", b"2"] {
            publish(&channel, "", "q", body).await;
        }
        let mut raw = Raw::open(broker.address());
        consume(&mut raw, "q");
        for tag in [1, 2] {
            assert_eq!(with_content(&mut raw, "basic.deliver"), (tag, false));
        }
        raw.send(1, &BasicRecover { requeue: false });
        if !is_built {
            raw.expect_close(0, 540, "NOT_IMPLEMENTED - requeue=false");
            continue;
        }
        raw.expect(1, "basic.recover-ok");
        for tag in [3, 4] {
            assert_eq!(with_content(&mut raw, "basic.deliver"), (tag, true));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_sizes_are_bounded_as_the_profile_says() {
    let cases = [
        (
            "rabbitmq-4.2",
            "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (8192)",
        ),
        (
            "rabbitmq-3.13",
            "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
        (
            "lavinmq-2.9",
            "NOT_ALLOWED - failed to negotiate connection parameters: negotiated frame_max = 4095 is \
             lower than the minimum allowed value (4096)",
        ),
    ];
    for (profile, text) in cases {
        let broker = TestBroker::start_with(&[&format!("--profile={profile}")]).await;
        let mut raw = Raw::log_in(broker.address(), "secret");
        raw.expect(0, "connection.tune");
        raw.send(
            0,
            &ConnectionTuneOk {
                channel_max: 2047,
                frame_max: 4095,
                heartbeat_s: 0,
            },
        );
        raw.expect_close(0, 530, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_channels_are_open_than_agreed_whatever_their_numbers() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::log_in(broker.address(), "secret");
    raw.expect(0, "connection.tune");
    raw.send(
        0,
        &ConnectionTuneOk {
            channel_max: 2,
            frame_max: 131_072,
            heartbeat_s: 0,
        },
    );
    raw.send(
        0,
        &ConnectionOpen {
            virtual_host: "/",
            reserved_1: "",
            reserved_2: false,
        },
    );
    raw.expect(0, "connection.open-ok");
    raw.open_channel(1);
    raw.open_channel(900);
    raw.send(
        2,
        &broker_engine::codec::amqp::ChannelOpen { reserved_1: "" },
    );
    raw.expect_close(
        0,
        530,
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_goodbyes_at_once_are_both_answered() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.send(9, &queue("no such channel"));
    let close = ConnectionClose {
        reply_code: 200,
        reply_text: "",
        class_id: 0,
        method_id: 0,
    };
    raw.send(0, &close);
    raw.expect_close(0, 504, "CHANNEL_ERROR - expected 'channel.open'");
    raw.expect(0, "connection.close-ok");
    raw.send(0, &ConnectionCloseOk {});
    assert!(raw.next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_connection_that_also_consumes_is_still_given_messages() {
    let broker = TestBroker::start().await;
    let mut both = Raw::open(broker.address());
    both.send(1, &queue("q"));
    both.expect(1, "queue.declare-ok");
    both.send(1, &queue("other"));
    both.expect(1, "queue.declare-ok");
    consume(&mut both, "q");
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    let alarms = broker.engine.broker().alarms();
    alarms.set(Alarm::Disk, true);
    alarms.set(Alarm::Memory, true);
    send(&mut both, "other", false);
    let blocked = both.expect(0, "connection.blocked");
    let Ok(Method::ConnectionBlocked(blocked)) = Method::decode(&blocked) else {
        panic!("{blocked:?}");
    };
    assert_eq!(blocked.reason, "low on memory & disk");
    // Whoever moves messages within the broker is not held up, and neither are deliveries.
    let session = {
        let broker = broker.engine.broker();
        let user = broker.authenticate("test", b"secret", true).unwrap();
        broker.session(&user, "/").unwrap()
    };
    let mut publisher = session.publisher(|_| broker_engine::broker::Table::default());
    let message = broker_engine::broker::Publish {
        exchange: "",
        routing_key: "q",
        properties: &[0, 0],
        body: b"body",
        persistent: false,
        mandatory: false,
        expires: false,
        copies: &[],
    };
    assert_eq!(publisher.publish(&[message]).accepted, 1);
    assert_eq!(with_content(&mut both, "basic.deliver").0, 1);
    alarms.set(Alarm::Memory, false);
    alarms.set(Alarm::Disk, false);
    both.expect(0, "connection.unblocked");
}
