//! Mistakes of clients: the reply code and text, and whether the channel or the connection ends.

use broker_engine::codec::amqp::{
    BasicAck, BasicConsume, BasicPublish, BasicQos, ChannelClose, ChannelCloseOk, ChannelFlow,
    ChannelOpen, ConfirmSelect, ConnectionUpdateSecret, ExchangeDeclare, FieldTable, FieldValue,
    Method, Properties, QueueBind, QueueDeclare, QueueDelete, TxCommit, TxSelect, encode_content,
};

use crate::raw::Raw;
use crate::support::{TestBroker, confirm_mode, declare};

/// What a client does wrong.
type Mistake<'a> = &'a dyn Fn(&mut Raw);

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

fn consume<'a>(queue: &'a str, consumer_tag: &'a str) -> BasicConsume<'a> {
    BasicConsume {
        reserved_1: 0,
        queue,
        consumer_tag,
        no_local: false,
        no_ack: false,
        exclusive: false,
        no_wait: false,
        arguments: FieldTable::default(),
    }
}

fn publish<'a>(exchange: &'a str, key: &'a str) -> BasicPublish<'a> {
    BasicPublish {
        reserved_1: 0,
        exchange,
        routing_key: key,
        mandatory: false,
        immediate: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_error_ends_the_channel_and_its_number_is_free_after_close_ok() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.send(
        1,
        &QueueDeclare {
            passive: true,
            ..queue("none")
        },
    );
    raw.expect_close(1, 404, "NOT_FOUND - no queue 'none' in vhost '/'");
    // What was on its way is ignored until the client has seen the close.
    raw.send(1, &queue("ignored"));
    raw.send(1, &ChannelCloseOk {});
    raw.open_channel(1);
    raw.send(
        1,
        &QueueDeclare {
            passive: true,
            ..queue("ignored")
        },
    );
    raw.expect_close(1, 404, "NOT_FOUND - no queue 'ignored' in vhost '/'");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_soft_error_has_rabbitmqs_code_and_text() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    let declared = |raw: &mut Raw| {
        raw.send(1, &queue("q"));
        raw.expect(1, "queue.declare-ok");
    };
    let mut fails = |code: u16, text: &str, act: &dyn Fn(&mut Raw)| {
        act(&mut raw);
        raw.expect_close(1, code, text);
        raw.send(1, &ChannelCloseOk {});
        raw.open_channel(1);
    };
    fails(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': \
         received 'true' but current is 'false'",
        &|raw| {
            declared(raw);
            raw.send(
                1,
                &QueueDeclare {
                    durable: true,
                    ..queue("q")
                },
            );
        },
    );
    fails(
        403,
        "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'",
        &|raw| {
            raw.send(1, &queue("amq.x"));
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - unknown exchange type 'odd'",
        &|raw| {
            raw.send(
                1,
                &ExchangeDeclare {
                    reserved_1: 0,
                    exchange: "e",
                    kind: "odd",
                    passive: false,
                    durable: false,
                    auto_delete: false,
                    internal: false,
                    no_wait: false,
                    arguments: FieldTable::default(),
                },
            );
        },
    );
    fails(404, "NOT_FOUND - no exchange 'none' in vhost '/'", &|raw| {
        raw.send(1, &publish("none", "k"));
        let mut content = Vec::new();
        encode_content(&mut content, 1, &[0, 0], b"body", 0);
        raw.write(&content);
    });
    fails(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'new' in vhost '/': {value_negative,-1}",
        &|raw| {
            let argument = ("x-max-length".to_owned(), FieldValue::I32(-1));
            let declare = QueueDeclare {
                reserved_1: 0,
                queue: "new",
                passive: false,
                durable: true,
                exclusive: false,
                auto_delete: false,
                no_wait: false,
                arguments: FieldTable(vec![argument]),
            };
            raw.send(1, &declare);
        },
    );
    let publish_with = |raw: &mut Raw, properties: &Properties<'_>| {
        raw.send(1, &publish("", "q"));
        let mut content = Vec::new();
        encode_content(&mut content, 1, &properties.encode(), b"body", 0);
        raw.write(&content);
    };
    fails(
        406,
        "PRECONDITION_FAILED - invalid expiration 'soon': no_integer",
        &|raw| {
            let properties = Properties {
                expiration: Some(b"soon"),
                ..Properties::default()
            };
            publish_with(raw, &properties);
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - fast reply consumer does not exist",
        &|raw| {
            let properties = Properties {
                reply_to: Some(b"amq.rabbitmq.reply-to"),
                ..Properties::default()
            };
            publish_with(raw, &properties);
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - reply consumer cannot acknowledge",
        &|raw| {
            raw.send(1, &consume("amq.rabbitmq.reply-to", "a"));
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - channel is not transactional",
        &|raw| {
            raw.send(1, &TxCommit {});
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - cannot switch from tx to confirm mode",
        &|raw| {
            raw.send(1, &TxSelect {});
            raw.expect(1, "tx.select-ok");
            raw.send(1, &ConfirmSelect { no_wait: false });
        },
    );
    fails(404, "NOT_FOUND - no previously declared queue", &|raw| {
        let bind = QueueBind {
            reserved_1: 0,
            queue: "",
            exchange: "amq.direct",
            routing_key: "",
            no_wait: false,
            arguments: FieldTable::default(),
        };
        raw.send(1, &bind);
    });
    fails(
        406,
        "PRECONDITION_FAILED - unknown delivery tag 7",
        &|raw| {
            raw.send(
                1,
                &BasicAck {
                    delivery_tag: 7,
                    multiple: false,
                },
            );
        },
    );
    fails(
        403,
        "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
        &|raw| {
            raw.send(
                1,
                &BasicConsume {
                    exclusive: true,
                    ..consume("q", "a")
                },
            );
            raw.expect(1, "basic.consume-ok");
            raw.send(1, &consume("q", "b"));
        },
    );
    fails(
        406,
        "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",
        &|raw| {
            raw.send(1, &consume("q", "a"));
            raw.expect(1, "basic.consume-ok");
            let delete = QueueDelete {
                reserved_1: 0,
                queue: "q",
                if_unused: true,
                if_empty: false,
                no_wait: false,
            };
            raw.send(1, &delete);
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hard_error_ends_the_connection() {
    let broker = TestBroker::start().await;
    let cases: [(u16, &str, Mistake); 6] = [
        (504, "CHANNEL_ERROR - expected 'channel.open'", &|raw| {
            raw.send(9, &queue("q"))
        }),
        (504, "CHANNEL_ERROR - second 'channel.open' seen", &|raw| {
            raw.send(1, &ChannelOpen { reserved_1: "" });
        }),
        (540, "NOT_IMPLEMENTED - active=false", &|raw| {
            raw.send(1, &ChannelFlow { active: false })
        }),
        (540, "NOT_IMPLEMENTED - immediate=true", &|raw| {
            raw.send(
                1,
                &BasicPublish {
                    immediate: true,
                    ..publish("", "q")
                },
            );
        }),
        (540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)", &|raw| {
            raw.send(
                1,
                &BasicQos {
                    prefetch_size: 5,
                    prefetch_count: 0,
                    global: false,
                },
            );
        }),
        (
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, \
             got non content header frame instead",
            &|raw| {
                raw.send(1, &publish("", "q"));
                raw.send(1, &queue("q"));
            },
        ),
    ];
    for (code, text, act) in cases {
        let mut raw = Raw::open(broker.address());
        act(&mut raw);
        raw.expect_close(0, code, text);
        raw.send(0, &broker_engine::codec::amqp::ConnectionCloseOk {});
        assert!(raw.next().is_none(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_consumer_tag_ends_the_connection() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.send(1, &queue("q"));
    raw.expect(1, "queue.declare-ok");
    raw.send(1, &consume("q", "same"));
    raw.expect(1, "basic.consume-ok");
    raw.send(1, &consume("q", "same"));
    raw.expect_close(0, 530, "NOT_ALLOWED - attempt to reuse consumer tag 'same'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_close_a_channel_and_the_other_ones_stay() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.open_channel(2);
    let close = ChannelClose {
        reply_code: 200,
        reply_text: "",
        class_id: 0,
        method_id: 0,
    };
    raw.send(1, &close);
    raw.expect(1, "channel.close-ok");
    raw.send(2, &queue(""));
    let payload = raw.expect(2, "queue.declare-ok");
    let Ok(Method::QueueDeclareOk(declared)) = Method::decode(&payload) else {
        panic!("{payload:?}");
    };
    assert!(declared.queue.starts_with("amq.gen-"), "{}", declared.queue);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_hear_that_their_queue_is_deleted_only_if_they_can() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.send(1, &queue("q"));
    raw.expect(1, "queue.declare-ok");
    raw.send(1, &consume("q", "c"));
    raw.expect(1, "basic.consume-ok");
    let delete = QueueDelete {
        reserved_1: 0,
        queue: "q",
        if_unused: false,
        if_empty: false,
        no_wait: false,
    };
    raw.send(1, &delete);
    raw.expect(1, "queue.delete-ok");
    // The tag is free again.
    raw.send(1, &queue("q"));
    raw.expect(1, "queue.declare-ok");
    raw.send(1, &consume("q", "c"));
    raw.expect(1, "basic.consume-ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_taken_and_the_connection_goes_on() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    raw.send(
        0,
        &ConnectionUpdateSecret {
            new_secret: b"new",
            reason: "renewed",
        },
    );
    raw.expect(0, "connection.update-secret-ok");
    raw.open_channel(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lavinmq_pauses_deliveries_when_it_is_asked_to() {
    let broker = TestBroker::start_with(&["--profile=lavinmq-2.9"]).await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    let mut raw = Raw::open(broker.address());
    raw.send(1, &consume("q", "a"));
    raw.expect(1, "basic.consume-ok");
    raw.send(1, &ChannelFlow { active: false });
    raw.expect(1, "channel.flow-ok");
    crate::support::publish(&channel, "", "q", b"m").await;
    raw.send(1, &ChannelFlow { active: true });
    raw.expect(1, "channel.flow-ok");
    raw.expect(1, "basic.deliver");
}
