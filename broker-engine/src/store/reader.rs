//! Reading messages back: a run at a time, checked before anyone sees them.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use bytes::Bytes;

use super::{
    StoredMessage,
    error::Error,
    frames::{self, Frame, Layout, Shape},
    ids::{MessageId, QueueId},
    log::{Inner, Log, OpenFile},
    ops::RUN_BYTES,
    run::Run,
};

/// How many runs are remembered, of those that are not very long.
const RECENT_RUNS: usize = 8;

/// Runs of which single messages were read lately: whoever reads one mostly reads the next. What a queue and an id stand
/// for never changes, so nothing in here is ever wrong.
#[derive(Default)]
pub(super) struct Recent {
    runs: VecDeque<(QueueId, Vec<StoredMessage>)>,
}

impl Recent {
    fn get(&self, queue: QueueId, id: MessageId) -> Option<Result<Bytes, Error>> {
        let of_queue = self.runs.iter().filter(|(other, _)| *other == queue);
        of_queue.into_iter().find_map(|(_, messages)| {
            let at = messages.binary_search_by_key(&id, |message| message.id);
            at.ok().map(|at| messages[at].content.clone())
        })
    }

    fn put(&mut self, queue: QueueId, messages: Vec<StoredMessage>) {
        self.runs.truncate(RECENT_RUNS - 1);
        self.runs.push_front((queue, messages));
    }
}

/// A run, and where it lies as of now.
struct Found {
    run: Run,
    file: Arc<OpenFile>,
    layout: Layout,
}

impl Log {
    /// The content of one message.
    pub(super) fn read(&self, queue: QueueId, id: MessageId) -> Result<Bytes, Error> {
        let found = self.find(queue, id)?.filter(|found| found.run.holds(id));
        let found = found.ok_or(Error::NoMessage)?;
        if let Some(content) = self.recent.lock().get(queue, id) {
            return content;
        }
        let is_remembered = found.run.count > 1 && found.run.len as usize <= 2 * RUN_BYTES;
        if !is_remembered {
            let message = found.read(&(id..=id))?.into_iter().next();
            return message.map_or(Err(Error::NoMessage), |message| message.content);
        }
        let messages = found.read(&(found.run.first..=found.run.last))?;
        let mut recent = self.recent.lock();
        recent.put(queue, messages);
        recent.get(queue, id).unwrap_or(Err(Error::NoMessage))
    }

    /// The messages of a queue in a range of ids, in runs until they are about `bytes_max` bytes.
    pub(super) fn read_run(
        &self,
        queue: QueueId,
        ids: &RangeInclusive<MessageId>,
        bytes_max: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let mut from = *ids.start();
        while bytes < bytes_max {
            let Some(found) = self.find(queue, from)? else {
                break;
            };
            if found.run.first > *ids.end() {
                break;
            }
            from = MessageId(found.run.last.0 + 1);
            bytes += found.run.len as usize;
            messages.extend(found.read(ids)?);
        }
        Ok(messages)
    }

    /// The first run of a queue with messages from `from` on, once it is written.
    fn find(&self, queue: QueueId, from: MessageId) -> Result<Option<Found>, Error> {
        let mut inner = self.inner.lock();
        loop {
            let ledger = inner.state.queues.get(&queue);
            let Some(run) = ledger.and_then(|ledger| ledger.run_from(from)) else {
                return Ok(None);
            };
            if inner.is_written(run) {
                let file = inner.files.get(&run.file).ok_or(Error::NoMessage)?;
                let is_segment = inner.segments.contains_key(&run.file);
                return Ok(Some(Found {
                    run: run.clone(),
                    // The open file keeps its bytes: it is not recycled while somebody holds it.
                    file: Arc::clone(file),
                    layout: if is_segment {
                        Layout::Segment
                    } else {
                        Layout::Log
                    },
                }));
            }
            if let Some(error) = inner.failed.clone() {
                return Err(error);
            }
            self.advance(&mut inner);
        }
    }
}

impl Inner {
    fn is_written(&self, run: &Run) -> bool {
        self.segments.contains_key(&run.file)
            || (run.file, u64::from(run.offset)) < self.written_end
    }
}

impl Found {
    /// The messages of the run with these ids.
    fn read(&self, ids: &RangeInclusive<MessageId>) -> Result<Vec<StoredMessage>, Error> {
        let (bytes, frames) = read_frames(&self.run, &self.file, self.layout)?;
        let wanted = self.run.iter().filter(|(_, id)| ids.contains(id));
        let messages = wanted.map(|(number, id)| {
            let frame = frames.get(number as usize).and_then(Option::as_ref);
            let content = match frame {
                Some(frame) if frame.is_sound => Ok(bytes.slice(frame.content.clone())),
                _ => Err(self.damaged(frame)),
            };
            StoredMessage { id, content }
        });
        Ok(messages.collect())
    }

    fn damaged(&self, frame: Option<&Frame>) -> Error {
        let at = frame.map_or(0, |frame| frame.bytes().start as u64);
        let place = format!(
            "{} at byte {}: its checksum does not match",
            self.file.name,
            u64::from(self.run.offset) + at
        );
        Error::Damaged(place.into())
    }
}

/// Reads a run and finds its messages, by number.
pub(super) fn read_frames(
    run: &Run,
    file: &OpenFile,
    layout: Layout,
) -> Result<(Bytes, Vec<Option<Frame>>), Error> {
    let mut bytes = vec![0; run.len as usize];
    file.file
        .read_at(&mut bytes, u64::from(run.offset))
        .map_err(Error::io(format!("reading {}", file.name)))?;
    let frames = frames::find(&bytes, Shape::of(run, layout));
    Ok((Bytes::from(bytes), frames))
}
