//! An exchange: which queues a message goes to.
//!
//! Owns its bindings and how its kind reads them. Does not know permissions or how messages are stored.

mod hash;
mod headers;
mod reading;
mod topic;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

pub(crate) use self::reading::Reading;
use self::{hash::HashOn, topic::Patterns};
use super::{
    deduplication::{Deduper, Deduplication},
    error::Error,
    policy::Applied,
    queue::{Arguments, Dialect, Queue},
    refusal::Refusal,
    stats::{ExchangeMeter, Meter, Sampler},
    topology::Kind,
    value::{Table, Value},
};

/// How an exchange chooses queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By the equal key.
    Direct,
    /// All of them.
    Fanout,
    /// By a pattern of the key.
    Topic,
    /// By the message's headers.
    Headers,
    /// One of them, by a hash of the key, a header or a property: each gets its share, and keeps it when others come
    /// and go.
    ConsistentHash,
    /// As another kind says (`x-delayed-type`), once the message's `x-delay` is over.
    Delayed,
}

impl ExchangeKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::Delayed,
    ];

    /// The kind of a name in a declaration.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name in declarations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::Delayed => "x-delayed-message",
        }
    }
}

impl std::fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What an exchange was declared as.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// How it chooses queues.
    pub kind: ExchangeKind,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// The declaration's arguments.
    pub arguments: Table,
}

impl ExchangeSettings {
    /// By which kind it chooses; none when its arguments do not say.
    pub(crate) fn chooses_as(&self) -> Option<ExchangeKind> {
        if self.kind != ExchangeKind::Delayed {
            return Some(self.kind);
        }
        let name = self.arguments.get("x-delayed-type")?.as_str()?;
        ExchangeKind::from_name(name).filter(|kind| *kind != ExchangeKind::Delayed)
    }

    fn alternate(&self) -> Option<&str> {
        self.arguments
            .get("alternate-exchange")
            .and_then(Value::as_str)
    }
}

impl ExchangeSettings {
    /// Refuses what a consistent hash cannot be made of.
    pub(crate) fn check_hash(&self) -> Result<(), Error> {
        if self.chooses_as() != Some(ExchangeKind::ConsistentHash) {
            return Ok(());
        }
        match HashOn::new(&self.arguments) {
            Ok(_) => Ok(()),
            Err(problem) => Err(Error::PreconditionFailed(problem)),
        }
    }

    /// Refuses arguments about messages that came before which make no sense.
    pub(crate) fn check_deduplication(
        &self,
        (name, vhost): (&str, &str),
        dialect: Dialect,
    ) -> Result<(), Error> {
        let what = (Kind::Exchange, name, vhost);
        let arguments = Arguments::new(what, &self.arguments, dialect);
        Deduplication::new(&arguments).map(|_| ())
    }

    /// Who recognises messages that came before, if anybody is asked to.
    fn deduper(&self) -> Option<Arc<Deduper>> {
        let what = (Kind::Exchange, "", "");
        let arguments = Arguments::new(what, &self.arguments, Dialect::default());
        let rule = Deduplication::new(&arguments).ok().flatten();
        rule.map(Deduper::new)
    }
}

/// Where a binding leads.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Queue(Arc<Queue>),
    /// An exchange by name, and whether it survives a restart.
    Exchange(Arc<str>, bool),
}

impl Destination {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Queue(_) => Kind::Queue,
            Self::Exchange(..) => Kind::Exchange,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Queue(queue) => queue.name(),
            Self::Exchange(name, _) => name,
        }
    }

    /// Whether a binding of a durable exchange to it survives a restart.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.is_logged(),
            Self::Exchange(_, durable) => *durable,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Queue(left), Self::Queue(right)) => Arc::ptr_eq(left, right),
            (Self::Exchange(left, _), Self::Exchange(right, _)) => left == right,
            (Self::Queue(_), Self::Exchange(..)) | (Self::Exchange(..), Self::Queue(_)) => false,
        }
    }
}

/// A queue or exchange bound to an exchange under a key.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) destination: Destination,
    pub(crate) arguments: Table,
}

/// An exchange and its bindings.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) settings: ExchangeSettings,
    kind: ExchangeKind,
    /// What a consistent hash is made of.
    hash_on: HashOn,
    bindings: HashMap<Box<str>, Vec<Binding>>,
    /// The keys of a topic exchange.
    patterns: Patterns,
    /// The policies that hold.
    applied: Applied,
    /// Where messages go that no binding takes.
    alternate: Option<Box<str>>,
    deduper: Option<Arc<Deduper>>,
    /// None before anything was published to it.
    meter: OnceLock<Arc<ExchangeMeter>>,
}

impl Exchange {
    pub(crate) fn new(settings: ExchangeSettings) -> Self {
        Self {
            kind: settings.chooses_as().unwrap_or(settings.kind),
            alternate: settings.alternate().map(Box::from),
            applied: Applied::default(),
            deduper: settings.deduper(),
            hash_on: HashOn::new(&settings.arguments).unwrap_or_default(),
            settings,
            bindings: HashMap::new(),
            patterns: Patterns::default(),
            meter: OnceLock::new(),
        }
    }

    /// Its counters.
    pub(crate) fn meter(&self, sampler: &Arc<Sampler>) -> &Arc<ExchangeMeter> {
        self.meter.get_or_init(|| Meter::new(sampler, None))
    }

    /// Takes over the policies that hold now.
    pub(crate) fn govern(&mut self, applied: Applied) {
        let own = self.settings.alternate().map(str::to_owned);
        let alternate = own.or_else(|| applied.text("alternate-exchange"));
        self.alternate = alternate.map(String::into_boxed_str);
        self.applied = applied;
    }

    /// The policies that hold.
    pub(crate) fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Where messages go that no binding takes.
    pub(crate) fn alternate(&self) -> Option<&str> {
        self.alternate.as_deref()
    }

    /// Who recognises messages that came before, if anybody is asked to.
    pub(crate) fn deduper(&self) -> Option<&Arc<Deduper>> {
        self.deduper.as_ref()
    }

    /// Why there cannot be such a binding, if it cannot.
    pub(crate) fn problem<'a>(
        &self,
        key: &'a str,
        arguments: &'a Table,
        dialect: Dialect,
    ) -> Option<Refusal<'a>> {
        match self.kind {
            ExchangeKind::Headers => headers::problem(arguments, dialect),
            ExchangeKind::ConsistentHash => hash::problem(key),
            ExchangeKind::Direct
            | ExchangeKind::Fanout
            | ExchangeKind::Topic
            | ExchangeKind::Delayed => None,
        }
    }

    pub(crate) fn is_bound(&self, key: &str, destination: &Destination, arguments: &Table) -> bool {
        let mut bindings = self.bindings.get(key).into_iter().flatten();
        bindings.any(|other| is_same(other, destination, arguments))
    }

    /// Adds a binding; false when it is there already.
    pub(crate) fn bind(&mut self, key: &str, destination: &Destination, arguments: &Table) -> bool {
        if self.is_bound(key, destination, arguments) {
            return false;
        }
        let bindings = self.bindings.entry(key.into()).or_default();
        bindings.push(Binding {
            destination: destination.clone(),
            arguments: arguments.clone(),
        });
        if self.kind == ExchangeKind::Topic {
            self.patterns.insert(key);
        }
        true
    }

    /// Removes a binding; false when it is not there.
    pub(crate) fn unbind(
        &mut self,
        key: &str,
        destination: &Destination,
        arguments: &Table,
    ) -> bool {
        let Some(bindings) = self.bindings.get_mut(key) else {
            return false;
        };
        let before = bindings.len();
        bindings.retain(|other| !is_same(other, destination, arguments));
        let is_removed = bindings.len() < before;
        if bindings.is_empty() {
            self.bindings.remove(key);
            if self.kind == ExchangeKind::Topic {
                self.patterns.remove(key);
            }
        }
        is_removed
    }

    pub(crate) fn has_bindings(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// Every binding with its key.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (&str, &Binding)> {
        self.bindings
            .iter()
            .flat_map(|(key, bindings)| bindings.iter().map(move |binding| (&**key, binding)))
    }

    /// Whether routes depend on more than the key.
    pub(crate) fn needs_reading(&self) -> bool {
        if self.settings.kind == ExchangeKind::Delayed || self.deduper.is_some() {
            return true;
        }
        match self.kind {
            ExchangeKind::Headers => true,
            ExchangeKind::ConsistentHash => self.hash_on != HashOn::Key,
            ExchangeKind::Direct
            | ExchangeKind::Fanout
            | ExchangeKind::Topic
            | ExchangeKind::Delayed => false,
        }
    }

    /// Calls `found` with each place for a message, with some perhaps more than once.
    pub(crate) fn route<'e>(
        &'e self,
        key: &str,
        message: &Reading<'_>,
        found: &mut dyn FnMut(&'e Destination),
    ) {
        let mut add = |bindings: &'e [Binding]| {
            bindings
                .iter()
                .for_each(|binding| found(&binding.destination));
        };
        match self.kind {
            ExchangeKind::Direct => self
                .bindings
                .get(key)
                .into_iter()
                .for_each(|bindings| add(bindings)),
            ExchangeKind::Fanout => self.bindings.values().for_each(|bindings| add(bindings)),
            ExchangeKind::Topic => self.patterns.matches(key, &mut |pattern| {
                self.bindings
                    .get(pattern)
                    .into_iter()
                    .for_each(|bindings| add(bindings));
            }),
            ExchangeKind::Headers => {
                let headers = message.headers();
                let bindings = self.bindings.values().flatten();
                bindings
                    .filter(|binding| headers::matches(&binding.arguments, headers))
                    .for_each(|binding| found(&binding.destination));
            }
            ExchangeKind::Delayed => {}
            ExchangeKind::ConsistentHash => {
                let hashed = match &self.hash_on {
                    HashOn::Key => Cow::Borrowed(key),
                    HashOn::Header(name) => {
                        let value = message.headers().get(name).map(Value::to_string);
                        Cow::Owned(value.unwrap_or_default())
                    }
                    HashOn::Property(name) => Cow::Owned(message.property(name)),
                };
                let chosen = hash::choose(self.bindings(), hashed.as_bytes());
                if let Some(binding) = chosen {
                    found(&binding.destination);
                }
            }
        }
    }
}

fn is_same(binding: &Binding, destination: &Destination, arguments: &Table) -> bool {
    binding.destination.is_same(destination) && binding.arguments.is_same(arguments)
}
