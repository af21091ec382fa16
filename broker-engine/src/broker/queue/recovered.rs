//! Filling a queue with what the log still has of it when the node starts.
//!
//! Contents stay in the log. Only queues that rank their messages or limit their bytes read them through, or do so when
//! a policy comes to limit them; how much of the others' contents are bodies is told by a few of them.

use bytes::Bytes;

use super::{
    Queue, State,
    backlog::{Backlog, Rank},
    entry::overhead,
    pump::stored_message,
    run::Run,
};
use crate::store::{self, MessageId, RecoveredQueue, RecoveredRun, StoredMessage};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

impl Queue {
    /// Fills it with what recovery found. Only before anyone else knows the queue.
    pub(in crate::broker) fn restore(&self, recovered: &RecoveredQueue) {
        let overhead = self.sample_overhead(&recovered.runs);
        let mut state = self.lock();
        let mut last = MessageId::default();
        for run in &recovered.runs {
            last = *run.ids().end();
            for (part, is_redelivered) in run
                .split_behind(recovered.handed_out)
                .into_iter()
                .zip([true, false])
            {
                if let Some(part) = part {
                    self.push_recovered(
                        &mut state.backlog,
                        part,
                        is_redelivered || part.returns > 0,
                        overhead,
                    );
                }
            }
        }
        // What comes from now on lies above what was recovered, whatever the log was told ahead of time: after the next
        // clean stop it is not taken for handed out.
        state.is_estimated = !self.reads_recovered() && !recovered.runs.is_empty();
        state.marks.settle(recovered.handed_out);
        state.marks.actual = recovered.handed_out.min(last);
        self.check_soon(&mut state);
    }

    /// Whether ranks or the lengths of bodies count here, so that messages must be read.
    fn reads_recovered(&self) -> bool {
        self.rules().ranks() || self.rules().bytes_max.is_some()
    }

    /// Replaces estimates of lengths by the lengths once a limit goes by them.
    pub(super) fn measure_estimated(&self, state: &mut State) {
        if !state.is_estimated || self.rules().bytes_max.is_none() {
            return;
        }
        state.is_estimated = false;
        for run in state.backlog.take_ready() {
            match run.as_recovered() {
                None => state.backlog.push(run, u64::MAX),
                Some(recovered) => {
                    self.push_measured(&mut state.backlog, recovered, run.is_redelivered);
                }
            }
        }
    }

    /// How many bytes of a message are not its body: the mean of the first, one in the middle and one near the end.
    fn sample_overhead(&self, runs: &[RecoveredRun]) -> u64 {
        if self.reads_recovered() {
            return 0;
        }
        let mut sampled = vec![0, runs.len() / 2, runs.len().saturating_sub(1)];
        sampled.dedup();
        let found: Vec<u64> = sampled
            .into_iter()
            .filter_map(|at| {
                let id = runs.get(at)?.first;
                // What cannot be read is reported when its turn comes.
                let message = self.read_back(Some(id)).ok()?;
                Some(overhead(&message).into())
            })
            .collect();
        found.iter().sum::<u64>() / found.len().max(1) as u64
    }

    /// Adds messages that recovery found.
    fn push_recovered(
        &self,
        backlog: &mut Backlog,
        run: RecoveredRun,
        is_redelivered: bool,
        overhead: u64,
    ) {
        if !self.reads_recovered() {
            return backlog.push(Run::recovered_run(run, is_redelivered, overhead), 0);
        }
        self.push_measured(backlog, run, is_redelivered);
    }

    /// Adds messages that only the log has, after reading each of them.
    fn push_measured(&self, backlog: &mut Backlog, run: RecoveredRun, is_redelivered: bool) {
        let mut rest = Some(run);
        while let Some(run) = rest.take() {
            let read = self.core.store.read_run(self.id, run.ids(), READ_BYTES);
            let read = read.unwrap_or_else(|error| {
                let content = Err(error);
                vec![StoredMessage {
                    id: run.first,
                    content,
                }]
            });
            let mut behind = Some(run);
            for StoredMessage { id, content } in read {
                let [one, more] = behind.map_or([None, None], |run| run.split_behind(id));
                behind = more;
                if let Some(one) = one {
                    self.push_one_recovered(
                        backlog,
                        Run::recovered_run(one, is_redelivered, 0),
                        content,
                    );
                }
            }
            // Nothing read means that nothing more is there.
            rest = behind.filter(|behind| behind.count < run.count);
        }
    }

    fn push_one_recovered(
        &self,
        backlog: &mut Backlog,
        mut run: Run,
        content: Result<Bytes, store::Error>,
    ) {
        let mut rank = Rank::Priority(0);
        match content.and_then(stored_message) {
            Ok(message) => {
                rank = self.rank(&message);
                run.measure_by(&message);
            }
            Err(error) => {
                tracing::error!(queue = %self.name, vhost = %self.vhost, %error, "the rank of a message is lost");
            }
        }
        if !self.rules().ranks() {
            backlog.push(run, 0);
        } else if let Some(entry) = run.pop() {
            backlog.push_ranked(entry, rank, 0);
        }
    }
}
