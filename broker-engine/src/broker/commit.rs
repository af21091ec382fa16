//! Transactions: publishes and settlements that are one entry of the log, and so all take effect or none does.
//!
//! Owns the order of things. First everything is put into one batch: what is published, what is settled, and where the
//! refused go that are to be dead-lettered. When the log has the entry, the queues and consumers learn of it; when it
//! refuses, or a queue does, nothing has happened.

use std::sync::Arc;

use super::{
    dead_letter::{self, Leaving},
    error::Error,
    message::{DeliveryRun, Publish},
    publisher::{PublishOutcome, Publisher, Way},
    queue::Queue,
    settlement::{Settlement, Verdict},
    staged::Staged,
};
use crate::store::MessageId;

/// Decisions of one kind about one queue.
struct Part {
    queue: Arc<Queue>,
    verdict: Verdict,
    runs: Vec<DeliveryRun>,
}

impl Publisher {
    /// Publishes messages and settles others, all in one entry of the log: all of it, or with an error nothing.
    ///
    /// Each message takes the way that was found for it when it was published.
    pub fn commit(
        &mut self,
        messages: &[Publish<'_>],
        ways: Vec<Way>,
        settled: &[Settlement],
    ) -> Result<PublishOutcome, Error> {
        let parts = parts(settled);
        let runs = parts.iter().flat_map(|part| &part.runs);
        let size = messages.len() as u64 + runs.map(|run| run.len).sum::<u64>();
        if size > MessageId::PER_ENTRY_MAX as u64 {
            let text = format!("a transaction of {size} messages is too large");
            return Err(Error::PreconditionFailed(text));
        }
        let (mut outcome, mut staged) = (PublishOutcome::default(), Staged::default());
        if let Err(error) = self.stage_all(messages, ways, &mut staged, &mut outcome) {
            staged.unreserve();
            return Err(error);
        }
        let mut foretold = Vec::with_capacity(parts.len());
        for Part {
            queue,
            verdict,
            runs,
        } in &parts
        {
            if queue.is_logged() {
                staged.expect_durability(queue.durability());
            }
            let ahead = queue.foretell(*verdict, runs, &mut staged.batch);
            let vhost = self.session().vhost();
            let leaving = Leaving::stage(vhost, queue, ahead.dying, &mut staged.batch);
            foretold.push((leaving, ahead.limit));
        }
        let appended = self.flush(&mut staged, &mut outcome);
        for (part, (leaving, limit)) in parts.iter().zip(foretold) {
            match &appended {
                Ok(entry) => {
                    part.queue.fulfil(part.verdict, &part.runs, limit);
                    let driven_out = leaving.arrive(entry.as_ref());
                    dead_letter::bury_all(self.session().vhost(), driven_out);
                }
                Err(()) => drop(leaving.give_up()),
            }
        }
        match outcome.error.take() {
            Some(error) => Err(error),
            None => {
                outcome.accepted = messages.len();
                Ok(outcome)
            }
        }
    }

    fn stage_all(
        &mut self,
        messages: &[Publish<'_>],
        ways: Vec<Way>,
        staged: &mut Staged,
        outcome: &mut PublishOutcome,
    ) -> Result<(), Error> {
        for (number, (message, way)) in messages.iter().zip(ways).enumerate() {
            let route = self.route_of(way, message)?;
            let accepting = self.accepting(message, route, outcome);
            if accepting.is_refused() {
                accepting.unreserve(message);
                return Err(Error::PreconditionFailed(
                    "partial tx completion".to_owned(),
                ));
            }
            if accepting.route.is_empty() {
                outcome.reached_none(number, message.mandatory);
            } else {
                self.stage(staged, message, &accepting.route)?;
            }
            self.count(message.exchange, 1, accepting.route.queues().len());
        }
        Ok(())
    }
}

/// The decisions by queue and kind, each kind in order.
fn parts(settled: &[Settlement]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for Settlement {
        verdict,
        queue,
        run,
    } in settled
    {
        let known = parts
            .iter_mut()
            .find(|part| part.verdict == *verdict && Arc::ptr_eq(&part.queue, queue));
        match known {
            Some(part) => part.runs.push(*run),
            None => parts.push(Part {
                queue: Arc::clone(queue),
                verdict: *verdict,
                runs: vec![*run],
            }),
        }
    }
    parts
}
