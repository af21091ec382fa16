//! `brokerd` with every listener a client may want, on ports that outlive it.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use test_support::network;
use test_support::process::{Family, Process};

use crate::certificates;

/// For what takes seconds on an idle machine: tests run beside each other on few cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What RabbitMQ of the clients' reference scores does: larger messages than RabbitMQ 4 takes, transient queues.
pub(crate) const LIKE_REFERENCE: &str = "--profile=rabbitmq-3.13";

/// A broker of one test: user `guest` with password `guest`, and every permission on `/`.
pub(crate) struct Brokerd {
    process: Process,
    pub(crate) family: Family,
    pub(crate) host: Ipv4Addr,
    pub(crate) amqp: u16,
    pub(crate) amqps: u16,
    pub(crate) management: u16,
    management_tls: u16,
    /// On `[::1]`, where the machine has it.
    pub(crate) amqp_v6: Option<u16>,
    /// Further arguments.
    options: Vec<String>,
    directory: TempDir,
}

impl Brokerd {
    /// On 127.0.0.1 and free ports.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let [amqp, amqps, management, management_tls, amqp_v6] =
            [(); 5].map(|()| network::free_port());
        let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, amqp_v6)).is_ok();
        let ports = [amqp, amqps, management, management_tls];
        Self::start_on(
            Ipv4Addr::LOCALHOST,
            ports,
            has_v6.then_some(amqp_v6),
            options,
        )
    }

    /// On the ports that clients expect, for suites that cannot be told others: on a loopback
    /// address that is this process's own, so that no other broker is in the way.
    pub(crate) fn start_on_standard_ports(options: &[&str]) -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = Ipv4Addr::new(127, 88, high, low.max(1));
        Self::start_on(host, [5672, 5671, 15672, 15671], None, options)
    }

    fn start_on(
        host: Ipv4Addr,
        [amqp, amqps, management, management_tls]: [u16; 4],
        amqp_v6: Option<u16>,
        options: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        certificates::write(directory.path(), host);
        let family = Family::new();
        let mut broker = Self {
            process: family.spawn("nothing yet", &mut Command::new("true")),
            family,
            host,
            amqp,
            amqps,
            management,
            management_tls,
            amqp_v6,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            directory,
        };
        broker.start_again();
        broker
    }

    /// Ends it without warning, and starts it on the same ports and data.
    pub(crate) fn restart_killed(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Ends it without warning.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, and starts it on the same ports and data.
    pub(crate) fn restart_stopped(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Asks it to end.
    pub(crate) fn stop(&mut self) {
        let status = self.process.terminate(PATIENCE);
        assert!(status.success(), "{status}\n{}", self.process.log());
    }

    /// Starts one that was ended, on the same ports and data.
    pub(crate) fn start_again(&mut self) {
        let Self {
            host,
            amqp,
            amqps,
            management,
            management_tls,
            ..
        } = self;
        let directory = self.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_brokerd"));
        command
            .arg("--data-dir")
            .arg(directory.join("data"))
            .arg(format!("--amqp={host}:{amqp}"))
            .arg(format!("--amqps={host}:{amqps}"))
            .arg(format!("--management={host}:{management}"))
            .arg(format!("--management-tls={host}:{management_tls}"))
            .arg("--tls-cert")
            .arg(directory.join(certificates::CERTIFICATE))
            .arg("--tls-key")
            .arg(directory.join(certificates::KEY))
            .arg("--user=guest:guest")
            .args(&self.options);
        if let Some(port) = self.amqp_v6 {
            command.arg(format!("--amqp=[::1]:{port}"));
        }
        self.process = self.family.spawn("brokerd", &mut command);
        self.process.line("ready", PATIENCE);
    }

    /// The certificate that its own is signed by, in PEM.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join(certificates::CA)
    }

    /// Where the certificates are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Tells a program where the broker is.
    pub(crate) fn describe_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("AMQP_PORT", self.amqp.to_string())
            .env("AMQPS_PORT", self.amqps.to_string())
            .env("MANAGEMENT_PORT", self.management.to_string())
            .env("AMQP_CA", self.ca());
        if let Some(port) = self.amqp_v6 {
            command.env("AMQP_PORT_V6", port.to_string());
        }
        command
    }
}
