//! The one table of AMQP 0-9-1 methods, with RabbitMQ's extensions; everything else is derived.
//!
//! Source: the specification's chapter 1.3 onward, and RabbitMQ's documented extensions
//! (`basic.nack`, `confirm`, `connection.blocked`, `connection.update-secret`, exchange bindings); class `access` is of
//! the specification of 0-9, and RabbitMQ still answers it.

use super::macros::{field_type, methods, put_field};
use super::{Error, FieldTable, Reader, Writer};

/// A method that can be written to a frame.
pub trait Encode {
    /// Class and method id.
    const ID: (u16, u16);

    /// Appends the fields.
    fn encode_fields(&self, writer: &mut Writer<'_>);

    /// Appends ids and fields.
    fn encode_payload(&self, writer: &mut Writer<'_>) {
        writer.short(Self::ID.0);
        writer.short(Self::ID.1);
        self.encode_fields(writer);
    }
}

impl<'a> BasicPublish<'a> {
    /// Decodes a method frame's payload; `None` if it is another method. [`Method::decode`] reads the same, slower.
    ///
    /// # Errors
    /// When the fields are cut short or malformed.
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(payload);
        if (reader.short()?, reader.short()?) != Self::ID {
            return Ok(None);
        }
        let publish = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(Some(publish))
    }
}

methods! {
    10 connection {
        10 ConnectionStart<'a> "connection.start" { version_major: octet, version_minor: octet, server_properties: table, mechanisms: longstr, locales: longstr }
        11 ConnectionStartOk<'a> "connection.start-ok" { client_properties: table, mechanism: shortstr, response: longstr, locale: shortstr }
        20 ConnectionSecure<'a> "connection.secure" { challenge: longstr }
        21 ConnectionSecureOk<'a> "connection.secure-ok" { response: longstr }
        30 ConnectionTune "connection.tune" { channel_max: short, frame_max: long, heartbeat_s: short }
        31 ConnectionTuneOk "connection.tune-ok" { channel_max: short, frame_max: long, heartbeat_s: short }
        40 ConnectionOpen<'a> "connection.open" { virtual_host: shortstr, reserved_1: shortstr, reserved_2: bit }
        41 ConnectionOpenOk<'a> "connection.open-ok" { reserved_1: shortstr }
        50 ConnectionClose<'a> "connection.close" { reply_code: short, reply_text: shortstr, class_id: short, method_id: short }
        51 ConnectionCloseOk "connection.close-ok" {}
        60 ConnectionBlocked<'a> "connection.blocked" { reason: shortstr }
        61 ConnectionUnblocked "connection.unblocked" {}
        70 ConnectionUpdateSecret<'a> "connection.update-secret" { new_secret: longstr, reason: shortstr }
        71 ConnectionUpdateSecretOk "connection.update-secret-ok" {}
    }
    20 channel {
        10 ChannelOpen<'a> "channel.open" { reserved_1: shortstr }
        11 ChannelOpenOk<'a> "channel.open-ok" { reserved_1: longstr }
        20 ChannelFlow "channel.flow" { active: bit }
        21 ChannelFlowOk "channel.flow-ok" { active: bit }
        40 ChannelClose<'a> "channel.close" { reply_code: short, reply_text: shortstr, class_id: short, method_id: short }
        41 ChannelCloseOk "channel.close-ok" {}
    }
    30 access {
        10 AccessRequest<'a> "access.request" { realm: shortstr, exclusive: bit, passive: bit, active: bit, write: bit, read: bit }
        11 AccessRequestOk "access.request-ok" { ticket: short }
    }
    40 exchange {
        10 ExchangeDeclare<'a> "exchange.declare" { reserved_1: short, exchange: shortstr, kind: shortstr, passive: bit, durable: bit, auto_delete: bit, internal: bit, no_wait: bit, arguments: table }
        11 ExchangeDeclareOk "exchange.declare-ok" {}
        20 ExchangeDelete<'a> "exchange.delete" { reserved_1: short, exchange: shortstr, if_unused: bit, no_wait: bit }
        21 ExchangeDeleteOk "exchange.delete-ok" {}
        30 ExchangeBind<'a> "exchange.bind" { reserved_1: short, destination: shortstr, source: shortstr, routing_key: shortstr, no_wait: bit, arguments: table }
        31 ExchangeBindOk "exchange.bind-ok" {}
        40 ExchangeUnbind<'a> "exchange.unbind" { reserved_1: short, destination: shortstr, source: shortstr, routing_key: shortstr, no_wait: bit, arguments: table }
        51 ExchangeUnbindOk "exchange.unbind-ok" {}
    }
    50 queue {
        10 QueueDeclare<'a> "queue.declare" { reserved_1: short, queue: shortstr, passive: bit, durable: bit, exclusive: bit, auto_delete: bit, no_wait: bit, arguments: table }
        11 QueueDeclareOk<'a> "queue.declare-ok" { queue: shortstr, message_count: long, consumer_count: long }
        20 QueueBind<'a> "queue.bind" { reserved_1: short, queue: shortstr, exchange: shortstr, routing_key: shortstr, no_wait: bit, arguments: table }
        21 QueueBindOk "queue.bind-ok" {}
        30 QueuePurge<'a> "queue.purge" { reserved_1: short, queue: shortstr, no_wait: bit }
        31 QueuePurgeOk "queue.purge-ok" { message_count: long }
        40 QueueDelete<'a> "queue.delete" { reserved_1: short, queue: shortstr, if_unused: bit, if_empty: bit, no_wait: bit }
        41 QueueDeleteOk "queue.delete-ok" { message_count: long }
        50 QueueUnbind<'a> "queue.unbind" { reserved_1: short, queue: shortstr, exchange: shortstr, routing_key: shortstr, arguments: table }
        51 QueueUnbindOk "queue.unbind-ok" {}
    }
    60 basic {
        10 BasicQos "basic.qos" { prefetch_size: long, prefetch_count: short, global: bit }
        11 BasicQosOk "basic.qos-ok" {}
        20 BasicConsume<'a> "basic.consume" { reserved_1: short, queue: shortstr, consumer_tag: shortstr, no_local: bit, no_ack: bit, exclusive: bit, no_wait: bit, arguments: table }
        21 BasicConsumeOk<'a> "basic.consume-ok" { consumer_tag: shortstr }
        30 BasicCancel<'a> "basic.cancel" { consumer_tag: shortstr, no_wait: bit }
        31 BasicCancelOk<'a> "basic.cancel-ok" { consumer_tag: shortstr }
        40 BasicPublish<'a> "basic.publish" { reserved_1: short, exchange: shortstr, routing_key: shortstr, mandatory: bit, immediate: bit }
        50 BasicReturn<'a> "basic.return" { reply_code: short, reply_text: shortstr, exchange: shortstr, routing_key: shortstr }
        60 BasicDeliver<'a> "basic.deliver" { consumer_tag: shortstr, delivery_tag: longlong, redelivered: bit, exchange: shortstr, routing_key: shortstr }
        70 BasicGet<'a> "basic.get" { reserved_1: short, queue: shortstr, no_ack: bit }
        71 BasicGetOk<'a> "basic.get-ok" { delivery_tag: longlong, redelivered: bit, exchange: shortstr, routing_key: shortstr, message_count: long }
        72 BasicGetEmpty<'a> "basic.get-empty" { reserved_1: shortstr }
        80 BasicAck "basic.ack" { delivery_tag: longlong, multiple: bit }
        90 BasicReject "basic.reject" { delivery_tag: longlong, requeue: bit }
        100 BasicRecoverAsync "basic.recover-async" { requeue: bit }
        110 BasicRecover "basic.recover" { requeue: bit }
        111 BasicRecoverOk "basic.recover-ok" {}
        120 BasicNack "basic.nack" { delivery_tag: longlong, multiple: bit, requeue: bit }
    }
    85 confirm {
        10 ConfirmSelect "confirm.select" { no_wait: bit }
        11 ConfirmSelectOk "confirm.select-ok" {}
    }
    90 tx {
        10 TxSelect "tx.select" {}
        11 TxSelectOk "tx.select-ok" {}
        20 TxCommit "tx.commit" {}
        21 TxCommitOk "tx.commit-ok" {}
        30 TxRollback "tx.rollback" {}
        31 TxRollbackOk "tx.rollback-ok" {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload<M: Encode>(method: &M) -> Vec<u8> {
        let mut buffer = Vec::new();
        method.encode_payload(&mut Writer::new(&mut buffer));
        buffer
    }

    #[test]
    fn queue_declare_has_the_bytes_of_the_specification() {
        let declare = QueueDeclare {
            reserved_1: 0,
            queue: "jobs",
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: true,
            no_wait: false,
            arguments: FieldTable::default(),
        };
        let bytes = payload(&declare);
        assert_eq!(bytes, b"\0\x32\0\x0a\0\0\x04jobs\x0a\0\0\0\0");
        assert_eq!(
            Method::decode(&bytes).unwrap(),
            Method::QueueDeclare(declare)
        );
    }

    #[test]
    fn deliver_has_the_bytes_of_the_specification() {
        let deliver = BasicDeliver {
            consumer_tag: "c",
            delivery_tag: 258,
            redelivered: true,
            exchange: "",
            routing_key: "q",
        };
        assert_eq!(
            payload(&deliver),
            b"\0\x3c\0\x3c\x01c\0\0\0\0\0\0\x01\x02\x01\0\x01q"
        );
    }

    #[test]
    fn a_method_cut_at_any_byte_is_truncated_and_never_panics() {
        let samples = [
            payload(&ConnectionStartOk {
                client_properties: FieldTable(vec![("product".into(), "x".into())]),
                mechanism: "PLAIN",
                response: b"\0a\0b",
                locale: "en_US",
            }),
            payload(&BasicPublish {
                reserved_1: 0,
                exchange: "e",
                routing_key: "k",
                mandatory: true,
                immediate: false,
            }),
            payload(&BasicNack {
                delivery_tag: 1,
                multiple: true,
                requeue: true,
            }),
        ];
        for sample in samples {
            for end in 0..sample.len() {
                assert_eq!(Method::decode(&sample[..end]), Err(Error::Truncated));
            }
            let decoded = Method::decode(&sample).unwrap();
            let mut again = Vec::new();
            decoded.encode(&mut Writer::new(&mut again));
            assert_eq!(again, sample);
        }
    }

    #[test]
    fn an_unknown_method_is_named() {
        assert_eq!(
            Method::decode(&[0, 60, 0, 99]),
            Err(Error::UnknownMethod {
                class_id: 60,
                method_id: 99
            })
        );
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(0x6761_7262);
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(..)).collect();
            if bytes.len() > 4 {
                bytes[0] = 0;
                bytes[1] = *random.choice(&[10_u8, 20, 40, 50, 60, 85, 90]).unwrap();
                bytes[2] = 0;
                bytes[3] = random.u8(0..12) * 10 + random.u8(0..2);
            }
            // Only the absence of a panic is the property.
            let _ = Method::decode(&bytes);
        }
    }
}
