//! AMQP 0-9-1 frames as a client writes and reads them; nothing about what they mean.

mod parse;

pub(crate) use parse::{Arguments, Frame, next_frame};

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const FRAME_END: u8 = 0xce;

/// Bytes of a frame around its payload.
pub(crate) const FRAME_OVERHEAD: usize = 8;

/// Class and method.
pub(crate) type MethodId = (u16, u16);

pub(crate) const CONNECTION_START: MethodId = (10, 10);
pub(crate) const CONNECTION_START_OK: MethodId = (10, 11);
pub(crate) const CONNECTION_TUNE: MethodId = (10, 30);
pub(crate) const CONNECTION_TUNE_OK: MethodId = (10, 31);
pub(crate) const CONNECTION_OPEN: MethodId = (10, 40);
pub(crate) const CONNECTION_OPEN_OK: MethodId = (10, 41);
pub(crate) const CONNECTION_CLOSE: MethodId = (10, 50);
pub(crate) const CONNECTION_CLOSE_OK: MethodId = (10, 51);
pub(crate) const CONNECTION_BLOCKED: MethodId = (10, 60);
pub(crate) const CONNECTION_UNBLOCKED: MethodId = (10, 61);
pub(crate) const CHANNEL_OPEN: MethodId = (20, 10);
pub(crate) const CHANNEL_OPEN_OK: MethodId = (20, 11);
pub(crate) const CHANNEL_CLOSE: MethodId = (20, 40);
pub(crate) const EXCHANGE_DECLARE: MethodId = (40, 10);
pub(crate) const EXCHANGE_DECLARE_OK: MethodId = (40, 11);
pub(crate) const EXCHANGE_DELETE: MethodId = (40, 20);
pub(crate) const EXCHANGE_DELETE_OK: MethodId = (40, 21);
pub(crate) const QUEUE_DECLARE: MethodId = (50, 10);
pub(crate) const QUEUE_DECLARE_OK: MethodId = (50, 11);
pub(crate) const QUEUE_BIND: MethodId = (50, 20);
pub(crate) const QUEUE_BIND_OK: MethodId = (50, 21);
pub(crate) const QUEUE_DELETE: MethodId = (50, 40);
pub(crate) const QUEUE_DELETE_OK: MethodId = (50, 41);
pub(crate) const BASIC_QOS: MethodId = (60, 10);
pub(crate) const BASIC_QOS_OK: MethodId = (60, 11);
pub(crate) const BASIC_CONSUME: MethodId = (60, 20);
pub(crate) const BASIC_CONSUME_OK: MethodId = (60, 21);
pub(crate) const BASIC_PUBLISH: MethodId = (60, 40);
pub(crate) const BASIC_RETURN: MethodId = (60, 50);
pub(crate) const BASIC_DELIVER: MethodId = (60, 60);
pub(crate) const BASIC_ACK: MethodId = (60, 80);
pub(crate) const BASIC_NACK: MethodId = (60, 120);
pub(crate) const CONFIRM_SELECT: MethodId = (85, 10);
pub(crate) const CONFIRM_SELECT_OK: MethodId = (85, 11);

const CLASS_BASIC: u16 = 60;
const FLAG_DELIVERY_MODE: u16 = 1 << 12;
const PERSISTENT: u8 = 2;

/// Appends a frame with the payload that `fill` writes.
pub(crate) fn frame(buffer: &mut Vec<u8>, kind: u8, channel: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    buffer.push(kind);
    buffer.extend_from_slice(&channel.to_be_bytes());
    let size_at = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    fill(buffer);
    let size = buffer.len() - size_at - 4;
    let size = u32::try_from(size).expect("frames are cut below frame_max");
    buffer[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
    buffer.push(FRAME_END);
}

/// Appends a method frame; `fill` writes the arguments.
pub(crate) fn method(
    buffer: &mut Vec<u8>,
    channel: u16,
    (class, method): MethodId,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    frame(buffer, METHOD, channel, |payload| {
        payload.extend_from_slice(&class.to_be_bytes());
        payload.extend_from_slice(&method.to_be_bytes());
        fill(payload);
    });
}

/// The scalar types of method arguments.
pub(crate) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// At most 255 bytes.
    fn put_short(&mut self, text: &str);
    fn put_long(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_short(&mut self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(255)];
        self.push(bytes.len() as u8);
        self.extend_from_slice(bytes);
    }

    fn put_long(&mut self, bytes: &[u8]) {
        self.put_u32(u32::try_from(bytes.len()).expect("arguments are short"));
        self.extend_from_slice(bytes);
    }
}

/// Appends a whole message, and returns where its body starts. The body is `body` cut into frames
/// of at most `frame_max` bytes.
pub(crate) fn publish(
    buffer: &mut Vec<u8>,
    (exchange, routing_key): (&str, &str),
    body: &[u8],
    is_persistent: bool,
    frame_max: usize,
) -> usize {
    method(buffer, 1, BASIC_PUBLISH, |arguments| {
        arguments.put_u16(0);
        arguments.put_short(exchange);
        arguments.put_short(routing_key);
        arguments.put_u8(0);
    });
    frame(buffer, HEADER, 1, |payload| {
        payload.put_u16(CLASS_BASIC);
        payload.put_u16(0);
        payload.put_u64(body.len() as u64);
        if is_persistent {
            payload.put_u16(FLAG_DELIVERY_MODE);
            payload.put_u8(PERSISTENT);
        } else {
            payload.put_u16(0);
        }
    });
    let body_at = buffer.len() + 7;
    for chunk in body.chunks(frame_max - FRAME_OVERHEAD) {
        frame(buffer, BODY, 1, |payload| payload.extend_from_slice(chunk));
    }
    body_at
}

/// Appends `basic.ack`.
pub(crate) fn ack(buffer: &mut Vec<u8>, delivery_tag: u64, multiple: bool) {
    let mut bytes = *b"\x01\0\x01\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\0\0\xce";
    bytes[11..19].copy_from_slice(&delivery_tag.to_be_bytes());
    bytes[19] = u8::from(multiple);
    buffer.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ack_made_in_one_piece_is_the_ack_made_by_the_rules() {
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        ack(&mut fast, 0x0102_0304_0506_0708, true);
        method(&mut slow, 1, BASIC_ACK, |arguments| {
            arguments.put_u64(0x0102_0304_0506_0708);
            arguments.put_u8(1);
        });
        assert_eq!(fast, slow);
    }

    #[test]
    fn a_body_is_cut_into_frames_and_found_again() {
        let body: Vec<u8> = (0..100).collect();
        let mut bytes = Vec::new();
        let body_at = publish(&mut bytes, ("x", "key"), &body, true, 48);
        assert_eq!(bytes[body_at], 0);
        let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
        while let Some((frame, used)) = next_frame(rest).unwrap() {
            frames.push(frame);
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
        assert_eq!(
            frames.iter().map(|frame| frame.kind).collect::<Vec<_>>(),
            [METHOD, HEADER, BODY, BODY, BODY]
        );
        assert_eq!(frames[0].method_id().unwrap(), BASIC_PUBLISH);
        assert_eq!(frames[1].body_size().unwrap(), 100);
        let whole: Vec<u8> = frames[2..]
            .iter()
            .flat_map(|frame| frame.payload)
            .copied()
            .collect();
        assert_eq!(whole, body);
    }
}
