//! A worker that dies at any step of any workflow: the next one ends in the right state.
//!
//! After a step is before the next one, so the default run dies after each; with `WARREN_LONG` it
//! dies before each too. The workflows' own tests do both without processes.

use test_support::directory;
use test_support::network::eventually;

use crate::installation::Installation;
use crate::patience::{PATIENCE, long};
use crate::remote::Remote;
use crate::tree::nodes;

/// `workflow.step.when` for each step, as the workflow's source has them.
fn points(workflow: &str) -> Vec<String> {
    let path = directory::repository().join(format!("src/workflows/{workflow}.rs"));
    let source = std::fs::read_to_string(path).expect("the workflow's source is readable");
    let calls = source.split("flow.step(").skip(1);
    let steps: Vec<&str> = calls.filter_map(|call| call.split('"').nth(1)).collect();
    assert!(steps.len() >= 3, "{workflow} has lost its steps: {steps:?}");
    let whens: &[&str] = if long().is_some() {
        &["before", "after"]
    } else {
        &["after"]
    };
    steps
        .iter()
        .flat_map(|step| {
            whens
                .iter()
                .map(move |when| format!("{workflow}.{step}.{when}"))
        })
        .collect()
}

/// Does `act` with a worker that dies at `point`, and gives the work to another.
fn dies(installation: &mut Installation, point: &str, act: impl FnOnce()) {
    installation.work_until(point);
    act();
    let status = installation.workers[0].exit(PATIENCE);
    assert!(!status.success(), "the worker died at {point}");
    installation.work();
}

#[test]
fn of_a_creation() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    for (number, point) in points("broker_create").into_iter().enumerate() {
        let mut id = String::new();
        dies(&mut installation, &point, || {
            id = remote.create(&format!("b{number}"))
        });
        remote.running(&id);
        assert_eq!(
            nodes(&installation.family).len(),
            1,
            "{point}: one broker, one node"
        );
        clear(&installation, &mut remote, &id);
    }
}

#[test]
fn of_a_reboot() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    let id = remote.create("rebooted");
    let endpoint = remote.running(&id);
    for point in points("broker_reboot") {
        let before = nodes(&installation.family);
        dies(&mut installation, &point, || remote.reboot(&id));
        assert_eq!(remote.running(&id), endpoint, "{point}");
        let after = nodes(&installation.family);
        assert!(
            after.len() == 1 && after != before,
            "{point}: {before:?} {after:?}"
        );
    }
}

#[test]
fn of_a_deletion() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    for (number, point) in points("broker_delete").into_iter().enumerate() {
        let id = remote.create(&format!("b{number}"));
        remote.running(&id);
        dies(&mut installation, &point, || {
            remote.call(&format!("delete {id}"));
        });
        remote.call(&format!("gone {id}"));
        eventually("no node is left", PATIENCE, || {
            nodes(&installation.family).is_empty().then_some(())
        });
        // The name is free again, and so is the place.
        let again = remote.create(&format!("b{number}"));
        remote.running(&again);
        clear(&installation, &mut remote, &again);
    }
}

fn clear(installation: &Installation, remote: &mut Remote, id: &str) {
    remote.delete(id);
    eventually("no node is left", PATIENCE, || {
        nodes(&installation.family).is_empty().then_some(())
    });
}
