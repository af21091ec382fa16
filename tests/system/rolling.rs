//! A rolling restart under constant load: every API and every worker is replaced, one at a time, behind
//! a balancer that asks who is ready, and no call fails.

use std::process::Command;

use test_support::network::eventually;

use crate::balancer::Balancer;
use crate::installation::Installation;
use crate::patience::{PATIENCE, repeated};

#[test]
fn apis_and_workers_are_replaced_without_a_failed_call() {
    let mut installation = Installation::start();
    installation.serve();
    installation.serve();
    installation.work();
    let balancer = Balancer::asking("/readyz");
    for index in 0..installation.apis.len() {
        balancer.add(installation.api_port(index));
    }
    let mut script: Command = installation.script("constant.py");
    script.env(
        "AWS_ENDPOINT_URL_MQ",
        format!("http://127.0.0.1:{}", balancer.port),
    );
    let mut client = installation.family.spawn("constant.py", &mut script);
    let begun = client.line("calling", PATIENCE);
    let (_, id) = begun.split_once(' ').expect("the script says what it made");

    for _ in 0..repeated(1) {
        for index in 0..installation.apis.len() {
            let before = calls(&mut client);
            let status = installation.apis[index].process.terminate(PATIENCE);
            assert!(status.success(), "a stopped API ends in order: {status}");
            installation.serve_again(index);
            eventually("calls go on", PATIENCE, || {
                (calls(&mut client) > before + 20).then_some(())
            });
        }
        for index in 0..installation.workers.len() {
            let status = installation.workers[index].terminate(PATIENCE);
            assert!(status.success(), "a stopped worker ends in order: {status}");
            installation.work_again(index);
        }
    }

    // What was begun before any of it was replaced is finished by those that came after.
    installation.remote().running(id);
    client.tell("stop");
    let ended = client.line("ended", PATIENCE);
    assert!(ended.ends_with(" failures 0"), "{}", client.log());
}

fn calls(client: &mut test_support::process::Process) -> u64 {
    client.tell("count");
    let line = client.line("calls", PATIENCE);
    let count = line.split(' ').nth(1).and_then(|count| count.parse().ok());
    count.expect("the script counts its calls")
}
