//! Finding out what a segment holds without its index: by the facts in front of each frame.

use std::io;

use super::{
    super::{
        disk::DiskFile,
        ids::{MessageId, QueueId},
        ops::FRAME_HEAD_LEN,
        wire::Reader,
    },
    Contents, FLAG_STARTS, HEAD_LEN, Joiner, MAGIC, MESSAGE_HEAD_LEN, TRAILER_LEN,
};

/// The facts in front of a frame.
pub(crate) struct MessageHead {
    queue: QueueId,
    id: MessageId,
    /// The length of the content.
    pub(crate) len: u32,
    returns: u8,
    starts: bool,
}

/// Reads the facts in front of a frame, if they are sound.
pub(crate) fn read_head(reader: &mut Reader<'_>) -> Option<MessageHead> {
    let head = reader.take(MESSAGE_HEAD_LEN).ok()?;
    let mut reader = Reader::new(head);
    let (queue, id) = (QueueId(reader.u32().ok()?), MessageId(reader.u64().ok()?));
    let (len, returns) = (reader.u32().ok()?, reader.u32().ok()?);
    let is_sound = reader.u32().ok()? == crc32c::crc32c(&head[..MESSAGE_HEAD_LEN - 4]);
    (is_sound && id.entry() <= MessageId::ENTRY_MAX).then_some(MessageHead {
        queue,
        id,
        len,
        returns: returns as u8,
        starts: returns & FLAG_STARTS != 0,
    })
}

/// Walks from message to message. What is damaged is passed over.
pub(super) fn walk(file: &dyn DiskFile, number: u32, is_version_one: bool) -> io::Result<Contents> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(&mut bytes, 0)?;
    let mut joiner = Joiner::new(number);
    let mut contents = Contents::default();
    if is_version_one && bytes.ends_with(MAGIC) {
        // Its trailer would pass for the head of a message.
        bytes.truncate(bytes.len().saturating_sub(TRAILER_LEN));
    }
    let (mut at, mut is_fragment) = (HEAD_LEN, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let head = read_head(&mut Reader::new(rest));
        let fits = |len: u32| MESSAGE_HEAD_LEN + FRAME_HEAD_LEN + len as usize <= rest.len();
        let Some(head) = head.filter(|head| fits(head.len)) else {
            joiner.end_run();
            (at, is_fragment) = (at + 1, true);
            continue;
        };
        let key = (head.queue, head.id);
        let starts = if is_version_one {
            let frame_at = (at + MESSAGE_HEAD_LEN) as u32;
            contents.frames.push((head.queue, head.id, frame_at));
            joiner.may_start(head.queue, head.id)
        } else {
            // A run that its writer would not have written so ends here.
            head.starts || joiner.must_start(head.queue, head.id)
        };
        if is_fragment && (is_version_one || !head.starts) {
            contents.fragments.push(at as u32);
        }
        // In version 1 nothing tells where the runs after a damaged one start.
        is_fragment &= is_version_one;
        if !joiner.add(starts, key, at as u64, head.len) {
            break;
        }
        if head.returns > 0 {
            contents.returns.push((head.queue, head.id, head.returns));
        }
        at += MESSAGE_HEAD_LEN + FRAME_HEAD_LEN + head.len as usize;
    }
    contents.runs = joiner.finish();
    Ok(contents)
}
