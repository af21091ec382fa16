//! One channel: its methods by class, one file each, and the state they share.
//!
//! A method changes the broker through the connection's session, which checks permissions, and
//! answers through the outbox. What must be durable before it is answered is handed back as a
//! deferred reply; the connection reads nothing more until that is sent.

mod acks;
mod arguments;
mod basic;
mod consume;
mod content;
mod exchange;
mod immediate;
mod patience;
mod publish;
mod queue;
mod report;
mod settle;
mod special;
mod transaction;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use self::consume::Subscribed;
use self::content::Content;
use self::patience::Patience;
use self::transaction::Transaction;
use super::confirms::Confirms;
use super::connection::Link;
use super::delivery::Deliveries;
use super::error::Error;
use super::outbox::Outbox;
use super::refusal::{Came, Refusal};
use super::server::Server;
use crate::broker::{
    self, ChannelMeter, ConnectionMeter, Credit, Dialect, Identity, OfChannel, Origin, Position,
    Progress, Publisher, Settlements, Waiter,
};
use crate::codec::amqp::{
    AccessRequestOk, BasicAck, BasicNack, ChannelFlowOk, ConfirmSelectOk, Encode, Method,
    encode_method,
};

pub(crate) use self::acks::{Acked, Acks, is_ack};
pub use self::arguments::read_headers;
pub(crate) use self::arguments::{fields, table};
pub(crate) use self::publish::{Publishes, is_publish};

/// A reply in wire form, and what must be durable before it is sent.
pub(crate) type Deferred = Option<(Position, Vec<u8>)>;

/// What a connection's channels have in common once it is open.
pub(crate) struct Context {
    server: Arc<Server>,
    link: Arc<Link>,
    session: broker::Session,
    origin: Arc<Origin>,
    handles_cancel: bool,
}

impl Context {
    /// Enters a virtual host, from `peer` to `local`.
    pub(crate) fn open(
        server: &Arc<Server>,
        link: &Arc<Link>,
        (peer, local): (SocketAddr, SocketAddr),
        (identity, vhost): (&Identity, &str),
        handles_cancel: bool,
    ) -> Result<Self, Error> {
        let session = server.broker().session(identity, vhost)?;
        let user = Arc::clone(&session.identity().name);
        Ok(Self {
            origin: Arc::new(Origin { peer, local, user }),
            server: Arc::clone(server),
            link: Arc::clone(link),
            session,
            handles_cancel,
        })
    }

    /// The connection.
    pub(crate) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(crate) fn vhost_name(&self) -> &Arc<str> {
        self.session.vhost().name()
    }

    /// A meter of the connection's bytes.
    pub(crate) fn meter(&self) -> Arc<ConnectionMeter> {
        self.session.connection_meter()
    }

    /// Whether there is nothing to be in any more.
    pub(crate) fn is_vhost_deleted(&self) -> bool {
        self.session.vhost().is_deleted()
    }

    /// Makes sure that there may be a channel more. [`Channel::release`] takes it back.
    pub(crate) fn open_channel(&self) -> Result<(), Error> {
        Ok(self.session.channel_open()?)
    }

    /// From now on somebody must see to it that deliveries are answered in time.
    pub(super) fn expect_answers(&self) {
        self.link.expect_answers();
    }

    /// The connection's task is woken when `position` is durable, or never will be.
    pub(crate) fn wake_when_durable(&self, position: Position) {
        let waiter: Arc<dyn Waiter> = Arc::<Link>::clone(&self.link);
        self.server.broker().when_durable(position, waiter);
    }

    /// Deletes the connection's exclusive queues; its channels are released before.
    pub(crate) fn close(&self) {
        if let Err(error) = self.session.close() {
            tracing::warn!(%error, "exclusive queues of a closed connection stay until restart");
        }
    }
}

/// The state of one channel.
pub(crate) struct Channel {
    number: u16,
    /// Whose words its client hears.
    dialect: Dialect,
    /// `channel.close` was sent: everything but the answer is ignored.
    pub(crate) is_closing: bool,
    is_released: bool,
    outbox: Arc<Outbox>,
    deliveries: Arc<Deliveries>,
    meter: Arc<ChannelMeter>,
    consumers: HashMap<Arc<str>, Subscribed>,
    settlements: Settlements,
    /// Boxed: most channels only consume.
    publisher: Option<Box<Publisher>>,
    confirms: Option<Confirms>,
    /// Whether the latest publishes went to the log, which takes all of a read as one entry.
    is_logging: bool,
    transaction: Option<Transaction>,
    /// The tag of the consumer that takes answers, and where they go.
    reply_to: Option<(Arc<str>, Arc<str>)>,
    content: Option<Content>,
    /// Bound of each consumer made from now on; 0 for none.
    prefetch: u32,
    credit: Arc<Credit>,
    patience: Patience,
    /// What an empty queue name stands for.
    last_queue: Option<Arc<str>>,
}

impl Channel {
    pub(crate) fn new(number: u16, outbox: Arc<Outbox>, context: &Context) -> Self {
        let meter = context.session.channel_meter();
        let deliveries = Deliveries::new(Arc::clone(&outbox), number, Arc::clone(&meter));
        Self {
            number,
            dialect: context.server.dialect(),
            is_closing: false,
            is_released: false,
            deliveries: Arc::new(deliveries),
            meter,
            outbox,
            consumers: HashMap::new(),
            settlements: Settlements::default(),
            publisher: None,
            confirms: None,
            is_logging: false,
            transaction: None,
            reply_to: None,
            content: None,
            prefetch: context.server.prefetch_default(),
            credit: Arc::default(),
            patience: Patience::default(),
            last_queue: None,
        }
    }

    /// Acts on one method other than `basic.publish` and those that open or close the channel.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most methods are never due here, and the wildcard answers all of them"
    )]
    pub(crate) fn on_method(
        &mut self,
        context: &Context,
        method: &Method<'_>,
    ) -> Result<Deferred, Error> {
        self.expect_no_content(context, Came::Method)?;
        match method {
            Method::BasicAck(ack) => return self.ack(&[ack.into()]).map(|()| None),
            Method::BasicNack(nack) => return self.nack(nack),
            Method::BasicReject(reject) => return self.reject(reject),
            _ => self.apply_settlements(),
        }
        match method {
            Method::ChannelFlow(flow) if flow.active => {
                self.send(&ChannelFlowOk { active: true });
                self.deliveries.set_paused(false);
                self.pump();
                Ok(None)
            }
            Method::ChannelFlow(_) if context.server.is_lavinmq() => {
                self.deliveries.set_paused(true);
                self.send(&ChannelFlowOk { active: false });
                Ok(None)
            }
            Method::ChannelFlow(_) => Err(self.refuse(&Refusal::FlowOff)),
            Method::ChannelFlowOk(_) | Method::BasicCancelOk(_) if context.server.is_lavinmq() => {
                Ok(None)
            }
            // Tickets are of 0-9: whoever asks for one gets what nobody will look at.
            Method::AccessRequest(_) => {
                self.send(&AccessRequestOk { ticket: 1 });
                Ok(None)
            }
            Method::ExchangeDeclare(declare) => self.exchange_declare(context, declare),
            Method::ExchangeDelete(delete) => self.exchange_delete(context, delete),
            Method::ExchangeBind(bind) => self.exchange_bind(context, bind),
            Method::ExchangeUnbind(unbind) => self.exchange_unbind(context, unbind),
            Method::QueueDeclare(declare) => self.queue_declare(context, declare),
            Method::QueueBind(bind) => self.queue_bind(context, bind),
            Method::QueueUnbind(unbind) => self.queue_unbind(context, unbind),
            Method::QueuePurge(purge) => self.queue_purge(context, purge),
            Method::QueueDelete(delete) => self.queue_delete(context, delete),
            Method::BasicQos(qos) => self.qos(qos),
            Method::BasicConsume(consume) => self.consume(context, consume),
            Method::BasicCancel(cancel) => self.cancel(context, cancel),
            Method::BasicGet(get) => self.get(context, get),
            Method::BasicRecover(recover) => self.recover(context, recover.requeue, true),
            Method::BasicRecoverAsync(recover) => self.recover(context, recover.requeue, false),
            Method::ConfirmSelect(_) if self.transaction.is_some() => {
                Err(self.refuse(&Refusal::ConfirmInTransaction))
            }
            Method::ConfirmSelect(select) => {
                self.confirms.get_or_insert_default();
                Ok(self.reply(select.no_wait, None, &ConfirmSelectOk {}))
            }
            Method::TxSelect(_) => self.tx_select(),
            Method::TxCommit(_) => self.tx_commit(context),
            Method::TxRollback(_) => self.tx_rollback(),
            _ => Err(self.refuse(&Refusal::Unimplemented)),
        }
    }

    /// A refusal in the words of the profile's peer.
    fn refuse(&self, refusal: &Refusal<'_>) -> Error {
        refusal.said_by(self.dialect)
    }

    /// The name of a queue or exchange in a declaration, a deletion or a binding. RabbitMQ takes line breaks for
    /// nothing; LavinMQ takes printable ASCII.
    fn name<'n>(&self, kind: &str, name: &'n str) -> Result<Cow<'n, str>, Error> {
        if self.dialect != Dialect::LavinMq {
            return Ok(without_breaks(name));
        }
        if name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(name.into());
        }
        Err(self.refuse(&Refusal::InvalidName(kind)))
    }

    fn send<M: Encode>(&self, method: &M) {
        self.outbox.send(self.number, method);
    }

    /// Answers now or, when something must be durable first, later.
    fn reply<M: Encode>(&self, no_wait: bool, durable: Option<Position>, method: &M) -> Deferred {
        if no_wait {
            return None;
        }
        let Some(position) = durable else {
            self.send(method);
            return None;
        };
        let mut reply = Vec::new();
        encode_method(&mut reply, self.number, method);
        Some((position, reply))
    }

    /// The queue that a method means: an empty name is the one declared last on the channel.
    fn queue_name(&self, name: &str) -> Result<Arc<str>, Error> {
        if !name.is_empty() {
            return Ok(name.into());
        }
        match &self.last_queue {
            Some(queue) => Ok(Arc::clone(queue)),
            // To LavinMQ it is the name of a queue that is not there.
            None if self.dialect == Dialect::LavinMq => Ok("".into()),
            None => Err(self.refuse(&Refusal::NoQueueDeclared)),
        }
    }

    /// Whether acks may be taken now: the channel is open, and no content is due.
    pub(crate) fn takes_acks(&self) -> bool {
        !self.is_closing && self.content.is_none()
    }

    /// Confirms what need not wait any more, now that the log got so far.
    pub(crate) fn confirm(&mut self, reached: Progress) {
        let Some(confirms) = &mut self.confirms else {
            return;
        };
        let before = confirms.confirmed();
        if let Some(last) = confirms.settle(reached) {
            let count = confirms.confirmed() - before;
            self.meter.add(OfChannel::Confirm, count);
            self.send(&BasicAck {
                delivery_tag: last,
                multiple: true,
            });
        }
    }

    /// Tells the publisher that nothing it waits for will be durable.
    pub(crate) fn fail_confirms(&mut self) {
        if let Some(last) = self.confirms.as_mut().and_then(Confirms::fail) {
            self.send(&BasicNack {
                delivery_tag: last,
                multiple: true,
                requeue: false,
            });
        }
    }

    /// Whether what is settled at one queue makes room for deliveries of another.
    pub(crate) fn shares_credit(&self) -> bool {
        self.credit.limit() > 0
    }

    /// Tells the queues what was decided, and what that makes room for.
    fn apply_settlements(&mut self) {
        let makes_room = self.shares_credit() && !self.settlements.is_empty();
        self.settlements.apply();
        if makes_room {
            self.pump();
        }
    }

    /// Hands out what its consumers can take again.
    pub(crate) fn pump(&self) {
        for subscribed in self.consumers.values() {
            subscribed.queue.pump();
        }
    }

    /// Ends all its consumers and puts back what they hold; harmless when repeated.
    pub(crate) fn release(&mut self, context: &Context) {
        self.settlements.apply();
        self.undo_transaction();
        self.content = None;
        self.confirms = None;
        // First of all the consumers: nobody delivers to the channel after this.
        for Subscribed {
            queue, consumer, ..
        } in self.consumers.drain().map(|(_, consumer)| consumer)
        {
            if let Err(error) = context.session.unsubscribe(&queue, &consumer) {
                tracing::warn!(queue = %queue.name(), %error, "cannot delete an unused queue");
            }
        }
        self.requeue_all();
        if !std::mem::replace(&mut self.is_released, true) {
            context.session.channel_close();
        }
    }
}

fn without_breaks(name: &str) -> Cow<'_, str> {
    const BREAKS: [char; 2] = ['\r', '\n'];
    if name.contains(BREAKS) {
        name.replace(BREAKS, "").into()
    } else {
        name.into()
    }
}
