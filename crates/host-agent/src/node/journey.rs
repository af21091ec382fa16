//! What a generation's way to being ready is traced as: a part of the call that asked for it.
//!
//! Begins with the first thing that is done for a generation, ends when the node is what it shall be. What
//! happens later, as a restart after a crash, is nobody's call.

use agent_api::{NodeIntent, Run};
use tracing::Span;

use super::decide::Action;

#[derive(Debug)]
pub(super) struct Journey {
    span: Span,
    /// The generation that it is, or was, and what was asked of it.
    of: Option<(i64, Run)>,
}

impl Default for Journey {
    fn default() -> Self {
        Self {
            span: Span::none(),
            of: None,
        }
    }
}

impl Journey {
    /// What an action is a part of. Looking after a node is none: it has no end.
    pub(super) fn during(&mut self, action: Action, intent: &NodeIntent) -> Span {
        match action {
            Action::Stop | Action::DeleteFiles | Action::Start => {
                self.begin(intent);
                self.span()
            }
            Action::Rest | Action::Pause(_) | Action::Watch | Action::Hold => Span::none(),
        }
    }

    fn begin(&mut self, intent: &NodeIntent) {
        let of = Some((intent.generation, intent.run));
        if self.of == of {
            return;
        }
        self.of = of;
        let parent = intent.traceparent.as_deref();
        let Some(parent) = parent.and_then(|text| text.parse().ok()) else {
            self.span = Span::none();
            return;
        };
        self.span = tracing::info_span!(
            target: trace::TARGET,
            parent: None,
            "node",
            otel.name = match intent.run {
                Run::Running => "bring the node up",
                Run::Absent => "take the node away",
            },
            warren.broker = intent.broker_id,
            warren.node = %intent.node_id,
            warren.generation = intent.generation,
            warren.request_id = intent.request_id,
        );
        trace::join(&self.span, Some(parent));
    }

    /// The node is what this intent says.
    pub(super) fn end(&mut self, intent: &NodeIntent) {
        self.of = Some((intent.generation, intent.run));
        self.span = Span::none();
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }
}
