//! An exchange: which queues a message goes to.
//!
//! Owns its bindings and how its kind reads them. Does not know permissions or how messages are stored.

mod headers;
mod topic;

use std::{collections::HashMap, sync::Arc};

use self::topic::Patterns;
use super::{queue::Queue, value::Table};

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
}

impl ExchangeKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Topic, Self::Headers];

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

/// A queue bound to an exchange under a key.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) queue: Arc<Queue>,
    pub(crate) arguments: Table,
}

/// An exchange and its bindings.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) settings: ExchangeSettings,
    bindings: HashMap<Box<str>, Vec<Binding>>,
    /// The keys of a topic exchange.
    patterns: Patterns,
}

impl Exchange {
    pub(crate) fn new(settings: ExchangeSettings) -> Self {
        Self {
            settings,
            bindings: HashMap::new(),
            patterns: Patterns::default(),
        }
    }

    /// Whether the arguments make sense for this kind.
    pub(crate) fn accepts(&self, arguments: &Table) -> bool {
        self.settings.kind != ExchangeKind::Headers || headers::is_valid(arguments)
    }

    /// Adds a binding; false when it is there already.
    pub(crate) fn bind(&mut self, key: &str, queue: &Arc<Queue>, arguments: &Table) -> bool {
        let bindings = self.bindings.entry(key.into()).or_default();
        if bindings
            .iter()
            .any(|other| is_same(other, queue, arguments))
        {
            return false;
        }
        bindings.push(Binding {
            queue: Arc::clone(queue),
            arguments: arguments.clone(),
        });
        if self.settings.kind == ExchangeKind::Topic {
            self.patterns.insert(key);
        }
        true
    }

    /// Removes a binding; false when it is not there.
    pub(crate) fn unbind(&mut self, key: &str, queue: &Arc<Queue>, arguments: &Table) -> bool {
        let Some(bindings) = self.bindings.get_mut(key) else {
            return false;
        };
        let before = bindings.len();
        bindings.retain(|other| !is_same(other, queue, arguments));
        let is_removed = bindings.len() < before;
        if bindings.is_empty() {
            self.bindings.remove(key);
            if self.settings.kind == ExchangeKind::Topic {
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
    pub(crate) fn needs_headers(&self) -> bool {
        self.settings.kind == ExchangeKind::Headers
    }

    /// Adds the queues for a message; a queue may be added more than once.
    pub(crate) fn route(
        &self,
        key: &str,
        headers: impl FnOnce() -> Table,
        queues: &mut Vec<Arc<Queue>>,
    ) {
        let mut add = |bindings: &[Binding]| {
            queues.extend(bindings.iter().map(|binding| Arc::clone(&binding.queue)))
        };
        match self.settings.kind {
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
                let headers = headers();
                let bindings = self.bindings.values().flatten();
                let matching =
                    bindings.filter(|binding| headers::matches(&binding.arguments, &headers));
                queues.extend(matching.map(|binding| Arc::clone(&binding.queue)));
            }
        }
    }
}

fn is_same(binding: &Binding, queue: &Arc<Queue>, arguments: &Table) -> bool {
    Arc::ptr_eq(&binding.queue, queue) && binding.arguments.is_same(arguments)
}
