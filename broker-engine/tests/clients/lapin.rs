//! A worker with lapin: it connects again when the broker went away, and loses nothing.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use lapin::message::DeliveryResult;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    BasicQosOptions, BasicRejectOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind, message::Delivery,
};
use tokio::time::timeout;

use crate::brokerd::{Brokerd, PATIENCE};

async fn connect(broker: &Brokerd) -> Connection {
    let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", broker.amqp);
    Connection::connect(&uri, ConnectionProperties::default())
        .await
        .expect("guest may connect")
}

async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.expect("a channel opens");
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .expect("confirms are a feature of the broker");
    channel
}

/// `jobs` with a topic exchange of that name before it, and `rejected` for what nobody could do.
async fn declare(channel: &Channel) {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", "rejected"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    for (name, arguments) in [("jobs", arguments), ("rejected", FieldTable::default())] {
        channel
            .queue_declare(name.into(), durable, arguments)
            .await
            .expect("a queue is declared");
    }
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            "jobs".into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await
        .expect("an exchange is declared");
    channel
        .queue_bind(
            "jobs".into(),
            "jobs".into(),
            "job.#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .expect("a queue is bound");
}

/// Publishes a persistent, mandatory message and waits for its confirm.
async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> Confirmation {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await
        .expect("the channel is open");
    timeout(PATIENCE, sent)
        .await
        .expect("a confirm comes")
        .expect("the channel stays open")
}

async fn consume(channel: &Channel, prefetch: u16) -> Consumer {
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await
        .expect("a bound is set");
    channel
        .basic_consume(
            "jobs".into(),
            ShortString::from("worker"),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .expect("a consumer starts")
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next: Option<DeliveryResult> = timeout(PATIENCE, consumer.next())
        .await
        .ok()
        .map(|next| next.transpose());
    next.expect("a delivery comes")
        .expect("the consumer is alive")
        .expect("the stream goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn lapin() {
    let broker = Brokerd::start();
    let connection = connect(&broker).await;
    let channel = confirming(&connection).await;
    declare(&channel).await;

    assert_eq!(
        publish(&channel, "jobs", "job.1", b"1").await,
        Confirmation::Ack(None)
    );
    let confirmation = publish(&channel, "jobs", "unwanted", b"x").await;
    let Confirmation::Ack(Some(returned)) = confirmation else {
        panic!("an unroutable message was not returned: {confirmation:?}");
    };
    assert_eq!(
        (returned.reply_code, returned.delivery.data.as_slice()),
        (312, b"x".as_slice())
    );

    for number in 2..=4 {
        publish(&channel, "jobs", "job.n", number.to_string().as_bytes()).await;
    }
    let mut consumer = consume(&channel, 2).await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert!(!first.redelivered);
    // The bound of two is reached: the third waits for a settlement.
    assert!(
        timeout(std::time::Duration::from_millis(200), consumer.next())
            .await
            .is_err()
    );
    first
        .nack(BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        })
        .await
        .expect("a nack is sent");
    let again = next(&mut consumer).await;
    assert_eq!(
        (again.data.as_slice(), again.redelivered),
        (b"1".as_slice(), true)
    );
    again
        .reject(BasicRejectOptions { requeue: false })
        .await
        .expect("a reject is sent");
    second
        .ack(BasicAckOptions::default())
        .await
        .expect("an ack is sent");
    let dead = timeout(PATIENCE, async {
        loop {
            let options = BasicGetOptions { no_ack: true };
            let got = channel.basic_get("rejected".into(), options).await;
            if let Some(dead) = got.expect("a get is answered") {
                return dead;
            }
        }
    });
    let dead = dead.await.expect("a rejected message arrives");
    let headers = dead.delivery.properties.headers().clone();
    assert!(headers.is_some_and(|headers| headers.inner().contains_key("x-death")));

    let refused = connection.create_channel().await.expect("a channel opens");
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let error = refused
        .queue_declare("none".into(), passive, FieldTable::default())
        .await
        .expect_err("the queue does not exist");
    assert!(error.to_string().contains("no queue 'none'"), "{error}");
    assert!(connection.status().connected() && !refused.status().connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn lapin_over_tls() {
    let broker = Brokerd::start();
    let ca = std::fs::read_to_string(broker.ca()).expect("the certificate was written");
    let config = |cert_chain| OwnedTLSConfig {
        identity: None,
        cert_chain,
    };
    let connect = async |uri: String, cert_chain| {
        let runtime = lapin::runtime::default_runtime()?;
        let properties = ConnectionProperties::default();
        Connection::connect_with_config(&uri, properties, config(cert_chain), runtime).await
    };
    let secure = format!("amqps://guest:guest@localhost:{}/%2f", broker.amqps);
    assert!(connect(secure.clone(), None).await.is_err());
    let connection = connect(secure, Some(ca))
        .await
        .expect("the certificate is trusted");
    let channel = confirming(&connection).await;
    declare(&channel).await;
    publish(&channel, "", "jobs", &vec![7; 300_000]).await;
    let options = BasicGetOptions { no_ack: true };
    let got = channel.basic_get("jobs".into(), options).await;
    let got = got.expect("a get is answered").expect("a message is ready");
    assert_eq!(got.delivery.data.len(), 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn lapin_goes_on_after_restarts() {
    let mut broker = Brokerd::start();
    for is_killed in [true, false] {
        let connection = connect(&broker).await;
        let channel = confirming(&connection).await;
        declare(&channel).await;
        channel
            .queue_purge("jobs".into(), QueuePurgeOptions::default())
            .await
            .expect("a purge is answered");
        for number in 0_u32..200 {
            publish(&channel, "jobs", "job.n", &number.to_be_bytes()).await;
        }
        let mut consumer = consume(&channel, 10).await;
        let mut held = BTreeSet::new();
        for _ in 0..10 {
            held.insert(next(&mut consumer).await.data);
        }
        if is_killed {
            broker.restart_killed();
        } else {
            broker.restart_stopped();
        }
        let end = timeout(PATIENCE, async {
            while connection.status().connected() {
                // Whatever was under way is answered by the end of the stream, or an error.
                if !matches!(consumer.next().await, Some(Ok(_))) {
                    return;
                }
            }
        });
        end.await.expect("the client notices the end");

        let connection = connect(&broker).await;
        let channel = confirming(&connection).await;
        let mut consumer = consume(&channel, 0).await;
        for number in 0_u32..200 {
            let delivery = next(&mut consumer).await;
            assert_eq!(delivery.data, number.to_be_bytes());
            let was_held = held.contains(&delivery.data);
            assert!(delivery.redelivered || !was_held, "message {number}");
            // A stop leaves time to note exactly what was out; after a kill more may be flagged.
            assert!(
                is_killed || delivery.redelivered == was_held,
                "message {number}"
            );
            delivery
                .ack(BasicAckOptions::default())
                .await
                .expect("an ack is sent");
        }
    }
}
