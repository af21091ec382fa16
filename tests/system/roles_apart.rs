//! The roles as production runs them: several of each, against one database, dying at any moment.

use std::thread;
use std::time::Duration;

use test_support::network::eventually;
use test_support::process::kill;

use crate::installation::Installation;
use crate::patience::{PATIENCE, repeated};
use crate::remote::Remote;
use crate::tree::nodes;

#[test]
fn any_api_and_any_worker_will_do() {
    let mut installation = Installation::start();
    installation.serve();
    installation.work();
    let mut remote = installation.remote();
    let first = remote.create("first");
    remote.call(&format!("endpoint {}", installation.endpoint(1)));
    let served = remote.running(&first);

    installation.apis[0].process.kill();
    installation.workers[0].kill();
    let second = remote.create("second");
    assert_ne!(remote.running(&second), served);
    assert_eq!(remote.call("names"), "first second");
    remote.delete(&first);
    remote.delete(&second);
    eventually("the nodes are gone", PATIENCE, || {
        nodes(&installation.family).is_empty().then_some(())
    });
}

#[test]
fn an_api_killed_in_a_request_leaves_all_or_nothing() {
    let mut installation = Installation::start();
    installation.serve();
    let mut remote = installation.remote();
    for round in 0..repeated(4) {
        let delay = Duration::from_millis(3 * round as u64);
        let create = format!("create round-{round} token-{round}");
        killed_while(&mut installation, &mut remote, &create, delay);
        let id = remote.call(&create);
        assert_eq!(
            remote.call("names"),
            format!("round-{round}"),
            "one request, one broker"
        );
        let endpoint = remote.running(&id);

        killed_while(
            &mut installation,
            &mut remote,
            &format!("reboot {id}"),
            delay,
        );
        assert_eq!(remote.running(&id), endpoint);
        assert_eq!(nodes(&installation.family).len(), 1);

        killed_while(
            &mut installation,
            &mut remote,
            &format!("delete {id}"),
            delay,
        );
        remote.ask(&format!("delete {id}"));
        remote.call(&format!("gone {id}"));
    }
}

/// Sends the request to the first API, kills that after `delay`, starts it again, and leaves the
/// client at the second.
fn killed_while(
    installation: &mut Installation,
    remote: &mut Remote,
    request: &str,
    delay: Duration,
) {
    remote.call(&format!("endpoint {}", installation.endpoint(0)));
    let victim = installation.apis[0].process.pid();
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        kill(victim);
    });
    remote.ask(request);
    killer.join().expect("the killer ends");
    installation.serve_again(0);
    remote.call(&format!("endpoint {}", installation.endpoint(1)));
}

#[test]
fn an_agent_comes_and_goes_without_its_clients_noticing() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    let id = remote.create("steady");
    let endpoint = remote.running(&id);
    let node = nodes(&installation.family);
    let mut script = installation.script("steady.py");
    let mut client = installation
        .family
        .spawn("steady.py", script.args([&endpoint.host, &endpoint.port]));
    client.line("alive", PATIENCE);

    installation.agent.kill();
    client.line("alive", PATIENCE);
    installation.watch_again();
    client.line("alive", PATIENCE);
    assert!(
        installation.agent.terminate(PATIENCE).success(),
        "a stopped agent leaves its nodes"
    );
    client.line("alive", PATIENCE);
    installation.watch_again();
    assert_eq!(
        nodes(&installation.family),
        node,
        "the same process serves on"
    );

    client.tell("stop");
    client.line("steady", PATIENCE);
    assert!(client.exit(PATIENCE).success());
    remote.reboot(&id);
    remote.running(&id);
    let rebooted = nodes(&installation.family);
    assert!(
        rebooted.len() == 1 && rebooted != node,
        "the new agent is in charge: {rebooted:?}"
    );
    remote.delete(&id);
}

#[test]
fn an_engine_or_agent_killed_at_work_ends_in_one_node() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    let id = remote.create("unlucky");
    for _ in 0..2 {
        let node = eventually("a node comes up", PATIENCE, || {
            nodes(&installation.family).first().copied()
        });
        kill(node);
        eventually("it is gone", PATIENCE, || {
            (!nodes(&installation.family).contains(&node)).then_some(())
        });
    }
    remote.running(&id);
    for _ in 0..2 {
        let before = nodes(&installation.family);
        remote.reboot(&id);
        eventually("the agent acts", PATIENCE, || {
            (nodes(&installation.family) != before).then_some(())
        });
        installation.agent.kill();
        installation.watch_again();
        remote.running(&id);
        let after = nodes(&installation.family);
        assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
    }
    remote.call(&format!("delete {id}"));
    installation.agent.kill();
    installation.watch_again();
    remote.call(&format!("gone {id}"));
    eventually("the node is gone", PATIENCE, || {
        nodes(&installation.family).is_empty().then_some(())
    });
}
