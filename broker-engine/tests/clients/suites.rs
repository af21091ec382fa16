//! Suites that clients' authors publish, from the source packages of pinned versions.
//!
//! Each gets a fresh broker, on loopback; some would ask a public server otherwise. What may fail is
//! named here with its reason, and nothing else may: RabbitMQ's own score is the floor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use test_support::process::Family;
use test_support::{directory, python as support};

use crate::brokerd::{Brokerd, LIKE_REFERENCE};
use crate::containers::Containers;
use crate::{certificates, python};

/// The longest a suite may take on a busy machine: aio-pika's waits for a quarter of an hour on an idle one.
const SUITE_PATIENCE: Duration = Duration::from_secs(3600);

/// Of how many parts of a suite it is shown how long they took.
const SLOWEST_SHOWN: usize = 5;

/// A suite as it is run.
struct Suite<'a> {
    /// Package and version, as the registry knows them.
    package: &'a str,
    version: &'a str,
    /// Arguments of pytest, besides those of all suites.
    arguments: &'a [&'a str],
    /// How many tests pass against RabbitMQ.
    passed_min: usize,
    /// Tests that are not run, and why.
    left_out: &'a [(&'a str, &'a str)],
    /// Tests that may fail, and why.
    may_fail: &'a [(&'a str, &'a str)],
}

impl Suite<'_> {
    /// Unpacks the source package into `directory`.
    fn unpack(&self, directory: &Path) -> PathBuf {
        let archives = directory::target().join("clients-sources");
        let Self {
            package, version, ..
        } = self;
        let name = format!("{}-{version}.tar.gz", package.replace('-', "_"));
        let archive = archives.join(name);
        directory::exclusively("clients-sources.lock", || {
            if archive.exists() {
                return;
            }
            // Only this package as source: what builds it comes ready made.
            let mut download = Command::new(python::environment().join("bin/pip"));
            download
                .args(["download", "--quiet", "--disable-pip-version-check"])
                .args(["--no-input", "--no-deps", "--no-binary", package, "--dest"])
                .arg(&archives)
                .arg(format!("{package}=={version}"));
            support::succeed(&mut download);
        });
        support::succeed(
            python::python()
                .args(["-m", "tarfile", "-e"])
                .args([&archive, directory]),
        );
        let stem = archive.with_extension("").with_extension("");
        directory.join(stem.file_name().expect("an archive has a name"))
    }

    /// Runs pytest in `sources` and holds what it reports against what is expected.
    fn run(&self, sources: &Path, command: &mut Command) {
        let report = sources.join("report.xml");
        command
            .current_dir(sources)
            .args([
                "-m",
                "pytest",
                "-q",
                "-W",
                "ignore",
                "-p",
                "no:cacheprovider",
            ])
            .args(["--tb=short", "-o", "addopts="])
            .arg(format!("--junitxml={}", report.display()))
            .args(self.arguments);
        for (name, _) in self.left_out {
            command.arg(format!("--deselect={name}"));
        }
        let family = Family::new();
        let mut pytest = family.spawn(self.package, command);
        pytest.exit(SUITE_PATIENCE);
        let log = pytest.log();
        let text = std::fs::read_to_string(&report);
        let text = text.unwrap_or_else(|error| panic!("no report: {error}\n{log}"));
        let results = results(&text);
        let passed = results.iter().filter(|result| result.is_passed).count();
        println!("{}: {passed} of {} pass", self.package, results.len());
        for (name, seconds) in slowest(&results) {
            println!("{seconds:6.1} s  {name}");
        }
        let unexpected: Vec<_> = results
            .iter()
            .filter(|result| result.is_failed)
            .map(|result| result.name.as_str())
            .filter(|name| !self.may_fail.iter().any(|(known, _)| name.contains(known)))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?} failed\n{log}");
        assert!(
            passed >= self.passed_min,
            "{passed} tests passed, {} must\n{log}",
            self.passed_min
        );
    }
}

/// One test of a report.
struct TestResult {
    name: String,
    seconds: f64,
    is_passed: bool,
    is_failed: bool,
}

/// Which parts took longest, and how many seconds.
fn slowest(results: &[TestResult]) -> Vec<(&str, f64)> {
    let mut parts = BTreeMap::new();
    for result in results {
        let part = result.name.rsplit_once("::").map_or("", |(part, _)| part);
        *parts.entry(part).or_default() += result.seconds;
    }
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by(|(_, one), (_, other)| f64::total_cmp(other, one));
    parts.truncate(SLOWEST_SHOWN);
    parts
}

/// Reads JUnit's XML as pytest writes it: `testcase` elements, empty or with what went wrong.
fn results(xml: &str) -> Vec<TestResult> {
    let cases = xml.split("<testcase ").skip(1);
    cases
        .map(|case| {
            let (head, rest) = case.split_once('>').expect("an element ends");
            let attribute = |name: &str| {
                let (_, value) = head.split_once(&format!("{name}=\"")).unwrap_or_default();
                value.split('"').next().unwrap_or_default()
            };
            let body = if head.ends_with('/') {
                ""
            } else {
                rest.split("</testcase>").next().unwrap_or_default()
            };
            let is_failed = body.contains("<failure") || body.contains("<error");
            TestResult {
                name: format!("{}::{}", attribute("classname"), attribute(" name")),
                seconds: attribute("time").parse().unwrap_or_default(),
                is_passed: !is_failed && !body.contains("<skipped"),
                is_failed,
            }
        })
        .collect()
}

#[test]
fn py_amqp() {
    if !python::is_available() {
        return;
    }
    let suite = Suite {
        package: "amqp",
        version: "5.4.2",
        arguments: &["t/integration"],
        passed_min: 48,
        left_out: &[
            (
                "t/integration/test_rmq.py::test_tls_default_certs",
                "asks a public server",
            ),
            (
                "t/integration/test_rmq.py::test_tls_no_default_certs_fails",
                "asks a public server",
            ),
        ],
        may_fail: &[],
    };
    let broker = Brokerd::start();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = suite.unpack(directory.path());
    // The package leaves out the certificates of its own tests.
    let certificates = sources.join("t/certs");
    std::fs::create_dir_all(&certificates).expect("the directory is writable");
    for (from, to) in [
        (certificates::CA, "ca_certificate.pem"),
        (certificates::CLIENT_CERTIFICATE, "client_certificate.pem"),
        (certificates::CLIENT_KEY, "client_key.pem"),
        // A certificate and a key that do not belong together.
        (
            certificates::CLIENT_CERTIFICATE,
            "client_certificate_broken.pem",
        ),
        (certificates::KEY, "client_key_broken.pem"),
    ] {
        std::fs::copy(broker.directory().join(from), certificates.join(to))
            .expect("the broker has certificates");
    }
    let mut command = python::python();
    command
        .env("RABBITMQ_HOST", "localhost")
        .env("RABBITMQ_5672_TCP", broker.amqp.to_string())
        .env("RABBITMQ_5671_TCP", broker.amqps.to_string());
    suite.run(&sources, &mut command);
}

#[test]
fn kombu() {
    if !python::is_available() {
        return;
    }
    let suite = Suite {
        package: "kombu",
        version: "5.7.0",
        arguments: &["t/integration/test_py_amqp.py"],
        passed_min: 51,
        left_out: &[],
        may_fail: &[],
    };
    let broker = Brokerd::start();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = suite.unpack(directory.path());
    let mut command = python::python();
    command
        .env("RABBITMQ_HOST", "127.0.0.1")
        .env("RABBITMQ_5672_TCP", broker.amqp.to_string());
    suite.run(&sources, &mut command);
}

#[test]
fn amqpstorm() {
    if !python::is_available() {
        return;
    }
    let suite = Suite {
        package: "amqpstorm",
        version: "3.1.4",
        arguments: &["amqpstorm/tests/functional"],
        passed_min: 148,
        left_out: &[(
            "amqpstorm/tests/functional/management/test_api.py::ApiFunctionalTests::test_api_with_inaccessible",
            "asks an address of another machine",
        )],
        may_fail: &[],
    };
    // The suite knows its author's cluster by name.
    let broker = Brokerd::start_on_standard_ports(&[
        LIKE_REFERENCE,
        "--node-name=rabbit@rmq.eandersson.net",
    ]);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = suite.unpack(directory.path());
    let host = broker.host;
    let mut command = python::python();
    command
        .env("AMQP_HOST", host.to_string())
        .env("AMQP_USERNAME", "guest")
        .env("AMQP_PASSWORD", "guest")
        .env("AMQP_URI", format!("amqp://guest:guest@{host}:5672/%2F"))
        .env("AMQP_HTTP_URL", format!("http://{host}:15672"))
        .env(
            "AMQP_SSL_URI",
            format!("amqps://guest:guest@{host}:5671/%2F"),
        )
        .env("AMQP_SSL_HOST", host.to_string())
        .env("AMQP_CAFILE", broker.ca())
        .env(
            "AMQP_CERTFILE",
            broker.directory().join(certificates::CLIENT_CERTIFICATE),
        )
        .env(
            "AMQP_KEYFILE",
            broker.directory().join(certificates::CLIENT_KEY),
        );
    suite.run(&sources, &mut command);
}

#[test]
fn dramatiq() {
    if !python::is_available() {
        return;
    }
    let suite = Suite {
        package: "dramatiq",
        version: "2.2.1",
        arguments: &["tests/test_rabbitmq.py"],
        passed_min: 27,
        left_out: &[],
        may_fail: &[],
    };
    let broker = Brokerd::start();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = suite.unpack(directory.path());
    // Its tests import each other as a package.
    std::fs::write(sources.join("tests/__init__.py"), "").expect("the sources are unpacked");
    for file in ["common.py", "conftest.py"] {
        let from = python::here().join("dramatiq").join(file);
        std::fs::copy(from, sources.join("tests").join(file)).expect("the sources are unpacked");
    }
    let mut command = python::python();
    broker.describe_to(&mut command);
    let containers = Containers::of(broker);
    containers.describe_to(&mut command);
    suite.run(&sources, &mut command);
}

/// Runs a suite that has Docker start its brokers. `fixtures` are files of ours that its package leaves out.
fn run_in_containers(suite: &Suite<'_>, fixtures: &[&str]) {
    if !python::is_available() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = suite.unpack(directory.path());
    for file in fixtures {
        let from = python::here().join(suite.package).join(file);
        std::fs::copy(from, sources.join(file)).expect("the sources are unpacked");
    }
    let containers = Containers::start();
    let mut command = python::python();
    containers.describe_to(&mut command);
    suite.run(&sources, &mut command);
}

/// RabbitMQ 3.10.8 passes 558, fails 6 and has one skipped; with TLS on there are more to pass.
#[test]
fn aiormq() {
    run_in_containers(
        &Suite {
            package: "aiormq",
            version: "7.2.4",
            arguments: &["tests"],
            passed_min: 1000,
            left_out: &[],
            may_fail: &[
                (
                    "test_confirm_multiple",
                    "a fifth of a second for ten confirms: a busy machine needs more",
                ),
                (
                    "test_concurrent_channel_number_reuse",
                    "20 seconds for 500 channels, each step a turn of the event loop",
                ),
                (
                    "test_closing_waiter_cancellation",
                    "the client's reader may see the end of the connection before its own reason is noted",
                ),
                (
                    "test_connection_close_during_publish_drain",
                    "never reaches the broker: it looks at what the client's own tasks keep",
                ),
            ],
        },
        &["conftest.py"],
    );
}

/// Of aio-pika's suite, what takes seconds: a plain connection, and how consumers, calls and workers come back.
const AIO_PIKA_SHORT: &[&str] = &[
    "tests/test_amqp.py::TestCaseAmqp",
    "tests/test_close_notification.py",
    "tests/test_connection_close_state.py",
    "tests/test_consumer_cancel_recovery.py",
    "tests/test_consumer_publish_errors.py",
    "tests/test_json_rpc.py",
    "tests/test_master.py",
    "tests/test_nowait.py",
    "tests/test_queue_iterator_close.py",
    "tests/test_robust_binding_identity.py",
    "tests/test_robust_shutdown.py",
];

/// RabbitMQ 3.10.8 passes 946, fails 5 and has 24 skipped of the whole suite, which the long run has: it waits for a
/// quarter of an hour.
#[test]
fn aio_pika() {
    let is_whole = std::env::var_os("WARREN_LONG").is_some();
    let suite = Suite {
        package: "aio-pika",
        version: "10.2.1",
        arguments: if is_whole { &["tests"] } else { AIO_PIKA_SHORT },
        passed_min: if is_whole { 946 } else { 249 },
        left_out: &[],
        may_fail: &[
            (
                "test_channel_reconnect_stairway",
                "30 seconds for hundreds of reconnects: a busy machine needs more, whatever the broker",
            ),
            (
                "test_create_channels_during_reconnect",
                "fails when the event loop logs that it was held up",
            ),
            (
                "test_leak_unclosed_channel",
                "counts objects of the client that a task may still hold",
            ),
        ],
    };
    run_in_containers(&suite, &[]);
}
