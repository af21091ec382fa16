//! A worker that dies at any step of any workflow, alone or with the API, the agent and the engine:
//! what is started afterwards ends in the right state.
//!
//! After a step is before the next one, so the default run dies after each; with `WARREN_LONG` it
//! dies before each too. The workflows' own tests do both without processes.

use test_support::directory;
use test_support::network::eventually;
use test_support::process::kill;

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

/// Who dies at a point.
#[derive(Debug, Clone, Copy)]
enum Victims {
    Worker,
    Everyone,
}

/// Each way to die at each step.
fn deaths(workflow: &str) -> impl Iterator<Item = (String, Victims)> {
    let both = [Victims::Worker, Victims::Everyone];
    points(workflow)
        .into_iter()
        .flat_map(move |point| both.map(|victims| (point.clone(), victims)))
}

/// Does `act` with a worker that dies at `point`, and gives the work to another.
fn dies(installation: &mut Installation, point: &str, victims: Victims, act: impl FnOnce()) {
    installation.work_until(point);
    act();
    let status = installation.workers[0].exit(PATIENCE);
    assert!(!status.success(), "the worker died at {point}");
    match victims {
        Victims::Worker => {}
        Victims::Everyone => {
            installation.apis[0].process.kill();
            installation.agent.kill();
            nodes(&installation.family).into_iter().for_each(kill);
            installation.serve_again(0);
            installation.watch_again();
        }
    }
    installation.work();
}

#[test]
fn of_a_creation() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    for (number, (point, victims)) in deaths("broker_create").enumerate() {
        let mut id = String::new();
        dies(&mut installation, &point, victims, || {
            id = remote.create(&format!("b{number}"))
        });
        remote.running(&id);
        one_node(&installation, &[], &format!("{point}, {victims:?}"));
        clear(&installation, &mut remote, &id);
    }
}

#[test]
fn of_a_reboot() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    let id = remote.create("rebooted");
    let endpoint = remote.running(&id);
    for (point, victims) in deaths("broker_reboot") {
        let before = nodes(&installation.family);
        dies(&mut installation, &point, victims, || remote.reboot(&id));
        assert_eq!(remote.running(&id), endpoint, "{point}, {victims:?}");
        one_node(&installation, &before, &format!("{point}, {victims:?}"));
    }
}

#[test]
fn of_a_deletion() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    for (number, (point, victims)) in deaths("broker_delete").enumerate() {
        let id = remote.create(&format!("b{number}"));
        remote.running(&id);
        dies(&mut installation, &point, victims, || {
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

/// One broker, one node, and none of those before. A node that was killed after its broker was
/// marked as running comes back a moment later.
fn one_node(installation: &Installation, before: &[u32], point: &str) {
    let what = format!("{point}: one node, and not of {before:?}");
    eventually(&what, PATIENCE, || {
        let after = nodes(&installation.family);
        (after.len() == 1 && !before.contains(&after[0])).then_some(())
    });
}

fn clear(installation: &Installation, remote: &mut Remote, id: &str) {
    remote.delete(id);
    eventually("no node is left", PATIENCE, || {
        nodes(&installation.family).is_empty().then_some(())
    });
}
