//! `brokerd` with every listener a client may want, on ports that outlive it.

use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use test_support::network;
use test_support::process::{Family, Process};

use crate::certificates;

/// For what takes seconds on an idle machine: tests run beside each other on few cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A broker of one test: user `guest` with password `guest`, and every permission on `/`.
pub(crate) struct Brokerd {
    process: Process,
    pub(crate) family: Family,
    pub(crate) amqp: u16,
    pub(crate) amqps: u16,
    pub(crate) management: u16,
    /// On `[::1]`, where the machine has it.
    pub(crate) amqp_v6: Option<u16>,
    directory: TempDir,
}

impl Brokerd {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        certificates::write(directory.path());
        let family = Family::new();
        let [amqp, amqps, management, amqp_v6] = [(); 4].map(|()| network::free_port());
        let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, amqp_v6)).is_ok();
        let amqp_v6 = has_v6.then_some(amqp_v6);
        let ports = (amqp, amqps, management, amqp_v6);
        let process = spawn(&family, directory.path(), ports);
        Self {
            process,
            family,
            amqp,
            amqps,
            management,
            amqp_v6,
            directory,
        }
    }

    /// Ends it without warning, and starts it on the same ports and data.
    pub(crate) fn restart_killed(&mut self) {
        self.process.kill();
        self.start_again();
    }

    /// Asks it to end, and starts it on the same ports and data.
    pub(crate) fn restart_stopped(&mut self) {
        let status = self.process.terminate(PATIENCE);
        assert!(status.success(), "{status}\n{}", self.process.log());
        self.start_again();
    }

    fn start_again(&mut self) {
        let ports = (self.amqp, self.amqps, self.management, self.amqp_v6);
        self.process = spawn(&self.family, self.directory.path(), ports);
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

fn spawn(
    family: &Family,
    directory: &Path,
    (amqp, amqps, management, amqp_v6): (u16, u16, u16, Option<u16>),
) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokerd"));
    command
        .arg("--data-dir")
        .arg(directory.join("data"))
        .arg(format!("--amqp=127.0.0.1:{amqp}"))
        .arg(format!("--amqps=127.0.0.1:{amqps}"))
        .arg(format!("--management=127.0.0.1:{management}"))
        .arg("--tls-cert")
        .arg(directory.join(certificates::CERTIFICATE))
        .arg("--tls-key")
        .arg(directory.join(certificates::KEY))
        .arg("--user=guest:guest");
    if let Some(port) = amqp_v6 {
        command.arg(format!("--amqp=[::1]:{port}"));
    }
    let mut process = family.spawn("brokerd", &mut command);
    process.line("ready", PATIENCE);
    process
}
