//! What owners set, on real brokers: configurations, users, alarms.

use serde_json::Value;
use test_support::process::{Process, kill};

use crate::installation::Installation;
use crate::patience::PATIENCE;
use crate::tree::nodes;

/// Data of a configuration with a key that this control plane accepts from nobody, and the engine does not know.
const UNKNOWN_KEY: &str = "aGVhcnRiZWF0ID0gMzAwCm5vbnNlbnNlID0gMQo=";

/// What the script says of the point that it has reached.
fn facts(owner: &mut Process, event: &str) -> Value {
    let line = owner.line(event, PATIENCE);
    serde_json::from_str(line.trim_start_matches(event)).expect("facts are JSON")
}

/// Gives the broker's node, which is the only one, another memory limit, and has its agent start it anew.
fn limit_memory(installation: &Installation, bytes: u64) {
    installation.execute(&format!(
        "update nodes set intended = jsonb_set(intended, '{{limits,memory_bytes}}', '{bytes}')"
    ));
    installation.execute("update hosts set intent_version = intent_version + 1");
    installation.execute("select pg_notify('warren_intent', id::text) from hosts");
    for node in nodes(&installation.family) {
        kill(node);
    }
}

#[test]
fn settings_users_and_alarms_act_on_brokers_and_bad_settings_do_not() {
    let installation = Installation::start();
    let mut script = installation.script("settings.py");
    let mut owner = installation.family.spawn("settings.py", &mut script);

    let broken = facts(&mut owner, "broken");
    let id = broken["configuration_id"].as_str().expect("an id");
    installation.execute(&format!(
        "update configuration_revisions set data = '{UNKNOWN_KEY}' where configuration_id = '{id}'"
    ));
    owner.tell("go on");

    facts(&mut owner, "users");
    limit_memory(&installation, 1_000_000);
    owner.tell("go on");
    facts(&mut owner, "memory");
    limit_memory(&installation, 4 << 30);
    owner.tell("go on");

    facts(&mut owner, "alarms");
    assert!(owner.exit(PATIENCE).success());
}
