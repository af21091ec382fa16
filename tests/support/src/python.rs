//! Python with pinned clients, in cargo's target directory: those of `tests/requirements.txt`, and
//! further environments by name.
//!
//! Each is prepared once for all test binaries, under a file lock; prepared anew when the requirements or
//! the interpreter change.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use crate::{directory, programs};

/// The oldest Python that the pinned clients support.
pub(crate) const MINOR_MIN: u32 = 10;

static ENVIRONMENT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let requirements = directory::repository().join("tests/requirements.txt");
    prepare("test-python", &requirements, MINOR_MIN)
});

/// Whether the clients are there, for a test that proves something without them too. With
/// `WARREN_CI` set they must be.
///
/// # Panics
/// When they are missing and must not be.
pub fn is_available() -> bool {
    is_prepared(&ENVIRONMENT)
}

/// As [`is_available`], of clients that [`prepare`] or something like it was to bring.
///
/// # Panics
/// When they are missing and must not be.
pub fn is_prepared(prepared: &Result<PathBuf, String>) -> bool {
    match prepared {
        Ok(_) => true,
        Err(reason) => {
            assert!(std::env::var_os("WARREN_CI").is_none(), "{reason}");
            eprintln!("real clients are missing, part of this test is skipped: {reason}");
            false
        }
    }
}

/// A Python command in the prepared environment, its scripts' directory as the module path.
///
/// # Panics
/// When Python is missing or the clients cannot be installed: the tests that need real clients
/// prove nothing without them.
pub fn python() -> Command {
    let mut command = client("python");
    command
        .env("PYTHONPATH", scripts())
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// `tests/python/<script>` as a command.
pub fn script(name: &str) -> Command {
    let mut command = python();
    command.arg(scripts().join(name));
    command
}

/// A program that the environment installs, such as `aws`. No setting of the developer's own AWS
/// account reaches it.
pub fn client(name: &str) -> Command {
    let mut command = Command::new(environment().join("bin").join(name));
    programs::without_settings_of_aws(&mut command);
    command
}

/// Runs to the end and returns stdout.
///
/// # Panics
/// When the program fails, with what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program can be run");
    assert!(
        output.status.success(),
        "{command:?} failed\n{}",
        printed(&output)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// Everything a program printed.
pub fn printed(output: &Output) -> String {
    format!(
        "--- stdout\n{}--- stderr\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The prepared environment's directory.
pub fn environment() -> &'static Path {
    ENVIRONMENT
        .as_ref()
        .unwrap_or_else(|reason| panic!("{reason}"))
}

fn scripts() -> PathBuf {
    directory::repository().join("tests/python")
}

/// Makes an environment called `name` with the packages of `requirements`, in a Python 3 of at least
/// this minor version; returns its directory.
///
/// # Errors
/// What is missing, for a person to read.
pub fn prepare(name: &str, requirements: &Path, minor_min: u32) -> Result<PathBuf, String> {
    directory::exclusively(&format!("{name}.lock"), || {
        install_environment(name, requirements, minor_min)
    })
}

fn install_environment(name: &str, requirements: &Path, minor_min: u32) -> Result<PathBuf, String> {
    let environment = directory::target().join(name);
    let pins = std::fs::read_to_string(requirements).expect("the requirements are readable");
    let (interpreter, version) = interpreter(minor_min)?;
    let wanted = format!("{version}\n{pins}");
    let stamp = environment.join("prepared");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(environment);
    }
    if environment.exists() {
        std::fs::remove_dir_all(&environment).expect("an outdated environment can be removed");
    }
    install(
        Command::new(&interpreter)
            .args(["-m", "venv"])
            .arg(&environment),
        "Debian needs the package python3-venv",
    )?;
    install(
        Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
                "--requirement",
            ])
            .arg(requirements),
        "the package registry must be reachable",
    )?;
    std::fs::write(&stamp, wanted).expect("the target directory is writable");
    Ok(environment)
}

fn install(command: &mut Command, hint: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {hint}\n{}", printed(&output)))
}

/// A Python that the pinned clients support, and its version.
pub(crate) fn interpreter(minor_min: u32) -> Result<(PathBuf, String), String> {
    let program = "import sys; print(sys.executable); print(sys.version_info[0], sys.version_info[1], sys.version_info[2])";
    let names = ["python3".to_owned()].into_iter().chain(
        (minor_min..=14)
            .rev()
            .map(|minor| format!("python3.{minor}")),
    );
    for name in names {
        let Ok(output) = Command::new(&name)
            .args(["-c", program])
            .stdin(Stdio::null())
            .output()
        else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some((path, version)) = text.trim().split_once('\n') else {
            continue;
        };
        let minor = version
            .split(' ')
            .nth(1)
            .and_then(|minor| minor.parse().ok());
        if version.starts_with("3 ") && minor.is_some_and(|minor: u32| minor >= minor_min) {
            return Ok((Path::new(path).to_path_buf(), version.to_owned()));
        }
    }
    Err(format!(
        "no Python 3.{minor_min} or newer on PATH: the tests run real clients written in Python"
    ))
}
