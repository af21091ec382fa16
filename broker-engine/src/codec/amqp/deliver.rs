//! `basic.deliver` with its content, for one consumer after the first time: what repeats is kept in wire form.
//!
//! Messages to one consumer mostly differ in delivery tag and body alone. The frames before the body are kept as they
//! were written last, and patched.

use super::frame::{FRAME_END, FRAME_HEAD};
use super::{BasicDeliver, CLASS_BASIC, Encode, FRAME_OVERHEAD};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A larger head is not kept: consumers may be many, and idle.
const KEPT_MAX: usize = 4096;

/// What stands before the body of a message. Names are UTF-8 of at most 255 bytes, properties are in wire form.
#[derive(Debug, Clone, Copy)]
pub struct Deliver<'a> {
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
    pub properties: &'a [u8],
}

/// Writes the deliveries of one consumer.
#[derive(Debug, Default)]
pub struct DeliverEncoder {
    /// Method frame, header frame and head of the body frame.
    head: Vec<u8>,
    /// Where the delivery tag lies in them; behind it the redelivered flag and the names.
    tag_at: usize,
    /// Where the size of the body lies; behind it the properties.
    size_at: usize,
    exchange_len: usize,
    routing_key_len: usize,
    properties_len: usize,
}

impl DeliverEncoder {
    /// Says what stands before the bodies from now on.
    pub fn prepare(&mut self, (channel, consumer_tag): (u16, &str), message: &Deliver<'_>) {
        if !self.has_head(message) {
            self.set_head(channel, consumer_tag, message);
        }
    }

    /// Appends the frames of a message, with the head that was prepared.
    pub fn encode(
        &mut self,
        buffer: &mut Vec<u8>,
        (delivery_tag, redelivered): (u64, bool),
        body: &[u8],
        frame_max: u32,
    ) {
        let tag = &mut self.head[self.tag_at..self.tag_at + 9];
        tag[..8].copy_from_slice(&delivery_tag.to_be_bytes());
        tag[8] = redelivered.into();
        let size = &mut self.head[self.size_at..self.size_at + 8];
        size.copy_from_slice(&(body.len() as u64).to_be_bytes());
        let chunk_max = match frame_max as usize {
            0 => usize::MAX,
            frame_max => frame_max.saturating_sub(FRAME_OVERHEAD).max(1),
        };
        let len = self.head.len();
        if body.is_empty() || body.len() > chunk_max {
            self.encode_chunks(buffer, body, chunk_max);
        } else {
            self.head[len - 4..].copy_from_slice(&(body.len() as u32).to_be_bytes());
            buffer.extend_from_slice(&self.head);
            buffer.extend_from_slice(body);
            buffer.push(FRAME_END);
        }
    }

    /// Forgets a head that is too large to be kept while nothing is sent.
    pub fn trim(&mut self) {
        if self.head.capacity() > KEPT_MAX {
            self.head = Vec::new();
        }
    }

    /// Bytes that a message takes at most, if its body is one frame and its head is that of the last one.
    pub fn expected_len(&self, body_len: usize) -> usize {
        self.head.len() + body_len + 1
    }

    fn encode_chunks(&self, buffer: &mut Vec<u8>, body: &[u8], chunk_max: usize) {
        buffer.extend_from_slice(&self.head[..self.head.len() - FRAME_HEAD]);
        let [_, high, low, ..] = self.head[..] else {
            return;
        };
        for chunk in body.chunks(chunk_max) {
            buffer.extend_from_slice(&[BODY, high, low]);
            buffer.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
            buffer.extend_from_slice(chunk);
            buffer.push(FRAME_END);
        }
    }

    fn has_head(&self, message: &Deliver<'_>) -> bool {
        let exchange_at = self.tag_at + 10;
        let key_at = exchange_at + self.exchange_len + 1;
        let properties_at = self.size_at + 8;
        !self.head.is_empty()
            && self.head[exchange_at..exchange_at + self.exchange_len] == *message.exchange
            && self.head[key_at..key_at + self.routing_key_len] == *message.routing_key
            && self.head[properties_at..properties_at + self.properties_len] == *message.properties
    }

    fn set_head(&mut self, channel: u16, consumer_tag: &str, message: &Deliver<'_>) {
        let [high, low] = channel.to_be_bytes();
        let (class_id, method_id) = BasicDeliver::ID;
        let head = &mut self.head;
        head.clear();
        let short = |head: &mut Vec<u8>, text: &[u8]| {
            let text = &text[..text.len().min(255)];
            head.push(text.len() as u8);
            head.extend_from_slice(text);
            text.len()
        };
        head.extend_from_slice(&[METHOD, high, low, 0, 0, 0, 0]);
        head.extend_from_slice(&class_id.to_be_bytes());
        head.extend_from_slice(&method_id.to_be_bytes());
        short(head, consumer_tag.as_bytes());
        self.tag_at = head.len();
        head.extend_from_slice(&[0; 9]);
        self.exchange_len = short(head, message.exchange);
        self.routing_key_len = short(head, message.routing_key);
        let len = (head.len() - FRAME_HEAD) as u32;
        head[3..FRAME_HEAD].copy_from_slice(&len.to_be_bytes());
        head.push(FRAME_END);
        let len = (2 + 2 + 8 + message.properties.len()) as u32;
        head.extend_from_slice(&[HEADER, high, low]);
        head.extend_from_slice(&len.to_be_bytes());
        head.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        head.extend_from_slice(&[0, 0]);
        self.size_at = head.len();
        head.extend_from_slice(&[0; 8]);
        self.properties_len = message.properties.len();
        head.extend_from_slice(message.properties);
        head.extend_from_slice(&[FRAME_END, BODY, high, low, 0, 0, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{encode_content, encode_method};

    #[test]
    fn writes_what_the_general_encoder_writes() {
        let mut random = fastrand::Rng::with_seed(9);
        let mut encoder = DeliverEncoder::default();
        let (mut fast, mut general) = (Vec::new(), Vec::new());
        for delivery_tag in 1..2000 {
            let pick = |random: &mut fastrand::Rng| match random.u8(..4) {
                0 => String::new(),
                1 => "é".repeat(127),
                _ => "name".to_owned(),
            };
            let (exchange, routing_key) = (pick(&mut random), pick(&mut random));
            let properties: &[u8] = [&b"\0\0"[..], b"\x10\0\x02"][random.usize(..2)];
            let body = vec![random.u8(..); random.usize(..30)];
            let redelivered = random.bool();
            let frame_max = random.u32(..24);
            let method = BasicDeliver {
                consumer_tag: "consumer",
                delivery_tag,
                redelivered,
                exchange: &exchange,
                routing_key: &routing_key,
            };
            encode_method(&mut general, 3, &method);
            encode_content(&mut general, 3, properties, &body, frame_max);
            let message = Deliver {
                exchange: exchange.as_bytes(),
                routing_key: routing_key.as_bytes(),
                properties,
            };
            encoder.prepare((3, "consumer"), &message);
            encoder.encode(&mut fast, (delivery_tag, redelivered), &body, frame_max);
            encoder.trim();
            assert_eq!(fast, general, "{message:?} in frames of {frame_max}");
        }
    }
}
