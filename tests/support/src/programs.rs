//! Client programs in other languages: their packages fetched by name and pinned version, built once
//! for all test binaries, in cargo's target directory.
//!
//! Without a language's tools a test says so and passes; with `WARREN_CI` set it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{directory, python};

/// What a program is made of: `files` in `directory`.
#[derive(Debug)]
pub struct Sources<'a> {
    pub directory: PathBuf,
    pub files: &'a [&'a str],
}

/// The directory in which the program called `name` is built from copies of its sources by `steps`;
/// none without `tools`. It is built anew when a source changes.
///
/// # Panics
/// When a tool is missing and must not be, or a step fails.
pub fn prepared(
    name: &str,
    sources: &Sources<'_>,
    tools: &[&str],
    steps: impl FnOnce(&Path) -> Vec<Command>,
) -> Option<PathBuf> {
    let missing: Vec<_> = tools.iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        assert!(
            std::env::var_os("WARREN_CI").is_none(),
            "not installed: {missing:?}"
        );
        eprintln!("{name} is not tested, not installed: {missing:?}");
        return None;
    }
    let place = directory::target().join(name);
    directory::exclusively(&format!("{name}.lock"), || {
        let texts: Vec<String> = sources
            .files
            .iter()
            .map(|file| {
                std::fs::read_to_string(sources.directory.join(file)).expect("the source is there")
            })
            .collect();
        let stamp = place.join("prepared");
        let wanted = texts.join("\n");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return;
        }
        if place.exists() {
            std::fs::remove_dir_all(&place).expect("an outdated build can be removed");
        }
        std::fs::create_dir_all(&place).expect("the target directory is writable");
        for (file, text) in sources.files.iter().zip(&texts) {
            std::fs::write(place.join(file), text).expect("the target directory is writable");
        }
        for mut step in steps(&place) {
            python::succeed(&mut step);
        }
        std::fs::write(stamp, wanted).expect("the target directory is writable");
    });
    Some(place)
}

/// The step that fetches the packages of a `package-lock.json`; none of them runs a script.
pub fn npm_ci(place: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    npm.current_dir(place);
    npm
}

/// Keeps the developer's own AWS account from a client.
pub fn without_settings_of_aws(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("AWS_") {
            command.env_remove(variable);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env("NO_PROXY", "*");
}

fn is_there(tool: &str) -> bool {
    let flag = if tool == "go" { "version" } else { "--version" };
    Command::new(tool)
        .arg(flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
