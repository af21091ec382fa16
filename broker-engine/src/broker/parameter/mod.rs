//! Runtime parameters of a virtual host: policies, operator policies, limits.
//!
//! Owns which components there are, how a value is checked, and what follows from all of them. A value is kept as it
//! was given, so that it is shown and exported as it was.

mod apply;
mod members;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::{
    apply::parameter_record,
    members::{Members, not_a_list, refusal},
};
use super::{
    error::Error,
    limits::VhostLimits,
    policy::{Policies, Policy, PolicyKind},
    queue::Dialect,
};

/// The component of users' policies.
pub const POLICY: &str = "policy";

/// The component of operators' policies.
pub const OPERATOR_POLICY: &str = "operator_policy";

/// The component of a virtual host's limits.
pub const VHOST_LIMITS: &str = "vhost-limits";

/// The only name that the limits of a virtual host go by.
pub const LIMITS: &str = "limits";

/// A value that was understood.
pub(crate) enum Parsed {
    Policy(PolicyKind, Policy),
    Limits(VhostLimits),
}

/// Checks a value.
pub(crate) fn parse(
    component: &str,
    name: &str,
    value: &Value,
    dialect: Dialect,
) -> Result<Parsed, Error> {
    let policy = |kind| {
        Ok(Parsed::Policy(
            kind,
            Policy::parse(kind, name, value, dialect)?,
        ))
    };
    match component {
        POLICY => policy(PolicyKind::User),
        OPERATOR_POLICY => policy(PolicyKind::Operator),
        VHOST_LIMITS if name == LIMITS => {
            Ok(Parsed::Limits(VhostLimits::parse(value).map_err(refusal)?))
        }
        VHOST_LIMITS => Err(refusal(vec![format!(
            "{VHOST_LIMITS} are named '{LIMITS}', not '{name}'"
        )])),
        other => Err(refusal(vec![format!("component {other} not found")])),
    }
}

/// The parameters of a virtual host.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    /// By component and name.
    values: BTreeMap<(String, String), Value>,
    policies: Policies,
    limits: VhostLimits,
}

impl Parameters {
    /// Takes a value that [`parse`] understood. True when there was none before.
    pub(crate) fn insert(
        &mut self,
        (component, name): (&str, &str),
        value: Value,
        parsed: Parsed,
    ) -> bool {
        match parsed {
            Parsed::Policy(kind, policy) => self.policies.insert(kind, policy),
            Parsed::Limits(limits) => self.limits = limits,
        }
        let key = (component.to_owned(), name.to_owned());
        self.values.insert(key, value).is_none()
    }

    /// Forgets a value. False when there is none.
    pub(crate) fn remove(&mut self, component: &str, name: &str) -> bool {
        match component {
            POLICY => self.policies.remove(PolicyKind::User, name),
            OPERATOR_POLICY => self.policies.remove(PolicyKind::Operator, name),
            VHOST_LIMITS => self.limits = VhostLimits::default(),
            _ => {}
        }
        let key = (component.to_owned(), name.to_owned());
        self.values.remove(&key).is_some()
    }

    /// A value by component and name.
    pub(crate) fn get(&self, component: &str, name: &str) -> Option<&Value> {
        let key = (component.to_owned(), name.to_owned());
        self.values.get(&key)
    }

    /// Every value with its component and name, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let values = self.values.iter();
        values.map(|((component, name), value)| (component.as_str(), name.as_str(), value))
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn limits(&self) -> VhostLimits {
        self.limits
    }
}
