//! An AMQP client without a socket: says what a test wants, and takes apart what it is told.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    amqp::{DryConnection, Peer, Server},
    codec::amqp::{
        BasicPublish, ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Encode,
        FieldTable, FrameKind, FrameParse, Method, PROTOCOL_HEADER, encode_content, encode_method,
        parse_frame,
    },
};

/// What a client asks for in the way of frames.
const FRAME_MAX: u32 = 8192;

/// What the server said, as far as tests care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Deliver {
        channel: u16,
        tag: u64,
        redelivered: bool,
        body: Vec<u8>,
    },
    Ack {
        channel: u16,
        tag: u64,
        multiple: bool,
    },
    Nack {
        channel: u16,
        tag: u64,
        multiple: bool,
    },
    ChannelClose {
        channel: u16,
        text: String,
    },
    ConnectionClose {
        text: String,
    },
    /// Any other method, by class and method.
    Other {
        channel: u16,
        id: (u16, u16),
    },
}

/// A client and its connection.
pub(super) struct Client {
    pub(super) wire: DryConnection,
    /// Bytes that are not sent yet.
    pub(super) outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// A delivery whose content is not complete, and how much is missing.
    content: Option<(Said, Option<u64>)>,
}

impl Client {
    /// A client that has not said anything.
    pub(super) fn new(server: &Arc<Server>) -> Self {
        let peer = Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 40_000)),
            local: SocketAddr::from(([127, 0, 0, 1], 5672)),
            is_secure: false,
            certificate: None,
        };
        Self {
            wire: DryConnection::new(server, peer),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            content: None,
        }
    }

    /// A client with an open connection and these channels.
    pub(super) fn open(server: &Arc<Server>, user: &str, channels: &[u16]) -> Self {
        let mut client = Self::new(server);
        client.say_hello(user);
        for channel in channels {
            client.add(*channel, &ChannelOpen { reserved_1: "" });
        }
        client.send();
        let said = client.hear();
        let opened = said
            .iter()
            .filter(|said| matches!(said, Said::Other { id, .. } if *id == (20, 11)));
        assert_eq!(opened.count(), channels.len(), "{said:?}");
        client
    }

    /// The whole handshake in one go, as the server's answers hold no surprise.
    pub(super) fn say_hello(&mut self, user: &str) {
        let response = format!("\0{user}\0{user}");
        self.outgoing.extend(PROTOCOL_HEADER);
        self.add(
            0,
            &ConnectionStartOk {
                client_properties: FieldTable::default(),
                mechanism: "PLAIN",
                response: response.as_bytes(),
                locale: "en_US",
            },
        );
        self.add(
            0,
            &ConnectionTuneOk {
                channel_max: 100,
                frame_max: FRAME_MAX,
                heartbeat_s: 0,
            },
        );
        self.add(
            0,
            &ConnectionOpen {
                virtual_host: "/",
                reserved_1: "",
                reserved_2: false,
            },
        );
    }

    /// Adds a method to what is sent next.
    pub(super) fn add<M: Encode>(&mut self, channel: u16, method: &M) {
        encode_method(&mut self.outgoing, channel, method);
    }

    /// Adds a message to what is sent next.
    pub(super) fn publish(
        &mut self,
        channel: u16,
        (exchange, routing_key): (&str, &str),
        properties: &[u8],
        body: &[u8],
    ) {
        let publish = BasicPublish {
            reserved_1: 0,
            exchange,
            routing_key,
            mandatory: false,
            immediate: false,
        };
        self.add(channel, &publish);
        encode_content(&mut self.outgoing, channel, properties, body, FRAME_MAX);
    }

    /// Sends everything at once.
    pub(super) fn send(&mut self) {
        let bytes = std::mem::take(&mut self.outgoing);
        self.wire.receive(&bytes);
    }

    /// Sends everything in two pieces, cut at random.
    pub(super) fn send_in_pieces(&mut self, random: &mut fastrand::Rng) {
        let bytes = std::mem::take(&mut self.outgoing);
        let cut = random.usize(..=bytes.len());
        self.wire.receive(&bytes[..cut]);
        self.wire.receive(&bytes[cut..]);
    }

    /// Takes what the server has to say by now.
    pub(super) fn hear(&mut self) -> Vec<Said> {
        self.wire.poll();
        self.incoming.extend(self.wire.take());
        // What was taken makes room for more.
        self.wire.poll();
        let incoming = std::mem::take(&mut self.incoming);
        let (mut at, mut said) = (0, Vec::new());
        while at < incoming.len() {
            if incoming[at..].starts_with(b"AMQP") {
                at += PROTOCOL_HEADER.len();
                continue;
            }
            let parsed = parse_frame(&incoming[at..], 0).expect("the server sends frames");
            let FrameParse::Complete { frame, consumed } = parsed else {
                break;
            };
            at += consumed;
            match frame.kind {
                FrameKind::Method => {
                    assert!(self.content.is_none(), "a method within a content");
                    let method = Method::decode(frame.payload).expect("the server sends methods");
                    self.on_method(frame.channel, &method, &mut said);
                }
                FrameKind::Header => self.on_header(frame.payload),
                FrameKind::Body => self.on_body(frame.payload),
                FrameKind::Heartbeat => {}
            }
            self.finish_content(&mut said);
        }
        self.incoming = incoming[at..].to_vec();
        said
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "tests look at a few methods and count the others"
    )]
    fn on_method(&mut self, channel: u16, method: &Method<'_>, said: &mut Vec<Said>) {
        let id = method.id();
        match method {
            Method::BasicDeliver(deliver) => {
                let deliver = Said::Deliver {
                    channel,
                    tag: deliver.delivery_tag,
                    redelivered: deliver.redelivered,
                    body: Vec::new(),
                };
                self.content = Some((deliver, None));
            }
            Method::BasicGetOk(got) => {
                let deliver = Said::Deliver {
                    channel,
                    tag: got.delivery_tag,
                    redelivered: got.redelivered,
                    body: Vec::new(),
                };
                self.content = Some((deliver, None));
            }
            Method::BasicReturn(_) => self.content = Some((Said::Other { channel, id }, None)),
            Method::BasicAck(ack) => said.push(Said::Ack {
                channel,
                tag: ack.delivery_tag,
                multiple: ack.multiple,
            }),
            Method::BasicNack(nack) => said.push(Said::Nack {
                channel,
                tag: nack.delivery_tag,
                multiple: nack.multiple,
            }),
            Method::ChannelClose(close) => said.push(Said::ChannelClose {
                channel,
                text: close.reply_text.to_owned(),
            }),
            Method::ConnectionClose(close) => said.push(Said::ConnectionClose {
                text: close.reply_text.to_owned(),
            }),
            _ => said.push(Said::Other { channel, id }),
        }
    }

    fn on_header(&mut self, payload: &[u8]) {
        let header = crate::codec::amqp::ContentHeader::decode(payload);
        let size = header.expect("the server sends headers").body_size;
        let (_, missing) = self.content.as_mut().expect("a method came before");
        assert!(missing.replace(size).is_none(), "two headers");
    }

    fn on_body(&mut self, payload: &[u8]) {
        let (said, missing) = self.content.as_mut().expect("a method came before");
        let missing = missing.as_mut().expect("a header came before");
        *missing = missing
            .checked_sub(payload.len() as u64)
            .expect("no more body than announced");
        if let Said::Deliver { body, .. } = said {
            body.extend_from_slice(payload);
        }
    }

    fn finish_content(&mut self, said: &mut Vec<Said>) {
        if matches!(self.content, Some((_, Some(0))))
            && let Some((complete, _)) = self.content.take()
        {
            said.push(complete);
        }
    }
}
