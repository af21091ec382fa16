//! Python with the clients of `requirements.txt`, prepared once for all of these tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use test_support::{directory, python};

/// The oldest Python that the pinned clients support.
const MINOR_MIN: u32 = 11;

static ENVIRONMENT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    python::prepare(
        "clients-python",
        &here().join("requirements.txt"),
        MINOR_MIN,
    )
});

/// Where the programs are.
pub(crate) fn here() -> PathBuf {
    directory::repository().join("broker-engine/tests/clients")
}

/// Whether there is a Python with the clients. With `WARREN_CI` set there must be.
pub(crate) fn is_available() -> bool {
    python::is_prepared(&ENVIRONMENT)
}

/// The prepared environment.
pub(crate) fn environment() -> &'static Path {
    ENVIRONMENT
        .as_ref()
        .unwrap_or_else(|reason| panic!("{reason}"))
}

/// A Python command in the prepared environment.
pub(crate) fn python() -> Command {
    let mut command = Command::new(environment().join("bin/python"));
    command
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", here().join("shared"));
    command
}

/// A program of ours, by its path below this directory.
pub(crate) fn program(path: &str) -> Command {
    let mut command = python();
    command.arg(here().join(path));
    command
}
