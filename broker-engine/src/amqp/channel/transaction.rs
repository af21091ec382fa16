//! Class `tx`: publishes and settlements that take effect together or not at all.

use super::super::error::Error;
use super::super::owed::Unsettled;
use super::super::refusal::Refusal;
use super::super::reply_code::ReplyCode;
use super::settle::settlement;
use super::{Channel, Context, Deferred, arguments};
use crate::broker::{Publish, Settlement, Verdict, Way};
use crate::codec::amqp::{TxCommitOk, TxRollbackOk, TxSelectOk};

/// What a transaction did so far.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    messages: Vec<Kept>,
    /// The ways of the messages.
    ways: Vec<Way>,
    settled: Vec<(Verdict, Vec<Unsettled>)>,
}

/// A message that waits for the commit.
#[derive(Debug)]
struct Kept {
    exchange: String,
    routing_key: String,
    properties: Vec<u8>,
    body: Vec<u8>,
    persistent: bool,
    mandatory: bool,
    expires: bool,
    copies: Vec<String>,
}

impl Transaction {
    /// Messages and settlements that wait for the commit.
    pub(super) fn len(&self) -> (u64, u64) {
        let settled = self.settled.iter().flat_map(|(_, unsettled)| unsettled);
        let settled: u64 = settled.map(|unsettled| unsettled.run.len).sum();
        (self.messages.len() as u64, settled)
    }
}

impl Kept {
    fn new(publish: &Publish<'_>) -> Self {
        Self {
            exchange: publish.exchange.to_owned(),
            routing_key: publish.routing_key.to_owned(),
            properties: publish.properties.to_vec(),
            body: publish.body.to_vec(),
            persistent: publish.persistent,
            mandatory: publish.mandatory,
            expires: publish.expires,
            copies: publish.copies.to_vec(),
        }
    }

    fn as_publish(&self) -> Publish<'_> {
        Publish {
            exchange: &self.exchange,
            routing_key: &self.routing_key,
            properties: &self.properties,
            body: &self.body,
            persistent: self.persistent,
            mandatory: self.mandatory,
            expires: self.expires,
            copies: &self.copies,
        }
    }
}

impl Transaction {
    /// Whether a delivery is settled with it.
    pub(super) fn settles(&self, tag: u64) -> bool {
        let mut settled = self.settled.iter().flat_map(|(_, unsettled)| unsettled);
        settled.any(|unsettled| unsettled.holds(tag))
    }

    pub(super) fn settle(&mut self, verdict: Verdict, unsettled: Vec<Unsettled>) {
        self.settled.push((verdict, unsettled));
    }
}

impl Channel {
    pub(super) fn tx_select(&mut self) -> Result<Deferred, Error> {
        if self.confirms.is_some() {
            return Err(self.refuse(&Refusal::TransactionInConfirm));
        }
        self.transaction.get_or_insert_default();
        self.send(&TxSelectOk {});
        Ok(None)
    }

    /// Keeps messages for the commit, with the ways they go. A message that could not be published is refused now.
    pub(super) fn keep(
        &mut self,
        context: &Context,
        messages: &[Publish<'_>],
    ) -> Result<(), Error> {
        for message in messages {
            let way = self
                .publisher
                .get_or_insert_with(|| Box::new(context.session.publisher(arguments::read_headers)))
                .find_way(message)?;
            if let Some(transaction) = &mut self.transaction {
                transaction.ways.push(way);
                transaction.messages.push(Kept::new(message));
            }
        }
        Ok(())
    }

    pub(super) fn tx_commit(&mut self, context: &Context) -> Result<Deferred, Error> {
        let Some(transaction) = &mut self.transaction else {
            return Err(self.refuse(&Refusal::NotTransactional));
        };
        let Transaction {
            messages,
            ways,
            settled,
        } = std::mem::take(transaction);
        let publishes: Vec<Publish<'_>> = messages.iter().map(Kept::as_publish).collect();
        let settlements: Vec<Settlement> = settled
            .iter()
            .flat_map(|(verdict, unsettled)| {
                let each = unsettled.iter();
                each.map(|unsettled| settlement(*verdict, unsettled.clone()))
            })
            .collect();
        let outcome = self
            .publisher
            .get_or_insert_with(|| Box::new(context.session.publisher(arguments::read_headers)))
            .commit(&publishes, ways, &settlements);
        let outcome = outcome.inspect_err(|_| {
            // They are out as before, for whoever ends the channel to put back.
            for (_, unsettled) in settled {
                self.deliveries.restore(unsettled);
            }
        })?;
        self.count_published(&outcome);
        for number in outcome.unroutable {
            self.send_return(&publishes[number], ReplyCode::NoRoute);
        }
        Ok(self.reply(false, outcome.durable, &TxCommitOk {}))
    }

    pub(super) fn tx_rollback(&mut self) -> Result<Deferred, Error> {
        if self.transaction.is_none() {
            return Err(self.refuse(&Refusal::NotTransactional));
        }
        self.undo_transaction();
        self.send(&TxRollbackOk {});
        Ok(None)
    }

    /// Forgets what was published; what was settled waits for its settlement again.
    pub(super) fn undo_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            for (_, unsettled) in std::mem::take(transaction).settled {
                self.deliveries.restore(unsettled);
            }
        }
    }
}
