//! Consumers that do not answer: their channel is closed, and their messages go to others.

use broker_engine::codec::amqp::{
    BasicAck, BasicConsume, BasicGet, ChannelCloseOk, FieldTable, FieldValue, Method, QueueDeclare,
};

use crate::raw::Raw;
use crate::support::{TestBroker, confirm_mode, get, publish};

fn declare(raw: &mut Raw, timeout_ms: Option<i32>) {
    let arguments =
        timeout_ms.map(|timeout_ms| ("x-consumer-timeout".to_owned(), FieldValue::I32(timeout_ms)));
    raw.send(
        1,
        &QueueDeclare {
            reserved_1: 0,
            queue: "q",
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            no_wait: false,
            arguments: FieldTable(arguments.into_iter().collect()),
        },
    );
    raw.expect(1, "queue.declare-ok");
}

fn consume(raw: &mut Raw) {
    raw.send(
        1,
        &BasicConsume {
            reserved_1: 0,
            queue: "q",
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

/// The next delivery's tag, when its content has come.
fn delivered(raw: &mut Raw) -> u64 {
    let payload = raw.expect(1, "basic.deliver");
    let Ok(Method::BasicDeliver(deliver)) = Method::decode(&payload) else {
        panic!("{payload:?}");
    };
    let tag = deliver.delivery_tag;
    raw.next().unwrap();
    raw.next().unwrap();
    tag
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_does_not_answer_loses_its_channel_and_its_messages() {
    let broker = TestBroker::start().await;
    let mut raw = Raw::open(broker.address());
    declare(&mut raw, Some(400));
    consume(&mut raw);
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    publish(&channel, "", "q", b"answered").await;
    let delivery_tag = delivered(&mut raw);
    raw.send(
        1,
        &BasicAck {
            delivery_tag,
            multiple: false,
        },
    );
    publish(&channel, "", "q", b"kept").await;
    delivered(&mut raw);
    raw.expect_close(
        1,
        406,
        "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 400 ms. \
         This timeout value can be configured, see consumers doc guide to learn more",
    );
    raw.send(1, &ChannelCloseOk {});
    assert_eq!(get(&channel, "q").await, Some((b"kept".to_vec(), true)));
    raw.open_channel(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_limit_holds_for_queues_that_name_none_and_for_gets() {
    let arguments = ["--profile=lavinmq-2.9", "--consumer-timeout-ms=300"];
    let broker = TestBroker::start_with(&arguments).await;
    let mut raw = Raw::open(broker.address());
    declare(&mut raw, None);
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    publish(&channel, "", "q", b"kept").await;
    raw.send(
        1,
        &BasicGet {
            reserved_1: 0,
            queue: "q",
            no_ack: false,
        },
    );
    raw.expect(1, "basic.get-ok");
    raw.next().unwrap();
    raw.next().unwrap();
    raw.expect_close(1, 406, "PRECONDITION_FAILED - consumer timeout");
    raw.send(1, &ChannelCloseOk {});
    assert_eq!(get(&channel, "q").await, Some((b"kept".to_vec(), true)));
}
