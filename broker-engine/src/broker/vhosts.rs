//! The virtual hosts of a node: making, describing and deleting them, and what else comes and goes with them.
//!
//! A virtual host goes in one entry of the log, with everything that is defined in it and with what users may do there:
//! after a crash it is there as a whole or not at all. Lock order: virtual hosts, access, topology.

use std::sync::{Arc, atomic::Ordering};

use serde_json::Value;

use super::{
    Broker,
    definitions::{
        document,
        record::{Change, Record},
    },
    error::Error,
    parameter::{LIMITS, VHOST_LIMITS},
    vhost::Vhost,
};
use crate::store::{Batch, Position};

/// Is told that something went with which connections must go. Called without locks.
pub trait Bystander: Send + Sync {
    /// A virtual host is gone.
    fn vhost_deleted(&self, vhost: &str);

    /// A user is gone.
    fn user_deleted(&self, user: &str);
}

impl Broker {
    /// A virtual host by name.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.read().get(name).cloned()
    }

    /// All virtual hosts, by name.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        self.vhosts.read().values().cloned().collect()
    }

    /// Creates a virtual host, or describes one anew; without a type of queues it keeps the one it has. True when it
    /// is new.
    pub fn put_vhost(&self, described: &document::Vhost) -> Result<(bool, Position), Error> {
        let mut vhosts = self.vhosts.write();
        check_queue_type(described)?;
        let old = vhosts.get(&described.name).cloned();
        if old.is_none() {
            self.check_vhost_room(&described.name, vhosts.len())?;
        }
        let new = updated(described, old.as_deref());
        let position = self.core.store.define(&[vhost_record(&new).set()])?;
        match &old {
            Some(vhost) => vhost.describe(new),
            None => {
                let vhost = Vhost::new(new, Arc::clone(&self.core));
                vhosts.insert(described.name.clone(), vhost);
            }
        }
        Ok((old.is_none(), position))
    }

    /// Deletes a virtual host with all that is in it, and tells whose connections must go. None when there is none.
    pub fn delete_vhost(&self, name: &str) -> Result<Option<Position>, Error> {
        let mut vhosts = self.vhosts.write();
        let Some(vhost) = vhosts.get(name) else {
            return Ok(None);
        };
        let access = &self.core.access;
        let position = access.forget_vhost(name, |changes| vhost.delete(changes))?;
        vhosts.remove(name);
        drop(vhosts);
        self.tell(|bystander| bystander.vhost_deleted(name));
        Ok(Some(position))
    }

    /// Has `bystander` told while it lives. Whoever opens a session asks afterwards whether its virtual host is still
    /// there.
    pub fn on_deletions(&self, bystander: std::sync::Weak<dyn Bystander>) {
        self.bystanders.lock().push(bystander);
    }

    pub(super) fn tell(&self, tell: impl Fn(&dyn Bystander)) {
        let mut alive = Vec::new();
        let mut bystanders = self.bystanders.lock();
        bystanders.retain(|bystander| {
            let found = bystander.upgrade();
            let is_alive = found.is_some();
            alive.extend(found);
            is_alive
        });
        drop(bystanders);
        for bystander in alive {
            tell(&*bystander);
        }
    }

    /// Sets a runtime parameter of a virtual host: a policy, an operator's policy, its limits. True when it is new.
    pub fn put_parameter(
        &self,
        parameter: &document::Parameter,
    ) -> Result<(bool, Option<Position>), Error> {
        let document::Parameter {
            vhost,
            component,
            name,
            value,
        } = parameter;
        self.existing(vhost)?
            .put_parameter((component, name), value)
    }

    /// Clears a runtime parameter of a virtual host. None when there is none.
    pub fn delete_parameter(
        &self,
        vhost: &str,
        component: &str,
        name: &str,
    ) -> Result<Option<Position>, Error> {
        self.existing(vhost)?.delete_parameter(component, name)
    }

    /// Sets one limit of a virtual host, or clears it.
    pub fn limit_vhost(
        &self,
        vhost: &str,
        limit: &str,
        value: Option<&Value>,
    ) -> Result<Option<Position>, Error> {
        let vhost = self.existing(vhost)?;
        let mut limits = match vhost.parameter(VHOST_LIMITS, LIMITS) {
            Some(Value::Object(limits)) => limits,
            _ => serde_json::Map::new(),
        };
        match value {
            Some(value) => limits.insert(limit.to_owned(), value.clone()),
            None => limits.remove(limit),
        };
        let limits = Value::Object(limits);
        Ok(vhost.put_parameter((VHOST_LIMITS, LIMITS), &limits)?.1)
    }

    /// Refuses a virtual host beside `others` when there may not be one more.
    pub(super) fn check_vhost_room(&self, name: &str, others: usize) -> Result<(), Error> {
        match self.core.limits.vhosts_max {
            Some(max) if others as u64 >= max => Err(Error::PreconditionFailed(format!(
                "cannot create vhost '{name}': vhost limit of {max} is reached"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn existing(&self, vhost: &str) -> Result<Arc<Vhost>, Error> {
        self.vhost(vhost)
            .ok_or_else(|| Error::NotFound(format!("no vhost '{vhost}'")))
    }
}

impl Vhost {
    /// Ends it and all that is in it, with `changes` in the same entry of the log.
    fn delete(&self, mut changes: Vec<Change>) -> Result<Position, Error> {
        let _turn = self.governing.lock();
        let mut topology = self.topology.write();
        changes.extend(topology.unset_all(self.name()));
        changes.push(vhost_record(&self.described()).unset());
        let mut position = self.core.store.define(&changes)?;
        self.is_deleted.store(true, Ordering::Release);
        let queues = std::mem::take(&mut *topology).queues;
        self.changed(topology);
        let mut batch = Batch::new();
        for queue in queues.values().filter(|queue| queue.is_logged()) {
            batch.gone(queue.id());
        }
        if !batch.is_empty() {
            // What this does not remove the next start does: the queues are not defined any more.
            match self.core.store.append(batch) {
                Ok(appended) => position = position.and(appended.position),
                Err(error) => tracing::warn!(
                    vhost = %self.name(), %error, "the messages of a deleted vhost stay until restart"
                ),
            }
        }
        for queue in queues.values() {
            queue.delete(false, false)?;
        }
        Ok(position)
    }
}

/// What a virtual host will be described as.
pub(super) fn updated(described: &document::Vhost, old: Option<&Vhost>) -> document::Vhost {
    let kept = old.and_then(|old| old.described().default_queue_type);
    document::Vhost {
        default_queue_type: described.default_queue_type.clone().or(kept),
        ..described.clone()
    }
}

pub(super) fn check_queue_type(described: &document::Vhost) -> Result<(), Error> {
    let refusal = match described.default_queue_type.as_deref() {
        None | Some("classic" | "quorum") => return Ok(()),
        Some("") => "default_queue_type must not be an empty string".to_owned(),
        Some("stream") => "queue type stream is not enabled".to_owned(),
        Some(other) => format!("{other} is not a valid queue type"),
    };
    Err(Error::PreconditionFailed(refusal))
}

pub(super) fn vhost_record(described: &document::Vhost) -> Record {
    let document::Vhost {
        name,
        description,
        tags,
        default_queue_type,
        tracing,
    } = described.clone();
    Record::Vhost {
        name,
        description,
        tags: tags.0,
        default_queue_type,
        tracing,
    }
}
