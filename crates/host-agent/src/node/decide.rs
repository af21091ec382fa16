//! What to do next about a node. Pure: the whole table is in the tests.

use std::time::Duration;

use agent_api::{NodeIntent, Run};

/// What is true on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    /// Generation of the process that runs.
    pub(super) running: Option<i64>,
    /// Whether the node's volume or files exist.
    pub(super) files: bool,
    /// How long the next start still has to wait, after exits.
    pub(super) pause: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// End the process that runs: it is of an older generation, or none shall run.
    Stop,
    DeleteFiles,
    /// Absent, as intended.
    Rest,
    Pause(Duration),
    Start,
    /// The intended process runs: look after it.
    Watch,
    /// The process is newer than the intent, which must be a stale copy: wait for the next one.
    Hold,
}

pub(super) fn decide(intent: &NodeIntent, local: Local) -> Action {
    match (intent.run, local.running) {
        (Run::Absent, Some(_)) => Action::Stop,
        (Run::Absent, None) if local.files => Action::DeleteFiles,
        (Run::Absent, None) => Action::Rest,
        (Run::Running, Some(generation)) if generation == intent.generation => Action::Watch,
        (Run::Running, Some(generation)) if generation < intent.generation => Action::Stop,
        (Run::Running, Some(_)) => Action::Hold,
        (Run::Running, None) => local.pause.map_or(Action::Start, Action::Pause),
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::intent;
    use super::*;

    #[test]
    fn every_situation_has_its_action() {
        let pause = Some(Duration::from_secs(1));
        // (run, running, files, pause) at intended generation 5.
        let table = [
            (Run::Running, None, false, None, Action::Start),
            (Run::Running, None, true, None, Action::Start),
            (
                Run::Running,
                None,
                true,
                pause,
                Action::Pause(Duration::from_secs(1)),
            ),
            (Run::Running, Some(4), true, None, Action::Stop),
            (Run::Running, Some(4), true, pause, Action::Stop),
            (Run::Running, Some(5), true, None, Action::Watch),
            (Run::Running, Some(5), true, pause, Action::Watch),
            (Run::Running, Some(6), true, None, Action::Hold),
            (Run::Absent, Some(4), true, None, Action::Stop),
            (Run::Absent, Some(5), true, None, Action::Stop),
            (Run::Absent, Some(6), true, None, Action::Stop),
            (Run::Absent, None, true, None, Action::DeleteFiles),
            (Run::Absent, None, true, pause, Action::DeleteFiles),
            (Run::Absent, None, false, None, Action::Rest),
            (Run::Absent, None, false, pause, Action::Rest),
        ];
        for (run, running, files, pause, expected) in table {
            let intent = NodeIntent {
                run,
                generation: 5,
                ..intent()
            };
            let local = Local {
                running,
                files,
                pause,
            };
            assert_eq!(decide(&intent, local), expected, "{run:?} {local:?}");
        }
    }
}
