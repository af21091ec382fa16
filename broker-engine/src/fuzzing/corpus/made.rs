//! The inputs of each target, made of conversations, a log and a few documents.

use std::sync::Arc;

use super::{
    super::node::{Node, peer},
    Inputs,
    conversations::{arguments, consume, conversations, declare, every_field, hello, properties},
};
use crate::{
    amqp::DryConnection,
    broker::Document,
    codec::amqp::encode_table,
    store::{
        Batch, Drive, MessageId, Options, QueueId, Store,
        disk::{Disk as _, FaultyDisk},
        fuzzing::describe,
    },
};

/// Pieces as the target for connections takes them: the log is written now and then, and time passes.
fn pieces(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        for piece in frame.chunks(255) {
            input.extend([[0, 2, 12][number % 3], piece.len() as u8]);
            input.extend(piece);
        }
    }
    input
}

/// A log with definitions, messages in segments and in log files, acknowledgements, returns, and a queue that is gone.
pub(super) fn log() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let options = Options {
        drive: Drive::Manual,
        file_bytes: 4096,
        roll_bytes: 8192,
        ..Options::default()
    };
    let (store, _) = Store::open(Arc::new(disk.clone()), options).unwrap();
    let (one, two, three) = (QueueId(1), QueueId(2), QueueId(3));
    store
        .define(&[(b"key".to_vec(), Some(b"value".to_vec()))])
        .unwrap();
    for number in 0..60_usize {
        let mut batch = Batch::new();
        let content = vec![number as u8; 40 + number % 7 * 30];
        batch.publish(&[one, two], &[&content]);
        batch.publish(&[one], &[&content]);
        let first = store.append(batch).unwrap().first;
        let mut batch = Batch::new();
        batch.handed_out(two, first);
        match number % 3 {
            0 => batch.ack(two, &[first]),
            1 => batch.returned(two, &[first]),
            _ => batch.ack(one, &[first]),
        }
        store.append(batch).unwrap();
        store.write();
        store.keep();
    }
    let mut batch = Batch::new();
    batch.publish(&[three], &[b"short-lived"]);
    batch.gone(three);
    store.append(batch).unwrap();
    store.write();
    disk.kill()
}

/// What a broker leaves behind after a conversation.
pub(super) fn left_by(frames: &[Vec<u8>]) -> FaultyDisk {
    let node = Node::new();
    let server = node.server();
    let mut connection = DryConnection::new(&server, peer());
    for frame in hello().iter().chain(frames) {
        connection.receive(frame);
        node.broker.store().write();
        // An answer may have waited for that.
        connection.poll();
    }
    node.disk.kill()
}

const DOCUMENT: &str = r#"{"rabbit_version":"4.2.1","vhosts":[{"name":"/"},{"name":"v","limits":[]}],
"users":[{"name":"u","password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["monitoring"],"limits":{"max-connections":3}}],
"permissions":[{"user":"u","vhost":"v","configure":".*","write":"^a","read":"(b|c)"}],
"topic_permissions":[{"user":"u","vhost":"v","exchange":"amq.topic","write":"^{username}\\.","read":".*"}],
"parameters":[{"vhost":"v","component":"vhost-limits","name":"limits","value":{"max-queues":10}}],
"global_parameters":[{"name":"cluster_name","value":"rabbit"}],
"policies":[{"vhost":"v","name":"p","pattern":"^q","apply-to":"queues","priority":1,"definition":{"message-ttl":1000,"max-length":5,"overflow":"reject-publish"}}],
"exchanges":[{"name":"e","vhost":"v","type":"headers","durable":true,"auto_delete":false,"internal":false,"arguments":{"alternate-exchange":"amq.fanout"}}],
"queues":[{"name":"q","vhost":"v","durable":true,"auto_delete":false,"arguments":{"x-max-priority":5,"x-queue-type":"classic"}}],
"bindings":[{"source":"e","vhost":"v","destination":"q","destination_type":"queue","routing_key":"k","arguments":{"x-match":"all","a":1}}]}"#;

/// Method (by its number in the target), path and body.
const REQUESTS: [(&str, u8, &str, &str); 12] = [
    ("overview", 0, "/api/overview", ""),
    (
        "queues",
        0,
        "/api/queues?page=1&page_size=2&name=q&use_regex=true&sort=name",
        "",
    ),
    (
        "put-queue",
        1,
        "/api/queues/%2F/q",
        r#"{"durable":true,"arguments":{"x-max-length":3}}"#,
    ),
    (
        "put-exchange",
        1,
        "/api/exchanges/%2F/e",
        r#"{"type":"topic","durable":true}"#,
    ),
    (
        "bind",
        2,
        "/api/bindings/%2F/e/amq.topic/q/a",
        r#"{"routing_key":"k","arguments":{"x-match":"any"}}"#,
    ),
    (
        "publish",
        2,
        "/api/exchanges/%2F/amq.default/publish",
        r#"{"properties":{"headers":{"a":[1,null]}},"routing_key":"q","payload":"aGk=","payload_encoding":"base64"}"#,
    ),
    (
        "get",
        2,
        "/api/queues/%2F/q/get",
        r#"{"count":5,"ackmode":"ack_requeue_true","encoding":"auto","truncate":50}"#,
    ),
    (
        "put-user",
        1,
        "/api/users/u",
        r#"{"password":"p","tags":"administrator"}"#,
    ),
    (
        "put-permission",
        1,
        "/api/permissions/%2F/guest",
        r#"{"configure":".*","write":".*","read":".*"}"#,
    ),
    (
        "put-policy",
        1,
        "/api/policies/%2F/p",
        r#"{"pattern":"^q","definition":{"max-length":1},"priority":0,"apply-to":"all"}"#,
    ),
    (
        "put-parameter",
        1,
        "/api/global-parameters/g",
        r#"{"value":{"a":1}}"#,
    ),
    (
        "put-limit",
        1,
        "/api/vhost-limits/%2F/max-queues",
        r#"{"value":3}"#,
    ),
];

fn certificate() -> Vec<u8> {
    let mut parameters =
        rcgen::CertificateParams::new(["a.example".to_owned(), "127.0.0.1".to_owned()])
            .expect("names are names");
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "worker");
    parameters
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "Acme, Ltd");
    let key = rcgen::KeyPair::generate().expect("keys can be made");
    parameters
        .self_signed(&key)
        .expect("it signs itself")
        .der()
        .to_vec()
}

/// What balancers write before the client's own first bytes.
fn proxy_headers() -> Inputs {
    let greeting = b"AMQP\0\0\x09\x01";
    let text = |line: &str| [line.as_bytes(), b"\r\n", greeting].concat();
    let binary = |command: u8, family: u8, body: &[u8]| {
        let signature = b"\r\n\r\n\0\r\nQUIT\n";
        let len = (body.len() as u16).to_be_bytes();
        [
            signature,
            &[0x20 | command, family][..],
            &len,
            body,
            greeting,
        ]
        .concat()
    };
    let extension = [4, 0, 2, 9, 9];
    let four = [
        &[10, 1, 2, 3, 10, 0, 0, 1, 0x13, 0x88, 0x16, 0x27][..],
        &extension,
    ]
    .concat();
    vec![
        ("text-4", text("PROXY TCP4 10.1.2.3 10.0.0.1 5000 5671")),
        ("text-6", text("PROXY TCP6 2001:db8::7 ::1 5000 5671")),
        ("text-unknown", text("PROXY UNKNOWN")),
        ("binary-4", binary(1, 0x11, &four)),
        ("binary-6", binary(1, 0x21, &[0x20; 36])),
        ("binary-local", binary(0, 0, &[])),
        ("none", greeting.to_vec()),
    ]
}

/// An octet that asks for the sums as they are, or for sums that fit.
fn flagged(name: [&'static str; 2], bytes: &[u8]) -> Inputs {
    let input = |flag: u8| [&[flag][..], bytes].concat();
    vec![(name[0], input(0)), (name[1], input(1))]
}

/// What is made for a target.
pub(super) fn made(target: &str) -> Inputs {
    let talk = conversations();
    let whole = |frames: &[Vec<u8>]| [hello().concat(), frames.concat()].concat();
    let log = log();
    let file = |prefix: &str| {
        let names = log.list().unwrap();
        let mut names: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort_unstable();
        log.bytes(names[0]).unwrap()
    };
    match target {
        "frames" => talk
            .iter()
            .map(|(name, frames)| (*name, whole(frames)))
            .collect(),
        "methods" => {
            let [_, start_ok, tune_ok, ..] = &hello()[..] else {
                unreachable!("the greeting has five frames")
            };
            let payload = |frame: &[u8]| frame[7..frame.len() - 1].to_vec();
            vec![
                ("start-ok", payload(start_ok)),
                ("tune-ok", payload(tune_ok)),
                ("declare", payload(&declare("q", true, arguments()))),
                ("consume", payload(&consume("q"))),
            ]
        }
        "tables" => vec![
            ("every-field", encode_table(&every_field())),
            ("arguments", encode_table(&arguments())),
        ],
        "properties" => {
            let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..], &properties()].concat();
            vec![
                ("all", properties()),
                ("header", header),
                ("plain", vec![0x10, 0, 2]),
            ]
        }
        "contents" => {
            let len = properties().len() as u32;
            let content = |len: u32, stamp: &[u8]| {
                [
                    &b"\x01e\x03key"[..],
                    &len.to_le_bytes(),
                    &properties(),
                    stamp,
                    b"body",
                ]
                .concat()
            };
            vec![
                ("plain", content(len, &[])),
                ("stamped", content(len | 1 << 31, &[1; 8])),
            ]
        }
        "certificates" => vec![("names", certificate())],
        "proxy_headers" => proxy_headers(),
        "entries" => {
            let mut batch = Batch::new();
            let (one, two) = (QueueId(1), QueueId(2));
            batch.publish(&[one, two], &[b"content"]);
            batch.publish(&[one], &[b"more"]);
            batch.ack(one, &[MessageId::new(1, 0)]);
            batch.returned(two, &[MessageId::new(1, 0)]);
            batch.handed_out(one, MessageId::new(1, 1));
            batch.gone(two);
            let body = batch.into_parts().0.split_off(32);
            let mut definitions = b"\x01\x01\0\0\0k\x01\0\0\0v".to_vec();
            definitions.extend(b"\0\x01\0\0\0k");
            vec![("messages", body), ("definitions", definitions)]
        }
        "records" => {
            let mut bytes = file("wal-");
            bytes.truncate(1024);
            flagged(["as-it-is", "sealed"], &bytes)
        }
        "manifest" => flagged(["as-it-is", "sealed"], &file("manifest")),
        "segment" => flagged(["as-it-is", "sealed"], &file("seg-")),
        "recovery" => vec![
            ("as-it-is", describe(&log, 0)),
            ("sealed", describe(&log, 1)),
        ],
        "restart" => talk
            .iter()
            .map(|(name, frames)| (*name, describe(&left_by(frames), 1)))
            .collect(),
        "connection" => talk
            .iter()
            .map(|(name, frames)| {
                let frames: Vec<_> = hello().into_iter().chain(frames.clone()).collect();
                (*name, pieces(&frames))
            })
            .collect(),
        "definitions" => {
            let small = serde_json::to_vec(&Document::default()).unwrap();
            vec![("full", DOCUMENT.into()), ("empty", small)]
        }
        "requests" => REQUESTS
            .iter()
            .map(|(name, method, path, body)| {
                (
                    *name,
                    [&[*method][..], path.as_bytes(), b"\n", body.as_bytes()].concat(),
                )
            })
            .collect(),
        other => panic!("nothing is made for {other}"),
    }
}
