//! boto3 at the other end of a pipe: one process for all calls of a test.

use std::process::Command;

use test_support::process::{Family, Process};

use crate::patience::PATIENCE;

pub(crate) struct Remote {
    process: Process,
    /// Its own: it outlives every crash of what it calls.
    _family: Family,
}

/// Where a broker serves AMQPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: String,
}

impl Remote {
    /// `script` is `remote.py` with the environment of a client.
    pub(crate) fn start(mut script: Command) -> Self {
        let family = Family::new();
        let process = family.spawn("remote.py", &mut script);
        Self {
            process,
            _family: family,
        }
    }

    /// The answer to a line, whatever it is.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.process.tell(line);
        let answer = self.process.line("= ", PATIENCE);
        answer
            .strip_prefix("= ")
            .expect("answers start with an equal sign")
            .to_owned()
    }

    /// The answer of a call that succeeds.
    pub(crate) fn call(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        assert!(!answer.starts_with("error"), "{line}: {answer}");
        answer
    }

    pub(crate) fn create(&mut self, name: &str) -> String {
        self.call(&format!("create {name}"))
    }

    /// Waits until the broker runs.
    pub(crate) fn running(&mut self, id: &str) -> Endpoint {
        let answer = self.call(&format!("wait {id}"));
        let (host, port) = answer.split_once(' ').expect("host and port");
        Endpoint {
            host: host.to_owned(),
            port: port.to_owned(),
        }
    }

    pub(crate) fn reboot(&mut self, id: &str) {
        self.call(&format!("reboot {id}"));
    }

    /// Deletes the broker and waits until it is not found.
    pub(crate) fn delete(&mut self, id: &str) {
        self.call(&format!("delete {id}"));
        self.call(&format!("gone {id}"));
    }
}
