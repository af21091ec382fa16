//! Who may log in, and what each may do where.
//!
//! Owns users and permissions, durable in the definitions lane. A version grows with every change, so that sessions
//! cache what they were allowed. The monitoring user lives in memory only.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use serde_json::{Map, Value};

use super::{
    definitions::{
        document,
        record::{Change, Record},
    },
    error::Error,
    limits::UserLimits,
    password::PasswordHash,
    pattern::Pattern,
    topic_access::{self, TopicPermissions, TopicRules},
};
use crate::store::{Position, Store};

/// Somebody who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub name: Arc<str>,
    /// `administrator`, `monitoring` and the like.
    pub tags: Arc<[String]>,
    pub(crate) is_monitoring: bool,
}

impl Identity {
    /// Whether it has the tag, or the tag that includes all.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags
            .iter()
            .any(|own| own == tag || own == "administrator")
    }
}

/// What a user may do in a virtual host.
#[derive(Clone, Debug)]
pub(crate) struct Permission {
    /// As they were given: an empty text is compiled as another one.
    texts: [String; 3],
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

/// An empty pattern matches nothing but the empty name, as RabbitMQ has it.
fn pattern(text: &str) -> Result<Pattern, Error> {
    Pattern::new(if text.is_empty() { "^$" } else { text }).map_err(|reason| {
        Error::PreconditionFailed(format!(
            "the permission '{text}' is not understood: {reason}"
        ))
    })
}

/// What is done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Configure,
    Write,
    Read,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        })
    }
}

impl Permission {
    fn of(permission: &document::Permission) -> Result<Self, Error> {
        Self::new(&permission.configure, &permission.write, &permission.read)
    }

    fn new(configure: &str, write: &str, read: &str) -> Result<Self, Error> {
        Ok(Self {
            texts: [configure, write, read].map(str::to_owned),
            configure: pattern(configure)?,
            write: pattern(write)?,
            read: pattern(read)?,
        })
    }

    pub(crate) fn allows(&self, action: Action, name: &str) -> bool {
        let pattern = match action {
            Action::Configure => &self.configure,
            Action::Write => &self.write,
            Action::Read => &self.read,
        };
        pattern.is_match(name)
    }
}

/// Users and permissions of a node.
pub(crate) struct Access {
    store: Arc<Store>,
    version: AtomicU64,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    users: BTreeMap<String, User>,
    permissions: HashMap<(String, String), Arc<Permission>>,
    topics: TopicPermissions,
    monitoring: Option<(Identity, PasswordHash)>,
    /// Whether the monitoring user is the only one who may log in.
    is_closed: bool,
}

impl State {
    /// A user as it will be; limits that the update does not name stay.
    fn updated(&self, user: &document::User) -> Result<User, Error> {
        let mut limits = self
            .users
            .get(&user.name)
            .map(|user| user.limits.clone())
            .unwrap_or_default();
        limits.extend(user.limits.clone());
        User::new(&document::User {
            limits,
            ..user.clone()
        })
    }
}

struct User {
    hash: PasswordHash,
    tags: Arc<[String]>,
    /// As they were given.
    limits: Map<String, Value>,
    bounds: UserLimits,
}

impl User {
    fn new(user: &document::User) -> Result<Self, Error> {
        Ok(Self {
            hash: PasswordHash::parse(&user.password_hash, &user.hashing_algorithm)?,
            tags: user.tags.0.clone().into(),
            bounds: UserLimits::parse(&user.limits)?,
            limits: user.limits.clone(),
        })
    }
}

impl User {
    fn identity(&self, name: &str) -> Identity {
        Identity {
            name: name.into(),
            tags: Arc::clone(&self.tags),
            is_monitoring: false,
        }
    }
}

impl Access {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            version: AtomicU64::new(1),
            state: RwLock::default(),
        }
    }

    /// Grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Takes a user or permission that recovery found; anything else is returned.
    pub(crate) fn restore(&self, record: Record) -> Result<Option<Record>, Error> {
        let mut state = self.state.write();
        match record {
            Record::User {
                name,
                password_hash,
                hashing_algorithm,
                tags,
                limits,
            } => {
                let user = User::new(&document::User {
                    name: name.clone(),
                    password_hash,
                    hashing_algorithm,
                    tags: document::Tags(tags),
                    limits,
                })?;
                state.users.insert(name, user);
            }
            Record::Permission {
                user,
                vhost,
                configure,
                write,
                read,
            } => {
                let permission = Permission::new(&configure, &write, &read)?;
                state
                    .permissions
                    .insert((user, vhost), Arc::new(permission));
            }
            Record::TopicPermission {
                user,
                vhost,
                exchange,
                write,
                read,
            } => state.topics.insert(document::TopicPermission {
                user,
                vhost,
                exchange,
                write,
                read,
            }),
            other @ (Record::Counter { .. }
            | Record::Vhost { .. }
            | Record::Parameter { .. }
            | Record::GlobalParameter { .. }
            | Record::Exchange { .. }
            | Record::Queue { .. }
            | Record::Binding { .. }
            | Record::ExchangeBinding { .. }) => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// The identity of a name and password, if they fit.
    pub(crate) fn authenticate(
        &self,
        name: &str,
        password: &[u8],
        is_loopback: bool,
    ) -> Option<Identity> {
        let state = self.state.read();
        if is_loopback
            && let Some((identity, hash)) = &state.monitoring
            && *identity.name == *name
        {
            return hash.verify(password).then(|| identity.clone());
        }
        let user = state.users.get(name).filter(|_| !state.is_closed)?;
        user.hash.verify(password).then(|| user.identity(name))
    }

    /// The identity of a user who proved it elsewhere.
    pub(crate) fn identify(&self, name: &str) -> Option<Identity> {
        let state = self.state.read();
        let user = state.users.get(name).filter(|_| !state.is_closed)?;
        Some(user.identity(name))
    }

    pub(crate) fn set_closed(&self, is_closed: bool) {
        self.state.write().is_closed = is_closed;
    }

    pub(crate) fn set_monitoring(&self, user: Option<(&str, &str)>) {
        let monitoring = user.map(|(name, password)| {
            let tags = Arc::new(["monitoring".to_owned()]);
            let identity = Identity {
                name: name.into(),
                tags,
                is_monitoring: true,
            };
            (identity, PasswordHash::new(password.as_bytes()))
        });
        self.state.write().monitoring = monitoring;
    }

    /// What the identity may do in the virtual host; `None` when it may not enter it.
    pub(crate) fn permission(&self, identity: &Identity, vhost: &str) -> Option<Arc<Permission>> {
        if identity.is_monitoring {
            return Permission::new(".*", ".*", ".*").ok().map(Arc::new);
        }
        self.state
            .read()
            .permissions
            .get(&(identity.name.to_string(), vhost.to_owned()))
            .cloned()
    }

    pub(crate) fn put_user(&self, user: &document::User) -> Result<Position, Error> {
        let mut state = self.state.write();
        let new = state.updated(user)?;
        self.replace_user(&mut state, &user.name, new)
    }

    /// Sets a limit of a user; a value of none clears it. `None` when there is no such user.
    pub(crate) fn limit_user(
        &self,
        name: &str,
        limit: &str,
        value: Option<&Value>,
    ) -> Result<Option<Position>, Error> {
        let mut state = self.state.write();
        let Some(user) = state.users.get(name) else {
            return Ok(None);
        };
        let mut limits = user.limits.clone();
        match value {
            Some(value) => limits.insert(limit.to_owned(), value.clone()),
            None => limits.remove(limit),
        };
        let user = User {
            hash: user.hash.clone(),
            tags: Arc::clone(&user.tags),
            bounds: UserLimits::parse(&limits)?,
            limits,
        };
        self.replace_user(&mut state, name, user).map(Some)
    }

    fn replace_user(&self, state: &mut State, name: &str, user: User) -> Result<Position, Error> {
        let position = self.store.define(&[user_record(name, &user).set()])?;
        state.users.insert(name.to_owned(), user);
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(position)
    }

    /// What limits a user.
    pub(crate) fn limits(&self, identity: &Identity) -> UserLimits {
        let state = self.state.read();
        let user = state.users.get(&*identity.name);
        user.filter(|_| !identity.is_monitoring)
            .map(|user| user.bounds)
            .unwrap_or_default()
    }

    /// Takes over users and what they may do, with whatever `log` appends in the same entry. Nothing is changed unless
    /// all of it is understood and logged.
    pub(crate) fn import(
        &self,
        document: &document::Document,
        log: impl FnOnce(Vec<Change>) -> Result<Position, Error>,
    ) -> Result<Position, Error> {
        let mut state = self.state.write();
        let mut changes = Vec::new();
        let mut users = Vec::new();
        for user in &document.users {
            let new = state.updated(user)?;
            changes.push(user_record(&user.name, &new).set());
            users.push((user.name.clone(), new));
        }
        let check_user = |name: &String| {
            if state.users.contains_key(name) || users.iter().any(|(other, _)| other == name) {
                return Ok(());
            }
            Err(Error::PreconditionFailed(format!("no such user '{name}'")))
        };
        let mut permissions = Vec::new();
        for permission in &document.permissions {
            check_user(&permission.user)?;
            let new = Permission::of(permission)?;
            let key = (permission.user.clone(), permission.vhost.clone());
            changes.push(permission_record(&key, &new).set());
            permissions.push((key, Arc::new(new)));
        }
        for permission in &document.topic_permissions {
            check_user(&permission.user)?;
            topic_access::check(permission)?;
            changes.push(topic_access::record(permission).set());
        }
        let position = log(changes)?;
        state.users.extend(users);
        state.permissions.extend(permissions);
        for permission in &document.topic_permissions {
            state.topics.insert(permission.clone());
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(position)
    }

    /// Forgets what users may do in a virtual host, with whatever `log` removes in the same entry.
    pub(crate) fn forget_vhost<T>(
        &self,
        vhost: &str,
        log: impl FnOnce(Vec<Change>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.state.write();
        let lost = |(_, other): &(String, String)| other == vhost;
        let permissions = state.permissions.iter().filter(|(key, _)| lost(key));
        let changes: Vec<Change> = permissions
            .map(|(key, permission)| permission_record(key, permission).unset())
            .collect();
        let topics = state.topics.list().filter(|topic| topic.vhost == vhost);
        let topics: Vec<_> = topics.cloned().collect();
        let logged = log([changes, topic_access::unset(&topics)].concat())?;
        state.permissions.retain(|key, _| !lost(key));
        for topic in &topics {
            state.topics.remove(topic);
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(logged)
    }

    /// Takes away what a user may do in a virtual host; `None` when that is nothing.
    pub(crate) fn delete_permission(
        &self,
        user: &str,
        vhost: &str,
    ) -> Result<Option<Position>, Error> {
        let mut state = self.state.write();
        let key = (user.to_owned(), vhost.to_owned());
        let Some(permission) = state.permissions.get(&key) else {
            return Ok(None);
        };
        let record = permission_record(&key, permission);
        let position = self.store.define(&[record.unset()])?;
        state.permissions.remove(&key);
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(Some(position))
    }

    /// Removes a user with all its permissions; `None` when there is none.
    pub(crate) fn delete_user(&self, name: &str) -> Result<Option<Position>, Error> {
        let mut state = self.state.write();
        let Some(user) = state.users.get(name) else {
            return Ok(None);
        };
        let record = user_record(name, user);
        let lost = |(user, _): &(String, String)| user == name;
        let permissions = state.permissions.iter().filter(|(key, _)| lost(key));
        let changes: Vec<Change> = permissions
            .map(|(key, permission)| permission_record(key, permission).unset())
            .collect();
        let own_topics = state.topics.list().filter(|topic| topic.user == name);
        let topics: Vec<_> = own_topics.cloned().collect();
        let position = self
            .store
            .define(&[changes, topic_access::unset(&topics), vec![record.unset()]].concat())?;
        for topic in &topics {
            state.topics.remove(topic);
        }
        state.users.remove(name);
        state.permissions.retain(|key, _| !lost(key));
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(Some(position))
    }

    pub(crate) fn users(&self) -> Vec<document::User> {
        let state = self.state.read();
        let users = state.users.iter().map(|(name, user)| document::User {
            name: name.clone(),
            password_hash: user.hash.to_string(),
            hashing_algorithm: user.hash.algorithm().to_owned(),
            tags: document::Tags(user.tags.to_vec()),
            limits: user.limits.clone(),
        });
        users.collect()
    }

    /// Which topics the identity may use in the virtual host.
    pub(super) fn topics(&self, identity: &Identity, vhost: &str) -> TopicRules {
        self.state.read().topics.rules(&identity.name, vhost)
    }

    pub(crate) fn topic_permissions(&self) -> Vec<document::TopicPermission> {
        self.state.read().topics.list().cloned().collect()
    }

    pub(crate) fn put_topic_permission(
        &self,
        permission: &document::TopicPermission,
    ) -> Result<Position, Error> {
        topic_access::check(permission)?;
        let mut state = self.state.write();
        if !state.users.contains_key(&permission.user) {
            return Err(Error::NotFound(format!("no user '{}'", permission.user)));
        }
        let record = topic_access::record(permission);
        let position = self.store.define(&[record.set()])?;
        state.topics.insert(permission.clone());
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(position)
    }

    /// Removes the topic permissions that are meant; `None` when there are none.
    pub(crate) fn delete_topic_permissions(
        &self,
        is_meant: impl Fn(&document::TopicPermission) -> bool,
    ) -> Result<Option<Position>, Error> {
        let mut state = self.state.write();
        let meant = state.topics.list().filter(|topic| is_meant(topic));
        let meant: Vec<_> = meant.cloned().collect();
        if meant.is_empty() {
            return Ok(None);
        }
        let position = self.store.define(&topic_access::unset(&meant))?;
        for topic in &meant {
            state.topics.remove(topic);
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(Some(position))
    }

    pub(crate) fn put_permission(
        &self,
        permission: &document::Permission,
    ) -> Result<Position, Error> {
        let document::Permission { user, vhost, .. } = permission;
        let compiled = Arc::new(Permission::of(permission)?);
        let mut state = self.state.write();
        if !state.users.contains_key(user) {
            return Err(Error::NotFound(format!("no user '{user}'")));
        }
        let key = (user.clone(), vhost.clone());
        let position = self
            .store
            .define(&[permission_record(&key, &compiled).set()])?;
        state.permissions.insert(key, compiled);
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(position)
    }

    pub(crate) fn permissions(&self) -> Vec<document::Permission> {
        let state = self.state.read();
        let permissions = state.permissions.iter().map(|((user, vhost), permission)| {
            let [configure, write, read] = permission.texts.clone();
            document::Permission {
                user: user.clone(),
                vhost: vhost.clone(),
                configure,
                write,
                read,
            }
        });
        let mut permissions: Vec<_> = permissions.collect();
        permissions.sort_unstable_by(|a, b| (&a.user, &a.vhost).cmp(&(&b.user, &b.vhost)));
        permissions
    }
}

fn user_record(name: &str, user: &User) -> Record {
    Record::User {
        name: name.to_owned(),
        password_hash: user.hash.to_string(),
        hashing_algorithm: user.hash.algorithm().to_owned(),
        tags: user.tags.to_vec(),
        limits: user.limits.clone(),
    }
}

fn permission_record((user, vhost): &(String, String), permission: &Permission) -> Record {
    let [configure, write, read] = permission.texts.clone();
    Record::Permission {
        user: user.clone(),
        vhost: vhost.clone(),
        configure,
        write,
        read,
    }
}
