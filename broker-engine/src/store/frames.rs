//! Finding the messages of a run in its bytes. In a log file they lie as they were published, in a segment each behind a
//! head of its own; the frame (length, checksum, content) is the same.
//!
//! One damaged message must not cost its neighbours: what lies in front of it is found from the start of the run, what
//! lies behind it from the end. All messages of a run have heads of one length, so that none passes for its neighbour.

use std::ops::Range;

use super::{
    ops::{FRAME_HEAD_LEN, PUBLISH, read_publish},
    run::Run,
    segment,
    wire::Reader,
};

/// How a file lays out its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Log,
    Segment,
}

/// A message within the bytes of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) content: Range<usize>,
    /// Whether the content fits its checksum.
    pub(crate) is_sound: bool,
}

impl Frame {
    /// Length and checksum, then the content.
    pub(crate) fn bytes(&self) -> Range<usize> {
        self.content.start - FRAME_HEAD_LEN..self.content.end
    }
}

/// What the messages of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) layout: Layout,
    pub(crate) count: usize,
    /// How much precedes each content.
    head_len: usize,
}

impl Shape {
    pub(crate) fn of(run: &Run, layout: Layout) -> Self {
        let heads = run.len.saturating_sub(run.content) as usize;
        Self {
            layout,
            count: run.count as usize,
            head_len: heads / run.count.max(1) as usize,
        }
    }
}

/// The messages of a run, in order; none in the place of one that cannot be found.
pub(crate) fn find(bytes: &[u8], shape: Shape) -> Vec<Option<Frame>> {
    let count = shape.count;
    let mut frames = Vec::with_capacity(count);
    let end = follow(bytes, 0, shape, |frame| frames.push(Some(frame)));
    if frames.len() == count && end == bytes.len() {
        return frames;
    }
    // Some head is damaged, and what seemed to follow from it is not to be trusted.
    let sound = |frame: &Option<Frame>| frame.as_ref().is_some_and(|frame| frame.is_sound);
    let in_front = frames
        .iter()
        .position(|frame| !sound(frame))
        .unwrap_or(frames.len());
    frames.truncate(in_front);
    let last = frames.last().and_then(Option::as_ref);
    let from = last.map_or(0, |frame: &Frame| frame.content.end);
    let behind = (from + 1..bytes.len())
        .map(|start| {
            let count = count - frames.len();
            chain(bytes, start, Shape { count, ..shape })
        })
        .find(|chain| !chain.is_empty())
        .unwrap_or_default();
    frames.resize(count - behind.len(), None);
    frames.extend(behind.into_iter().map(Some));
    frames
}

/// Sound messages from `start` that end where the bytes end; empty if that is not so.
fn chain(bytes: &[u8], start: usize, shape: Shape) -> Vec<Frame> {
    let mut frames = Vec::new();
    let end = follow(bytes, start, shape, |frame| frames.push(frame));
    if end != bytes.len() || !frames.iter().all(|frame| frame.is_sound) {
        frames.clear();
    }
    frames
}

fn is_sound(content: &[u8], crc: u32) -> bool {
    #[cfg(test)]
    if super::mutation::Mutation::SkipChecksum.is_on() {
        return true;
    }
    crc32c::crc32c(content) == crc
}

/// Walks from message to message. Returns where it ended.
fn follow(bytes: &[u8], start: usize, shape: Shape, mut found: impl FnMut(Frame)) -> usize {
    let mut reader = Reader::new(bytes);
    if reader.take(start).is_err() {
        return start;
    }
    for _ in 0..shape.count {
        let at = reader.position();
        match next(&mut reader, shape.layout) {
            Some((content, crc)) if content.start == at + shape.head_len => found(Frame {
                is_sound: is_sound(&bytes[content.clone()], crc),
                content,
            }),
            _ => return at,
        }
    }
    reader.position()
}

fn next(reader: &mut Reader<'_>, layout: Layout) -> Option<(Range<usize>, u32)> {
    match layout {
        Layout::Log => {
            if reader.u8().ok()? != PUBLISH {
                return None;
            }
            let publish = read_publish(reader).ok()?;
            Some((publish.content, publish.crc))
        }
        Layout::Segment => {
            let head = segment::read_head(reader)?;
            let (len, crc) = (reader.u32().ok()?, reader.u32().ok()?);
            let start = reader.position();
            (len == head.len).then_some(())?;
            reader.take(len as usize).ok()?;
            Some((start..reader.position(), crc))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Layout, Shape, find};
    use crate::store::{batch::Batch, ids::QueueId, record::HEAD_LEN};

    const COUNT: usize = 6;

    fn run() -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut batch = Batch::new();
        let contents: Vec<_> = (0..COUNT as u8)
            .map(|n| vec![n; 3 + 7 * n as usize])
            .collect();
        for content in &contents {
            batch.publish(&[QueueId(1), QueueId(4)], &[content]);
        }
        let (bytes, ..) = batch.into_parts();
        (bytes[HEAD_LEN..].to_vec(), contents)
    }

    fn sound(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let shape = Shape {
            layout: Layout::Log,
            count: COUNT,
            head_len: 22,
        };
        let frames = find(bytes, shape);
        assert_eq!(frames.len(), COUNT);
        let content = |frame: Frame| frame.is_sound.then(|| bytes[frame.content].to_vec());
        frames
            .into_iter()
            .map(|frame| frame.and_then(content))
            .collect()
    }

    #[test]
    fn damage_anywhere_costs_one_message() {
        let (bytes, contents) = run();
        let whole: Vec<_> = contents.iter().cloned().map(Some).collect();
        assert_eq!(sound(&bytes), whole);
        let len = |n: usize| 22 + contents[n].len();
        let mut start = 0;
        for n in 0..COUNT {
            for at in start..start + len(n) {
                for bit in 0..8 {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= 1 << bit;
                    let found = sound(&damaged);
                    for other in (0..COUNT).filter(|other| *other != n) {
                        assert_eq!(found[other], whole[other], "byte {at} of message {n}");
                    }
                    // Which queues took it is not under the content's checksum; the state knows that anyway.
                    assert!(found[n].is_none() || found[n] == whole[n]);
                }
            }
            start += len(n);
        }
    }

    #[test]
    fn bytes_that_are_no_messages_give_none() {
        assert_eq!(sound(&[0; 300]), vec![None; COUNT]);
        assert_eq!(sound(&[]), vec![None; COUNT]);
    }
}
