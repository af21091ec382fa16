//! Backup and restore: a dump of the database and the master key bring the control plane back. Hosts
//! and clients of brokers notice nothing; what was changed after the dump is put back to what it says.

use test_support::network::eventually;

use crate::installation::Installation;
use crate::patience::PATIENCE;
use crate::tree::nodes;

#[test]
fn a_restored_control_plane_takes_its_hosts_and_brokers_back() {
    let mut installation = Installation::start();
    let mut remote = installation.remote();
    let kept = remote.create("kept");
    let endpoint = remote.running(&kept);
    let steady = nodes(&installation.family);
    let changed = remote.create("changed");
    remote.running(&changed);
    let dump = installation.back_up();

    // What the dump knows nothing of: a process of a later generation, and a broker.
    remote.reboot(&changed);
    remote.running(&changed);
    let late = remote.create("late");
    remote.running(&late);
    let before = nodes(&installation.family);
    assert_eq!(before.len(), 3);
    installation.restore(&dump);

    assert_eq!(remote.call("names"), "changed kept");
    assert_eq!(remote.running(&kept), endpoint);
    // The later generation is overtaken by one more, which runs with what the dump says.
    eventually("the changed broker is put back", PATIENCE, || {
        let now = nodes(&installation.family);
        let fresh = now.iter().any(|pid| !before.contains(pid));
        (fresh && now.len() == 3).then_some(())
    });
    remote.running(&changed);
    let now = nodes(&installation.family);
    assert!(
        steady.iter().all(|pid| now.contains(pid)),
        "clients of [kept] stay connected"
    );
    let told = "a host runs a node that nobody knows";
    eventually("the unknown node is told of", PATIENCE, || {
        installation.apis[0]
            .process
            .log()
            .contains(told)
            .then_some(())
    });

    // Everything goes on as if nothing had been.
    remote.reboot(&kept);
    remote.running(&kept);
    eventually("a new process serves", PATIENCE, || {
        let now = nodes(&installation.family);
        steady.iter().all(|pid| !now.contains(pid)).then_some(())
    });
    let again = remote.create("late");
    assert_ne!(again, late);
    remote.running(&again);
    remote.delete(&again);
    remote.delete(&changed);
    remote.delete(&kept);
}
