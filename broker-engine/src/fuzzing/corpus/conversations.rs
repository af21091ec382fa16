//! What clients say: greetings and short conversations, in real frames.

use crate::codec::amqp::{
    BasicAck, BasicConsume, BasicGet, BasicNack, BasicPublish, BasicQos, ChannelClose, ChannelOpen,
    ConfirmSelect, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Encode,
    ExchangeDeclare, FieldTable, FieldValue, PROTOCOL_HEADER, Properties, QueueBind, QueueDeclare,
    QueueDelete, QueuePurge, TxCommit, TxSelect, encode_content, encode_heartbeat, encode_method,
    encode_table,
};

pub(super) fn arguments() -> FieldTable {
    let fields = [
        ("x-message-ttl", FieldValue::I32(1000)),
        ("x-max-length", FieldValue::I64(3)),
        ("x-dead-letter-exchange", FieldValue::from("")),
        ("x-dead-letter-routing-key", FieldValue::from("dead")),
        ("x-max-priority", FieldValue::U8(4)),
    ];
    FieldTable(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
    )
}

pub(super) fn every_field() -> FieldTable {
    let inner = FieldTable(vec![("k".to_owned(), FieldValue::Void)]);
    let values = [
        FieldValue::Bool(true),
        FieldValue::I8(-1),
        FieldValue::U8(1),
        FieldValue::I16(-2),
        FieldValue::U16(2),
        FieldValue::I32(-3),
        FieldValue::U32(3),
        FieldValue::I64(-4),
        FieldValue::I64Upper(4),
        FieldValue::F32(0x3f80_0000),
        FieldValue::F64(0x3ff0_0000_0000_0000),
        FieldValue::Decimal(2, 314),
        FieldValue::LongString(b"text".to_vec()),
        FieldValue::Bytes(vec![0, 255]),
        FieldValue::Timestamp(1),
        FieldValue::Array(vec![FieldValue::Void, FieldValue::Table(inner.clone())]),
        FieldValue::Table(inner),
        FieldValue::Void,
    ];
    let named = values.into_iter().enumerate();
    FieldTable(named.map(|(at, value)| (format!("f{at}"), value)).collect())
}

pub(super) fn properties() -> Vec<u8> {
    let headers = encode_table(&every_field());
    Properties {
        content_type: Some(b"text/plain"),
        headers: Some(&headers),
        delivery_mode: Some(2),
        priority: Some(3),
        correlation_id: Some(b"1"),
        reply_to: Some(b"amq.rabbitmq.reply-to"),
        expiration: Some(b"60000"),
        message_id: Some(b"m"),
        timestamp: Some(1),
        kind: Some(b"t"),
        user_id: Some(b"guest"),
        app_id: Some(b"a"),
        ..Properties::default()
    }
    .encode()
}

fn method<M: Encode>(channel: u16, method: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_method(&mut frame, channel, method);
    frame
}

pub(super) fn hello() -> Vec<Vec<u8>> {
    vec![
        PROTOCOL_HEADER.to_vec(),
        method(
            0,
            &ConnectionStartOk {
                client_properties: arguments(),
                mechanism: "PLAIN",
                response: b"\0guest\0guest",
                locale: "en_US",
            },
        ),
        method(
            0,
            &ConnectionTuneOk {
                channel_max: 10,
                frame_max: 8192,
                heartbeat_s: 0,
            },
        ),
        method(
            0,
            &ConnectionOpen {
                virtual_host: "/",
                reserved_1: "",
                reserved_2: false,
            },
        ),
        method(1, &ChannelOpen { reserved_1: "" }),
    ]
}

pub(super) fn declare(queue: &str, durable: bool, arguments: FieldTable) -> Vec<u8> {
    method(
        1,
        &QueueDeclare {
            reserved_1: 0,
            queue,
            passive: false,
            durable,
            exclusive: false,
            auto_delete: false,
            no_wait: false,
            arguments,
        },
    )
}

fn publish(routing_key: &str, properties: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frames = method(
        1,
        &BasicPublish {
            reserved_1: 0,
            exchange: "",
            routing_key,
            mandatory: true,
            immediate: false,
        },
    );
    encode_content(&mut frames, 1, properties, body, 4096);
    frames
}

pub(super) fn consume(queue: &str) -> Vec<u8> {
    method(
        1,
        &BasicConsume {
            reserved_1: 0,
            queue,
            consumer_tag: "c",
            no_local: false,
            no_ack: false,
            exclusive: false,
            no_wait: false,
            arguments: FieldTable::default(),
        },
    )
}

/// What clients do, as lists of frames.
pub(super) fn conversations() -> [(&'static str, Vec<Vec<u8>>); 5] {
    let get = BasicGet {
        reserved_1: 0,
        queue: "q",
        no_ack: false,
    };
    let ack = |delivery_tag| {
        method(
            1,
            &BasicAck {
                delivery_tag,
                multiple: false,
            },
        )
    };
    let nack = BasicNack {
        delivery_tag: 0,
        multiple: true,
        requeue: true,
    };
    let exchange = ExchangeDeclare {
        reserved_1: 0,
        exchange: "e",
        kind: "topic",
        passive: false,
        durable: true,
        auto_delete: false,
        internal: false,
        no_wait: false,
        arguments: FieldTable::default(),
    };
    let bind = QueueBind {
        reserved_1: 0,
        queue: "q",
        exchange: "e",
        routing_key: "a.#",
        no_wait: false,
        arguments: every_field(),
    };
    let purge = QueuePurge {
        reserved_1: 0,
        queue: "q",
        no_wait: false,
    };
    let delete = QueueDelete {
        reserved_1: 0,
        queue: "q",
        if_unused: false,
        if_empty: false,
        no_wait: false,
    };
    let qos = BasicQos {
        prefetch_size: 0,
        prefetch_count: 2,
        global: false,
    };
    let channel_close = ChannelClose {
        reply_code: 200,
        reply_text: "",
        class_id: 0,
        method_id: 0,
    };
    let connection_close = ConnectionClose {
        reply_code: 200,
        reply_text: "",
        class_id: 0,
        method_id: 0,
    };
    let plain = [0x10, 0, 2];
    let confirmed = vec![
        declare("q", true, FieldTable::default()),
        method(1, &ConfirmSelect { no_wait: false }),
        publish("q", &plain, b"one"),
        publish("q", &plain, b"two"),
        publish("nowhere", &properties(), &[7; 5000]),
        consume("q"),
        ack(1),
        ack(2),
        method(1, &connection_close),
    ];
    let governed = vec![
        declare("dead", false, FieldTable::default()),
        declare("q", true, arguments()),
        method(1, &qos),
        publish("q", &properties(), b"body"),
        publish("q", &properties(), b"body"),
        consume("q"),
        method(1, &nack),
        method(1, &purge),
        method(1, &delete),
    ];
    let transacted = vec![
        declare("q", true, FieldTable::default()),
        method(1, &TxSelect {}),
        publish("q", &plain, b"in a transaction"),
        method(1, &TxCommit {}),
        method(1, &get),
        ack(1),
        method(1, &TxCommit {}),
        method(1, &channel_close),
    ];
    let bound = vec![
        method(1, &exchange),
        declare("q", false, FieldTable::default()),
        method(1, &bind),
        publish("q", &[0, 0], b""),
        method(1, &get),
    ];
    let mut heartbeat = Vec::new();
    encode_heartbeat(&mut heartbeat);
    [
        ("confirmed", confirmed),
        ("governed", governed),
        ("transacted", transacted),
        ("bound", bound),
        ("idle", vec![heartbeat]),
    ]
}
