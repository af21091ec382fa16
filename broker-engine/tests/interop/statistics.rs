//! What the management API counts: of channels, queues and exchanges, of all together, and how fast it grows.

use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions,
};
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::api::Api;
use crate::support::{TestBroker, confirm_mode, declare, publish};

/// Milliseconds of a period of samples.
const PERIOD_MS: u64 = 5000;

/// Members of an object that are not zero, rates left out.
fn counted(stats: &Value) -> Value {
    let members = stats.as_object().expect("statistics are an object");
    let counted = members
        .iter()
        .filter(|(name, value)| !name.ends_with("_details") && **value != 0);
    counted
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

async fn bind(channel: &lapin::Channel, queue: &str) {
    let bound = channel
        .queue_bind(
            queue.into(),
            "amq.topic".into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await;
    bound.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_counts_where_it_passes() {
    let broker = TestBroker::start().await;
    let (connection, channel) = broker.channel().await;
    for queue in ["a", "b"] {
        declare(&channel, queue).await;
        bind(&channel, queue).await;
    }
    confirm_mode(&channel).await;
    for _ in 0..5 {
        publish(&channel, "amq.topic", "k", b"x").await;
    }
    publish(&channel, "", "a", b"x").await;
    // Mandatory, as all that is published so: it comes back.
    publish(&channel, "amq.direct", "nobody", b"x").await;
    let dropped = channel
        .basic_publish(
            "amq.direct".into(),
            "nobody".into(),
            BasicPublishOptions::default(),
            b"x",
            BasicProperties::default(),
        )
        .await;
    dropped.unwrap().await.unwrap();
    for no_ack in [true, false] {
        let got = channel
            .basic_get("a".into(), BasicGetOptions { no_ack })
            .await;
        assert!(got.unwrap().is_some());
    }
    let consumer = connection.create_channel().await.unwrap();
    let mut deliveries = consumer
        .basic_consume(
            "b".into(),
            "worker".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    for _ in 0..5 {
        let delivery = deliveries.next().await.unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    // Its answer tells that the acks before it were read.
    declare(&consumer, "c").await;

    let api = Api::new(&broker);
    let exchange = api.get("/exchanges/%2F/amq.topic").await;
    assert_eq!(
        counted(&exchange["message_stats"]),
        json!({"publish_in": 5, "publish_out": 10})
    );
    let exchange = api.get("/exchanges/%2F/amq.direct").await;
    assert_eq!(
        counted(&exchange["message_stats"]),
        json!({"publish_in": 2})
    );
    let exchange = api.get("/exchanges/%2F/amq.default").await;
    assert_eq!(
        counted(&exchange["message_stats"]),
        json!({"publish_in": 1, "publish_out": 1})
    );
    let queue = api.get("/queues/%2F/a").await;
    assert_eq!(
        counted(&queue["message_stats"]),
        json!({"publish": 6, "get": 1, "get_no_ack": 1, "deliver_get": 2})
    );
    assert_eq!(
        (&queue["messages"], &queue["messages_ready"]),
        (&json!(5), &json!(4))
    );
    let queue = api.get("/queues/%2F/b").await;
    assert_eq!(
        counted(&queue["message_stats"]),
        json!({"publish": 5, "deliver": 5, "deliver_get": 5, "ack": 5})
    );
    assert_eq!(queue["consumer_details"][0]["consumer_tag"], "worker");
    assert_eq!(queue["consumer_details"][0]["channel_details"]["number"], 2);

    let channels = api.get("/channels?sort=number").await;
    assert_eq!(
        counted(&channels[0]["message_stats"]),
        json!({
            "publish": 8, "confirm": 8, "return_unroutable": 1, "drop_unroutable": 1,
            "get": 1, "get_no_ack": 1, "deliver_get": 2,
        })
    );
    assert_eq!(
        counted(&channels[1]["message_stats"]),
        json!({"deliver": 5, "deliver_get": 5, "ack": 5})
    );
    let all = json!({
        "publish": 8, "confirm": 8, "return_unroutable": 1, "drop_unroutable": 1,
        "get": 1, "get_no_ack": 1, "deliver": 5, "deliver_get": 7, "ack": 5,
    });
    let vhost = api.get("/vhosts/%2F").await;
    assert_eq!(counted(&vhost["message_stats"]), all);
    assert_eq!(vhost["messages"], 5);
    // What went leaves its counts behind, and takes its messages along.
    connection.close(200, "".into()).await.unwrap();
    assert_eq!(api.delete("/queues/%2F/a").await.0, 204);
    let overview = api.get("/overview").await;
    assert_eq!(counted(&overview["message_stats"]), all);
    assert_eq!(overview["queue_totals"]["messages"], 0);
    assert_eq!(overview["object_totals"]["consumers"], 0);
    assert_eq!(overview["object_totals"]["queues"], 2);
    assert_eq!(overview["churn_rates"]["queue_declared"], 3);
    assert_eq!(overview["churn_rates"]["queue_deleted"], 1);
    assert_eq!(overview["churn_rates"]["channel_created"], 2);
    assert_eq!(overview["churn_rates"]["connection_created"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_and_samples_are_those_of_the_last_periods() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    let node = broker.engine.broker();
    // Time that is ahead of the clock: the engine's own samples come to nothing.
    let mut now_ms = node.now_ms() + 60_000;
    node.sample(now_ms);
    for count in [10, 20] {
        for _ in 0..count {
            publish(&channel, "", "q", b"x").await;
        }
        now_ms += PERIOD_MS;
        node.sample(now_ms);
    }
    let api = Api::new(&broker);
    let rate = |object: &Value| object["message_stats"]["publish_details"]["rate"].clone();
    let queue = api.get("/queues/%2F/q").await;
    assert_eq!(rate(&queue), 4.0);
    assert_eq!(queue["messages_details"]["rate"], 4.0);
    assert_eq!(rate(&api.get("/overview").await), 4.0);
    assert_eq!(rate(&api.get("/vhosts/%2F").await), 4.0);
    assert_eq!(rate(&api.get("/channels").await[0]), 4.0);
    let exchange = api.get("/exchanges/%2F/amq.default").await;
    assert_eq!(
        exchange["message_stats"]["publish_out_details"]["rate"],
        4.0
    );

    let asked = "/queues/%2F/q?msg_rates_age=10&msg_rates_incr=5&lengths_age=5&lengths_incr=5";
    let queue = api.get(asked).await;
    let details = &queue["message_stats"]["publish_details"];
    assert_eq!(
        (&details["rate"], &details["avg_rate"]),
        (&json!(4.0), &json!(3.0))
    );
    let ended_ms = now_ms - now_ms % PERIOD_MS;
    assert_eq!(
        details["samples"],
        json!([
            {"sample": 30, "timestamp": ended_ms},
            {"sample": 10, "timestamp": ended_ms - PERIOD_MS},
            {"sample": 0, "timestamp": ended_ms - 2 * PERIOD_MS},
        ])
    );
    assert_eq!(queue["messages_ready_details"]["samples"][1]["sample"], 10);

    node.sample(now_ms + PERIOD_MS);
    let connections = api.get("/connections").await;
    assert!(connections[0]["recv_oct"].as_u64().unwrap() > 30);
    assert_eq!(rate(&api.get("/queues/%2F/q").await), 0.0);
}
