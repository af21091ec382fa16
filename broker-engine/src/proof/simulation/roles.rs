//! Clients that keep to the rules: who publishes, and who consumes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::ledger::QUEUES;
use super::{
    super::client::{Client, Said},
    ledger::{Key, Ledger, Source, dead_of},
};
use crate::{
    amqp::Server,
    codec::amqp::{
        BasicAck, BasicConsume, BasicGet, BasicNack, BasicQos, BasicReject, ConfirmSelect,
        FieldTable, Properties, TxCommit, TxRollback, TxSelect,
    },
    store::Durability,
};

/// The channel on which publishers publish and consumers consume.
const MAIN: u16 = 1;
/// The channel on which consumers get messages one by one.
const GETS: u16 = 2;

/// More than waits for a client that does not read: what one connection holds back, and one round of a queue.
const WAITING_MAX: usize = 768 * 1024;

/// The body of a message: its number, again and again.
pub(super) fn body(id: u64) -> Vec<u8> {
    let len = 8 + (id * 37 % 300) as usize;
    id.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// The number of a message whose body is whole.
pub(super) fn id_of(found: &[u8]) -> Result<u64, String> {
    let number = found
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes));
    number
        .filter(|id| body(*id) == found)
        .ok_or_else(|| format!("a body that nobody sent: {found:?}"))
}

/// What a publisher sends.
pub(super) struct Batch {
    pub(super) ids: Vec<(u64, Vec<usize>)>,
    pub(super) persistent: bool,
}

pub(super) struct Publisher {
    client: Client,
    source: Source,
    is_tx: bool,
    next_tag: u64,
    /// Publishes that wait for a confirm: when they were sent and what it promises, if the log has to take them.
    waiting: BTreeMap<u64, Option<Promise>>,
    /// Commits that wait for their answer.
    commits: VecDeque<Option<Promise>>,
}

/// A time, and what makes everything up to it durable.
type Promise = (u64, Durability);

fn properties(persistent: bool) -> Vec<u8> {
    Properties {
        delivery_mode: Some(if persistent { 2 } else { 1 }),
        ..Properties::default()
    }
    .encode()
}

/// Exchange and key that lead to these queues.
fn address(queues: &[usize]) -> (&'static str, &'static str) {
    match queues {
        [one] => ("", QUEUES[*one]),
        _ => ("all", ""),
    }
}

impl Publisher {
    pub(super) fn new(server: &Arc<Server>, source: Source, is_tx: bool) -> Self {
        let mut client = Client::open(server, "guest", &[MAIN]);
        if is_tx {
            client.add(MAIN, &TxSelect {});
        } else {
            client.add(MAIN, &ConfirmSelect { no_wait: false });
        }
        client.send();
        client.hear();
        Self {
            client,
            source,
            is_tx,
            next_tag: 1,
            waiting: BTreeMap::new(),
            commits: VecDeque::new(),
        }
    }

    /// Publishes, in a transaction if it is such a publisher.
    pub(super) fn publish(
        &mut self,
        batch: &Batch,
        ledger: &mut Ledger,
        group: u64,
        random: &mut fastrand::Rng,
    ) {
        // What is heard later counts later.
        if !self.client.wire.is_listening() {
            return;
        }
        let now = ledger.tick();
        let properties = properties(batch.persistent);
        for (id, queues) in &batch.ids {
            self.client
                .publish(MAIN, address(queues), &properties, &body(*id));
        }
        let is_kept = !self.is_tx || random.u8(..) > 40;
        if self.is_tx && is_kept {
            self.client.add(MAIN, &TxCommit {});
            let queues: Vec<usize> = batch.ids.iter().flat_map(|(_, all)| all.clone()).collect();
            let promise = (now, ledger.level(&queues));
            self.commits.push_back(batch.persistent.then_some(promise));
        } else if self.is_tx {
            self.client.add(MAIN, &TxRollback {});
        }
        for (id, queues) in batch.ids.iter().filter(|_| is_kept) {
            // A transaction is one step. Others are as many as there are messages: the log may take some of them.
            let now = if self.is_tx { now } else { ledger.tick() };
            let group = self.is_tx.then_some(group);
            ledger.published(*id, queues, (self.source, batch.persistent), group);
            if !self.is_tx {
                let waits = batch.persistent.then(|| (now, ledger.level(queues)));
                self.waiting.insert(self.next_tag, waits);
                self.next_tag += 1;
            }
        }
        self.client.send_in_pieces(random);
    }

    /// Notes what was confirmed. False when the connection is over.
    pub(super) fn hear(&mut self, ledger: &mut Ledger) -> Result<bool, String> {
        for said in self.client.hear() {
            match said {
                Said::Ack { tag, multiple, .. } => {
                    for waited in self.take(tag, multiple)?.into_iter().flatten() {
                        ledger.durable(waited);
                    }
                }
                Said::Nack { tag, multiple, .. } => {
                    self.take(tag, multiple)?;
                }
                Said::Other { id: (90, 21), .. } => {
                    let waited = self.commits.pop_front().ok_or("a commit nobody sent")?;
                    if let Some(promise) = waited {
                        ledger.durable(promise);
                    }
                }
                Said::Other { .. } => {}
                Said::ChannelClose { text, .. } | Said::ConnectionClose { text } => {
                    return if text.contains("INTERNAL_ERROR") {
                        Ok(false)
                    } else {
                        Err(format!("a publisher was closed: {text}"))
                    };
                }
                Said::Deliver { .. } => return Err("a publisher got a message".to_owned()),
            }
        }
        Ok(!self.client.wire.is_finished())
    }

    fn take(&mut self, tag: u64, multiple: bool) -> Result<Vec<Option<Promise>>, String> {
        if !multiple {
            let waited = self.waiting.remove(&tag);
            return waited
                .map(|waited| vec![waited])
                .ok_or_else(|| format!("confirm {tag} is not awaited"));
        }
        let later = self.waiting.split_off(&(tag + 1));
        Ok(std::mem::replace(&mut self.waiting, later)
            .into_values()
            .collect())
    }

    /// Whether everything was confirmed.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.commits.is_empty()
    }
}

/// A message that a consumer holds.
struct Held {
    channel: u16,
    tag: u64,
    key: Key,
}

pub(super) struct Consumer {
    client: Client,
    queue: usize,
    prefetch: u16,
    is_tx: bool,
    held: Vec<Held>,
    /// The last fresh message of each publisher's channel.
    latest: BTreeMap<Source, u64>,
}

impl Consumer {
    pub(super) fn new(server: &Arc<Server>, queue: usize, prefetch: u16, is_tx: bool) -> Self {
        let mut client = Client::open(server, "guest", &[MAIN, GETS]);
        let qos = BasicQos {
            prefetch_size: 0,
            prefetch_count: prefetch,
            global: false,
        };
        client.add(MAIN, &qos);
        if is_tx {
            client.add(MAIN, &TxSelect {});
            client.add(GETS, &TxSelect {});
        }
        let consume = BasicConsume {
            reserved_1: 0,
            queue: QUEUES[queue],
            consumer_tag: "",
            no_local: false,
            no_ack: false,
            exclusive: false,
            no_wait: false,
            arguments: FieldTable::default(),
        };
        client.add(MAIN, &consume);
        client.send();
        Self {
            client,
            queue,
            prefetch,
            is_tx,
            held: Vec::new(),
            latest: BTreeMap::new(),
        }
    }

    /// Takes what came. False when the connection is over.
    pub(super) fn hear(&mut self, ledger: &mut Ledger) -> Result<bool, String> {
        let said = self.client.hear();
        let bytes: usize = said.iter().map(len).sum();
        if bytes > WAITING_MAX {
            return Err(format!(
                "{bytes} bytes waited for a client that did not read"
            ));
        }
        for said in said {
            match said {
                Said::Deliver {
                    channel,
                    tag,
                    redelivered,
                    body,
                } => self.got((channel, tag), redelivered, &body, ledger)?,
                Said::ChannelClose { text, .. } | Said::ConnectionClose { text } => {
                    return if text.contains("INTERNAL_ERROR") {
                        Ok(false)
                    } else {
                        Err(format!("a consumer was closed: {text}"))
                    };
                }
                Said::Other { .. } => {}
                Said::Ack { .. } | Said::Nack { .. } => {
                    return Err("a consumer got a confirm".to_owned());
                }
            }
        }
        Ok(!self.client.wire.is_finished())
    }

    fn got(
        &mut self,
        (channel, tag): (u16, u64),
        redelivered: bool,
        body: &[u8],
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        let id = id_of(body)?;
        if let Some(source) = ledger.fresh_source(id, self.queue)
            && !redelivered
            && dead_of(2) != Some(self.queue)
            && self.latest.insert(source, id).is_some_and(|last| last > id)
        {
            return Err(format!("{id} came after a later one of its channel"));
        }
        let key = ledger.delivered(id, self.queue, redelivered)?;
        self.held.push(Held { channel, tag, key });
        let consumed = self.held.iter().filter(|held| held.channel == MAIN).count();
        if self.prefetch > 0 && consumed > usize::from(self.prefetch) {
            return Err(format!(
                "{consumed} messages with a prefetch of {}",
                self.prefetch
            ));
        }
        Ok(())
    }

    /// Asks for a message.
    pub(super) fn get(&mut self, random: &mut fastrand::Rng) {
        let get = BasicGet {
            reserved_1: 0,
            queue: QUEUES[self.queue],
            no_ack: false,
        };
        self.client.add(GETS, &get);
        self.client.send_in_pieces(random);
    }

    /// Settles something of what it holds, some way or other.
    pub(super) fn settle(&mut self, ledger: &mut Ledger, group: u64, random: &mut fastrand::Rng) {
        if self.held.is_empty() || !self.client.wire.is_listening() {
            return;
        }
        ledger.tick();
        let chosen = random.usize(..self.held.len());
        let (channel, delivery_tag) = (self.held[chosen].channel, self.held[chosen].tag);
        let multiple = random.bool();
        let group = self.is_tx.then_some(group);
        let is_meant = |held: &Held| {
            held.channel == channel
                && (held.tag == delivery_tag || (multiple && held.tag < delivery_tag))
        };
        let (meant, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(is_meant);
        self.held = kept;
        let to = match random.u8(0..10) {
            0..6 => {
                self.client.add(
                    channel,
                    &BasicAck {
                        delivery_tag,
                        multiple,
                    },
                );
                Some(None)
            }
            6 => {
                let nack = BasicNack {
                    delivery_tag,
                    multiple,
                    requeue: false,
                };
                self.client.add(channel, &nack);
                Some(dead_of(self.queue))
            }
            7 if !multiple => {
                self.client.add(
                    channel,
                    &BasicReject {
                        delivery_tag,
                        requeue: false,
                    },
                );
                Some(dead_of(self.queue))
            }
            _ => {
                let nack = BasicNack {
                    delivery_tag,
                    multiple,
                    requeue: true,
                };
                self.client.add(channel, &nack);
                None
            }
        };
        if self.is_tx {
            self.client.add(channel, &TxCommit {});
        }
        for held in meant {
            if let Some(to) = to {
                // Dead messages leave in an entry of their own.
                ledger.moved(held.key, to, group.filter(|_| to.is_none()));
            }
        }
        self.client.send_in_pieces(random);
    }
}

fn len(said: &Said) -> usize {
    if let Said::Deliver { body, .. } = said {
        body.len()
    } else {
        0
    }
}
