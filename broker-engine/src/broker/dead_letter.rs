//! Dead messages: where they go, and what is written on them.
//!
//! Owns the `x-death` headers, cycle detection, and the entry that moves messages: they arrive where they go and leave
//! where they were in one entry of the log, so that a crash neither loses nor doubles them.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    deduplication::Bringer,
    delay,
    exchange::Reading,
    message::{Message, Parts, Publish},
    queue::{Admission, Dead, DeadLetter, Extent, Queue, Rules, Run},
    route::{Route, SeenBefore},
    value::{Table, Value},
    vhost::Vhost,
};
use crate::store::{Appended, Batch, MessageId};

/// Why a message left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Rejected,
    Expired,
    MaxLength,
    /// LavinMQ's word where it is the bytes that are too many.
    MaxLengthBytes,
    DeliveryLimit,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::MaxLengthBytes => "maxlenbytes",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Moves dead messages on. What that drives out of other queues moves on as well, one queue after the other.
pub(super) fn bury(vhost: &Vhost, source: &Queue, dead: Vec<Dead>) {
    bury_all(vhost, bury_from(vhost, source, dead));
}

/// The same for the dead of several queues.
pub(super) fn bury_all(vhost: &Vhost, mut ahead: Vec<(Arc<Queue>, Vec<Dead>)>) {
    while let Some((queue, dead)) = ahead.pop() {
        if queue.rules().hands_on() {
            ahead.extend(bury_from(vhost, &queue, dead));
        } else {
            queue.bury(dead);
        }
    }
}

/// A message on its way.
struct Moving {
    dead: Dead,
    route: Route,
    content: Content,
    persistent: bool,
    /// Its size, as far as queues kept room for it.
    extent: Extent,
}

enum Content {
    /// In the entry, and its number there.
    Logged(std::ops::Range<usize>, u16),
    Unlogged(Message),
    /// Nobody takes it.
    Nowhere,
}

fn bury_from(vhost: &Vhost, source: &Queue, dead: Vec<Dead>) -> Vec<(Arc<Queue>, Vec<Dead>)> {
    let now_ms = source.core().clock.now_ms();
    let mut pushed_out = Vec::new();
    let mut batch = Batch::new();
    let mut moving = Vec::new();
    for dead in dead {
        let Some(message) = source.message_of(&dead.entry) else {
            continue;
        };
        moving.push(stage(vhost, source, (dead, &message), now_ms, &mut batch));
        if batch.is_full() {
            move_on(source, &mut batch, &mut moving, now_ms, &mut pushed_out);
        }
    }
    move_on(source, &mut batch, &mut moving, now_ms, &mut pushed_out);
    pushed_out
}

fn stage(
    vhost: &Vhost,
    source: &Queue,
    (dead, message): (Dead, &Message),
    now_ms: u64,
    batch: &mut Batch,
) -> Moving {
    let rules = source.rules();
    if let Some(exchange) = &rules.delays {
        return stage_delayed(vhost, source, exchange, (dead, message), now_ms, batch);
    }
    let nowhere = |dead| Moving {
        dead,
        route: Route::new(Vec::new()),
        content: Content::Nowhere,
        persistent: false,
        extent: Extent::default(),
    };
    let envelope = &source.core().envelope;
    let mut headers = envelope.headers(message.properties());
    let Some(target) = target(&rules, &mut headers) else {
        return nowhere(dead);
    };
    let mut keys = vec![message.routing_key().to_owned()];
    keys.extend(copies(&headers, "CC"));
    note_death(source, message, (dead.reason, &keys), &mut headers, now_ms);
    if let Some(key) = &target.key {
        headers.0.retain(|(name, _)| name != "CC");
        keys = vec![key.clone()];
    }
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let read_headers = || headers.clone();
    let reading = Reading::new(&**envelope, message.properties(), &read_headers);
    let mut queues = vhost.route_dead(&target.exchange, &names, &reading);
    if dead.reason != Reason::Rejected {
        queues.retain(|queue| !is_cycle(queue.name(), &headers));
    }
    let properties = envelope.without_expiration(message.properties());
    let publish = Publish {
        exchange: &target.exchange,
        routing_key: &keys[0],
        properties: &envelope.with_headers(&properties, &headers),
        body: message.body(),
        persistent: false,
        mandatory: false,
        expires: false,
        copies: &[],
    };
    place(source, (dead, queues), publish, now_ms, batch)
}

/// Where a dead message goes: where it says itself, if the queue asks it, else where the queue says. It says so once.
fn target(rules: &Rules, headers: &mut Table) -> Option<DeadLetter> {
    if !rules.asks_the_dead {
        return rules.dead_letter.clone();
    }
    let mut own = |name: &str| {
        let text = headers.get(name).and_then(Value::as_str).map(str::to_owned);
        headers.0.retain(|(other, _)| other != name);
        text
    };
    let exchange = own("x-dead-letter-exchange");
    let key = own("x-dead-letter-routing-key");
    let of_queue = rules.dead_letter.as_ref();
    Some(DeadLetter {
        exchange: exchange.or_else(|| Some(of_queue?.exchange.clone()))?,
        key: key.or_else(|| of_queue?.key.clone()),
    })
}

/// A message whose delay is over goes on as it came.
fn stage_delayed(
    vhost: &Vhost,
    source: &Queue,
    exchange: &str,
    (dead, message): (Dead, &Message),
    now_ms: u64,
    batch: &mut Batch,
) -> Moving {
    let envelope = &source.core().envelope;
    let mut headers = envelope.headers(message.properties());
    delay::note_waited(&mut headers);
    let mut keys = vec![message.routing_key().to_owned()];
    keys.extend(copies(&headers, "CC"));
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let read_headers = || headers.clone();
    let reading = Reading::new(&**envelope, message.properties(), &read_headers);
    let queues = vhost.route_dead(exchange, &names, &reading);
    let publish = Publish {
        exchange: message.exchange(),
        routing_key: message.routing_key(),
        properties: &envelope.with_headers(message.properties(), &headers),
        body: message.body(),
        persistent: false,
        mandatory: false,
        expires: envelope.expiration_ms(message.properties()).is_some(),
        copies: &[],
    };
    place(source, (dead, queues), publish, now_ms, batch)
}

/// Copies a message to where its new queues will share it.
fn place(
    source: &Queue,
    (dead, mut queues): (Dead, Vec<Arc<Queue>>),
    publish: Publish<'_>,
    now_ms: u64,
    batch: &mut Batch,
) -> Moving {
    let bytes = publish.body.len();
    let mut extent = Extent::default();
    extent.add(0, bytes);
    // What one queue gives up at once is taken together or not at all.
    let by = Bringer::of_queue(source);
    let mut seen = SeenBefore::default();
    queues.retain(|queue| match queue.admit(publish.properties, bytes, by) {
        Admission::Taken(note) => {
            seen.notes.extend(note);
            true
        }
        // Better twice than never, where it is not decided yet.
        Admission::Undecided => !queue.rules().rejects() || queue.reserve(bytes),
        Admission::Duplicate(_) | Admission::Refused => false,
    });
    let seen = (!seen.notes.is_empty()).then(|| Box::new(seen));
    let route = Route::new(queues).of_one(seen);
    let is_persistent = || source.core().envelope.is_persistent(publish.properties);
    let persistent = dead.entry.logged.is_some() || is_persistent();
    let stamp = (publish.expires || route.is_timed()).then_some(now_ms);
    let parts = Parts::new(&publish, stamp).filter(|_| !route.is_empty());
    let content = match &parts {
        None => Content::Nowhere,
        Some(parts) => {
            let parts = parts.of(&publish);
            let logged = route.logged(persistent);
            if logged.is_empty() {
                Content::Unlogged(Message::from_parts(Bytes::from(parts.concat())))
            } else {
                let place = batch.messages() as u16;
                Content::Logged(batch.publish(logged, &parts), place)
            }
        }
    };
    Moving {
        dead,
        route,
        content,
        persistent,
        extent,
    }
}

/// Dead messages of one queue whose move is in a batch that the log does not have yet.
pub(super) struct Leaving {
    moving: Vec<Moving>,
    now_ms: u64,
}

impl Leaving {
    /// Adds both halves of the move to the batch: the messages arrive where they go and leave where they are.
    pub(super) fn stage(vhost: &Vhost, source: &Queue, dead: Vec<Dead>, batch: &mut Batch) -> Self {
        let now_ms = source.core().clock.now_ms();
        let mut moving = Vec::with_capacity(dead.len());
        for dead in dead {
            if let Some(message) = source.message_of(&dead.entry) {
                moving.push(stage(vhost, source, (dead, &message), now_ms, batch));
            }
        }
        leave(source, &moving, batch);
        Self { moving, now_ms }
    }

    /// The log has the batch, if there was anything for it: the messages are where they go. Returns what they drove
    /// out.
    pub(super) fn arrive(self, appended: Option<&Appended>) -> Vec<(Arc<Queue>, Vec<Dead>)> {
        let mut driven_out = Vec::new();
        arrive(self.moving, appended, self.now_ms, &mut driven_out);
        driven_out
    }

    /// The log refused the batch: gives the messages back.
    pub(super) fn give_up(self) -> Vec<Dead> {
        give_up(self.moving)
    }
}

/// Logs both halves of the move at once, then puts the messages where they go.
fn move_on(
    source: &Queue,
    batch: &mut Batch,
    moving: &mut Vec<Moving>,
    now_ms: u64,
    pushed_out: &mut Vec<(Arc<Queue>, Vec<Dead>)>,
) {
    let (mut batch, moving) = (std::mem::take(batch), std::mem::take(moving));
    leave(source, &moving, &mut batch);
    let mut appended = None;
    if !batch.is_empty() {
        match source.core().store.append(batch) {
            Ok(entry) => appended = Some(entry),
            Err(error) => {
                tracing::warn!(queue = %source.name(), vhost = %source.vhost(), %error, "the log did not take dead messages");
                return source.take_back(give_up(moving));
            }
        }
    }
    arrive(moving, appended.as_ref(), now_ms, pushed_out);
}

fn leave(source: &Queue, moving: &[Moving], batch: &mut Batch) {
    let mut left: Vec<MessageId> = moving
        .iter()
        .filter_map(|moving| moving.dead.entry.logged)
        .collect();
    if !left.is_empty() {
        left.sort_unstable();
        batch.drop_messages(source.id(), &left);
    }
}

fn give_up(moving: Vec<Moving>) -> Vec<Dead> {
    let dead = moving.into_iter().map(|moving| {
        moving.route.unreserve(moving.extent);
        moving.dead
    });
    dead.collect()
}

fn arrive(
    moving: Vec<Moving>,
    appended: Option<&Appended>,
    now_ms: u64,
    pushed_out: &mut Vec<(Arc<Queue>, Vec<Dead>)>,
) {
    for Moving {
        route,
        content,
        persistent,
        ..
    } in moving
    {
        let (message, logged) = match (content, appended) {
            (Content::Logged(range, place), Some(entry)) => (
                Message::from_parts(entry.bytes.slice(range)),
                Some(MessageId(entry.first.0 + u64::from(place))),
            ),
            (Content::Unlogged(message), _) => (message, None),
            (Content::Logged(..) | Content::Nowhere, _) => continue,
        };
        let now_ms = message.arrived_ms().map(|_| now_ms);
        let level = route.durability(persistent);
        route.settle(appended.map(|entry| entry.position.at(level)));
        for queue in route.queues() {
            let logged = logged.filter(|_| queue.is_logging(persistent));
            let dead = queue.push(Run::one(message.clone()).with_log(logged), now_ms);
            if !dead.is_empty() {
                pushed_out.push((Arc::clone(queue), dead));
            }
        }
    }
}

/// The further keys that a header names.
pub(super) fn copies(headers: &Table, name: &str) -> Vec<String> {
    let Some(Value::Array(keys)) = headers.get(name) else {
        return Vec::new();
    };
    keys.iter()
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect()
}

/// Writes a death into the headers: the newest first, one entry per queue and reason, with a count.
fn note_death(
    source: &Queue,
    message: &Message,
    (reason, keys): (Reason, &[String]),
    headers: &mut Table,
    now_ms: u64,
) {
    let text = |text: &str| Value::String(text.into());
    let (mut deaths, is_first) = match headers.get("x-death") {
        Some(Value::Array(deaths)) => (deaths.clone(), false),
        // What the publisher says of deaths that never were counts for nothing.
        _ => (Vec::new(), true),
    };
    let known = deaths.iter().position(|death| {
        let Value::Table(death) = death else {
            return false;
        };
        death.get("queue") == Some(&text(source.name()))
            && death.get("reason") == Some(&text(reason.name()))
    });
    let death = match known.map(|at| deaths.remove(at)) {
        Some(Value::Table(mut death)) => {
            let count = death.get("count").and_then(Value::as_i64).unwrap_or(0);
            death.set("count", Value::I64(count.saturating_add(1)));
            death
        }
        _ => {
            let keys = keys.iter().map(|key| text(key)).collect();
            let mut death = Table(vec![
                ("count".to_owned(), Value::I64(1)),
                ("reason".to_owned(), text(reason.name())),
                ("queue".to_owned(), text(source.name())),
                ("time".to_owned(), Value::Timestamp(now_ms / 1000)),
                ("exchange".to_owned(), text(message.exchange())),
                ("routing-keys".to_owned(), Value::Array(keys)),
            ]);
            let envelope = &source.core().envelope;
            if let Some(expiration_ms) = envelope.expiration_ms(message.properties()) {
                death.set("original-expiration", text(&expiration_ms.to_string()));
            }
            death
        }
    };
    deaths.insert(0, Value::Table(death));
    headers.set("x-death", Value::Array(deaths));
    if is_first {
        let of_first = |name: &str| name.starts_with("x-first-death-");
        headers.0.retain(|(name, _)| !of_first(name));
    }
    for (order, is_written) in [("first", is_first), ("last", true)] {
        if is_written {
            headers.set(
                &format!("x-{order}-death-exchange"),
                text(message.exchange()),
            );
            headers.set(&format!("x-{order}-death-queue"), text(source.name()));
            headers.set(&format!("x-{order}-death-reason"), text(reason.name()));
        }
    }
}

/// Whether the message was in that queue before and nobody rejected it since: it would go round for ever.
fn is_cycle(queue: &str, headers: &Table) -> bool {
    let Some(Value::Array(deaths)) = headers.get("x-death") else {
        return false;
    };
    let field = |death: &Value, name: &str| {
        let Value::Table(death) = death else {
            return None;
        };
        death.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let Some(at) = deaths
        .iter()
        .position(|death| field(death, "queue").as_deref() == Some(queue))
    else {
        return false;
    };
    deaths[..=at]
        .iter()
        .all(|death| field(death, "reason").as_deref() != Some(Reason::Rejected.name()))
}
