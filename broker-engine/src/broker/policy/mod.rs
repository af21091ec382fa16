//! Policies: arguments that operators give to queues and exchanges by name, and take back, while they are in use.
//!
//! Owns which policy a name gets and what a user's and an operator's policy come to together. Does not know what queues
//! make of it, nor how policies are kept: a policy here is one that passed [`Policy::parse`].

mod settings;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use self::settings::Validated;
use super::{
    error::Error,
    parameter::refusal,
    pattern::Pattern,
    queue::{Dialect, QueueKind},
};

/// Who set a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    /// Whoever may make policies.
    User,
    /// The operator, to bound what users ask for.
    Operator,
}

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApplyTo {
    All,
    Queues,
    QueuesOf(QueueKind),
    Streams,
    Exchanges,
}

impl ApplyTo {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "queues" => Self::Queues,
            "classic_queues" => Self::QueuesOf(QueueKind::Classic),
            "quorum_queues" => Self::QueuesOf(QueueKind::Quorum),
            "streams" => Self::Streams,
            "exchanges" => Self::Exchanges,
            _ => return None,
        })
    }
}

/// A policy.
#[derive(Debug)]
pub(crate) struct Policy {
    name: Box<str>,
    pattern: Pattern,
    apply_to: ApplyTo,
    priority: f64,
    definition: Map<String, Value>,
}

impl Policy {
    /// Reads the value of a parameter: `pattern`, `definition`, `priority`, `apply-to`.
    pub(crate) fn parse(
        kind: PolicyKind,
        name: &str,
        value: &Value,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        let members = value
            .as_object()
            .ok_or_else(|| refusal(vec![super::parameter::not_a_list(name, value)]))?;
        let Validated {
            pattern,
            apply_to,
            priority,
            definition,
        } = settings::validate(kind, name, members, dialect).map_err(refusal)?;
        Ok(Self {
            name: name.into(),
            pattern,
            apply_to,
            priority,
            definition,
        })
    }

    fn fits_queue(&self, name: &str, kind: QueueKind) -> bool {
        let is_meant = match self.apply_to {
            ApplyTo::All | ApplyTo::Queues => true,
            ApplyTo::QueuesOf(meant) => meant == kind,
            ApplyTo::Streams | ApplyTo::Exchanges => false,
        };
        let mut keys = self.definition.keys();
        is_meant && keys.all(|key| settings::suits(kind, key)) && self.pattern.is_match(name)
    }

    fn fits_exchange(&self, name: &str) -> bool {
        matches!(self.apply_to, ApplyTo::All | ApplyTo::Exchanges) && self.pattern.is_match(name)
    }
}

/// The policies of a virtual host.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    users: BTreeMap<Box<str>, Arc<Policy>>,
    operators: BTreeMap<Box<str>, Arc<Policy>>,
}

impl Policies {
    pub(crate) fn insert(&mut self, kind: PolicyKind, policy: Policy) {
        self.of(kind).insert(policy.name.clone(), Arc::new(policy));
    }

    pub(crate) fn remove(&mut self, kind: PolicyKind, name: &str) {
        self.of(kind).remove(name);
    }

    fn of(&mut self, kind: PolicyKind) -> &mut BTreeMap<Box<str>, Arc<Policy>> {
        match kind {
            PolicyKind::User => &mut self.users,
            PolicyKind::Operator => &mut self.operators,
        }
    }

    /// What holds for a queue.
    pub(crate) fn for_queue(&self, name: &str, kind: QueueKind) -> Applied {
        self.choose(|policy| policy.fits_queue(name, kind))
    }

    /// What holds for an exchange.
    pub(crate) fn for_exchange(&self, name: &str) -> Applied {
        self.choose(|policy| policy.fits_exchange(name))
    }

    /// The highest priority that fits; of equal ones the first by name.
    fn choose(&self, fits: impl Fn(&Policy) -> bool) -> Applied {
        let best = |policies: &BTreeMap<_, Arc<Policy>>| {
            let fitting = policies.values().rev().filter(|policy| fits(policy));
            fitting
                .max_by(|a, b| a.priority.total_cmp(&b.priority))
                .cloned()
        };
        Applied {
            user: best(&self.users),
            operator: best(&self.operators),
        }
    }
}

/// The policies that hold for one queue or exchange, as operators see them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppliedPolicies {
    /// The name of the user's policy.
    pub policy: Option<String>,
    /// The name of the operator's policy.
    pub operator_policy: Option<String>,
    /// What both come to; none without a policy.
    pub definition: Option<Map<String, Value>>,
}

/// The policies that hold for one queue or exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    user: Option<Arc<Policy>>,
    operator: Option<Arc<Policy>>,
}

impl Applied {
    /// Whether the same policies hold, unchanged.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Policy>>, b: &Option<Arc<Policy>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same(&self.user, &other.user) && same(&self.operator, &other.operator)
    }

    /// As operators see it.
    pub(crate) fn show(&self) -> AppliedPolicies {
        let name = |policy: &Option<Arc<Policy>>| Some(policy.as_ref()?.name.to_string());
        AppliedPolicies {
            policy: name(&self.user),
            operator_policy: name(&self.operator),
            definition: self.effective(),
        }
    }

    /// What both come to: where both speak, the operator's bound holds.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        let of = |policy: &Option<Arc<Policy>>| {
            policy
                .as_ref()
                .and_then(|policy| policy.definition.get(key))
                .cloned()
        };
        match (of(&self.user), of(&self.operator)) {
            (Some(user), Some(operator)) => Some(settings::merge(key, user, operator)),
            (user, operator) => user.or(operator),
        }
    }

    /// A setting that is a number not below zero.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// A setting that is text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        Some(self.get(key)?.as_str()?.to_owned())
    }

    fn effective(&self) -> Option<Map<String, Value>> {
        if self.user.is_none() && self.operator.is_none() {
            return None;
        }
        let policies = [&self.user, &self.operator];
        let keys = policies
            .into_iter()
            .flatten()
            .flat_map(|policy| policy.definition.keys());
        let settings = keys.filter_map(|key| Some((key.clone(), self.get(key)?)));
        Some(settings.collect())
    }
}

#[cfg(test)]
mod tests;
