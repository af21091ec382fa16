//! `rabbitmqadmin`, as Debian's `rabbitmq-server` brings it along: told to do what operators do, it prints what it
//! prints against RabbitMQ, step by step.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer};

use crate::brokerd::{Brokerd, LIKE_REFERENCE};
use crate::python;

const PROGRAM: &str = "/usr/bin/rabbitmqadmin";

/// A line of the script that is told; the others are what must be printed.
const TOLD: &str = "$ ";

/// Everything it prints, but for blank lines and trailing blanks, in which nothing is told.
fn run(broker: &Brokerd, arguments: &[String]) -> String {
    let output = Command::new(PROGRAM)
        .args(["-H", &broker.host.to_string(), "-P"])
        .arg(broker.management.to_string())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program is installed");
    let mut printed = String::new();
    for stream in [output.stdout, output.stderr] {
        for line in String::from_utf8_lossy(&stream).lines() {
            if !line.trim().is_empty() {
                printed.push_str(line.trim_end());
                printed.push('\n');
            }
        }
    }
    printed
}

/// One channel with a consumer of the queue `tasks`.
async fn consumer(port: u16) -> (Connection, Consumer) {
    let uri = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker is up");
    let channel = connection.create_channel().await.expect("a channel opens");
    let declared = channel
        .queue_declare(
            "tasks".into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        )
        .await;
    declared.expect("a queue can be declared");
    let bounded = channel.basic_qos(3, BasicQosOptions::default()).await;
    bounded.expect("a bound can be set");
    let consumer = channel
        .basic_consume(
            "tasks".into(),
            "worker".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await;
    (connection, consumer.expect("a queue can be consumed"))
}

#[test]
fn rabbitmqadmin_prints_what_it_prints_against_rabbitmq() {
    if !Path::new(PROGRAM).exists() {
        assert!(
            std::env::var_os("WARREN_CI").is_none(),
            "not installed: {PROGRAM}"
        );
        eprintln!("rabbitmqadmin is not tested, not installed: {PROGRAM}");
        return;
    }
    let broker = Brokerd::start_with(&[LIKE_REFERENCE]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let consuming = runtime.block_on(consumer(broker.amqp));
    let listed = ["-f", "bash", "list", "connections", "name"].map(str::to_owned);
    let name = run(&broker, &listed).trim().to_owned();
    let file = broker.directory().join("definitions.json");
    let file = file.to_str().expect("the path is text");

    let script = python::here().join("rabbitmqadmin/steps.txt");
    let script = std::fs::read_to_string(script).expect("the script is there");
    let (mut observed, mut expected) = (String::new(), String::new());
    for line in script.lines() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        writeln!(expected, "{line}").expect("text takes text");
        let Some(told) = line.strip_prefix(TOLD) else {
            continue;
        };
        let arguments: Vec<String> = told
            .split(' ')
            .map(|argument| argument.replace("FILE", file).replace("CONNECTION", &name))
            .collect();
        let printed = run(&broker, &arguments).replace(file, "FILE");
        write!(observed, "{TOLD}{told}\n{printed}").expect("text takes text");
    }
    assert!(
        observed == expected,
        "observed:\n{observed}\nexpected:\n{expected}"
    );
    drop(consuming);
}
