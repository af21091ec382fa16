//! A broker's state: a pure fold of what was asked for and what was observed.
//!
//! ```text
//!   CREATION_IN_PROGRESS ──► RUNNING ◄──► CRITICAL_ACTION_REQUIRED
//!        │                    │   ▲
//!        ▼                    ▼   │
//!   CREATION_FAILED      REBOOT_IN_PROGRESS
//!
//!   the replica of a pair is REPLICA where others are RUNNING
//!
//!   any of them ──► DELETION_IN_PROGRESS ──► gone
//! ```

use crate::model::{BrokerId, parity::Parity};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    CreationFailed,
    CreationInProgress,
    CriticalActionRequired,
    DeletionInProgress,
    RebootInProgress,
    Replica,
    Running,
}

/// What the state is folded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub generation: i64,
    pub applied_generation: i64,
    pub deletion_requested: bool,
    pub failed: bool,
    /// A node needs its owner.
    pub critical: bool,
    /// It takes what another broker is sent.
    pub replica: bool,
}

/// What a caller may ask of an existing broker that depends on its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Reboot,
    Update,
    Delete,
}

/// A request that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Broker [{broker_id}] can't be {} while in state [{}]. {}", .request.verb(), .state.name(), need(*.request))]
pub struct NotAllowed {
    pub broker_id: BrokerId,
    pub request: Request,
    pub state: State,
}

impl Request {
    /// What is done to the broker, as in messages.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Reboot => "rebooted",
            Self::Update => "updated",
            Self::Delete => "deleted",
        }
    }
}

fn need(request: Request) -> &'static str {
    match request {
        Request::Reboot | Request::Update => "It must be in state [RUNNING].",
        Request::Delete => "Try again later.",
    }
}

impl State {
    pub const ALL: [Self; 7] = [
        Self::CreationFailed,
        Self::CreationInProgress,
        Self::CriticalActionRequired,
        Self::DeletionInProgress,
        Self::RebootInProgress,
        Self::Replica,
        Self::Running,
    ];

    pub fn fold(facts: &Facts) -> Self {
        if facts.deletion_requested {
            Self::DeletionInProgress
        } else if facts.applied_generation == 0 {
            if facts.failed {
                Self::CreationFailed
            } else {
                Self::CreationInProgress
            }
        } else if facts.applied_generation < facts.generation {
            Self::RebootInProgress
        } else if facts.critical {
            Self::CriticalActionRequired
        } else if facts.replica {
            Self::Replica
        } else {
            Self::Running
        }
    }

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreationFailed => "CREATION_FAILED",
            Self::CreationInProgress => "CREATION_IN_PROGRESS",
            Self::CriticalActionRequired => "CRITICAL_ACTION_REQUIRED",
            Self::DeletionInProgress => "DELETION_IN_PROGRESS",
            Self::RebootInProgress => "REBOOT_IN_PROGRESS",
            Self::Replica => "REPLICA",
            Self::Running => "RUNNING",
        }
    }

    /// Whether `request` may be made now. A broker can be updated once it has run, and rebooted
    /// unless that is in progress: a change and a reboot are how its owner heals it. Deleting is
    /// always possible: the deletion waits its turn behind what is in progress, and asking twice
    /// changes nothing; only strict parity has callers wait for a creation to end.
    pub fn allows(self, request: Request, parity: Parity) -> bool {
        match (request, self) {
            (Request::Reboot, Self::CriticalActionRequired | Self::Replica | Self::Running)
            | (
                Request::Update,
                Self::CriticalActionRequired
                | Self::RebootInProgress
                | Self::Replica
                | Self::Running,
            )
            | (
                Request::Delete,
                Self::CreationFailed
                | Self::CriticalActionRequired
                | Self::DeletionInProgress
                | Self::RebootInProgress
                | Self::Replica
                | Self::Running,
            ) => true,
            (Request::Delete, Self::CreationInProgress) => !parity.is_strict(),
            (
                Request::Reboot,
                Self::CreationFailed
                | Self::CreationInProgress
                | Self::DeletionInProgress
                | Self::RebootInProgress,
            )
            | (
                Request::Update,
                Self::CreationFailed | Self::CreationInProgress | Self::DeletionInProgress,
            ) => false,
        }
    }

    /// Like [`Self::allows`], as the error the caller gets.
    pub fn check(
        self,
        request: Request,
        parity: Parity,
        broker_id: &BrokerId,
    ) -> Result<(), NotAllowed> {
        if self.allows(request, parity) {
            return Ok(());
        }
        Err(NotAllowed {
            broker_id: broker_id.clone(),
            request,
            state: self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that can happen to a broker.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Event {
        NodesProven,
        WorkflowFailed,
        RebootRequested,
        DeletionRequested,
        NodeLoops,
        NodeRecovers,
        Paired,
        Parted,
    }

    const EVENTS: [Event; 8] = [
        Event::NodesProven,
        Event::WorkflowFailed,
        Event::RebootRequested,
        Event::DeletionRequested,
        Event::NodeLoops,
        Event::NodeRecovers,
        Event::Paired,
        Event::Parted,
    ];

    fn facts(state: State) -> Facts {
        let running = Facts {
            generation: 2,
            applied_generation: 2,
            deletion_requested: false,
            failed: false,
            critical: false,
            replica: false,
        };
        let created = Facts {
            generation: 1,
            applied_generation: 0,
            ..running
        };
        match state {
            State::CreationFailed => Facts {
                failed: true,
                ..created
            },
            State::CreationInProgress => created,
            State::CriticalActionRequired => Facts {
                critical: true,
                ..running
            },
            State::DeletionInProgress => Facts {
                deletion_requested: true,
                ..running
            },
            State::RebootInProgress => Facts {
                generation: 3,
                ..running
            },
            State::Replica => Facts {
                replica: true,
                ..running
            },
            State::Running => running,
        }
    }

    fn apply(facts: Facts, event: Event) -> Facts {
        match event {
            Event::NodesProven => Facts {
                applied_generation: facts.generation,
                ..facts
            },
            Event::WorkflowFailed => Facts {
                failed: true,
                ..facts
            },
            Event::RebootRequested => Facts {
                generation: facts.generation + 1,
                ..facts
            },
            Event::DeletionRequested => Facts {
                deletion_requested: true,
                ..facts
            },
            Event::NodeLoops => Facts {
                critical: true,
                ..facts
            },
            Event::NodeRecovers => Facts {
                critical: false,
                ..facts
            },
            Event::Paired => Facts {
                replica: true,
                ..facts
            },
            Event::Parted => Facts {
                replica: false,
                ..facts
            },
        }
    }

    fn next(state: State, event: Event) -> State {
        use State::{
            CreationFailed, CreationInProgress, CriticalActionRequired, DeletionInProgress,
            RebootInProgress, Replica, Running,
        };
        match (state, event) {
            (DeletionInProgress, _) | (_, Event::DeletionRequested) => DeletionInProgress,
            // Nodes that prove themselves after all make a failed creation good.
            (CreationFailed | CreationInProgress | RebootInProgress, Event::NodesProven) => Running,
            (CreationFailed, _) | (CreationInProgress, Event::WorkflowFailed) => CreationFailed,
            (CreationInProgress, _) => CreationInProgress,
            (CriticalActionRequired | Replica | Running, Event::RebootRequested) => {
                RebootInProgress
            }
            (RebootInProgress, _) => RebootInProgress,
            (CriticalActionRequired, Event::NodeRecovers) => Running,
            (CriticalActionRequired, _) | (Replica | Running, Event::NodeLoops) => {
                CriticalActionRequired
            }
            (Replica, Event::Parted) => Running,
            (Running, Event::Paired) | (Replica, _) => Replica,
            (Running, _) => Running,
        }
    }

    #[test]
    fn every_state_and_event_leads_where_the_table_says() {
        for state in State::ALL {
            assert_eq!(State::fold(&facts(state)), state);
            for event in EVENTS {
                let got = State::fold(&apply(facts(state), event));
                assert_eq!(got, next(state, event), "{state:?} after {event:?}");
            }
        }
    }

    #[test]
    fn what_a_state_allows_is_as_the_table_says() {
        for state in State::ALL {
            let has_run = matches!(
                state,
                State::CriticalActionRequired
                    | State::RebootInProgress
                    | State::Replica
                    | State::Running
            );
            let reboots = has_run && state != State::RebootInProgress;
            for parity in Parity::ALL {
                let allows = |request| state.allows(request, parity);
                assert_eq!(allows(Request::Reboot), reboots, "{state:?}");
                assert_eq!(allows(Request::Update), has_run, "{state:?}");
                let waits = parity.is_strict() && state == State::CreationInProgress;
                assert_eq!(allows(Request::Delete), !waits, "{state:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_state_as_sdks_expect() {
        let id = BrokerId::parse("b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10").unwrap();
        let refused = State::CreationInProgress
            .check(Request::Reboot, Parity::Extended, &id)
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Broker [b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10] can't be rebooted while in state \
             [CREATION_IN_PROGRESS]. It must be in state [RUNNING]."
        );
    }
}
