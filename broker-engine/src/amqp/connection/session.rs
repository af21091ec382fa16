//! What a client may send when, without a socket: bytes in, frames appended to the outbox.
//!
//! Owns the channels and routes each frame to its own. Publishes and acks that come in a row are
//! collected and handed to the channel together, before anything else happens on that connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::channel::{self, Channel, Context};
use super::super::error::Error;
use super::super::outbox::Outbox;
use super::super::refusal::{Came, Due, Refusal};
use super::super::reply_code::ReplyCode;
use super::super::server::{CHANNEL_ZERO, Server};
use super::gathered::Gathered;
use super::heartbeat::Phase;
use super::link::Link;
use super::peer::{Certified, Peer};
use crate::broker::{Alarm, ConnectionMeter, Identity, Position, Settlements};
use crate::codec::amqp::{
    BasicConsume, ChannelCloseOk, ChannelOpenOk, ConnectionBlocked, ConnectionUnblocked,
    ConnectionUpdateSecretOk, Encode as _, Frame, FrameKind, FrameParse, Method, encode_heartbeat,
    parse_frame,
};

/// Bytes of the shortest method: its ids.
const METHOD_LEN_MIN: usize = 4;

/// Bytes of the shortest content header: class, weight and body size.
const CONTENT_HEADER_LEN_MIN: usize = 12;

/// How far the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for the protocol header.
    Header,
    /// Waiting for `connection.start-ok`.
    Start,
    /// Waiting for `connection.tune-ok`.
    Tune,
    /// Waiting for `connection.open`.
    Open,
    Running,
    /// Waiting for `connection.close-ok`.
    Closing,
    /// Nothing follows but what is in the outbox.
    Finished,
}

/// What the client said about itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    pub(crate) handles_refusal: bool,
    pub(crate) handles_blocked: bool,
    pub(crate) handles_cancel: bool,
    /// All of it, in wire form: it is read only when an operator asks.
    pub(crate) properties: Box<[u8]>,
    pub(crate) mechanism: Box<str>,
}

/// The state of one connection.
pub(super) struct Session {
    pub(super) server: Arc<Server>,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) stage: Stage,
    pub(super) client: Client,
    pub(super) identity: Option<Identity>,
    pub(super) context: Option<Context>,
    pub(super) channels: BTreeMap<u16, Box<Channel>>,
    pub(super) channel_max: u16,
    pub(super) heartbeat_s: u16,
    pub(super) certificate: Option<Certified>,
    pub(super) is_secure: bool,
    id: u64,
    link: Arc<Link>,
    /// A reply that waits until what it says is durable; nothing is read meanwhile.
    pending_reply: Option<(Position, Vec<u8>)>,
    /// Whether a publish met an alarm; nothing is read meanwhile.
    is_blocked: bool,
    /// Milliseconds since 1970; 0 before the connection is open.
    pub(super) connected_at_ms: u64,
    /// Bytes received and sent; none before the connection is open.
    pub(super) traffic: Option<Arc<ConnectionMeter>>,
}

impl Session {
    pub(super) fn new(server: Arc<Server>, peer: Peer) -> Self {
        let (id, link) = server.register();
        let Peer {
            address: peer,
            local,
            is_secure,
            certificate,
        } = peer;
        Self {
            server,
            peer,
            local,
            stage: Stage::Header,
            client: Client::default(),
            identity: None,
            context: None,
            channels: BTreeMap::new(),
            channel_max: 0,
            heartbeat_s: 0,
            certificate,
            is_secure,
            id,
            link,
            pending_reply: None,
            is_blocked: false,
            connected_at_ms: 0,
            traffic: None,
        }
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.link.outbox
    }

    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::Header | Stage::Start | Stage::Tune | Stage::Open => Phase::Opening,
            Stage::Running => Phase::Open {
                heartbeat_s: self.heartbeat_s,
            },
            Stage::Closing | Stage::Finished => Phase::Closing,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// Whether bytes would be looked at now.
    pub(super) fn wants_input(&self) -> bool {
        self.stage != Stage::Finished && self.pending_reply.is_none() && !self.is_blocked
    }

    /// Whether the client is kept from being heard.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn has_news(&self) -> bool {
        self.link.has_news()
    }

    /// Gives the connection its virtual host.
    pub(super) fn enter(&mut self, vhost: &str) -> Result<(), Error> {
        let identity = self
            .identity
            .clone()
            .ok_or_else(|| Error::new(ReplyCode::InternalError, "the connection has no user"))?;
        let handles_cancel = self.client.handles_cancel;
        let context = Context::open(
            &self.server,
            &self.link,
            (self.peer, self.local),
            (&identity, vhost),
            handles_cancel,
        )?;
        self.traffic = Some(context.meter());
        self.server.opened(self.id, &context);
        self.connected_at_ms = self.server.broker().now_ms();
        // Whoever deletes a virtual host from now on finds the connection.
        let is_late = context.is_vhost_deleted();
        self.context = Some(context);
        if is_late {
            return Err(self.server.refuse(&Refusal::VhostGone(vhost)));
        }
        Ok(())
    }

    /// Acts on every complete frame in `bytes`, and returns how many bytes those took.
    pub(super) fn on_data(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.stage == Stage::Header {
            at = self.on_header(bytes);
            if self.stage == Stage::Header {
                return at;
            }
        }
        let mut gathered = Gathered::default();
        while self.wants_input() {
            let frame_max = self.outbox().frame_max();
            match parse_frame(&bytes[at..], frame_max) {
                Ok(FrameParse::Complete { frame, consumed }) => {
                    at += consumed;
                    at += self.on_frame(frame, &bytes[at..], &mut gathered);
                }
                Ok(FrameParse::Incomplete { .. }) => break,
                Err(error) => {
                    self.flush(&mut gathered);
                    if self.stage == Stage::Closing {
                        self.finish();
                    } else {
                        let error = self.server.refuse(&Refusal::Stream(&error));
                        self.fail(CHANNEL_ZERO, &error, (0, 0));
                        // Frame boundaries are lost: nothing that follows can be understood.
                        self.stage = Stage::Finished;
                    }
                    return bytes.len();
                }
            }
        }
        self.flush(&mut gathered);
        self.settle();
        if self.stage == Stage::Finished {
            bytes.len()
        } else {
            at
        }
    }

    /// Acts on one frame. Returns how many bytes of `rest` belong to the same publish.
    fn on_frame<'a>(
        &mut self,
        frame: Frame<'a>,
        rest: &'a [u8],
        gathered: &mut Gathered<'a>,
    ) -> usize {
        if let Some(error) = self.misplaced(&frame) {
            self.flush(gathered);
            self.fail(CHANNEL_ZERO, &error, (0, 0));
            return 0;
        }
        if frame.kind == FrameKind::Heartbeat {
            return 0;
        }
        if frame.kind == FrameKind::Method && channel::is_publish(frame.payload) {
            return self.on_publish(frame, rest, gathered);
        }
        if frame.kind == FrameKind::Method
            && channel::is_ack(frame.payload)
            && let Some(consumed) = self.on_ack(&frame, rest, gathered)
        {
            return consumed;
        }
        self.flush(gathered);
        let (outcome, id) = match frame.kind {
            FrameKind::Method => match Method::decode(frame.payload) {
                Ok(method) => (self.on_method(frame.channel, &method), method.id()),
                Err(error) => {
                    let (payload, error) = (frame.payload, &error);
                    let refusal = Refusal::Fields { payload, error };
                    let error = self.server.refuse(&refusal);
                    (Err(error), Method::id_of(frame.payload))
                }
            },
            FrameKind::Header | FrameKind::Body | FrameKind::Heartbeat => {
                (self.on_content(frame), (60, 40))
            }
        };
        if let Err(error) = outcome {
            self.fail(frame.channel, &error, id);
        }
        0
    }

    /// What is wrong with a frame before anybody looks at what it holds.
    fn misplaced(&self, frame: &Frame<'_>) -> Option<Error> {
        let is_whole = match frame.kind {
            FrameKind::Method => frame.payload.len() >= METHOD_LEN_MIN,
            FrameKind::Header => frame.payload.len() >= CONTENT_HEADER_LEN_MIN,
            FrameKind::Heartbeat => frame.payload.is_empty(),
            FrameKind::Body => true,
        };
        let (is_running, is_opening) = match self.stage {
            Stage::Running => (true, false),
            Stage::Header | Stage::Start | Stage::Tune | Stage::Open => (false, true),
            Stage::Closing | Stage::Finished => return None,
        };
        let is_of_connection = frame.channel == CHANNEL_ZERO;
        let is_in_place = match frame.kind {
            FrameKind::Method => is_running || is_of_connection,
            FrameKind::Header | FrameKind::Body => is_running && !is_of_connection,
            FrameKind::Heartbeat => is_of_connection,
        };
        if !is_whole && (is_of_connection || !is_opening) {
            Some(self.server.refuse(&Refusal::BrokenFrame(frame)))
        } else {
            (!is_in_place).then(|| self.server.refuse(&Refusal::MisplacedFrame(frame)))
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most methods are never due here, and the wildcard answers all of them"
    )]
    fn on_method(&mut self, number: u16, method: &Method<'_>) -> Result<(), Error> {
        match self.stage {
            Stage::Running => {}
            Stage::Closing => {
                self.on_closing_method(method);
                return Ok(());
            }
            Stage::Header | Stage::Start | Stage::Tune | Stage::Open | Stage::Finished => {
                if number == CHANNEL_ZERO && matches!(method, Method::ConnectionClose(_)) {
                    self.on_close();
                    return Ok(());
                }
                return self.on_opening_method(method);
            }
        }
        if number == CHANNEL_ZERO {
            return self.on_connection_method(method);
        }
        let Some(channel) = self.channels.get_mut(&number) else {
            return match method {
                Method::ChannelOpen(_) => self.open_channel(number).map_err(Error::about_none),
                // Settlements may cross the end of their channel: LavinMQ forgives them.
                Method::BasicAck(_) | Method::BasicNack(_) | Method::BasicReject(_)
                    if self.server.is_lavinmq() =>
                {
                    Ok(())
                }
                _ => Err(self.server.refuse(&Refusal::NotOpen(number))),
            };
        };
        let Some(context) = &self.context else {
            return Ok(());
        };
        match method {
            Method::ChannelOpen(_) => {
                return Err(self.server.refuse(&Refusal::OpenAlready));
            }
            Method::ChannelCloseOk(_) if channel.is_closing => {
                self.channels.remove(&number);
            }
            // Both closed at once: each answers the other, and the channel ends with the client's answer.
            Method::ChannelClose(_) if channel.is_closing => {
                self.outbox().send(number, &ChannelCloseOk {});
            }
            _ if channel.is_closing => {}
            Method::ChannelClose(_) => {
                channel.expect_no_content(context, Came::Method)?;
                channel.release(context);
                self.channels.remove(&number);
                self.outbox().send(number, &ChannelCloseOk {});
            }
            _ => {
                if let Some((position, reply)) = channel.on_method(context, method)? {
                    self.reply_when_durable(position, reply);
                }
            }
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most methods are never due here, and the wildcard answers all of them"
    )]
    fn on_connection_method(&mut self, method: &Method<'_>) -> Result<(), Error> {
        match method {
            Method::ConnectionClose(_) => {
                self.on_close();
                Ok(())
            }
            Method::ConnectionCloseOk(_) => Ok(()),
            Method::ConnectionUpdateSecret(_) if self.server.is_lavinmq() => {
                Err(self.server.refuse(&Refusal::SecretOfPassword))
            }
            // Passwords do not expire: the new one has nothing to renew.
            Method::ConnectionUpdateSecret(_) => {
                self.outbox()
                    .send(CHANNEL_ZERO, &ConnectionUpdateSecretOk {});
                Ok(())
            }
            _ => Err(self.server.refuse(&Refusal::OutOfPlace("running"))),
        }
    }

    fn on_content(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        if self.stage != Stage::Running {
            return Ok(());
        }
        match (self.channels.get_mut(&frame.channel), &self.context) {
            (Some(channel), Some(_)) if channel.is_closing => Ok(()),
            (Some(channel), Some(context)) => channel.on_content(context, frame),
            _ if self.server.is_lavinmq() => Ok(()),
            _ => {
                let (due, came) = (Due::Method, frame.kind.into());
                Err(self.server.refuse(&Refusal::OutOfTurn { due, came }))
            }
        }
    }

    fn open_channel(&mut self, number: u16) -> Result<(), Error> {
        // Both brokers bound how many channels are open, not their numbers.
        let count = self.channels.len();
        if count >= usize::from(self.channel_max) {
            let max = self.channel_max;
            let refusal = Refusal::ChannelsOfConnection { count, max };
            return Err(self.server.refuse(&refusal));
        }
        let Some(context) = &self.context else {
            return Ok(());
        };
        context.open_channel()?;
        let channel = Channel::new(number, Arc::clone(self.outbox()), context);
        self.channels.insert(number, Box::new(channel));
        self.outbox()
            .send(number, &ChannelOpenOk { reserved_1: b"" });
        Ok(())
    }

    fn reply_when_durable(&mut self, position: Position, reply: Vec<u8>) {
        self.pending_reply = Some((position, reply));
        if let Some(context) = &self.context {
            context.wake_when_durable(position);
        }
        // What is durable already is answered at once.
        self.on_news();
    }

    /// Applies the acknowledgements of this read, and confirms what needs no waiting.
    fn settle(&mut self) {
        let mut settlements = Settlements::default();
        let mut makes_room = false;
        for channel in self.channels.values_mut() {
            makes_room |= channel.settle(&mut settlements);
        }
        settlements.apply();
        if makes_room {
            let sharing = self
                .channels
                .values()
                .filter(|channel| channel.shares_credit());
            sharing.for_each(|channel| channel.pump());
        }
        let reached = self.link.progress();
        for channel in self.channels.values_mut() {
            channel.confirm(reached);
        }
    }

    /// Looks at what other threads told the connection.
    pub(super) fn on_news(&mut self) {
        if !self.link.take_news() {
            return;
        }
        if let Some(reason) = self.link.ordered_out().map(str::to_owned) {
            self.pending_reply = None;
            self.is_blocked = false;
            self.force_close(&reason);
            return;
        }
        for (periods, to) in self.link.take_report_requests() {
            if let Some(report) = self.report(periods) {
                // Whoever asked may have stopped waiting.
                let _ = to.send(report);
            }
        }
        let reached = self.link.progress();
        if self.link.is_log_failed() {
            for channel in self.channels.values_mut() {
                channel.fail_confirms();
            }
            if self.pending_reply.take().is_some() {
                let error = self.server.refuse(&Refusal::LogFailed);
                self.fail(CHANNEL_ZERO, &error, (0, 0));
            }
        } else {
            for channel in self.channels.values_mut() {
                channel.confirm(reached);
            }
        }
        if let Some((position, reply)) = self.pending_reply.take() {
            if reached.covers(position) {
                self.outbox()
                    .append(|buffer| buffer.extend_from_slice(&reply));
            } else {
                self.pending_reply = Some((position, reply));
            }
        }
        if let Some(now_ms) = self.link.take_patience_check() {
            self.check_patience(now_ms);
        }
        if self.is_blocked && !self.server.broker().alarms().is_any_on() {
            self.is_blocked = false;
            if self.client.handles_blocked {
                self.outbox().send(CHANNEL_ZERO, &ConnectionUnblocked {});
            }
        }
    }

    /// Closes the channels whose consumers keep deliveries for too long.
    fn check_patience(&mut self, now_ms: u64) {
        let Some(context) = &self.context else { return };
        let channels = self.channels.iter_mut();
        let late: Vec<(u16, Error)> = channels
            .filter_map(|(number, channel)| {
                Some((*number, channel.check_patience(context, now_ms).err()?))
            })
            .collect();
        let method = if self.server.is_lavinmq() {
            BasicConsume::ID
        } else {
            (0, 0)
        };
        for (number, error) in late {
            self.fail(number, &error, method);
        }
    }

    /// Stops reading until the alarm is over: this client publishes.
    pub(super) fn block(&mut self) {
        if self.is_blocked {
            return;
        }
        self.is_blocked = true;
        if self.client.handles_blocked {
            let alarms = self.server.broker().alarms();
            let reason = match (alarms.is_on(Alarm::Memory), alarms.is_on(Alarm::Disk)) {
                (true, true) => "low on memory & disk",
                (true, false) => "low on memory",
                (false, _) => "low on disk",
            };
            self.outbox()
                .send(CHANNEL_ZERO, &ConnectionBlocked { reason });
        }
        // The alarm may have ended since it was looked at.
        self.link.notify();
    }

    /// The client took enough of what was sent: its consumers may be served again.
    pub(super) fn on_drained(&mut self) {
        for channel in self.channels.values() {
            channel.pump();
        }
    }

    pub(super) fn send_heartbeat(&self) {
        self.outbox().append(encode_heartbeat);
    }

    /// Gives everything back that the connection holds; harmless when repeated.
    pub(super) fn release(&mut self) {
        if let Some(context) = self.context.take() {
            for mut channel in std::mem::take(&mut self.channels).into_values() {
                channel.release(&context);
            }
            context.close();
        }
        self.server.unregister(self.id);
    }
}
