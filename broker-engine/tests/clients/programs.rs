//! The programs: each is started, given the restarts it asks for, and must end well.

use std::process::Command;

use crate::brokerd::{Brokerd, PATIENCE};
use crate::{python, toolchains};

/// Runs a program against a broker of its own until it says that it is done.
pub(crate) fn run(name: &str, command: &mut Command) {
    let mut broker = Brokerd::start();
    let mut program = broker.family.spawn(name, broker.describe_to(command));
    loop {
        match program.line("", PATIENCE).as_str() {
            "restart killed" => broker.restart_killed(),
            "restart stopped" => broker.restart_stopped(),
            "done" => break,
            // What it tells for whoever reads a failure.
            _ => continue,
        }
        program.tell("restarted");
    }
    let status = program.exit(PATIENCE);
    assert!(status.success(), "{status}\n{}", program.log());
}

#[test]
fn pika() {
    if python::is_available() {
        run("pika", &mut python::program("pika/program.py"));
    }
}

#[test]
fn aio_pika() {
    if python::is_available() {
        run("aio-pika", &mut python::program("aio_pika/program.py"));
    }
}

#[test]
fn celery() {
    if python::is_available() {
        run("celery", &mut python::program("celery/program.py"));
    }
}

#[test]
fn amqplib() {
    if let Some(mut program) = toolchains::node() {
        run("amqplib", &mut program);
    }
}

#[test]
fn java_client() {
    if let Some(mut program) = toolchains::java() {
        run("the Java client", &mut program);
    }
}

#[test]
fn amqp091_go() {
    if let Some(mut program) = toolchains::go() {
        run("amqp091-go", &mut program);
    }
}
