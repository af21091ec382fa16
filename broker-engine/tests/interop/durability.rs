//! What was confirmed is there after a clean stop, and after a process that was killed.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use lapin::Confirmation;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::support::{Process, TestBroker, confirm_mode, connect, declare, get, publish};

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_restart_keeps_durable_queues_bindings_and_persistent_messages() {
    let broker = TestBroker::start().await;
    let (connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    channel
        .queue_bind(
            "q".into(),
            "amq.topic".into(),
            "a.#".into(),
            Default::default(),
            Default::default(),
        )
        .await
        .unwrap();
    confirm_mode(&channel).await;
    publish(&channel, "amq.topic", "a.b", b"kept").await;
    let transient = BasicProperties::default();
    channel
        .basic_publish(
            "".into(),
            "q".into(),
            Default::default(),
            b"lost",
            transient,
        )
        .await
        .unwrap()
        .await
        .unwrap();
    drop((connection, channel));

    let broker = broker.restart().await;
    let (_connection, channel) = broker.channel().await;
    assert_eq!(get(&channel, "q").await, Some((b"kept".to_vec(), false)));
    assert_eq!(get(&channel, "q").await, None);
    confirm_mode(&channel).await;
    assert_eq!(
        publish(&channel, "amq.topic", "a", b"x").await,
        Confirmation::Ack(None)
    );
    assert!(get(&channel, "q").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_survives_a_kill_in_the_middle_of_the_stream() {
    survive_a_kill("sync", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_of_a_written_queue_survives_a_kill_of_a_node_that_syncs() {
    survive_a_kill("sync", Some("write")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_message_of_a_synced_queue_survives_a_kill_of_a_node_that_writes() {
    survive_a_kill("write", Some("sync")).await;
}

/// Publishes to a queue of some level on a node of some level, and kills the node.
async fn survive_a_kill(node: &str, queue: Option<&str>) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start_with(directory.path(), &[&format!("--durability={node}")]);
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    if let Some(level) = queue {
        arguments.insert(
            "x-warren-durability".into(),
            AMQPValue::LongString(level.into()),
        );
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("q".into(), options, arguments)
        .await
        .unwrap();
    confirm_mode(&channel).await;

    let (confirmed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let publisher = tokio::spawn(async move {
        for number in 0_u32.. {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let body = number.to_be_bytes();
            let sent = channel
                .basic_publish("".into(), "q".into(), options, &body, properties)
                .await;
            let Ok(confirm) = sent else { return };
            let confirmed = confirmed.clone();
            tokio::spawn(async move {
                if let Ok(Confirmation::Ack(None)) = confirm.await {
                    // The receiver is gone once the test has seen enough.
                    let _ = confirmed.send(number);
                }
            });
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut survivors = BTreeSet::new();
    while survivors.len() < 2_000 {
        survivors.insert(seen.recv().await.unwrap());
    }
    drop(process);
    publisher.abort();
    while let Ok(number) = seen.try_recv() {
        survivors.insert(number);
    }

    let process = Process::start(directory.path());
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    let mut last = None;
    while let Some((body, _)) = get(&channel, "q").await {
        let number = u32::from_be_bytes(body.try_into().unwrap());
        assert!(last < Some(number), "{last:?} before {number}");
        last = Some(number);
        survivors.remove(&number);
    }
    assert!(
        survivors.is_empty(),
        "{} confirmed messages are lost",
        survivors.len()
    );
}
