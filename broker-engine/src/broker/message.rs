//! Messages on their way in, in the queues and on their way out.
//!
//! A message is one shared slice of bytes, the same in memory and in the log: exchange and routing key (a length byte
//! each), the properties in wire form (a 32-bit length), the body. Properties are never parsed or re-encoded here.
//! Bit 31 of that length says that the time of arrival stands between properties and body: of messages that may expire.

use bytes::Bytes;

/// A message as a client publishes it. Borrowed: the core copies it once, into the batch that goes to the log.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    /// The exchange; empty for the default one. At most 255 bytes.
    pub exchange: &'a str,
    /// The routing key. At most 255 bytes.
    pub routing_key: &'a str,
    /// The properties in wire form.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Delivery mode 2: survives a restart in durable queues.
    pub persistent: bool,
    /// To be returned when no queue takes it.
    pub mandatory: bool,
    /// Whether its properties limit how long it may wait.
    pub expires: bool,
    /// Further routing keys.
    pub copies: &'a [String],
}

impl Publish<'_> {
    /// No less than the message takes when it is stored.
    pub(super) fn stored_len_max(&self) -> usize {
        let lengths = 2 + size_of::<u32>() + STAMP_LEN;
        lengths
            + self.exchange.len()
            + self.routing_key.len()
            + self.properties.len()
            + self.body.len()
    }
}

/// Set in the properties' length when a stamp follows the properties.
const STAMPED: u32 = 1 << 31;
const STAMP_LEN: usize = 8;

/// A message, shared by every queue that holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Bytes);

impl Message {
    /// Takes bytes read back from the log. What [`Parts`] cannot have laid out is `None`.
    pub(crate) fn from_bytes(bytes: Bytes) -> Option<Self> {
        let exchange = usize::from(*bytes.first()?);
        let key = usize::from(*bytes.get(1 + exchange)?);
        let head = bytes.get(2 + exchange + key..6 + exchange + key)?;
        let properties = u32::from_le_bytes(head.try_into().ok()?);
        let stamp = if properties & STAMPED == 0 {
            0
        } else {
            STAMP_LEN
        };
        let end = (properties & !STAMPED) as usize + stamp;
        bytes.get(6 + exchange + key..6 + exchange + key + end)?;
        std::str::from_utf8(&bytes[1..1 + exchange]).ok()?;
        std::str::from_utf8(&bytes[2 + exchange..2 + exchange + key]).ok()?;
        Some(Self(bytes))
    }

    /// Takes bytes that [`Parts`] laid out a moment ago.
    pub(crate) fn from_parts(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The exchange it was published to.
    pub fn exchange(&self) -> &str {
        std::str::from_utf8(self.short(0)).unwrap_or_default()
    }

    /// The key it was published with.
    pub fn routing_key(&self) -> &str {
        std::str::from_utf8(self.short(self.key_at())).unwrap_or_default()
    }

    /// The properties in wire form.
    pub fn properties(&self) -> &[u8] {
        let at = self.properties_at() + 4;
        &self.0[at..at + (self.properties_len() & !STAMPED) as usize]
    }

    /// When it arrived, in milliseconds since 1970, if it may expire.
    pub fn arrived_ms(&self) -> Option<u64> {
        if self.properties_len() & STAMPED == 0 {
            return None;
        }
        let body_at = self.body_at();
        let stamp = self.0[body_at - STAMP_LEN..body_at].try_into().ok()?;
        Some(u64::from_le_bytes(stamp))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0[self.body_at()..]
    }

    /// The same message with other properties.
    pub(crate) fn with_properties(&self, properties: &[u8]) -> Self {
        let publish = Publish {
            exchange: self.exchange(),
            routing_key: self.routing_key(),
            properties,
            body: self.body(),
            persistent: false,
            mandatory: false,
            expires: false,
            copies: &[],
        };
        match Parts::new(&publish, self.arrived_ms()) {
            Some(parts) => Self(Bytes::from(parts.of(&publish).concat())),
            None => self.clone(),
        }
    }

    /// The size in bytes of all of it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: even an empty body comes with lengths.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn short(&self, at: usize) -> &[u8] {
        &self.0[at + 1..at + 1 + usize::from(self.0[at])]
    }

    fn key_at(&self) -> usize {
        1 + usize::from(self.0[0])
    }

    fn properties_at(&self) -> usize {
        let key = self.key_at();
        key + 1 + usize::from(self.0[key])
    }

    fn properties_len(&self) -> u32 {
        let at = self.properties_at();
        let len = &self.0[at..at + 4];
        u32::from_le_bytes([len[0], len[1], len[2], len[3]])
    }

    fn body_at(&self) -> usize {
        let len = self.properties_len();
        let stamp = if len & STAMPED == 0 { 0 } else { STAMP_LEN };
        self.properties_at() + 4 + (len & !STAMPED) as usize + stamp
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &self.exchange())
            .field("routing_key", &self.routing_key())
            .field("body_bytes", &self.body().len())
            .finish_non_exhaustive()
    }
}

/// Lays a message out in the parts that together are its stored form.
pub(crate) struct Parts {
    exchange_len: [u8; 1],
    key_len: [u8; 1],
    properties_len: [u8; 4],
    stamp: Option<[u8; STAMP_LEN]>,
}

impl Parts {
    /// Lengths of a message; names above 255 bytes cannot come from a wire that counts them in one byte.
    pub(crate) fn new(publish: &Publish<'_>, arrived_ms: Option<u64>) -> Option<Self> {
        let properties = u32::try_from(publish.properties.len()).ok()?;
        let mark = if arrived_ms.is_some() { STAMPED } else { 0 };
        Some(Self {
            exchange_len: [u8::try_from(publish.exchange.len()).ok()?],
            key_len: [u8::try_from(publish.routing_key.len()).ok()?],
            properties_len: (properties < STAMPED)
                .then_some(properties | mark)?
                .to_le_bytes(),
            stamp: arrived_ms.map(u64::to_le_bytes),
        })
    }

    /// The parts in order.
    pub(crate) fn of<'a>(&'a self, publish: &Publish<'a>) -> [&'a [u8]; 8] {
        [
            &self.exchange_len,
            publish.exchange.as_bytes(),
            &self.key_len,
            publish.routing_key.as_bytes(),
            &self.properties_len,
            publish.properties,
            self.stamp.as_ref().map_or(&[], |stamp| stamp.as_slice()),
            publish.body,
        ]
    }
}

/// A message within a queue, in the order of arrival. Unique while the queue lives in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// Messages of one queue whose ids follow each other, as they do unless the queue ranks its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryRun {
    /// The first id.
    pub first: DeliveryId,
    /// How many ids.
    pub len: u64,
}

impl DeliveryRun {
    /// A run of one.
    pub fn of(id: DeliveryId) -> Self {
        Self { first: id, len: 1 }
    }

    /// Its ids in order.
    pub fn ids(self) -> impl Iterator<Item = DeliveryId> {
        (self.first.0..self.first.0 + self.len).map(DeliveryId)
    }

    /// Takes `next` in, if it follows.
    pub fn join(&mut self, next: Self) -> bool {
        let follows = self.first.0 + self.len == next.first.0;
        if follows {
            self.len += next.len;
        }
        follows
    }
}

/// A message handed out.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What to settle it by, at the queue it came from.
    pub id: DeliveryId,
    /// Whether it may have been handed out before.
    pub redelivered: bool,
    /// How often it came back, as far as counted (255 means at least that).
    pub returns: u8,
    /// The message.
    pub message: Message,
}

#[cfg(test)]
mod tests {
    use super::{Message, Parts, Publish};

    #[test]
    fn a_message_gives_back_its_parts() {
        let publish = Publish {
            exchange: "amq.topic",
            routing_key: "a.b",
            properties: b"props",
            body: b"body",
            persistent: true,
            mandatory: false,
            expires: false,
            copies: &[],
        };
        for stamp in [None, Some(1 << 40)] {
            check(&publish, stamp);
        }
    }

    fn check(publish: &Publish<'_>, stamp: Option<u64>) {
        let parts = Parts::new(publish, stamp).unwrap();
        let bytes = parts.of(publish).concat();
        let message = Message::from_bytes(bytes.clone().into()).unwrap();
        assert_eq!(
            (message.exchange(), message.routing_key()),
            ("amq.topic", "a.b")
        );
        assert_eq!(
            (message.properties(), message.body()),
            (&b"props"[..], &b"body"[..])
        );
        assert_eq!(message.arrived_ms(), stamp);
        let shortest = bytes.len() - publish.body.len();
        for len in 0..shortest {
            assert!(
                Message::from_bytes(bytes[..len].to_vec().into()).is_none(),
                "{len}"
            );
        }
    }
}
