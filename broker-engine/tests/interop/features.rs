//! What queues and channels do beyond passing messages on, as lapin meets it.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    ExchangeBindOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, ExchangeKind};

use crate::api::Api;
use crate::support::{PATIENCE, Process, TestBroker, confirm_mode, connect, declare, get, publish};

/// The next delivery of a consumer.
async fn next(consumer: &mut Consumer) -> Delivery {
    let delivery = tokio::time::timeout(PATIENCE, consumer.next()).await;
    delivery.unwrap().unwrap().unwrap()
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn dead_to(queue: &str) -> [(&'static str, AMQPValue); 2] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue)),
    ]
}

async fn declare_with(channel: &Channel, name: &str, fields: &[(&str, AMQPValue)]) {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, table(fields));
    declared.await.unwrap();
}

/// Waits until a queue has a message, and takes it for good.
async fn eventually(channel: &Channel, queue: &str) -> BasicGetMessage {
    let poll = async {
        loop {
            let options = BasicGetOptions { no_ack: true };
            if let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap()
}

fn deaths(properties: &BasicProperties) -> Vec<String> {
    let headers = properties.headers().clone().unwrap();
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        return Vec::new();
    };
    let describe = |death: &AMQPValue| {
        let AMQPValue::FieldTable(death) = death else {
            panic!("a death is {death:?}")
        };
        let field = |name: &str| match death.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            Some(AMQPValue::LongLongInt(count)) => count.to_string(),
            other => panic!("{name} is {other:?}"),
        };
        format!("{} {} {}", field("queue"), field("reason"), field("count"))
    };
    deaths.as_slice().iter().map(describe).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_bound_to_an_exchange_hands_on_and_an_alternate_takes_the_rest() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare(&channel, "q").await;
    declare(&channel, "rest").await;
    let alternate = table(&[("alternate-exchange", text("other"))]);
    for (name, kind, arguments) in [
        ("source", ExchangeKind::Direct, alternate),
        ("other", ExchangeKind::Fanout, FieldTable::default()),
        ("target", ExchangeKind::Fanout, FieldTable::default()),
    ] {
        let options = ExchangeDeclareOptions::default();
        let declared = channel.exchange_declare(name.into(), kind, options, arguments);
        declared.await.unwrap();
    }
    for (queue, exchange) in [("q", "target"), ("rest", "other")] {
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                "".into(),
                Default::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
    channel
        .exchange_bind(
            "target".into(),
            "source".into(),
            "k".into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    publish(&channel, "source", "k", b"on").await;
    publish(&channel, "source", "other", b"rest").await;
    assert_eq!(get(&channel, "q").await, Some((b"on".to_vec(), false)));
    assert_eq!(get(&channel, "rest").await, Some((b"rest".to_vec(), false)));
    channel
        .exchange_unbind(
            "target".into(),
            "source".into(),
            "k".into(),
            Default::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    publish(&channel, "source", "k", b"off").await;
    assert_eq!(get(&channel, "rest").await, Some((b"off".to_vec(), false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_expire_or_are_refused_arrive_where_dead_messages_go() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare(&channel, "dead").await;
    let [exchange, key] = dead_to("dead");
    let ttl = ("x-message-ttl", AMQPValue::LongInt(30));
    declare_with(&channel, "timed", &[exchange.clone(), key.clone(), ttl]).await;
    declare_with(&channel, "plain", &[exchange, key]).await;
    publish(&channel, "", "timed", b"late").await;
    let message = eventually(&channel, "dead").await;
    assert_eq!(message.delivery.data, b"late");
    assert_eq!(deaths(&message.delivery.properties), ["timed expired 1"]);

    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_expiration("20".into());
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), "plain".into(), options, b"own", properties);
    sent.await.unwrap().await.unwrap();
    let message = eventually(&channel, "dead").await;
    assert_eq!(message.delivery.data, b"own");
    assert_eq!(*message.delivery.properties.expiration(), None);

    publish(&channel, "", "plain", b"no").await;
    let got = channel
        .basic_get("plain".into(), BasicGetOptions::default())
        .await
        .unwrap()
        .unwrap();
    let refuse = BasicNackOptions {
        requeue: false,
        ..BasicNackOptions::default()
    };
    got.delivery.acker.nack(refuse).await.unwrap();
    let message = eventually(&channel, "dead").await;
    assert_eq!(deaths(&message.delivery.properties), ["plain rejected 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_messages_and_what_expired_meanwhile_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    confirm_mode(&channel).await;
    declare(&channel, "dead").await;
    let [exchange, key] = dead_to("dead");
    let length = ("x-max-length", AMQPValue::LongInt(50));
    let ttl = ("x-message-ttl", AMQPValue::LongInt(400));
    declare_with(&channel, "q", &[exchange, key, length, ttl]).await;
    for number in 0..100_u8 {
        let confirmed = publish(&channel, "", "q", &[number]).await;
        assert_eq!(confirmed, Confirmation::Ack(None));
    }
    drop(process);
    tokio::time::sleep(Duration::from_millis(400)).await;

    let process = Process::start(directory.path());
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 100 {
        let message = eventually(&channel, "dead").await;
        numbers.push(message.delivery.data[0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    assert_eq!(get(&channel, "dead").await, None);
    assert_eq!(get(&channel, "q").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_publishers_that_want_to_know() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    let length = ("x-max-length", AMQPValue::LongInt(1));
    declare_with(
        &channel,
        "q",
        &[length, ("x-overflow", text("reject-publish"))],
    )
    .await;
    let first = publish(&channel, "", "q", b"1").await;
    assert_eq!(first, Confirmation::Ack(None));
    let second = publish(&channel, "", "q", b"2").await;
    assert!(matches!(second, Confirmation::Nack(_)), "{second:?}");
    assert_eq!(get(&channel, "q").await, Some((b"1".to_vec(), false)));
    let third = publish(&channel, "", "q", b"3").await;
    assert_eq!(third, Confirmation::Ack(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_consumer_is_active_and_the_next_takes_over() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    declare_with(
        &channel,
        "q",
        &[("x-single-active-consumer", AMQPValue::Boolean(true))],
    )
    .await;
    let consume = |tag: &'static str| {
        let options = BasicConsumeOptions::default();
        channel.basic_consume("q".into(), tag.into(), options, FieldTable::default())
    };
    let mut first = consume("first").await.unwrap();
    let mut second = consume("second").await.unwrap();
    for body in [b"1", b"2"] {
        publish(&channel, "", "q", body).await;
        let delivery = next(&mut first).await;
        assert_eq!(delivery.data, body);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    let told = Api::new(&broker).get("/consumers").await;
    let activity = |tag: &str| {
        let mut all = told.as_array().unwrap().iter();
        let consumer = all
            .find(|consumer| consumer["consumer_tag"] == tag)
            .unwrap();
        (
            consumer["active"].clone(),
            consumer["activity_status"].clone(),
        )
    };
    assert_eq!(activity("first"), (true.into(), "single_active".into()));
    assert_eq!(activity("second"), (false.into(), "waiting".into()));
    channel
        .basic_cancel("first".into(), Default::default())
        .await
        .unwrap();
    publish(&channel, "", "q", b"3").await;
    assert_eq!(next(&mut second).await.data, b"3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_takes_effect_at_its_commit_and_a_rollback_undoes_it() {
    let broker = TestBroker::start().await;
    let (connection, other) = broker.channel().await;
    declare(&other, "a").await;
    declare(&other, "b").await;
    confirm_mode(&other).await;
    publish(&other, "", "a", b"in").await;
    let channel = connection.create_channel().await.unwrap();
    channel.tx_select().await.unwrap();
    let send = |queue: &'static str| {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), queue.into(), options, b"out", properties)
    };
    send("b").await.unwrap();
    channel.tx_rollback().await.unwrap();
    assert_eq!(get(&other, "b").await, None);

    let taken = channel
        .basic_get("a".into(), BasicGetOptions::default())
        .await
        .unwrap()
        .unwrap();
    taken
        .delivery
        .acker
        .ack(BasicAckOptions::default())
        .await
        .unwrap();
    send("b").await.unwrap();
    assert_eq!(get(&other, "b").await, None, "not before the commit");
    channel.tx_commit().await.unwrap();
    assert_eq!(get(&other, "b").await, Some((b"out".to_vec(), false)));
    channel.close(200, "done".into()).await.unwrap();
    assert_eq!(
        get(&other, "a").await,
        None,
        "the acknowledgement was committed too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_on_the_channel_that_asked() {
    for (profile, place) in [
        ("rabbitmq-4.2", "amq.rabbitmq.reply-to"),
        ("lavinmq-2.9", "amq.direct.reply-to"),
    ] {
        let broker = TestBroker::start_with(&[&format!("--profile={profile}")]).await;
        ask_and_answer(&broker, place).await;
    }
}

async fn ask_and_answer(broker: &TestBroker, place: &'static str) {
    let (_connection, asking) = broker.channel().await;
    let (_other, answering) = broker.channel().await;
    declare(&answering, "questions").await;
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let mut answers = asking
        .basic_consume(place.into(), "".into(), no_ack, FieldTable::default())
        .await
        .unwrap();
    let properties = BasicProperties::default().with_reply_to(place.into());
    let options = BasicPublishOptions::default();
    asking
        .basic_publish("".into(), "questions".into(), options, b"?", properties)
        .await
        .unwrap();
    let question = eventually(&answering, "questions").await;
    let reply_to = question.delivery.properties.reply_to().clone().unwrap();
    assert!(reply_to.as_str().starts_with("amq.rabbitmq.reply-to."));
    answering
        .basic_publish(
            "".into(),
            reply_to,
            options,
            b"!",
            BasicProperties::default(),
        )
        .await
        .unwrap();
    assert_eq!(next(&mut answers).await.data, b"!");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_to_the_keys_in_the_headers_and_blind_ones_are_not_told() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    for name in ["to", "cc", "bcc"] {
        declare(&channel, name).await;
    }
    let keys = |key: &str| AMQPValue::FieldArray(vec![text(key)].into());
    let headers = table(&[("CC", keys("cc")), ("BCC", keys("bcc"))]);
    let properties = BasicProperties::default().with_headers(headers);
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), "to".into(), options, b"m", properties);
    sent.await.unwrap().await.unwrap();
    for name in ["to", "cc", "bcc"] {
        let message = eventually(&channel, name).await;
        let headers = message.delivery.properties.headers().clone().unwrap();
        assert!(headers.inner().contains_key("CC"), "{name}");
        assert!(!headers.inner().contains_key("BCC"), "{name}");
    }
}
