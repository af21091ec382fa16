//! A provisioner for tests: slow, failing or refusing on demand, and it remembers what is left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{Error, Inventory, PlacementRequest, Progress, Provisioner};
use crate::model::NodeId;
use crate::model::node::Placement;

/// What a call shall do instead of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// The work has begun; it is not there yet.
    Pending,
    /// The call fails before anything is done.
    Unreachable,
    /// The work is done, but its answer is lost.
    AnswerLost,
    Refuse(String),
}

/// Hands out the places it was given, one for each token.
#[derive(Debug, Clone, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    free: VecDeque<Placement>,
    given: BTreeMap<NodeId, Placement>,
    script: VecDeque<Behaviour>,
}

impl Fake {
    pub fn new(places: impl IntoIterator<Item = Placement>) -> Self {
        let state = State {
            free: places.into_iter().collect(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What the next calls do, in order; after that they do their work.
    pub async fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state.lock().await.script.extend(behaviours);
    }

    /// Forgets the rest of the script.
    pub async fn unscript(&self) {
        self.state.lock().await.script.clear();
    }

    /// The places that are in use.
    pub async fn given(&self) -> BTreeMap<NodeId, Placement> {
        self.state.lock().await.given.clone()
    }
}

fn pending<T>() -> Progress<T> {
    let reason = "still being made".to_owned();
    Progress::Pending {
        ask_again: Duration::from_millis(20),
        reason,
    }
}

impl Provisioner for Fake {
    fn place<'a>(
        &'a self,
        token: NodeId,
        _request: PlacementRequest,
        _inventory: &'a dyn Inventory,
    ) -> BoxFuture<'a, Result<Progress<Placement>, Error>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            let behaviour = state.script.pop_front();
            match &behaviour {
                Some(Behaviour::Pending) => return Ok(pending()),
                Some(Behaviour::Unreachable) => return Err(Error("unreachable".to_owned())),
                Some(Behaviour::Refuse(reason)) => return Ok(Progress::Failed(reason.clone())),
                Some(Behaviour::AnswerLost) | None => {}
            }
            let known = state.given.get(&token).copied();
            let Some(place) = known.or_else(|| state.free.pop_front()) else {
                return Ok(Progress::Failed("nothing is left".to_owned()));
            };
            state.given.insert(token, place);
            match behaviour {
                Some(_) => Err(Error("the answer was lost".to_owned())),
                None => Ok(Progress::Ready(place)),
            }
        })
    }

    fn release(&self, token: NodeId) -> BoxFuture<'_, Result<Progress<()>, Error>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            match state.script.pop_front() {
                Some(Behaviour::Pending) => return Ok(pending()),
                Some(Behaviour::Unreachable) => return Err(Error("unreachable".to_owned())),
                Some(Behaviour::Refuse(reason)) => return Ok(Progress::Failed(reason)),
                Some(Behaviour::AnswerLost) | None => {}
            }
            if let Some(place) = state.given.remove(&token) {
                state.free.push_back(place);
            }
            Ok(Progress::Ready(()))
        })
    }
}
