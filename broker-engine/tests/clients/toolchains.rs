//! Clients written in other languages, each in the directory of its name beside this file.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::programs::{self, Sources};

/// Copies Maven's dependencies without a plugin's version being left to chance.
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The program of amqplib.
pub(crate) fn node() -> Option<Command> {
    let sources = ["package.json", "package-lock.json", "program.js"];
    let place = prepared("amqplib", &sources, &["node", "npm"], |place| {
        vec![programs::npm_ci(place)]
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
        // The same program whether or not there is a C compiler.
        go.env("CGO_ENABLED", "0");
        go.current_dir(place);
        vec![go]
    })?;
    Some(Command::new(place.join("program")))
}

/// The directory in which the client called `name` is built from `files`; none without `tools`.
fn prepared(
    name: &str,
    files: &[&str],
    tools: &[&str],
    steps: impl FnOnce(&Path) -> Vec<Command>,
) -> Option<PathBuf> {
    let sources = Sources {
        directory: crate::python::here().join(name),
        files,
    };
    programs::prepared(&format!("clients-{name}"), &sources, tools, steps)
}
