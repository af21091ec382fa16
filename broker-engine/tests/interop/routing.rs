//! Messages reach the queues that the bindings say, and only those.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ExchangeKind};

use crate::support::{TestBroker, confirm_mode, declare, get, publish};

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) {
    let options = ExchangeDeclareOptions::default();
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
        .unwrap();
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str, arguments: FieldTable) {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            arguments,
        )
        .await
        .unwrap();
}

fn is_returned(confirmation: &Confirmation) -> bool {
    matches!(confirmation, Confirmation::Ack(Some(returned)) if returned.reply_code == 312)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_type_routes_by_its_own_rule_and_returns_what_fits_nowhere() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    let cases = [
        (ExchangeKind::Direct, "blue", "blue", Some("red")),
        (ExchangeKind::Fanout, "", "anything", None),
        (ExchangeKind::Topic, "a.*.#", "a.b", Some("a")),
    ];
    for (kind, binding_key, hit, miss) in cases {
        let name = format!("{kind:?}");
        declare(&channel, &name).await;
        exchange(&channel, &name, kind).await;
        bind(&channel, &name, &name, binding_key, FieldTable::default()).await;
        assert_eq!(
            publish(&channel, &name, hit, b"hit").await,
            Confirmation::Ack(None)
        );
        if let Some(miss) = miss {
            assert!(
                is_returned(&publish(&channel, &name, miss, b"miss").await),
                "{name}"
            );
        }
        assert_eq!(get(&channel, &name).await, Some((b"hit".to_vec(), false)));
        assert_eq!(get(&channel, &name).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headers_exchange_looks_at_the_headers() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare(&channel, "q").await;
    let table = |fields: &[(&str, &str)]| {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        table
    };
    bind(
        &channel,
        "q",
        "amq.headers",
        "",
        table(&[("x-match", "all"), ("a", "1"), ("b", "2")]),
    )
    .await;
    for (headers, body) in [
        (table(&[("a", "1")]), b"part"),
        (table(&[("a", "1"), ("b", "2")]), b"full"),
    ] {
        let properties = BasicProperties::default().with_headers(headers);
        channel
            .basic_publish(
                "amq.headers".into(),
                "".into(),
                lapin::options::BasicPublishOptions::default(),
                body,
                properties,
            )
            .await
            .unwrap()
            .await
            .unwrap();
    }
    assert_eq!(get(&channel, "q").await, Some((b"full".to_vec(), false)));
    assert_eq!(get(&channel, "q").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_exchange_routes_to_the_queue_of_the_key() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare(&channel, "here").await;
    assert_eq!(
        publish(&channel, "", "here", b"x").await,
        Confirmation::Ack(None)
    );
    assert!(is_returned(&publish(&channel, "", "nowhere", b"x").await));
}
