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

/// Properties of which one has this value.
fn saying(property: &str, value: u64) -> BasicProperties {
    let (properties, text) = (BasicProperties::default(), value.to_string());
    match property {
        "message_id" => properties.with_message_id(text.into()),
        "correlation_id" => properties.with_correlation_id(text.into()),
        _ => properties.with_timestamp(value),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consistent_hash_of_a_property_keeps_together_what_has_the_same() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    for property in ["message_id", "correlation_id", "timestamp"] {
        let mut arguments = FieldTable::default();
        let name = AMQPValue::LongString(property.into());
        arguments.insert("hash-property".into(), name);
        let exchange = format!("by {property}");
        let kind = ExchangeKind::Custom("x-consistent-hash".into());
        let options = ExchangeDeclareOptions::default();
        channel
            .exchange_declare(exchange.as_str().into(), kind, options, arguments)
            .await
            .unwrap();
        let queues = ["a", "b", "c"].map(|name| format!("{property} {name}"));
        for queue in &queues {
            declare(&channel, queue).await;
            bind(&channel, queue, &exchange, "1", FieldTable::default()).await;
        }
        // Each of 60 values twice, under other keys; then one without the property twice.
        for number in 0..122_u64 {
            let properties = match number % 61 {
                60 => BasicProperties::default(),
                value => saying(property, value),
            };
            channel
                .basic_publish(
                    exchange.as_str().into(),
                    number.to_string().as_str().into(),
                    lapin::options::BasicPublishOptions::default(),
                    (number % 61).to_string().as_bytes(),
                    properties,
                )
                .await
                .unwrap()
                .await
                .unwrap();
        }
        let mut total = 0;
        for queue in &queues {
            let mut bodies = Vec::new();
            while let Some((body, _)) = get(&channel, queue).await {
                bodies.push(body);
            }
            let (first, second) = bodies.split_at(bodies.len() / 2);
            assert!(!first.is_empty(), "{queue} got nothing");
            assert_eq!(first, second, "{queue}");
            total += bodies.len();
        }
        assert_eq!(total, 122, "{property}");
    }
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
