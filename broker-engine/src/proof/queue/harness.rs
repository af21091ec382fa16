//! Does the same to a real queue and to the model, and compares all that can be seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::{
    super::node::{Inbox, Setup, connect},
    model::{Held, Model, Taker, body, number_of},
    shape::{Crash, Op, Sent, Shape},
};
use crate::{
    amqp::WireProperties,
    broker::{
        Broker, Consumer, Delivery, DeliveryId, Envelope, ExchangeDeclare, Publish, Publisher,
        Queue, QueueDeclare, Session, Subscription, Table, Value, definitions::document,
    },
    codec::amqp::Properties,
    store::disk::FaultyDisk,
};

type Checked = Result<(), String>;

/// Where a message was and why it left, from its headers.
type Death = (u64, String);

pub(super) struct Harness {
    shape: Shape,
    setup: Setup,
    disk: FaultyDisk,
    broker: Arc<Broker>,
    session: Session,
    queue: Arc<Queue>,
    graves: Arc<Queue>,
    publisher: Publisher,
    consumers: Vec<Option<(Arc<Consumer>, Arc<Inbox>)>>,
    /// How the core calls what the model has out.
    ids: BTreeMap<u64, DeliveryId>,
    model: Model,
    is_restarted: bool,
}

fn declare(session: &Session, name: &str, durable: bool, arguments: Table) -> Arc<Queue> {
    let declare = QueueDeclare {
        name: name.to_owned(),
        durable,
        arguments,
        ..QueueDeclare::default()
    };
    session.queue_declare(declare).unwrap().queue
}

impl Harness {
    pub(super) fn new(shape: &Shape) -> Self {
        let setup = Setup::new(shape.cached_bytes_max);
        let disk = FaultyDisk::new();
        let broker = setup.open(&disk).unwrap();
        let session = connect(&broker);
        let declare_dlx = ExchangeDeclare {
            name: "dlx".to_owned(),
            kind: "fanout".to_owned(),
            durable: true,
            ..ExchangeDeclare::default()
        };
        session.exchange_declare(declare_dlx).unwrap();
        let graves = declare(&session, "graves", true, Table::default());
        session
            .queue_bind("graves", "dlx", "", &Table::default())
            .unwrap();
        let queue = declare(&session, "q", shape.durable, shape.arguments());
        Self {
            publisher: session.publisher(|bytes| WireProperties.headers(bytes)),
            model: Model::new(shape, setup.now_ms()),
            shape: shape.clone(),
            setup,
            disk,
            broker,
            session,
            queue,
            graves,
            consumers: Vec::new(),
            ids: BTreeMap::new(),
            is_restarted: false,
        }
    }

    pub(super) fn apply(&mut self, op: &Op) -> Checked {
        match op {
            // A queue that refuses counts what is on its way; one at a time it is what is there.
            Op::Publish(sent) if self.shape.rejects() => {
                for sent in sent {
                    self.publish(std::slice::from_ref(sent))?;
                }
            }
            Op::Publish(sent) => self.publish(sent)?,
            Op::Get { no_ack } => self.get(*no_ack)?,
            Op::Subscribe {
                prefetch,
                no_ack,
                priority,
            } => self.subscribe(*prefetch, *no_ack, *priority)?,
            Op::Unsubscribe(at) => self.unsubscribe(at)?,
            Op::Ack(mask) => {
                let (places, ids) = self.chosen(*mask);
                self.queue.ack(&ids);
                self.model.ack(&places);
                self.delivered()?;
            }
            Op::Discard(mask) => {
                let (places, ids) = self.chosen(*mask);
                self.queue.discard(&ids);
                self.model.discard(&places);
                self.delivered()?;
            }
            Op::Requeue(mask) => {
                let (places, ids) = self.chosen(*mask);
                self.queue.requeue(&ids);
                self.model.requeue(&places);
                self.delivered()?;
            }
            Op::Purge => {
                let (purged, _) = self.queue.purge();
                let ready = std::mem::take(&mut self.model.ready).len();
                same("purged", &purged, &ready)?;
            }
            Op::Pass(ms) => {
                self.setup.pass(&self.broker, *ms);
                self.model.now_ms += ms;
                self.model.enforce();
            }
            Op::Keep => {
                self.broker.store().write();
                self.broker.store().keep();
            }
            Op::Restart(crash) => self.restart(*crash)?,
            Op::Renew => self.renew()?,
        }
        self.compare()
    }

    fn publish(&mut self, sent: &[Sent]) -> Checked {
        let numbers = self.model.arrive(sent);
        let prepared: Vec<_> = sent
            .iter()
            .zip(&numbers)
            .map(|(sent, (number, _))| {
                let expiration = sent.expiration_ms.map(|ms| ms.to_string());
                let properties = Properties {
                    delivery_mode: Some(if sent.persistent { 2 } else { 1 }),
                    priority: Some(sent.priority),
                    expiration: expiration.as_deref().map(str::as_bytes),
                    ..Properties::default()
                };
                (properties.encode(), body(*number, sent.padding))
            })
            .collect();
        let messages: Vec<_> = prepared
            .iter()
            .zip(sent)
            .map(|((properties, body), sent)| Publish {
                exchange: "",
                routing_key: "q",
                properties,
                body: body.as_bytes(),
                persistent: sent.persistent,
                mandatory: false,
                expires: sent.expiration_ms.is_some(),
                copies: &[],
            })
            .collect();
        let outcome = self.publisher.publish(&messages);
        if let Some(error) = outcome.error {
            return Err(error.to_string());
        }
        let refused: Vec<usize> = numbers
            .iter()
            .enumerate()
            .filter(|(_, (_, refused))| *refused)
            .map(|(at, _)| at)
            .collect();
        same("refused", &outcome.rejected, &refused)?;
        self.delivered()
    }

    fn get(&mut self, no_ack: bool) -> Checked {
        let taken = self.queue.get(no_ack).map_err(|error| error.to_string())?;
        let expected = self.model.take();
        self.model.enforce();
        let held = match (taken, expected) {
            (None, None) => None,
            (Some((delivery, remaining)), Some(held)) => {
                fits(&self.shape, &delivery, &held, true)?;
                same("remaining", &remaining, &self.model.ready.len())?;
                Some((delivery, held))
            }
            (taken, expected) => return Err(format!("got {taken:?} for {expected:?}")),
        };
        if let Some((delivery, held)) = held.filter(|_| !no_ack) {
            self.ids.insert(held.number, delivery.id);
            self.model.hold(held, None);
        }
        Ok(())
    }

    fn subscribe(&mut self, prefetch: u32, no_ack: bool, priority: i32) -> Checked {
        let inbox = Arc::new(Inbox::default());
        let subscription = Subscription {
            sink: Arc::<Inbox>::clone(&inbox),
            tag: "tag".into(),
            no_ack,
            exclusive: false,
            priority,
            prefetch,
            channel_credit: Arc::default(),
        };
        let subscribed = self.session.subscribe("q", subscription);
        let (_, consumer) = subscribed.map_err(|error| error.to_string())?;
        if !inbox.got.lock().is_empty() {
            return Err("delivered before the client was told".to_owned());
        }
        self.consumers.push(Some((consumer, inbox)));
        self.model.subscribe(Taker {
            prefetch: prefetch as usize,
            no_ack,
            priority,
            held: 0,
        });
        self.queue.pump();
        self.delivered()
    }

    fn unsubscribe(&mut self, at: &proptest::sample::Index) -> Checked {
        let present: Vec<usize> = (0..self.consumers.len())
            .filter(|at| self.consumers[*at].is_some())
            .collect();
        if present.is_empty() {
            return Ok(());
        }
        let at = *at.get(&present);
        self.leave(at)?;
        self.delivered()
    }

    fn leave(&mut self, at: usize) -> Checked {
        let consumer = self.consumers[at].take();
        if let Some((consumer, _)) = consumer {
            let left = self.session.unsubscribe(&self.queue, &consumer);
            left.map_err(|error| error.to_string())?;
            self.model.unsubscribe(at);
        }
        Ok(())
    }

    fn chosen(&self, mask: u64) -> (Vec<(u8, u64)>, Vec<DeliveryId>) {
        let places = self.model.chosen(mask);
        let ids = places.iter().map(|place| self.ids[&place.1]).collect();
        (places, ids)
    }

    /// Compares what consumers got since they were last looked at with what they must get.
    fn delivered(&mut self) -> Checked {
        let mut expected: BTreeMap<u64, (usize, Held)> = BTreeMap::new();
        for (at, held) in self.model.hand_out().into_iter().enumerate() {
            expected.insert(held.number, (at, held));
        }
        let serving = self.model.serving();
        let mut lowest_served = None;
        for at in 0..self.consumers.len() {
            let Some((_, inbox)) = &self.consumers[at] else {
                continue;
            };
            let got = std::mem::take(&mut *inbox.got.lock());
            if got.is_empty() {
                continue;
            }
            if !serving.contains(&at) {
                return Err(format!("consumer {at} is not served and got {got:?}"));
            }
            let (no_ack, priority, room) = {
                let taker = self.model.consumers[at].as_ref().expect("it is served");
                (taker.no_ack, taker.priority, taker.room())
            };
            if got.len() > room {
                return Err(format!("consumer {at} has room for {room} and got {got:?}"));
            }
            lowest_served = lowest_served.into_iter().chain([priority]).min();
            let mut last = None;
            for delivery in got {
                let number = number_of(delivery.message.body()).ok_or("no number")?;
                let (order, held) = expected
                    .remove(&number)
                    .ok_or_else(|| format!("{number} came out of turn"))?;
                if last.replace(order).is_some_and(|last| last > order) {
                    return Err(format!("{number} came too late"));
                }
                fits(&self.shape, &delivery, &held, false)?;
                if !no_ack {
                    self.ids.insert(number, delivery.id);
                    self.model.hold(held, Some(at));
                }
            }
        }
        if !expected.is_empty() {
            return Err(format!("not delivered: {expected:?}"));
        }
        for at in serving {
            let taker = self.model.consumers[at].as_ref().expect("it is served");
            if lowest_served.is_some_and(|lowest| lowest < taker.priority) && taker.room() > 0 {
                return Err(format!(
                    "consumer {at} was passed over for a lower priority"
                ));
            }
        }
        self.model.enforce();
        Ok(())
    }

    fn restart(&mut self, crash: Crash) -> Checked {
        if matches!(crash, Crash::Clean) {
            for at in 0..self.consumers.len() {
                self.leave(at)?;
                self.delivered()?;
            }
            let (places, ids) = self.chosen(u64::MAX);
            self.queue.requeue(&ids);
            self.model.requeue(&places);
            self.delivered()?;
            self.compare()?;
            self.session.close().map_err(|error| error.to_string())?;
            self.broker.close().map_err(|error| error.to_string())?;
        } else {
            self.compare()?;
            // Whatever comes before something durable in the log is durable.
            let vhost = document::User {
                name: "barrier".to_owned(),
                ..self.broker.users().swap_remove(0)
            };
            let position = self
                .broker
                .put_user(&vhost)
                .map_err(|error| error.to_string())?;
            self.broker
                .wait(position)
                .map_err(|error| error.to_string())?;
        }
        self.disk = match crash {
            Crash::Clean | Crash::Kill => self.disk.kill(),
            Crash::PowerCut(seed) => self.disk.power_cut(seed),
        };
        self.broker = self.setup.open(&self.disk)?;
        self.session = connect(&self.broker);
        self.publisher = self
            .session
            .publisher(|bytes| WireProperties.headers(bytes));
        self.consumers.clear();
        self.ids.clear();
        self.is_restarted = true;
        self.graves = self
            .session
            .readable_queue("graves")
            .map_err(|error| error.to_string())?;
        self.model.restart(matches!(crash, Crash::Clean));
        if !self.shape.durable && self.session.queue_check("q").is_ok() {
            return Err("a transient queue is back".to_owned());
        }
        self.queue = declare(
            &self.session,
            "q",
            self.shape.durable,
            self.shape.arguments(),
        );
        self.setup.pass(&self.broker, 0);
        self.model.enforce();
        Ok(())
    }

    fn renew(&mut self) -> Checked {
        let ready = self.model.ready.len();
        let deleted = self.session.queue_delete("q", false, false);
        let deleted = deleted.map_err(|error| error.to_string())?;
        same("deleted", &deleted.messages, &ready)?;
        for (_, inbox) in self.consumers.drain(..).flatten() {
            same("cancels", &inbox.cancels.load(Ordering::Relaxed), &1)?;
        }
        // Settling what went with the queue changes nothing.
        let ids: Vec<DeliveryId> = std::mem::take(&mut self.ids).into_values().collect();
        self.queue.ack(&ids);
        self.model.renew();
        self.queue = declare(
            &self.session,
            "q",
            self.shape.durable,
            self.shape.arguments(),
        );
        Ok(())
    }

    /// Everything that can be seen of the queue, and what it gave up.
    fn compare(&mut self) -> Checked {
        let mut deaths: Vec<Death> = Vec::new();
        while let Some((delivery, _)) = self.graves.get(true).map_err(|error| error.to_string())? {
            deaths.push(death(&delivery)?);
        }
        let expected: Vec<Death> = std::mem::take(&mut self.model.dead)
            .into_iter()
            .map(|(number, reason)| (number, reason.to_owned()))
            .collect();
        same("dead", &deaths, &expected)?;
        let stats = self.queue.stats();
        let model = &self.model;
        same("ready", &stats.ready, &model.ready.len())?;
        // After a restart only a queue that is limited by bytes knows where bodies begin.
        if !self.is_restarted || self.shape.bytes_max.is_some() {
            same("bytes", &stats.ready_bytes, &model.ready_bytes())?;
        }
        same("out", &stats.unacked, &model.out.len())?;
        let consumers = model.consumers.iter().flatten().count();
        same("consumers", &stats.consumers, &consumers)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, the model says {expected:?}"))
}

/// Whether a delivery is the message that the model hands out, to a consumer or to who fetches.
fn fits(shape: &Shape, delivery: &Delivery, held: &Held, is_fetched: bool) -> Checked {
    let number = number_of(delivery.message.body()).ok_or("no number")?;
    same("message", &number, &held.number)?;
    if !held.redelivered.allows(delivery.redelivered) {
        return Err(format!("{number}: flag {}, {held:?}", delivery.redelivered));
    }
    if shape.quorum {
        let headers = WireProperties.headers(delivery.message.properties());
        let told = headers.get("x-delivery-count").and_then(Value::as_i64);
        let returns = i64::try_from(held.returns).ok();
        let returns = returns.filter(|count| is_fetched || *count > 0);
        same("x-delivery-count", &told, &returns)?;
    }
    Ok(())
}

fn death(delivery: &Delivery) -> Result<Death, String> {
    let number = number_of(delivery.message.body()).ok_or("no number")?;
    let headers = WireProperties.headers(delivery.message.properties());
    let Some(Value::Array(deaths)) = headers.get("x-death") else {
        return Err(format!("{number} does not tell how it died"));
    };
    let [Value::Table(death)] = deaths.as_slice() else {
        return Err(format!("{number} died otherwise than once: {deaths:?}"));
    };
    let text = |name: &str| death.get(name).and_then(Value::as_str).unwrap_or_default();
    same("where it died", &text("queue"), &"q")?;
    same(
        "how often",
        &death.get("count").and_then(Value::as_i64),
        &Some(1),
    )?;
    Ok((number, text("reason").to_owned()))
}
