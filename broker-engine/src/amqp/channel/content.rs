//! A message that arrives in several reads, put together frame by frame.
//!
//! Invariant: what is kept never exceeds the announced size, which never exceeds the limit.

use super::super::error::Error;
use super::super::refusal::{Came, Due, Refusal};
use super::super::reply_code::ReplyCode;
use super::publish::Publishes;
use super::{Channel, Context};
use crate::codec::amqp::{self as codec, BasicPublish, CLASS_BASIC, ContentHeader};
use crate::codec::amqp::{Frame, FrameKind};

/// Bytes reserved at once for an announced body; more only as it really comes.
const RESERVED_MAX: u64 = 1 << 20;

/// A publish whose content is not complete.
#[derive(Debug)]
pub(super) struct Content {
    exchange: String,
    routing_key: String,
    mandatory: bool,
    immediate: bool,
    /// Properties in wire form and the announced body size, once the header is here.
    header: Option<(Vec<u8>, usize)>,
    body: Vec<u8>,
}

impl Content {
    pub(super) fn new(publish: &BasicPublish<'_>) -> Self {
        Self {
            exchange: publish.exchange.to_owned(),
            routing_key: publish.routing_key.to_owned(),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            header: None,
            body: Vec::new(),
        }
    }

    /// Whether the content is complete with this frame.
    fn add(&mut self, context: &Context, frame: Frame<'_>) -> Result<bool, Error> {
        let Some((_, size)) = &self.header else {
            let out_of_turn = || {
                context
                    .server
                    .refuse(&out_of_turn(Due::Header(None), frame))
            };
            if frame.kind != FrameKind::Header {
                return Err(out_of_turn());
            }
            let header = match ContentHeader::decode(frame.payload) {
                Err(codec::Error::Weight) => return Err(out_of_turn()),
                decoded => decoded?,
            };
            check_header(context, &header)?;
            let size = usize::try_from(header.body_size).unwrap_or(usize::MAX);
            self.header = Some((header.properties.to_vec(), size));
            let reserved = header.body_size.min(RESERVED_MAX);
            self.body
                .reserve_exact(usize::try_from(reserved).unwrap_or_default());
            return Ok(size == 0);
        };
        if frame.kind != FrameKind::Body {
            return Err(context.server.refuse(&out_of_turn(Due::Body, frame)));
        }
        if self.body.len() + frame.payload.len() > *size {
            return Err(Error::new(
                ReplyCode::FrameError,
                format!("the body is longer than the {size} bytes announced"),
            ));
        }
        self.body.extend_from_slice(frame.payload);
        Ok(self.body.len() == *size)
    }
}

impl Channel {
    /// A header or body frame.
    pub(crate) fn on_content(&mut self, context: &Context, frame: Frame<'_>) -> Result<(), Error> {
        let Some(content) = &mut self.content else {
            return Err(context.server.refuse(&out_of_turn(Due::Method, frame)));
        };
        if !content.add(context, frame)? {
            return Ok(());
        }
        let Some(Content {
            exchange,
            routing_key,
            mandatory,
            immediate,
            header,
            body,
        }) = self.content.take()
        else {
            return Ok(());
        };
        let (properties, _) = header.unwrap_or_default();
        let publish = BasicPublish {
            reserved_1: 0,
            exchange: &exchange,
            routing_key: &routing_key,
            mandatory,
            immediate,
        };
        let mut publishes = Publishes::default();
        self.collect(context, &publish, (&properties, &body), &mut publishes)?;
        self.publish(context, &publishes)
    }

    /// A method may not come between a publish and its content.
    pub(crate) fn expect_no_content(&self, context: &Context, came: Came) -> Result<(), Error> {
        let due = match &self.content {
            None => return Ok(()),
            Some(Content { header: None, .. }) => Due::Header(None),
            Some(_) => Due::Body,
        };
        Err(context.server.refuse(&Refusal::OutOfTurn { due, came }))
    }
}

/// Refuses content of another class and bodies over the limit.
pub(super) fn check_header(context: &Context, header: &ContentHeader<'_>) -> Result<(), Error> {
    if header.class_id != CLASS_BASIC {
        let due = Due::Header(Some(header.class_id));
        let came = Came::Header;
        return Err(context.server.refuse(&Refusal::OutOfTurn { due, came }));
    }
    let (size, max) = (header.body_size, context.server.message_size_max());
    if size > max {
        return Err(context.server.refuse(&Refusal::MessageSize { size, max }));
    }
    Ok(())
}

fn out_of_turn(due: Due, frame: Frame<'_>) -> Refusal<'static> {
    let came = frame.kind.into();
    Refusal::OutOfTurn { due, came }
}
