//! What consumers get, in which order, how many at a time, and what becomes of it.

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use crate::support::{PATIENCE, TestBroker, confirm_mode, declare, get, publish};

async fn consume(channel: &Channel, queue: &str, tag: &str) -> Consumer {
    let options = BasicConsumeOptions::default();
    channel
        .basic_consume(queue.into(), tag.into(), options, FieldTable::default())
        .await
        .unwrap()
}

async fn next(consumer: &mut Consumer) -> lapin::message::Delivery {
    timeout(PATIENCE, consumer.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn fill(channel: &Channel, queue: &str, count: u8) {
    declare(channel, queue).await;
    confirm_mode(channel).await;
    for number in 0..count {
        publish(channel, "", queue, &[number]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_holds_no_more_than_its_prefetch() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    fill(&channel, "q", 5).await;
    channel
        .basic_qos(2, BasicQosOptions::default())
        .await
        .unwrap();
    let mut consumer = consume(&channel, "q", "c").await;
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    assert_eq!((first.data[0], second.data[0]), (0, 1));
    // A passive declare on the same channel is answered after any delivery sent before it.
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare("q".into(), passive, FieldTable::default())
        .await
        .unwrap();
    assert_eq!(queue.message_count(), 3);
    second
        .acker
        .ack(BasicAckOptions { multiple: true })
        .await
        .unwrap();
    assert_eq!(next(&mut consumer).await.data[0], 2);
    assert_eq!(next(&mut consumer).await.data[0], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_with_requeue_comes_back_in_its_old_place_and_flagged() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    fill(&channel, "q", 4).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let got = channel
            .basic_get("q".into(), BasicGetOptions::default())
            .await
            .unwrap();
        held.push(got.unwrap().delivery);
    }
    let requeue = BasicNackOptions {
        multiple: false,
        requeue: true,
    };
    held[1].acker.nack(requeue).await.unwrap();
    held[0]
        .acker
        .reject(BasicRejectOptions { requeue: true })
        .await
        .unwrap();
    held[2]
        .acker
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    assert_eq!(get(&channel, "q").await, Some((vec![0], true)));
    assert_eq!(get(&channel, "q").await, Some((vec![1], true)));
    assert_eq!(get(&channel, "q").await, Some((vec![3], false)));
    assert_eq!(get(&channel, "q").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_connection_held_goes_to_others() {
    let broker = TestBroker::start().await;
    let (connection, channel) = broker.channel().await;
    fill(&channel, "q", 2).await;
    let mut consumer = consume(&channel, "q", "c").await;
    next(&mut consumer).await;
    let (_other, other) = broker.channel().await;
    assert_eq!(get(&other, "q").await, None);
    connection.close(200, "bye".into()).await.unwrap();
    assert_eq!(get(&other, "q").await, Some((vec![0], true)));
    assert_eq!(get(&other, "q").await, Some((vec![1], true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_take_turns() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    let mut one = consume(&channel, "q", "one").await;
    let mut two = consume(&channel, "q", "two").await;
    for number in 0..4 {
        publish(&channel, "", "q", &[number]).await;
    }
    let mut seen = [
        next(&mut one).await.data[0],
        next(&mut one).await.data[0],
        next(&mut two).await.data[0],
        next(&mut two).await.data[0],
    ];
    assert_eq!((seen[0] + 2, seen[2] + 2), (seen[1], seen[3]));
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_many_frames_arrives_whole() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    publish(&channel, "", "q", &body).await;
    publish(&channel, "", "q", b"").await;
    assert_eq!(get(&channel, "q").await, Some((body, false)));
    assert_eq!(get(&channel, "q").await, Some((Vec::new(), false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_consumer_keeps_messages_in_the_queue_and_gets_them_all_in_the_end() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    let mut consumer = consume(&channel, "q", "c").await;
    let (_publishing, publisher) = broker.channel().await;
    confirm_mode(&publisher).await;
    let body = vec![7; 100_000];
    for _ in 0..100 {
        publish(&publisher, "", "q", &body).await;
    }
    for _ in 0..100 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.data.len(), body.len());
        delivery
            .acker
            .ack(BasicAckOptions::default())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusive_and_auto_delete_queues_go_with_their_users() {
    let broker = TestBroker::start().await;
    let (connection, channel) = broker.channel().await;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("own".into(), exclusive, FieldTable::default())
        .await
        .unwrap();
    let auto_delete = QueueDeclareOptions {
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("auto".into(), auto_delete, FieldTable::default())
        .await
        .unwrap();
    consume(&channel, "auto", "c").await;
    connection.close(200, "bye".into()).await.unwrap();
    let left = broker.engine.broker().vhost("/").unwrap();
    assert!(left.queue("own").is_none() && left.queue("auto").is_none());
}
