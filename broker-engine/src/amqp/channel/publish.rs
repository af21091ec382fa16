//! Class `basic`: publishing, in batches of what one read brought.

use std::cell::Cell;

use super::super::error::Error;
use super::super::refusal::{Came, Refusal};
use super::super::reply_code::ReplyCode;
use super::content::{self, Content};
use super::{Channel, Context, arguments, special};
use crate::broker::{self, OfChannel, Publish, PublishOutcome};
use crate::codec::amqp::{
    BasicNack, BasicPublish, BasicReturn, ContentHeader, Encode, Frame, FrameKind, FrameParse,
    Properties, PublishHead, encode_content, encode_method, parse_frame,
};
use crate::lists;

/// How much is collected before it is published: few enough that its bytes are still in the processor's cache.
const GROUP_MESSAGES: usize = 64;
const GROUP_BYTES: usize = 16 * 1024;

thread_local! {
    static LIST: Cell<Vec<Publish<'static>>> = const { Cell::new(Vec::new()) };
}

/// Complete publishes of one channel that borrow from the bytes they came in.
pub(crate) struct Publishes<'a> {
    pub(crate) channel: u16,
    list: Vec<Publish<'a>>,
    body_bytes: usize,
    /// The latest method, as it came and decoded: the next one usually has the same bytes.
    latest: Option<(&'a [u8], BasicPublish<'a>)>,
    /// What stands before the bodies of publishes in a row, once there were two of them.
    head: Option<PublishHead>,
}

impl Default for Publishes<'_> {
    fn default() -> Self {
        Self {
            channel: 0,
            list: lists::take(&LIST),
            body_bytes: 0,
            latest: None,
            head: None,
        }
    }
}

impl Drop for Publishes<'_> {
    fn drop(&mut self) {
        lists::give(&LIST, std::mem::take(&mut self.list));
    }
}

impl<'a> Publishes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn first(&self) -> Option<&Publish<'a>> {
        self.list.first()
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.body_bytes = 0;
    }

    /// Decodes `basic.publish`, and tells whether it says what the latest one said; `None` for another method.
    fn decode(&mut self, payload: &'a [u8]) -> Result<Option<(BasicPublish<'a>, bool)>, Error> {
        if let Some((bytes, publish)) = &self.latest
            && *bytes == payload
        {
            return Ok(Some((publish.clone(), true)));
        }
        let Some(publish) = BasicPublish::decode(payload)? else {
            return Ok(None);
        };
        self.latest = Some((payload, publish.clone()));
        Ok(Some((publish, false)))
    }

    /// Takes out what stands before the body of publishes like this one.
    fn take_head(&mut self, frame: &Frame<'_>, properties: &[u8]) -> PublishHead {
        let (channel, payload) = (frame.channel, frame.payload);
        self.head
            .take()
            .filter(|head| head.fits(channel, payload, properties))
            .unwrap_or_else(|| PublishHead::new(channel, payload, properties))
    }

    /// Whether there is enough to publish, when nothing is gained by waiting for the rest of the read.
    fn is_group(&self) -> bool {
        self.list.len() >= GROUP_MESSAGES || self.body_bytes >= GROUP_BYTES
    }

    /// Adds a message that says nothing about itself but its delivery mode.
    fn push_plain(
        &mut self,
        publish: &BasicPublish<'a>,
        (properties, persistent): (&'a [u8], bool),
        body: &'a [u8],
    ) {
        self.body_bytes += body.len();
        self.list.push(Publish {
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            properties,
            body,
            persistent,
            mandatory: publish.mandatory,
            expires: false,
            copies: &[],
        });
    }

    /// Adds a message after checking what it says about itself.
    pub(super) fn push(
        &mut self,
        context: &Context,
        publish: &BasicPublish<'a>,
        (properties, copies): (&'a [u8], &'a [String]),
        body: &'a [u8],
    ) -> Result<Properties<'a>, Error> {
        let decoded = Properties::decode(properties)?;
        decoded.check_headers()?;
        special::check(context, &decoded)?;
        self.body_bytes += body.len();
        self.list.push(Publish {
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            properties,
            body,
            persistent: decoded.is_persistent(),
            mandatory: publish.mandatory,
            expires: decoded.expiration.is_some(),
            copies,
        });
        Ok(decoded)
    }
}

/// Whether a method frame's payload is `basic.publish`.
pub(crate) fn is_publish(payload: &[u8]) -> bool {
    let (class_id, method_id) = BasicPublish::ID;
    let [a, b] = class_id.to_be_bytes();
    let [c, d] = method_id.to_be_bytes();
    payload.starts_with(&[a, b, c, d])
}

impl Channel {
    /// Takes a publish, with its content when `rest` holds all of it in two frames at most.
    /// Returns how many bytes of `rest` that took.
    pub(crate) fn on_publish<'a>(
        &mut self,
        context: &Context,
        frame: Frame<'a>,
        rest: &'a [u8],
        frame_max: u32,
        publishes: &mut Publishes<'a>,
    ) -> Result<usize, Error> {
        self.expect_no_content(context, Came::Publish)?;
        let Some((publish, is_repeated)) = publishes.decode(frame.payload)? else {
            return Ok(0);
        };
        if publish.immediate && !context.server.is_lavinmq() {
            return Err(self.refuse(&Refusal::Immediate));
        }
        let Some((header, body, consumed)) = whole_content(rest, frame.channel, frame_max) else {
            self.content = Some(Content::new(&publish));
            return Ok(0);
        };
        content::check_header(context, &header)?;
        let before = publishes.list.len();
        self.collect(context, &publish, (header.properties, body), publishes)?;
        self.publish_group(context, publishes)?;
        if !is_repeated || publishes.list.len() != before + 1 {
            return Ok(consumed);
        }
        let rest = &rest[consumed..];
        Ok(consumed + self.on_repeated(context, &frame, rest, frame_max, publishes)?)
    }

    /// Takes publishes that repeat the latest one but for their bodies. Returns how many bytes of `rest` that took.
    fn on_repeated<'a>(
        &mut self,
        context: &Context,
        frame: &Frame<'_>,
        mut rest: &'a [u8],
        frame_max: u32,
        publishes: &mut Publishes<'a>,
    ) -> Result<usize, Error> {
        let Some(latest) = publishes.list.last().copied() else {
            return Ok(0);
        };
        let head = publishes.take_head(frame, latest.properties);
        let before = rest.len();
        let size_max = context.server.message_size_max();
        while !context.server.broker().alarms().is_any_on()
            && let Some((body, behind)) = head.read(rest, frame_max)
            && body.len() as u64 <= size_max
        {
            publishes.body_bytes += body.len();
            publishes.list.push(Publish { body, ..latest });
            rest = behind;
            self.publish_group(context, publishes)?;
        }
        publishes.head = Some(head);
        Ok(before - rest.len())
    }

    /// Publishes what was collected, if it is enough, and nothing is gained by waiting for the rest of the read.
    fn publish_group(
        &mut self,
        context: &Context,
        publishes: &mut Publishes<'_>,
    ) -> Result<(), Error> {
        if !publishes.is_group() || self.is_logging {
            return Ok(());
        }
        let outcome = self.publish(context, publishes);
        publishes.clear();
        outcome
    }

    /// Adds a message to those that are published together. One that must be rewritten first ends their row.
    pub(super) fn collect<'a>(
        &mut self,
        context: &Context,
        publish: &BasicPublish<'a>,
        (properties, body): (&'a [u8], &'a [u8]),
        publishes: &mut Publishes<'a>,
    ) -> Result<(), Error> {
        if publish.immediate {
            return self.publish_immediate(context, publish, (properties, body), publishes);
        }
        if let Some(persistent) = Properties::plain_persistence(properties) {
            publishes.push_plain(publish, (properties, persistent), body);
            return Ok(());
        }
        let decoded = match publishes.push(context, publish, (properties, &[]), body) {
            Ok(decoded) => decoded,
            Err(error) => return Err(self.prior_error(context, publish).unwrap_or(error)),
        };
        let rewritten = match self.rewrite(context, &decoded) {
            Ok(None) => return Ok(()),
            Ok(Some(rewritten)) => rewritten,
            Err(error) => {
                publishes.list.pop();
                return Err(self.prior_error(context, publish).unwrap_or(error));
            }
        };
        publishes.list.pop();
        let outcome = self.publish(context, publishes);
        publishes.clear();
        outcome?;
        let mut alone = Publishes::default();
        let properties = (&*rewritten.properties, &*rewritten.copies);
        alone.push(context, publish, properties, body)?;
        self.publish(context, &alone)
    }

    /// What is said before anything that a message says about itself: that it may not go where it should.
    fn prior_error(&mut self, context: &Context, publish: &BasicPublish<'_>) -> Option<Error> {
        let mut plain = Publishes::default();
        plain.push_plain(publish, (&[0, 0], false), &[]);
        let message = plain.first()?;
        let publisher = self
            .publisher
            .get_or_insert_with(|| Box::new(context.session.publisher(arguments::read_headers)));
        publisher.find_way(message).err().map(Error::from)
    }

    /// Publishes what was collected; returns, confirms and refusals follow from the outcome.
    pub(crate) fn publish(
        &mut self,
        context: &Context,
        publishes: &Publishes<'_>,
    ) -> Result<(), Error> {
        if publishes.is_empty() {
            return Ok(());
        }
        if self.transaction.is_some() {
            return self.keep(context, &publishes.list);
        }
        let publisher = self
            .publisher
            .get_or_insert_with(|| Box::new(context.session.publisher(arguments::read_headers)));
        let outcome = publisher.publish(&publishes.list);
        self.is_logging = outcome.durable.is_some();
        self.count_published(&outcome);
        for number in outcome.unroutable {
            self.send_return(&publishes.list[number], ReplyCode::NoRoute);
        }
        if let Some(confirms) = &mut self.confirms {
            let mut done = 0;
            for number in outcome.rejected {
                confirms.published(number - done, outcome.durable);
                for delivery_tag in confirms.refused(1) {
                    self.outbox.send(
                        self.number,
                        &BasicNack {
                            delivery_tag,
                            multiple: false,
                            requeue: false,
                        },
                    );
                }
                done = number + 1;
            }
            confirms.published(outcome.accepted - done, outcome.durable);
            if let Some(position) = outcome.durable {
                context.wake_when_durable(position);
            }
        }
        match (outcome.error, &mut self.confirms) {
            (None, _) => Ok(()),
            (Some(broker::Error::Store(error)), Some(confirms)) => {
                // The log tells once that it is full or broken; its clients would tell it with every batch.
                tracing::debug!(%error, "the message log refused publishes");
                for delivery_tag in confirms.refused(publishes.list.len() - outcome.accepted) {
                    self.outbox.send(
                        self.number,
                        &BasicNack {
                            delivery_tag,
                            multiple: false,
                            requeue: false,
                        },
                    );
                }
                Ok(())
            }
            (Some(error), _) => Err(error.into()),
        }
    }

    /// Counts what was published.
    pub(super) fn count_published(&self, outcome: &PublishOutcome) {
        self.meter.add(OfChannel::Publish, outcome.accepted as u64);
        if !outcome.unroutable.is_empty() {
            let returned = outcome.unroutable.len() as u64;
            self.meter.add(OfChannel::ReturnUnroutable, returned);
        }
        if outcome.dropped > 0 {
            let dropped = outcome.dropped as u64;
            self.meter.add(OfChannel::DropUnroutable, dropped);
        }
    }

    pub(super) fn send_return(&self, publish: &Publish<'_>, reason: ReplyCode) {
        let returned = BasicReturn {
            reply_code: reason.number(),
            reply_text: reason.name(),
            exchange: publish.exchange,
            routing_key: publish.routing_key,
        };
        let frame_max = self.outbox.frame_max();
        self.outbox.append(|buffer| {
            encode_method(buffer, self.number, &returned);
            encode_content(
                buffer,
                self.number,
                publish.properties,
                publish.body,
                frame_max,
            );
        });
    }
}

/// Header and body of a content whose frames are all in `rest`, if the body is one frame or none.
fn whole_content(
    rest: &[u8],
    channel: u16,
    frame_max: u32,
) -> Option<(ContentHeader<'_>, &[u8], usize)> {
    let next = |bytes, expected| match parse_frame(bytes, frame_max) {
        Ok(FrameParse::Complete { frame, consumed })
            if frame.kind == expected && frame.channel == channel =>
        {
            Some((frame.payload, consumed))
        }
        _ => None,
    };
    let (payload, header_size) = next(rest, FrameKind::Header)?;
    let header = ContentHeader::decode(payload).ok()?;
    if header.body_size == 0 {
        return Some((header, &[], header_size));
    }
    let (body, body_size) = next(&rest[header_size..], FrameKind::Body)?;
    (u64::try_from(body.len()) == Ok(header.body_size)).then_some((
        header,
        body,
        header_size + body_size,
    ))
}
