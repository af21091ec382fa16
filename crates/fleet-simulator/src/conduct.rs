//! What becomes of a node that shall run.

use std::time::Duration;

use agent_api::NodeIntent;

/// How a simulated node takes an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Starting at once; ready, or absent when that is asked for, after this time.
    Willing { after: Duration },
    /// Starting, for ever.
    Stuck,
    /// It exits again and again.
    Looping,
    /// The host says nothing of it.
    Silent,
}

impl Conduct {
    /// Ready as soon as it is asked for.
    pub const AT_ONCE: Self = Self::Willing {
        after: Duration::ZERO,
    };
}

/// Decides over the nodes of one or more hosts. Asked for every new intent, and for all again after
/// [`crate::Host::reconsider`].
pub trait Script: Send + Sync + 'static {
    fn conduct(&self, intent: &NodeIntent) -> Conduct;
}

impl Script for Conduct {
    fn conduct(&self, _intent: &NodeIntent) -> Conduct {
        *self
    }
}

impl<F> Script for F
where
    F: Fn(&NodeIntent) -> Conduct + Send + Sync + 'static,
{
    fn conduct(&self, intent: &NodeIntent) -> Conduct {
        self(intent)
    }
}
