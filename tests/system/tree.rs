//! `warren dev` as a test's own installation: control plane, Postgres, agents and nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use test_support::process::{Family, Process, is_alive};
use test_support::{directory, network, python};

use crate::patience::PATIENCE;

pub(crate) struct Tree {
    // Dropped in this order: processes before the directory they write to.
    pub(crate) process: Process,
    pub(crate) family: Family,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    environment: Vec<(String, String)>,
    _directory: TempDir,
}

impl Tree {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further variables in its environment.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let data = directory.path().join("data");
        let family = Family::new();
        let port = network::free_port();
        let process = launch(&family, &data, port, &environment);
        let mut tree = Self {
            process,
            family,
            data,
            port,
            environment,
            _directory: directory,
        };
        tree.await_ready();
        tree
    }

    pub(crate) fn await_ready(&mut self) {
        self.process.line("ready", PATIENCE);
    }

    /// Power cut: every process of the tree at once, orphans too.
    pub(crate) fn crash(&mut self) {
        self.family.kill_all();
        self.process.kill();
    }

    /// Starts again on the same data directory.
    pub(crate) fn restart(&mut self) {
        self.process = launch(&self.family, &self.data, self.port, &self.environment);
        self.await_ready();
    }

    /// What `credentials.env` sets.
    pub(crate) fn credentials(&self) -> BTreeMap<String, String> {
        self.variables("credentials.env")
    }

    /// What a file for shells in the data directory sets.
    pub(crate) fn variables(&self, file: &str) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.data.join(file)).expect("dev writes it");
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("export "));
        let pairs = lines.filter_map(|line| line.split_once('='));
        let plain = |value: &str| value.trim_matches(['"', '\'']).to_owned();
        pairs
            .filter(|(name, _)| !name.starts_with('#'))
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect()
    }

    /// Gives a client what it needs to use this installation.
    pub(crate) fn equip(&self, command: &mut Command) {
        command
            .envs(self.credentials())
            .env("WARREN_CA", self.data.join("ca.pem"));
    }

    /// A script of `tests/python`.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = python::script(name);
        self.equip(&mut command);
        command
    }

    /// [`aws`] as this installation's account.
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        aws(&self.credentials(), arguments)
    }

    /// The node processes that run.
    pub(crate) fn nodes(&self) -> Vec<u32> {
        nodes(&self.family)
    }
}

/// What the AWS CLI prints of an operation on brokers; null when that is nothing.
pub(crate) fn aws(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Value {
    let mut command = python::client("aws");
    command.envs(environment).args(["--output", "json", "mq"]);
    let printed = python::succeed(command.args(arguments));
    if printed.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&printed).expect("the AWS CLI prints JSON")
}

pub(crate) fn nodes(family: &Family) -> Vec<u32> {
    let mut found = family.members(|arguments| arguments.get(1).is_some_and(|role| role == "node"));
    found.retain(|&pid| is_alive(pid));
    found
}

pub(crate) fn dev(data: &std::path::Path, port: u16) -> Command {
    let mut command = Command::new(directory::binary("warren"));
    command
        .arg("dev")
        .arg("--data-dir")
        .arg(data)
        .args(["--listen", &format!("127.0.0.1:{port}")]);
    clean(&mut command);
    command
}

/// No setting of the developer reaches a process under test.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "DATABASE_URL"
            || ["AWS_", "OTEL_", "WARREN_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
}

fn launch(
    family: &Family,
    data: &std::path::Path,
    port: u16,
    environment: &[(String, String)],
) -> Process {
    let mut command = dev(data, port);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    family.spawn("warren dev", &mut command)
}
