//! Reading the index of segments of version 1, which named each message by itself.

use super::{
    super::{
        ids::{MessageId, QueueId},
        wire::{Malformed, Reader},
    },
    Contents, Joiner, MESSAGE_HEAD_LEN,
};

/// Reads an index of version 1. Its messages may have others of their queue between them that lie elsewhere, unless
/// their ids follow each other: only those are joined.
pub(super) fn read(index: &[u8], number: u32) -> Result<Contents, Malformed> {
    const UNFIT: Malformed = Malformed("its index does not make sense");
    let mut reader = Reader::new(index);
    let mut joiner = Joiner::new(number);
    let mut contents = Contents::default();
    while !reader.is_empty() {
        let (queue, id) = (QueueId(reader.u32()?), MessageId(reader.u64()?));
        let (frame_at, len, returns) = (reader.u32()?, reader.u32()?, reader.u8()?);
        let at = frame_at.checked_sub(MESSAGE_HEAD_LEN as u32).ok_or(UNFIT)?;
        if id.entry() > MessageId::ENTRY_MAX {
            return Err(UNFIT);
        }
        let starts = joiner.may_start(queue, id);
        if !joiner.add(starts, (queue, id), u64::from(at), len) {
            return Err(UNFIT);
        }
        contents.frames.push((queue, id, frame_at));
        if returns > 0 {
            contents.returns.push((queue, id, returns));
        }
    }
    contents.runs = joiner.finish();
    Ok(contents)
}
