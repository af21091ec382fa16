//! A short load on the broker of this repository: everything arrives, in every mode.
//!
//! Nothing here is timed: what it costs is the suite's business.

use std::path::Path;

use broker_engine::Engine;
use broker_engine::options::Options as EngineOptions;
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use warren_perf::load::{self, Ack, Environment, Options, Trust};
use warren_perf::{Target, churn};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: EngineOptions,
}

struct Broker {
    runtime: Runtime,
    engine: Option<Engine>,
    plain: Target,
    secure: Target,
    trust: Trust,
    _directory: TempDir,
}

impl Broker {
    fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let file = |name: &str| directory.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .expect("a certificate");
        std::fs::write(file("cert.pem"), made.cert.pem()).expect("the certificate is written");
        std::fs::write(file("key.pem"), made.signing_key.serialize_pem())
            .expect("the key is written");
        let arguments = [
            "brokerd",
            "--data-dir",
            &file("data"),
            "--amqp",
            "127.0.0.1:0",
            "--amqps",
            "127.0.0.1:0",
            "--tls-cert",
            &file("cert.pem"),
            "--tls-key",
            &file("key.pem"),
        ];
        let options = Command::parse_from(arguments).options;
        let runtime = Runtime::new().expect("a runtime");
        let engine = runtime
            .block_on(Engine::start(options))
            .expect("the engine starts");
        let addresses = engine.addresses();
        let target = |scheme: &str, port: u16| -> Target {
            format!("{scheme}://localhost:{port}")
                .parse()
                .expect("a URI")
        };
        Self {
            plain: target("amqp", addresses.amqp[0].port()),
            secure: target("amqps", addresses.amqps[0].port()),
            trust: Trust::read(Path::new(&file("cert.pem"))).expect("an authority"),
            engine: Some(engine),
            runtime,
            _directory: directory,
        }
    }

    fn run(&self, target: &Target, options: &Options) -> load::Report {
        let environment = Environment {
            trust: Some(self.trust.clone()),
            broker_pid: Some(std::process::id()),
            ..Environment::default()
        };
        let report = load::run(target, options, &environment).expect("the load runs");
        assert!(report.is_clean(), "{options:?}\n{report}");
        report
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.runtime
                .block_on(engine.stop())
                .expect("the engine stops");
        }
    }
}

#[test]
fn everything_arrives_in_every_mode() {
    let broker = Broker::start();
    let few = Options {
        messages: Some(3000),
        ..Options::default()
    };
    let loads = [
        few.clone(),
        Options {
            ack: Ack::Multiple(100),
            confirm: Some(500),
            size: 1024,
            ..few.clone()
        },
        Options {
            ack: Ack::Each,
            confirm: Some(100),
            persistent: true,
            publishers: 2,
            consumers: 2,
            queues: 5,
            ..few.clone()
        },
        Options {
            publishers: 3,
            consumers: 4,
            queues: 2,
            ..few.clone()
        },
        Options {
            topic: Some(50),
            queues: 3,
            publishers: 2,
            ..few.clone()
        },
        Options {
            messages: Some(20),
            size: 300_000,
            ..few.clone()
        },
        Options {
            messages: Some(200),
            rate: Some(5000.0),
            ..few.clone()
        },
        Options {
            backlog: Some(4000),
            publishers: 2,
            consumers: 2,
            ack: Ack::Each,
            ..few.clone()
        },
        Options {
            backlog: Some(1_000_000),
            ..few.clone()
        },
    ];
    for options in &loads {
        let report = broker.run(&broker.plain, options);
        let messages = options.messages.unwrap_or_default() * u64::from(options.publishers);
        assert_eq!((report.published, report.consumed), (messages, messages));
        assert_eq!(report.latency.is_some(), options.rate.is_some());
    }
    let fanout = Options {
        fanout: true,
        queues: 3,
        consumers: 3,
        ..few.clone()
    };
    assert_eq!(broker.run(&broker.plain, &fanout).consumed, 9000);
    assert_eq!(broker.run(&broker.secure, &few).consumed, 3000);
}

#[test]
fn messages_nobody_consumes_are_no_loss() {
    let broker = Broker::start();
    let options = Options {
        consumers: 0,
        messages: Some(500),
        confirm: Some(50),
        ..Options::default()
    };
    let report = broker.run(&broker.plain, &options);
    assert_eq!((report.published, report.consumed), (500, 0));
}

#[test]
fn connections_come_and_go() {
    let broker = Broker::start();
    let options = churn::Options {
        clients: 4,
        duration: 0.2,
    };
    let report =
        churn::run(&broker.plain, &options, &Environment::default()).expect("it is served");
    assert!(report.connections >= 4);
    assert!(report.opening.is_some());
}
