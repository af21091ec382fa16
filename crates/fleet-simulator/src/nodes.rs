//! The simulated nodes of one host: pure state, driven by intents and by time.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_api::{Alarms, LaunchObservation, NodeIntent, NodeObservation, Phase, Process, Run};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::conduct::{Conduct, Script};

/// Where invented pids begin: above what Linux hands out by default, so that none is ever mistaken
/// for a process of this machine.
const PID_FIRST: u32 = 1 << 23;

#[derive(Debug)]
struct Node {
    intent: NodeIntent,
    conduct: Conduct,
    since: DateTime<Utc>,
    pid: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Nodes {
    known: BTreeMap<Uuid, Node>,
    pids: u32,
}

impl Nodes {
    /// Takes over what shall be. A node that is no longer told of is forgotten when it was to be
    /// absent; silence about one that runs is no order to stop it.
    pub(crate) fn apply(
        &mut self,
        intents: Vec<NodeIntent>,
        script: &dyn Script,
        now: DateTime<Utc>,
    ) {
        self.known.retain(|id, node| {
            node.intent.run == Run::Running || intents.iter().any(|intent| intent.node_id == *id)
        });
        for intent in intents {
            let known = self.known.get(&intent.node_id);
            let same = known.is_some_and(|node| {
                node.intent.generation == intent.generation && node.intent.run == intent.run
            });
            match self.known.get_mut(&intent.node_id) {
                Some(node) if same => node.intent = intent,
                Some(_) | None => {
                    self.pids = self.pids.wrapping_add(1);
                    let node = Node {
                        conduct: script.conduct(&intent),
                        since: now,
                        pid: PID_FIRST.wrapping_add(self.pids),
                        intent,
                    };
                    self.known.insert(node.intent.node_id, node);
                }
            }
        }
    }

    /// Asks the script again; what has changed begins now.
    pub(crate) fn reconsider(&mut self, script: &dyn Script, now: DateTime<Utc>) {
        for node in self.known.values_mut() {
            let conduct = script.conduct(&node.intent);
            if conduct != node.conduct {
                node.conduct = conduct;
                node.since = now;
            }
        }
    }

    pub(crate) fn observations(&self, now: DateTime<Utc>) -> Vec<NodeObservation> {
        self.known
            .values()
            .filter_map(|node| node.observe(now))
            .collect()
    }

    /// When the next node changes by itself.
    pub(crate) fn next_change(&self, now: DateTime<Utc>) -> Option<Duration> {
        let left = self.known.values().filter_map(|node| node.left(now));
        left.min()
    }
}

impl Node {
    /// How long until the node is what it shall be; none when it is, or never will be.
    fn left(&self, now: DateTime<Utc>) -> Option<Duration> {
        match self.conduct {
            Conduct::Willing { after } => {
                let passed = (now - self.since).to_std().unwrap_or_default();
                after.checked_sub(passed).filter(|left| !left.is_zero())
            }
            Conduct::Stuck | Conduct::Looping | Conduct::Silent => None,
        }
    }

    fn observe(&self, now: DateTime<Utc>) -> Option<NodeObservation> {
        let arrived = self.left(now).is_none();
        let (phase, detail) = match (self.conduct, self.intent.run) {
            (Conduct::Silent, _) => return None,
            (Conduct::Willing { .. }, Run::Absent) if arrived => (Phase::Absent, None),
            (Conduct::Willing { .. }, Run::Running) if arrived => (Phase::Ready, None),
            (Conduct::Willing { .. } | Conduct::Stuck, _) => (Phase::Starting, None),
            (Conduct::Looping, _) => (Phase::CrashLooping, Some("exit status: 1".to_owned())),
        };
        let process = Process {
            pid: self.pid,
            start_ticks: 0,
            started_at: self.since,
        };
        Some(NodeObservation {
            node_id: self.intent.node_id,
            generation: self.intent.generation,
            phase,
            process: (phase == Phase::Ready).then_some(process),
            restarts: u32::from(phase == Phase::CrashLooping) * 3,
            detail,
            launch: (phase == Phase::Ready).then(|| LaunchObservation {
                release: self.intent.engine.release.clone(),
                rolled_back: None,
                away_ms: None,
            }),
            rejected: None,
            alarms: Alarms::default(),
            observed_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use agent_api::{Defaults, EngineArtefact, Limits, Listen, NodeConfiguration};
    use chrono::TimeDelta;

    use super::*;

    fn intent(id: u128, generation: i64, run: Run) -> NodeIntent {
        NodeIntent {
            node_id: Uuid::from_u128(id),
            broker_id: "b-1".to_owned(),
            broker_name: "one".to_owned(),
            generation,
            request_id: None,
            traceparent: None,
            run,
            engine: EngineArtefact {
                release: "0.1.0".to_owned(),
                artefact: "builtin".to_owned(),
                file: None,
            },
            profile: "rabbitmq-4.2".to_owned(),
            listen: Listen {
                address: [127, 0, 0, 1].into(),
                amqps_port: 5671,
                management_port: 15671,
            },
            volume: "v".to_owned(),
            limits: Limits {
                memory_bytes: 0,
                disk_free_bytes_min: 0,
                connections_max: 1,
                channels_max: 1,
                ..Limits::default()
            },
            configuration: NodeConfiguration::default(),
            proven_configuration: None,
            defaults: Defaults::default(),
            users: Vec::new(),
            fallback: None,
        }
    }

    fn phases(nodes: &Nodes, now: DateTime<Utc>) -> Vec<(i64, Phase)> {
        let observations = nodes.observations(now).into_iter();
        observations.map(|o| (o.generation, o.phase)).collect()
    }

    #[test]
    fn a_willing_node_is_ready_after_its_time_and_begins_anew_with_each_generation() {
        let second = Duration::from_secs(1);
        let script = Conduct::Willing { after: second };
        let (mut nodes, start) = (Nodes::default(), DateTime::UNIX_EPOCH);
        nodes.apply(vec![intent(1, 1, Run::Running)], &script, start);
        assert_eq!(phases(&nodes, start), [(1, Phase::Starting)]);
        assert_eq!(nodes.next_change(start), Some(second));
        let later = start + TimeDelta::seconds(1);
        assert_eq!(phases(&nodes, later), [(1, Phase::Ready)]);
        assert_eq!(nodes.next_change(later), None);

        let pid = nodes.observations(later)[0].process.unwrap().pid;
        nodes.apply(vec![intent(1, 2, Run::Running)], &script, later);
        assert_eq!(phases(&nodes, later), [(2, Phase::Starting)]);
        let ready = nodes.observations(later + TimeDelta::seconds(1));
        assert_ne!(ready[0].process.unwrap().pid, pid, "a new process");
    }

    #[test]
    fn only_an_absent_node_is_forgotten() {
        let (mut nodes, now) = (Nodes::default(), DateTime::UNIX_EPOCH);
        let both = vec![intent(1, 1, Run::Running), intent(2, 1, Run::Absent)];
        nodes.apply(both, &Conduct::AT_ONCE, now);
        assert_eq!(phases(&nodes, now), [(1, Phase::Ready), (1, Phase::Absent)]);
        nodes.apply(Vec::new(), &Conduct::AT_ONCE, now);
        assert_eq!(phases(&nodes, now), [(1, Phase::Ready)]);
    }

    #[test]
    fn a_changed_script_counts_from_when_it_is_reconsidered() {
        let (mut nodes, now) = (Nodes::default(), DateTime::UNIX_EPOCH);
        nodes.apply(vec![intent(1, 1, Run::Running)], &Conduct::Silent, now);
        assert_eq!(phases(&nodes, now), []);
        nodes.reconsider(&Conduct::Looping, now);
        assert_eq!(phases(&nodes, now), [(1, Phase::CrashLooping)]);
        nodes.reconsider(&Conduct::Stuck, now);
        assert_eq!(phases(&nodes, now), [(1, Phase::Starting)]);
        nodes.reconsider(&Conduct::AT_ONCE, now);
        assert_eq!(phases(&nodes, now), [(1, Phase::Ready)]);
    }
}
