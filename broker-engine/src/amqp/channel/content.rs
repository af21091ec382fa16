//! A message that arrives in several reads, put together frame by frame.
//!
//! Invariant: what is kept never exceeds the announced size, which never exceeds the limit.

use super::super::error::Error;
use super::super::reply_code::ReplyCode;
use super::publish::Publishes;
use super::{Channel, Context};
use crate::codec::amqp::{self as codec, BasicPublish, CLASS_BASIC, ContentHeader, Encode as _};
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
            if frame.kind != FrameKind::Header {
                return Err(expected_header("non content header frame"));
            }
            let header = match ContentHeader::decode(frame.payload) {
                Err(codec::Error::Weight) => {
                    return Err(expected_header("non content header frame"));
                }
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
            return Err(expected_body());
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
            return Err(expected_method());
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
    pub(crate) fn expect_no_content(&self) -> Result<(), Error> {
        match &self.content {
            None => Ok(()),
            Some(Content { header: None, .. }) => Err(expected_header("non content header frame")),
            Some(_) => Err(expected_body()),
        }
    }
}

/// Refuses content of another class and bodies over the limit.
pub(super) fn check_header(context: &Context, header: &ContentHeader<'_>) -> Result<(), Error> {
    if header.class_id != CLASS_BASIC {
        let got = format!("one for class {}", header.class_id);
        return Err(expected_header(&got));
    }
    let size_max = context.server.message_size_max();
    if header.body_size > size_max {
        return Err(Error::precondition(format!(
            "message size {} is larger than configured max size {size_max}",
            header.body_size
        )));
    }
    Ok(())
}

fn expected_header(got: &str) -> Error {
    Error::new(
        ReplyCode::UnexpectedFrame,
        format!("expected content header for class {CLASS_BASIC}, got {got} instead"),
    )
    .about(BasicPublish::ID)
}

/// The error of content that no publish announced.
pub(crate) fn expected_method() -> Error {
    Error::new(
        ReplyCode::UnexpectedFrame,
        "expected method frame, got non method frame instead",
    )
    .about_none()
}

fn expected_body() -> Error {
    Error::new(
        ReplyCode::UnexpectedFrame,
        "expected content body, got non content body frame instead",
    )
    .about(BasicPublish::ID)
}
