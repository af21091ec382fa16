//! How much of what there may be: connections and queues of a virtual host, connections and channels of a user and of
//! the node.
//!
//! Owns the counts of connections and channels. A place is given back when its
//! holder is gone. Limits are looked at when something comes, never later: a new limit closes nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::{
    error::Error,
    parameter::{Members, not_a_list},
    refusal::Refusal,
};

/// The most there may be of what a number says; a negative one is no limit.
fn bound(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}

/// Limits of a virtual host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VhostLimits {
    pub(crate) connections_max: Option<u64>,
    pub(crate) queues_max: Option<u64>,
}

impl VhostLimits {
    /// Reads `max-connections` and `max-queues`.
    pub(crate) fn parse(value: &Value) -> Result<Self, Vec<String>> {
        let name = "limits";
        let none = Map::new();
        // RabbitMQ exports no limits as an empty list.
        let members = match value {
            Value::Object(members) => members,
            Value::Array(values) if values.is_empty() => &none,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                return Err(vec![not_a_list(name, value)]);
            }
        };
        let mut members = Members::new(name, members);
        let connections = members.integer("max-connections");
        let queues = members.integer("max-queues");
        members.finish()?;
        Ok(Self {
            connections_max: bound(connections),
            queues_max: bound(queues),
        })
    }
}

/// Limits of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserLimits {
    connections_max: Option<u64>,
    channels_max: Option<u64>,
}

impl UserLimits {
    /// Reads `max-connections` and `max-channels`.
    pub(crate) fn parse(limits: &Map<String, Value>) -> Result<Self, Error> {
        let mut members = Members::new("user-limits", limits);
        let connections = members.integer("max-connections");
        let channels = members.integer("max-channels");
        members.finish().map_err(|errors| {
            Error::PreconditionFailed(errors.into_iter().next().unwrap_or_default())
        })?;
        Ok(Self {
            connections_max: bound(connections),
            channels_max: bound(channels),
        })
    }
}

/// Limits of a node. None: no limit.
#[derive(Clone, Debug, Default)]
pub struct NodeLimits {
    /// The node's name in refusals.
    pub node: String,
    /// Connections in virtual hosts.
    pub connections_max: Option<u64>,
    /// Channels of all connections.
    pub channels_max: Option<u64>,
    /// Queues of all virtual hosts.
    pub queues_max: Option<u64>,
    /// Virtual hosts.
    pub vhosts_max: Option<u64>,
}

/// What is open on a node.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    connections: u64,
    channels: u64,
    by_vhost: HashMap<Arc<str>, u64>,
    by_user: HashMap<Arc<str>, OfUser>,
}

#[derive(Debug, Default)]
struct OfUser {
    connections: u64,
    channels: u64,
}

impl Counts {
    /// A place for a connection of `user` in `vhost`.
    pub(crate) fn connect<'a>(
        self: &Arc<Self>,
        (vhost, user): (&'a Arc<str>, &'a Arc<str>),
        node: &NodeLimits,
        of_vhost: VhostLimits,
        of_user: UserLimits,
    ) -> Result<Place, Refusal<'a>> {
        let mut open = self.0.lock();
        let in_vhost = open.by_vhost.get(vhost).copied().unwrap_or(0);
        let own = open.by_user.get(user).map_or(0, |own| own.connections);
        if let Some(max) = reached(node.connections_max, open.connections) {
            return Err(Refusal::ConnectionsOfNode { max });
        }
        if let Some(max) = reached(of_vhost.connections_max, in_vhost) {
            return Err(Refusal::ConnectionsOfVhost { vhost, user, max });
        }
        if let Some(max) = reached(of_user.connections_max, own) {
            return Err(Refusal::ConnectionsOfUser { user, max });
        }
        open.connections += 1;
        *open.by_vhost.entry(Arc::clone(vhost)).or_default() += 1;
        let own = open.by_user.entry(Arc::clone(user)).or_default();
        own.connections += 1;
        Ok(Place {
            counts: Arc::clone(self),
            vhost: Arc::clone(vhost),
            user: Arc::clone(user),
            is_left: AtomicBool::new(false),
        })
    }

    /// Counts a channel of `user`. [`Counts::close_channel`] takes it back.
    pub(crate) fn open_channel<'a>(
        &self,
        user: &'a Arc<str>,
        node: &'a NodeLimits,
        of_user: UserLimits,
    ) -> Result<(), Refusal<'a>> {
        let mut open = self.0.lock();
        let own = open.by_user.get(user).map_or(0, |own| own.channels);
        if let Some(max) = reached(of_user.channels_max, own) {
            return Err(Refusal::ChannelsOfUser { user, max });
        }
        if let Some(max) = reached(node.channels_max, open.channels) {
            let node = &*node.node;
            return Err(Refusal::ChannelsOfNode { node, max });
        }
        open.channels += 1;
        open.by_user.entry(Arc::clone(user)).or_default().channels += 1;
        Ok(())
    }

    /// How many channels are open.
    pub(crate) fn channels(&self) -> u64 {
        self.0.lock().channels
    }

    pub(crate) fn close_channel(&self, user: &str) {
        let mut open = self.0.lock();
        open.channels = open.channels.saturating_sub(1);
        if let Some(own) = open.by_user.get_mut(user) {
            own.channels = own.channels.saturating_sub(1);
            let is_gone = own.channels == 0 && own.connections == 0;
            if is_gone {
                open.by_user.remove(user);
            }
        }
    }

    fn disconnect(&self, vhost: &str, user: &str) {
        let mut open = self.0.lock();
        open.connections = open.connections.saturating_sub(1);
        if let Some(count) = open.by_vhost.get_mut(vhost) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_vhost.remove(vhost);
            }
        }
        if let Some(own) = open.by_user.get_mut(user) {
            own.connections = own.connections.saturating_sub(1);
            let is_gone = own.channels == 0 && own.connections == 0;
            if is_gone {
                open.by_user.remove(user);
            }
        }
    }
}

fn reached(max: Option<u64>, count: u64) -> Option<u64> {
    max.filter(|max| count >= *max)
}

/// The place of a connection, given back when it is left or dropped.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<Counts>,
    vhost: Arc<str>,
    user: Arc<str>,
    is_left: AtomicBool,
}

impl Place {
    /// Gives the place back; harmless when repeated.
    pub(crate) fn leave(&self) {
        if !self.is_left.swap(true, Ordering::AcqRel) {
            self.counts.disconnect(&self.vhost, &self.user);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::broker::Dialect;

    fn user_limits(value: Value) -> Result<UserLimits, String> {
        UserLimits::parse(value.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_negative_limit_is_none_and_unknown_ones_are_refused() {
        let limits = VhostLimits::parse(&json!({"max-connections": -1, "max-queues": 0})).unwrap();
        assert_eq!((limits.connections_max, limits.queues_max), (None, Some(0)));
        let none = VhostLimits::parse(&json!([])).unwrap();
        assert_eq!(none, VhostLimits::default());
        assert_eq!(
            VhostLimits::parse(&json!({"max-bananas": 1})).unwrap_err(),
            ["Unrecognised terms [{<<\"max-bananas\">>,1}] in limits"]
        );
        assert_eq!(
            user_limits(json!({"max-channels": "x"})).unwrap_err(),
            "max-channels should be a number, actually was <<\"x\">>"
        );
    }

    fn told(refusal: &Refusal<'_>) -> String {
        Dialect::RabbitMq4.refuse(refusal).to_string()
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_left() {
        let counts = Arc::new(Counts::default());
        let names: (Arc<str>, Arc<str>) = ("/".into(), "u".into());
        let limits = user_limits(json!({"max-connections": 1})).unwrap();
        let node = NodeLimits::default();
        let connect =
            || counts.connect((&names.0, &names.1), &node, VhostLimits::default(), limits);
        let place = connect().unwrap();
        assert_eq!(
            told(&connect().unwrap_err()),
            "connection refused for user 'u': user connection limit (1) is reached"
        );
        place.leave();
        drop(place);
        let again = connect().unwrap();
        drop(again);
        assert!(counts.0.lock().by_user.is_empty() && counts.0.lock().by_vhost.is_empty());
    }

    #[test]
    fn channels_are_counted_over_all_connections() {
        let counts = Counts::default();
        let user: Arc<str> = "u".into();
        let node = NodeLimits {
            node: "n".into(),
            channels_max: Some(2),
            ..NodeLimits::default()
        };
        let limits = user_limits(json!({"max-channels": 1})).unwrap();
        counts.open_channel(&user, &node, limits).unwrap();
        assert_eq!(
            told(&counts.open_channel(&user, &node, limits).unwrap_err()),
            "number of channels opened for user 'u' has reached the maximum allowed user limit of 1"
        );
        let none = UserLimits::default();
        counts.open_channel(&user, &node, none).unwrap();
        assert_eq!(
            told(&counts.open_channel(&user, &node, none).unwrap_err()),
            "number of channels opened on node 'n' has reached the maximum allowed limit of 2"
        );
        counts.close_channel("u");
        counts.open_channel(&user, &node, none).unwrap();
    }
}
