//! Messages on their way in, in the queues and on their way out.
//!
//! A message is one shared slice of bytes, the same in memory and in the log: exchange and routing key (a length byte
//! each), the properties in wire form (a 32-bit length), the body. Properties are never parsed or re-encoded here.
//! Bit 31 of that length says that the time of arrival stands between properties and body: of messages that may expire.

use bytes::Bytes;

use super::delivery::Handed;

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

impl<'a> Publish<'a> {
    /// Its parts as a consumer gets them.
    pub(super) fn parts(&self) -> MessageRef<'a> {
        MessageRef {
            exchange: self.exchange.as_bytes(),
            routing_key: self.routing_key.as_bytes(),
            properties: self.properties,
            body: self.body,
        }
    }

    /// Whether its names fit their lengths, as they do when they come from a wire.
    pub(super) fn has_short_names(&self) -> bool {
        self.exchange.len() <= 255 && self.routing_key.len() <= 255
    }

    /// Whether only the bodies differ.
    pub(super) fn has_head_of(&self, other: &Self) -> bool {
        self.is_addressed_like(other) && is_same(self.properties, other.properties)
    }

    /// Whether it goes where the other goes, if routes hold.
    pub(super) fn is_addressed_like(&self, other: &Self) -> bool {
        is_same(self.exchange.as_bytes(), other.exchange.as_bytes())
            && is_same(self.routing_key.as_bytes(), other.routing_key.as_bytes())
    }

    /// Whether it goes to the same queues and logs as the other, if routes hold.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        self.persistent == other.persistent && self.is_addressed_like(other)
    }

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

/// A message in its stored form, borrowed from wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// Takes bytes that [`Parts`] laid out.
    pub(crate) fn from_parts(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn short(self, at: usize) -> &'a [u8] {
        &self.0[at + 1..at + 1 + usize::from(self.0[at])]
    }

    fn key_at(self) -> usize {
        1 + usize::from(self.0[0])
    }

    fn properties_at(self) -> usize {
        let key = self.key_at();
        key + 1 + usize::from(self.0[key])
    }

    fn properties_len(self) -> u32 {
        let at = self.properties_at();
        let len = &self.0[at..at + 4];
        u32::from_le_bytes([len[0], len[1], len[2], len[3]])
    }

    fn body_at(self) -> usize {
        let len = self.properties_len();
        let stamp = if len & STAMPED == 0 { 0 } else { STAMP_LEN };
        self.properties_at() + 4 + (len & !STAMPED) as usize + stamp
    }

    fn properties(self) -> &'a [u8] {
        let at = self.properties_at() + 4;
        &self.0[at..at + (self.properties_len() & !STAMPED) as usize]
    }

    /// When it arrived, in milliseconds since 1970, if it may expire.
    pub(crate) fn arrived_ms(self) -> Option<u64> {
        if self.properties_len() & STAMPED == 0 {
            return None;
        }
        let body_at = self.body_at();
        let stamp = self.0[body_at - STAMP_LEN..body_at].try_into().ok()?;
        Some(u64::from_le_bytes(stamp))
    }

    /// Its parts as a consumer gets them.
    pub(crate) fn parts(self) -> MessageRef<'a> {
        let (exchange, rest) = split_short(self.0);
        let (routing_key, rest) = split_short(rest);
        let (len, rest) = rest.split_at(4);
        let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]);
        let (properties, rest) = rest.split_at((len & !STAMPED) as usize);
        let stamp = if len & STAMPED == 0 { 0 } else { STAMP_LEN };
        MessageRef {
            exchange,
            routing_key,
            properties,
            body: &rest[stamp..],
        }
    }
}

fn split_short(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes[1..].split_at(usize::from(bytes[0]))
}

/// A message's parts, borrowed from wherever they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef<'a> {
    /// The exchange it was published to: UTF-8, at most 255 bytes.
    pub exchange: &'a [u8],
    /// The key it was published with: UTF-8, at most 255 bytes.
    pub routing_key: &'a [u8],
    /// The properties in wire form.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

impl MessageRef<'_> {
    /// Whether what stands before the bodies is known to be the same, because it lies in the same place.
    pub fn shares_head(&self, other: &Self) -> bool {
        std::ptr::eq(self.exchange, other.exchange)
            && std::ptr::eq(self.routing_key, other.routing_key)
            && std::ptr::eq(self.properties, other.properties)
    }
}

/// Whether two slices have the same bytes; quick when they are in fact one.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (std::ptr::eq(a.as_ptr(), b.as_ptr()) || a == b)
}

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

    pub(crate) fn packed(&self) -> Packed<'_> {
        Packed(&self.0)
    }

    /// Its parts as bytes.
    pub fn parts(&self) -> MessageRef<'_> {
        self.packed().parts()
    }

    /// The exchange it was published to.
    pub fn exchange(&self) -> &str {
        std::str::from_utf8(self.packed().short(0)).unwrap_or_default()
    }

    /// The key it was published with.
    pub fn routing_key(&self) -> &str {
        let packed = self.packed();
        std::str::from_utf8(packed.short(packed.key_at())).unwrap_or_default()
    }

    /// The properties in wire form.
    pub fn properties(&self) -> &[u8] {
        self.packed().properties()
    }

    /// When it arrived, in milliseconds since 1970, if it may expire.
    pub fn arrived_ms(&self) -> Option<u64> {
        self.packed().arrived_ms()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0[self.packed().body_at()..]
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

    /// A copy of what is borrowed.
    pub(crate) fn from_ref(message: &MessageRef<'_>) -> Self {
        let len = |part: &[u8]| u8::try_from(part.len()).unwrap_or(u8::MAX);
        let properties_len = u32::try_from(message.properties.len()).unwrap_or_default();
        let parts: [&[u8]; 7] = [
            &[len(message.exchange)],
            message.exchange,
            &[len(message.routing_key)],
            message.routing_key,
            &properties_len.to_le_bytes(),
            message.properties,
            message.body,
        ];
        Self(Bytes::from(parts.concat()))
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
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

    /// The parts before the body, of a message without a time of arrival.
    pub(crate) fn head<'a>(&'a self, publish: &Publish<'a>) -> [&'a [u8]; 6] {
        [
            &self.exchange_len,
            publish.exchange.as_bytes(),
            &self.key_len,
            publish.routing_key.as_bytes(),
            &self.properties_len,
            publish.properties,
        ]
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

/// A message handed out by a queue and not settled: the next one's id is one higher. Unique while the queue lives in
/// this process; a message that comes back and goes out again has another one then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// Messages of one queue whose ids follow each other.
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

impl Delivery {
    /// The same, borrowed.
    pub(super) fn handed(&self) -> Handed<'_> {
        Handed {
            id: self.id,
            redelivered: self.redelivered,
            returns: self.returns,
            message: self.message.parts(),
        }
    }
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
