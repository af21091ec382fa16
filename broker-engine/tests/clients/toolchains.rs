//! Clients written in other languages: their packages fetched by name and pinned version, their
//! programs built, once for all of these tests, in cargo's target directory.
//!
//! Without a language's tools a test says so and passes; with `WARREN_CI` set it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_support::{directory, python as support};

/// Copies Maven's dependencies without a plugin's version being left to chance.
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The program of amqplib.
pub(crate) fn node() -> Option<Command> {
    let sources = ["package.json", "package-lock.json", "program.js"];
    let place = prepared("amqplib", &sources, &["node", "npm"], |place| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        npm.current_dir(place);
        vec![npm]
    })?;
    let mut command = Command::new("node");
    command.arg(place.join("program.js"));
    Some(command)
}

/// The program of the Java client.
pub(crate) fn java() -> Option<Command> {
    let sources = ["pom.xml", "Program.java"];
    let place = prepared("java", &sources, &["java", "javac", "mvn"], |place| {
        let mut maven = Command::new("mvn");
        maven
            .args(["-B", "-q", COPY_DEPENDENCIES])
            .arg(format!("-DoutputDirectory={}", place.join("lib").display()));
        let mut javac = Command::new("javac");
        javac.args(["-cp", "lib/*", "-d", "classes", "Program.java"]);
        maven.current_dir(place);
        javac.current_dir(place);
        vec![maven, javac]
    })?;
    let mut command = Command::new("java");
    command
        .args(["-cp", "classes:lib/*", "Program"])
        .current_dir(place);
    Some(command)
}

/// The program of amqp091-go.
pub(crate) fn go() -> Option<Command> {
    let sources = ["go.mod", "go.sum", "main.go"];
    let place = prepared("go", &sources, &["go"], |place| {
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o", "program", "."]);
        go.current_dir(place);
        vec![go]
    })?;
    Some(Command::new(place.join("program")))
}

/// The directory in which the client called `name` is built from `sources`; none without `tools`.
fn prepared(
    name: &str,
    sources: &[&str],
    tools: &[&str],
    steps: impl FnOnce(&Path) -> Vec<Command>,
) -> Option<PathBuf> {
    let missing: Vec<_> = tools.iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        assert!(
            std::env::var_os("WARREN_CI").is_none(),
            "not installed: {missing:?}"
        );
        eprintln!("the client {name} is not tested, not installed: {missing:?}");
        return None;
    }
    let place = directory::target().join(format!("clients-{name}"));
    directory::exclusively(&format!("clients-{name}.lock"), || {
        let here = crate::python::here().join(name);
        let texts: Vec<String> = sources
            .iter()
            .map(|file| std::fs::read_to_string(here.join(file)).expect("the source is there"))
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
        for (file, text) in sources.iter().zip(&texts) {
            std::fs::write(place.join(file), text).expect("the target directory is writable");
        }
        for mut step in steps(&place) {
            support::succeed(&mut step);
        }
        std::fs::write(stamp, wanted).expect("the target directory is writable");
    });
    Some(place)
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
