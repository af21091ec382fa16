//! One AMQP connection with one channel, number 1: handshake, calls with an answer, raw bytes.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::stream::{Stream, Trust};
use crate::wire::{self, Arguments, Frame, MethodId, Put, method, next_frame};
use crate::{Error, Target, relay};

const CHANNEL: u16 = 1;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const READ_SIZE: usize = 256 * 1024;

/// Buffers of a connection that only waits; RabbitMQ's greeting is below a kilobyte.
const READ_SIZE_IDLE: usize = 4096;

/// The frame size that is asked for: RabbitMQ's default.
const FRAME_MAX: u32 = 131_072;

/// What a connection is for; a relay must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Control,
    Idle,
    Publish(u16),
    Consume(u16),
}

pub(crate) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    /// What is read and not consumed.
    start: usize,
    end: usize,
    frame_max: usize,
}

impl Connection {
    /// Connects, logs in and opens the channel; a relay is only told the purpose.
    pub(crate) fn open(
        target: &Target,
        trust: Option<&Trust>,
        purpose: Purpose,
    ) -> Result<Self, Error> {
        let size = match purpose {
            Purpose::Control | Purpose::Idle => READ_SIZE_IDLE,
            Purpose::Publish(_) | Purpose::Consume(_) => READ_SIZE,
        };
        let mut connection = Self {
            stream: Stream::connect(target, trust)?,
            buffer: vec![0; size],
            start: 0,
            end: 0,
            frame_max: FRAME_MAX as usize,
        };
        if target.is_relay {
            connection.write(&relay::greeting(purpose))?;
        } else {
            connection.shake_hands(target)?;
        }
        Ok(connection)
    }

    fn shake_hands(&mut self, target: &Target) -> Result<(), Error> {
        self.write(b"AMQP\0\0\x09\x01")?;
        self.answer(wire::CONNECTION_START, |_| Ok(()))?;
        let mut bytes = Vec::new();
        method(&mut bytes, 0, wire::CONNECTION_START_OK, |arguments| {
            let mut properties = Vec::new();
            properties.put_short("product");
            properties.put_u8(b'S');
            properties.put_long(b"warren-perf");
            arguments.put_long(&properties);
            arguments.put_short("PLAIN");
            arguments.put_long(format!("\0{}\0{}", target.user, target.password).as_bytes());
            arguments.put_short("en_US");
        });
        self.write(&bytes)?;
        let (channel_max, frame_max) = self.answer(wire::CONNECTION_TUNE, |mut arguments| {
            Ok((arguments.u16()?, arguments.u32()?))
        })?;
        let frame_max = if frame_max == 0 {
            FRAME_MAX
        } else {
            frame_max.min(FRAME_MAX)
        };
        self.frame_max = frame_max as usize;
        bytes.clear();
        method(&mut bytes, 0, wire::CONNECTION_TUNE_OK, |arguments| {
            arguments.put_u16(channel_max);
            arguments.put_u32(frame_max);
            arguments.put_u16(0);
        });
        method(&mut bytes, 0, wire::CONNECTION_OPEN, |arguments| {
            arguments.put_short(&target.vhost);
            arguments.put_short("");
            arguments.put_u8(0);
        });
        self.write(&bytes)?;
        self.answer(wire::CONNECTION_OPEN_OK, |_| Ok(()))?;
        self.call(wire::CHANNEL_OPEN, wire::CHANNEL_OPEN_OK, |arguments| {
            arguments.put_short("");
        })
    }

    /// Bytes of the largest frame, overhead included.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// Sends a method on the channel and waits for its answer.
    pub(crate) fn call(
        &mut self,
        request: MethodId,
        answer: MethodId,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.call_for(request, answer, fill, |_| Ok(()))
    }

    /// As [`Connection::call`], and reads the answer's arguments.
    pub(crate) fn call_for<T>(
        &mut self,
        request: MethodId,
        answer: MethodId,
        fill: impl FnOnce(&mut Vec<u8>),
        read: impl FnOnce(Arguments<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut bytes = Vec::new();
        method(&mut bytes, CHANNEL, request, fill);
        self.write(&bytes)?;
        self.answer(answer, read)
    }

    /// Waits for a method; anything else is a refusal or an error. Frames after it stay unread.
    fn answer<T>(
        &mut self,
        expected: MethodId,
        read: impl FnOnce(Arguments<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            if let Some((frame, used)) = next_frame(self.unread())? {
                if frame.kind == wire::METHOD {
                    if frame.method_id()? == expected {
                        let answer = read(frame.arguments());
                        self.consume(used);
                        return answer;
                    }
                    refuse_unexpected(frame)?;
                }
                self.consume(used);
            } else if self.unread().starts_with(b"AMQP") {
                return Err(Error::protocol("another version of AMQP"));
            } else if self.receive()? == 0 && Instant::now() > deadline {
                return Err(Error::TimedOut);
            }
        }
    }

    /// Reads what is there, waiting a moment if nothing is. Returns how many bytes came.
    pub(crate) fn receive(&mut self) -> Result<usize, Error> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // A frame longer than the buffer: only an idle connection's buffer is that short.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => Err(Error::Disconnected),
            Ok(count) => {
                self.end += count;
                Ok(count)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether [`Connection::receive`] would find something at once.
    pub(crate) fn is_readable(&self) -> Result<bool, Error> {
        Ok(self.stream.is_readable()?)
    }

    /// What was received and not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Says goodbye and waits for the answer, so that the broker has finished with everything.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        method(&mut bytes, 0, wire::CONNECTION_CLOSE, |arguments| {
            arguments.put_u16(200);
            arguments.put_short("bye");
            arguments.put_u16(0);
            arguments.put_u16(0);
        });
        self.write(&bytes)?;
        self.answer(wire::CONNECTION_CLOSE_OK, |_| Ok(()))
    }
}

/// An error for methods with which a broker ends a channel or connection; nothing for others.
pub(crate) fn refuse_unexpected(frame: Frame<'_>) -> Result<(), Error> {
    let id = frame.method_id()?;
    if id != wire::CHANNEL_CLOSE && id != wire::CONNECTION_CLOSE {
        return Ok(());
    }
    let mut arguments = frame.arguments();
    let code = arguments.u16()?;
    let text = String::from_utf8_lossy(arguments.short()?).into_owned();
    Err(Error::Refused { code, text })
}
