//! A connection that sees every frame, and may send any bytes.
//!
//! Owns the socket and the frames received; what was read for one channel waits there until it is asked for, so that
//! the order between channels, which no broker promises, is not observed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::spec::{self, Spec};
use crate::value::{self, Bytes};

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;

/// Bodies longer than this are told by their length.
const SHOWN_MAX: usize = 200;

/// Something that was received, in words.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) channel: u16,
    /// The method's name, `heartbeat`, `closed` for the end of the socket, or `garbage`.
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

impl Seen {
    /// Whether nothing more comes on its channel.
    pub(crate) fn is_end(&self) -> bool {
        matches!(
            self.name,
            "channel.close" | "connection.close" | "closed" | "garbage"
        )
    }

    pub(crate) fn is_end_of_connection(&self) -> bool {
        self.is_end() && self.name != "channel.close"
    }
}

/// A message whose frames have not all come.
struct Partial {
    name: &'static str,
    text: String,
    missing: Option<u64>,
    body: Vec<u8>,
    frames: Vec<usize>,
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    inbox: VecDeque<Seen>,
    partial: BTreeMap<u16, Partial>,
    pub(crate) channels: BTreeSet<u16>,
    pub(crate) frame_max: usize,
    /// Whether a close is answered at once.
    pub(crate) answers_close: bool,
    /// Whether `connection.open-ok` came.
    pub(crate) is_open: bool,
    /// Publishes since confirms were selected, and the outcomes, per channel.
    pub(crate) outcomes: BTreeMap<u16, BTreeMap<u64, &'static str>>,
}

impl Client {
    pub(crate) fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
            inbox: VecDeque::new(),
            partial: BTreeMap::new(),
            channels: BTreeSet::new(),
            frame_max: 131_072,
            answers_close: true,
            is_open: false,
            outcomes: BTreeMap::new(),
        }
    }

    /// Sends bytes; a socket that the peer closed shows when it is read.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        value::put_long(&mut frame, payload);
        frame.push(FRAME_END);
        self.write(&frame);
    }

    /// The next that concerns this channel; `None` when nothing comes.
    pub(crate) fn next(&mut self, channel: u16) -> Option<Seen> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let concerned = |seen: &Seen| seen.channel == channel || seen.is_end_of_connection();
            if let Some(at) = self.inbox.iter().position(concerned) {
                return self.inbox.remove(at);
            }
            self.read(deadline)?;
        }
    }

    /// What came and nobody asked for.
    pub(crate) fn leftovers(&mut self) -> Vec<Seen> {
        self.inbox.drain(..).collect()
    }

    /// Reads once and takes apart what came.
    fn read(&mut self, deadline: Instant) -> Option<()> {
        let left = deadline.checked_duration_since(Instant::now())?;
        self.stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .unwrap();
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.see(0, "closed", "closed".to_owned()),
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                self.take_apart();
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                self.see(0, "closed", "closed".to_owned());
            }
            Err(_) => return None,
        }
        Some(())
    }

    fn see(&mut self, channel: u16, name: &'static str, text: String) {
        self.inbox.push_back(Seen {
            channel,
            name,
            text,
        });
    }

    fn take_apart(&mut self) {
        while let [kind, a, b, s, i, z, e, rest @ ..] = &*self.received {
            if self.received.starts_with(b"AMQP") && !self.is_open {
                let text = format!("header {}", value::quoted(&self.received));
                self.received.clear();
                return self.see(0, "header", text);
            }
            let (kind, channel) = (*kind, u16::from_be_bytes([*a, *b]));
            let size = u32::from_be_bytes([*s, *i, *z, *e]) as usize;
            let Some((payload, [end, ..])) = rest.split_at_checked(size) else {
                return;
            };
            let is_sound = *end == FRAME_END;
            let payload = payload.to_vec();
            self.received.drain(..size + 8);
            let understood = is_sound
                .then(|| self.take(kind, channel, &payload))
                .flatten();
            if understood.is_none() {
                let text = format!("garbage {kind} {}", value::quoted(&payload));
                self.see(channel, "garbage", text);
            }
        }
    }

    fn take(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Option<()> {
        let mut bytes = Bytes(payload);
        match kind {
            METHOD => {
                let class = u16::try_from(bytes.number(2)?).ok()?;
                let spec = Spec::with_id((class, u16::try_from(bytes.number(2)?).ok()?))?;
                let text = spec.describe(&mut bytes)?;
                if !bytes.0.is_empty() || self.partial.contains_key(&channel) {
                    return None;
                }
                self.take_method(channel, spec, text);
            }
            HEADER => {
                let partial = self.partial.get_mut(&channel)?;
                if bytes.number(4)? != 60 << 16 {
                    return None;
                }
                partial.missing = Some(bytes.number(8)?);
                partial.text += &spec::describe_properties(&mut bytes)?;
                if !bytes.0.is_empty() {
                    return None;
                }
                self.complete(channel);
            }
            BODY => {
                let partial = self.partial.get_mut(&channel)?;
                let missing = partial.missing.as_mut()?;
                *missing = missing.checked_sub(payload.len() as u64)?;
                partial.body.extend(payload);
                partial.frames.push(payload.len());
                self.complete(channel);
            }
            8 => self.see(channel, "heartbeat", "heartbeat".to_owned()),
            _ => return None,
        }
        Some(())
    }

    fn take_method(&mut self, channel: u16, spec: &'static Spec, text: String) {
        match spec.name {
            "basic.deliver" | "basic.get-ok" | "basic.return" => {
                let partial = Partial {
                    name: spec.name,
                    text,
                    missing: None,
                    body: Vec::new(),
                    frames: Vec::new(),
                };
                self.partial.insert(channel, partial);
                return;
            }
            "channel.open-ok" => {
                self.channels.insert(channel);
            }
            "connection.open-ok" => self.is_open = true,
            "channel.close" | "channel.close-ok" => {
                self.channels.remove(&channel);
                self.outcomes.remove(&channel);
                if spec.name == "channel.close" && self.answers_close {
                    self.frame(METHOD, channel, &[0, 20, 0, 41]);
                }
            }
            "connection.close" if self.answers_close => {
                self.frame(METHOD, 0, &[0, 10, 0, 51]);
            }
            _ => {}
        }
        self.see(channel, spec.name, text);
    }

    /// Tells of a message when its last byte is here.
    fn complete(&mut self, channel: u16) {
        let is_whole = |partial: &Partial| partial.missing == Some(0);
        if !self.partial.get(&channel).is_some_and(is_whole) {
            return;
        }
        let Some(partial) = self.partial.remove(&channel) else {
            return;
        };
        let Partial {
            name, text, body, ..
        } = partial;
        let body = if body.len() > SHOWN_MAX {
            let sum = crc32c::crc32c(&body);
            format!(
                "{} bytes with sum {sum:08x} in {:?}",
                body.len(),
                partial.frames
            )
        } else {
            value::quoted(&body)
        };
        self.see(channel, name, format!("{text} body={body}"));
    }
}
