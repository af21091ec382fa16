//! A client that is nothing but a socket and the codec: it sees every frame, and may misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use broker_engine::codec::amqp::{
    ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Encode, FieldTable,
    FieldValue, FrameKind, FrameParse, Method, PROTOCOL_HEADER, encode_method, parse_frame,
};

use crate::support::PATIENCE;

/// A connection whose frames the test writes and reads itself.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

/// A frame that was received.
pub(crate) struct Received {
    pub(crate) kind: FrameKind,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

impl Raw {
    /// A socket, and nothing said yet.
    pub(crate) fn dial(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).unwrap())
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// A socket after `connection.tune`.
    pub(crate) fn log_in(address: SocketAddr, password: &str) -> Self {
        Self::log_in_on(TcpStream::connect(address).unwrap(), password)
    }

    /// The same on a socket on which something else was said before.
    pub(crate) fn log_in_on(stream: TcpStream, password: &str) -> Self {
        let mut raw = Self::on(stream);
        raw.write(&PROTOCOL_HEADER);
        raw.expect(0, "connection.start");
        let capabilities = ["authentication_failure_close", "connection.blocked"]
            .map(|name| (name.to_owned(), FieldValue::Bool(true)));
        let capabilities = FieldValue::Table(FieldTable(capabilities.to_vec()));
        raw.send(
            0,
            &ConnectionStartOk {
                client_properties: FieldTable(vec![("capabilities".to_owned(), capabilities)]),
                mechanism: "PLAIN",
                response: format!("\0test\0{password}").as_bytes(),
                locale: "en_US",
            },
        );
        raw
    }

    /// An open connection with the given limits.
    pub(crate) fn open_with(address: SocketAddr, frame_max: u32, heartbeat_s: u16) -> Self {
        let mut raw = Self::log_in(address, "secret");
        raw.expect(0, "connection.tune");
        raw.send(
            0,
            &ConnectionTuneOk {
                channel_max: 2047,
                frame_max,
                heartbeat_s,
            },
        );
        raw.send(
            0,
            &ConnectionOpen {
                virtual_host: "/",
                reserved_1: "",
                reserved_2: false,
            },
        );
        raw.expect(0, "connection.open-ok");
        raw
    }

    /// An open connection with channel 1.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut raw = Self::open_with(address, 131_072, 0);
        raw.open_channel(1);
        raw
    }

    pub(crate) fn open_channel(&mut self, channel: u16) {
        self.send(channel, &ChannelOpen { reserved_1: "" });
        self.expect(channel, "channel.open-ok");
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send<M: Encode>(&mut self, channel: u16, method: &M) {
        let mut frame = Vec::new();
        encode_method(&mut frame, channel, method);
        self.write(&frame);
    }

    /// The next frame, or `None` when the server closed the socket.
    pub(crate) fn next(&mut self) -> Option<Received> {
        loop {
            if let FrameParse::Complete { frame, consumed } =
                parse_frame(&self.received, 0).unwrap()
            {
                let (kind, channel) = (frame.kind, frame.channel);
                let payload = frame.payload.to_vec();
                self.received.drain(..consumed);
                return Some(Received {
                    kind,
                    channel,
                    payload,
                });
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next frame, which is this method on this channel.
    pub(crate) fn expect(&mut self, channel: u16, name: &str) -> Vec<u8> {
        let received = self.next().expect("the connection is open");
        let method = Method::decode(&received.payload).unwrap();
        assert_eq!(
            (received.channel, method.name()),
            (channel, name),
            "{method:?}"
        );
        received.payload
    }

    /// The next frame closes this channel, or with 0 the connection.
    pub(crate) fn expect_close(&mut self, channel: u16, code: u16, text: &str) {
        let name = if channel == 0 {
            "connection.close"
        } else {
            "channel.close"
        };
        let payload = self.expect(channel, name);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the name was checked before"
        )]
        match Method::decode(&payload).unwrap() {
            Method::ConnectionClose(close) => {
                assert_eq!((close.reply_code, close.reply_text), (code, text));
            }
            Method::ChannelClose(close) => {
                assert_eq!((close.reply_code, close.reply_text), (code, text));
            }
            other => panic!("{other:?}"),
        }
    }
}
