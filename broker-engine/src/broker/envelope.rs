//! What the core asks about a message's properties, whose form only a protocol knows.

use super::value::Table;

/// Reads and rewrites properties in wire form. Asked only for queues and messages whose features need an answer.
pub trait Envelope: std::fmt::Debug + Send + Sync {
    /// The headers; none when there are none or they cannot be read.
    fn headers(&self, properties: &[u8]) -> Table;
    /// How long the message may wait in a queue, in milliseconds.
    fn expiration_ms(&self, properties: &[u8]) -> Option<u64>;
    /// Its rank in queues that have ranks.
    fn priority(&self, properties: &[u8]) -> u8;
    /// Whether it asks to survive a restart.
    fn is_persistent(&self, properties: &[u8]) -> bool;
    /// One property by its name, numbers in decimal; none when the message does not have it, or it is no text or number.
    fn text(&self, properties: &[u8], name: &str) -> Option<String>;
    /// The same properties with these headers.
    fn with_headers(&self, properties: &[u8], headers: &Table) -> Vec<u8>;
    /// The same properties without an expiration.
    fn without_expiration(&self, properties: &[u8]) -> Vec<u8>;
    /// All properties by name, for people to read.
    fn describe(&self, properties: &[u8]) -> Table;
    /// The properties that a person wrote down; the other way round.
    ///
    /// # Errors
    /// What is wrong with them.
    fn compose(&self, described: &Table) -> Result<Vec<u8>, String>;
}

/// Properties that say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProperties;

impl Envelope for NoProperties {
    fn headers(&self, _: &[u8]) -> Table {
        Table::default()
    }

    fn expiration_ms(&self, _: &[u8]) -> Option<u64> {
        None
    }

    fn priority(&self, _: &[u8]) -> u8 {
        0
    }

    fn is_persistent(&self, _: &[u8]) -> bool {
        false
    }

    fn text(&self, _: &[u8], _: &str) -> Option<String> {
        None
    }

    fn with_headers(&self, properties: &[u8], _: &Table) -> Vec<u8> {
        properties.to_vec()
    }

    fn without_expiration(&self, properties: &[u8]) -> Vec<u8> {
        properties.to_vec()
    }

    fn describe(&self, _: &[u8]) -> Table {
        Table::default()
    }

    fn compose(&self, _: &Table) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}
