//! A node short of memory makes publishers wait, and nobody else.

use broker_engine::broker::Alarm;
use broker_engine::codec::amqp::{
    BasicPublish, ConfirmSelect, FieldTable, Method, QueueDeclare, encode_content,
};

use crate::raw::Raw;
use crate::support::TestBroker;

fn publish(raw: &mut Raw) {
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
}

fn declare(raw: &mut Raw) {
    let declare = QueueDeclare {
        reserved_1: 0,
        queue: "q",
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        no_wait: false,
        arguments: FieldTable::default(),
    };
    raw.send(1, &declare);
    raw.expect(1, "queue.declare-ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_told_to_wait_and_goes_on_when_the_alarm_is_over() {
    let broker = TestBroker::start().await;
    let mut publisher = Raw::open(broker.address());
    let mut other = Raw::open(broker.address());
    publisher.send(1, &ConfirmSelect { no_wait: false });
    publisher.expect(1, "confirm.select-ok");
    declare(&mut publisher);

    let alarms = broker.engine.broker().alarms();
    alarms.set(Alarm::Memory, true);
    publish(&mut publisher);
    let blocked = publisher.expect(0, "connection.blocked");
    let Ok(Method::ConnectionBlocked(blocked)) = Method::decode(&blocked) else {
        panic!("{blocked:?}");
    };
    assert_eq!(blocked.reason, "low on memory");
    publish(&mut publisher);
    // Who does not publish is served as ever.
    declare(&mut other);

    alarms.set(Alarm::Memory, false);
    publisher.expect(0, "connection.unblocked");
    let mut last = 0;
    while last < 2 {
        let ack = publisher.expect(1, "basic.ack");
        let Ok(Method::BasicAck(ack)) = Method::decode(&ack) else {
            panic!("{ack:?}")
        };
        last = ack.delivery_tag;
    }
}
