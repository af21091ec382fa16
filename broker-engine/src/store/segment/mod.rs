//! Segments: messages that outlived the log files they were written to, copied once, never changed.
//!
//! A segment holds the messages of one queue with many of them, or of many queues with a few each, in (queue, id)
//! order. Frames are copied as they were in the log, checksum included. The index at the end says which runs lie where;
//! each frame is preceded by the same facts, from which a damaged index can be rebuilt.

mod index;
mod joiner;
mod version_one;
mod walk;

use std::{io, sync::Arc};

pub(crate) use self::walk::read_head;
use self::{index::Index, joiner::Joiner, walk::walk};
use super::{
    disk::{Disk, DiskFile},
    ids::{MessageId, QueueId},
    ops::{FRAME_HEAD_LEN, RUN_BYTES},
    run::Run,
    wire::{Malformed, Reader, Write},
};

/// Version of the segment files, in their head.
pub(crate) const VERSION: u32 = 2;

/// A sound segment that this release cannot read. Opening must stop: nothing is damaged.
pub(crate) const LATER: Malformed =
    Malformed("it is of a later format version than this release reads");

const MAGIC: &[u8; 8] = b"WARRENSG";
const HEAD_LEN: usize = 32;
/// How much precedes a frame.
pub(crate) const MESSAGE_HEAD_LEN: usize = 24;
const TRAILER_LEN: usize = 32;
/// In a message's head, beside the returns: a run starts here. Without an index that tells where runs start.
const FLAG_STARTS: u32 = 1 << 31;
const BUFFER_LEN: usize = 1 << 20;

/// Messages of one queue, one after the other.
pub(crate) type QueueRun = (QueueId, Run);

/// A segment's name.
pub(crate) fn name(number: u32) -> String {
    format!("seg-{number:08x}")
}

/// Writes a segment; nothing in it counts before [`Writer::finish`] returned.
pub(crate) struct Writer {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    joiner: Joiner,
}

impl Writer {
    pub(crate) fn create(disk: &dyn Disk, number: u32, node: u64) -> io::Result<Self> {
        let file = disk.create(&name(number))?;
        let mut buffer = Vec::with_capacity(BUFFER_LEN + RUN_BYTES);
        buffer.extend_from_slice(MAGIC);
        buffer.put_u32(VERSION);
        buffer.put_u32(number);
        buffer.put_u64(node);
        buffer.resize(HEAD_LEN - 4, 0);
        let crc = crc32c::crc32c(&buffer);
        buffer.put_u32(crc);
        Ok(Self {
            file,
            buffer,
            written: 0,
            joiner: Joiner::new(number),
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// The next message lies behind one of its queue that stays elsewhere: it must not join a run with those before.
    pub(crate) fn break_run(&mut self) {
        self.joiner.end_run();
    }

    /// Adds a message with its frame as it is.
    pub(crate) fn add(
        &mut self,
        queue: QueueId,
        (id, returns): (MessageId, u8),
        frame: &[u8],
    ) -> io::Result<()> {
        let content_len = (frame.len() - FRAME_HEAD_LEN) as u32;
        let at = self.len();
        let start = self.buffer.len();
        self.buffer.put_u32(queue.0);
        self.buffer.put_u64(id.0);
        self.buffer.put_u32(content_len);
        let starts = self.joiner.must_start(queue, id);
        let flag = if starts { FLAG_STARTS } else { 0 };
        self.buffer.put_u32(u32::from(returns) | flag);
        let crc = crc32c::crc32c(&self.buffer[start..]);
        self.buffer.put_u32(crc);
        self.buffer.extend_from_slice(frame);
        if !self.joiner.add(starts, (queue, id), at, content_len) {
            return Err(io::Error::other("a segment exceeds 4 GiB"));
        }
        if self.buffer.len() >= BUFFER_LEN {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the index and syncs. Returns what lies where, and the length. The name is durable after the next sync of
    /// the directory.
    pub(crate) fn finish(mut self) -> io::Result<(Vec<QueueRun>, u64)> {
        let index_at = self.len();
        let joiner = std::mem::replace(&mut self.joiner, Joiner::new(0));
        let runs = joiner.finish();
        index::write(&runs, index_at, &mut self.buffer);
        self.flush()?;
        self.file.sync_data()?;
        Ok((runs, self.written))
    }
}

/// What a segment was found to hold.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) runs: Vec<QueueRun>,
    /// Why the index had to be rebuilt from the frames, if it had.
    pub(crate) rebuilt: Option<Malformed>,
    /// Where runs start that were not written so, but remain of damaged ones.
    pub(crate) fragments: Vec<u32>,
    /// Delivery counts at the time of writing. Only known, and only needed, where there is no manifest to tell.
    pub(crate) returns: Vec<(QueueId, MessageId, u8)>,
    /// Of a segment of version 1: where the frame of each message lies, as manifests of version 1 know messages.
    pub(crate) frames: Vec<(QueueId, MessageId, u32)>,
}

/// Reads what a segment holds. `has_manifest`: delivery counts come from there. An error inside: it is of a later
/// version.
pub(crate) fn read(
    file: &dyn DiskFile,
    number: u32,
    has_manifest: bool,
) -> io::Result<Result<Contents, Malformed>> {
    let len = file.len()?;
    let version = read_version(file, len)?;
    if version.is_some_and(|version| version > VERSION) {
        return Ok(Err(LATER));
    }
    let is_version_one = version == Some(1);
    let found = match Index::find(file, len)? {
        Ok(index) => index.read(file, number)?,
        Err(reason) => Err(reason),
    };
    Ok(Ok(match found {
        Ok(contents) if has_manifest || is_version_one => contents,
        Ok(contents) => Contents {
            returns: walk(file, number, is_version_one)?.returns,
            ..contents
        },
        Err(reason) => Contents {
            rebuilt: Some(reason),
            ..walk(file, number, is_version_one)?
        },
    }))
}

/// The version in a segment's head; none when the head is damaged.
fn read_version(file: &dyn DiskFile, len: u64) -> io::Result<Option<u32>> {
    let mut head = [0; HEAD_LEN];
    if len < HEAD_LEN as u64 {
        return Ok(None);
    }
    file.read_at(&mut head, 0)?;
    let is_sound = head.starts_with(MAGIC)
        && head[HEAD_LEN - 4..] == crc32c::crc32c(&head[..HEAD_LEN - 4]).to_le_bytes();
    let mut reader = Reader::new(&head[MAGIC.len()..]);
    Ok(reader.u32().ok().filter(|_| is_sound))
}

#[cfg(test)]
mod tests {
    use super::{Disk, LATER, RUN_BYTES, Writer, name, read};
    use crate::store::{
        disk::FaultyDisk,
        frames::{self, Layout, Shape},
        ids::{MessageId, QueueId},
    };

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut frame = (content.len() as u32).to_le_bytes().to_vec();
        frame.extend(crc32c::crc32c(content).to_le_bytes());
        frame.extend(content);
        frame
    }

    /// A segment of three queues, with the ids of each.
    fn write(disk: &FaultyDisk) -> (Vec<super::QueueRun>, u64) {
        let mut writer = Writer::create(disk, 5, 1).unwrap();
        for queue in 1..=3 {
            for n in 1..=700u64 {
                let id = MessageId(if queue == 2 { n << 16 } else { n });
                let content = vec![n as u8; if n == 20 { RUN_BYTES } else { n as usize % 50 }];
                writer
                    .add(QueueId(queue), (id, (n % 3) as u8), &frame(&content))
                    .unwrap();
            }
        }
        writer.finish().unwrap()
    }

    #[test]
    fn the_index_and_the_walk_agree() {
        let disk = FaultyDisk::new();
        let (runs, len) = write(&disk);
        let file = disk.open(&name(5)).unwrap();
        let contents = read(&*file, 5, true).unwrap().unwrap();
        assert!(contents.rebuilt.is_none() && contents.returns.is_empty());
        assert_eq!(contents.runs, runs);
        let without_manifest = read(&*file, 5, false).unwrap().unwrap();
        assert_eq!(without_manifest.returns.len(), 3 * (700 - 233));
        disk.damage(&name(5), len - 40, |bytes| bytes[0] ^= 1);
        let contents = read(&*file, 5, true).unwrap().unwrap();
        assert!(contents.rebuilt.is_some());
        assert_eq!(contents.runs, runs);
    }

    #[test]
    fn every_message_is_found_in_its_run() {
        let disk = FaultyDisk::new();
        let (runs, _) = write(&disk);
        let bytes = disk.bytes(&name(5)).unwrap();
        let mut messages = 0;
        for (queue, run) in runs {
            let bytes = &bytes[run.offset as usize..][..run.len as usize];
            let found = frames::find(bytes, Shape::of(&run, Layout::Segment));
            let mut content_len = 0;
            for ((_, id), frame) in run.iter().zip(found) {
                let frame = frame.unwrap();
                assert!(frame.is_sound);
                let n = if queue.0 == 2 { id.0 >> 16 } else { id.0 };
                assert!(
                    bytes[frame.content.clone()]
                        .iter()
                        .all(|byte| *byte == n as u8)
                );
                content_len += frame.content.len();
                messages += 1;
            }
            assert_eq!(content_len, run.content as usize);
        }
        assert_eq!(messages, 3 * 700);
    }

    #[test]
    fn a_damaged_head_and_index_cost_one_message() {
        let disk = FaultyDisk::new();
        let (runs, len) = write(&disk);
        let file = disk.open(&name(5)).unwrap();
        disk.damage(&name(5), len - 40, |bytes| bytes[0] ^= 1);
        disk.damage(&name(5), u64::from(runs[1].1.offset) + 5, |bytes| {
            bytes[0] ^= 1
        });
        let contents = read(&*file, 5, true).unwrap().unwrap();
        let count: u32 = contents.runs.iter().map(|(_, run)| run.live()).sum();
        assert_eq!(count, 3 * 700 - 1);
    }

    #[test]
    fn a_later_version_is_refused_not_rebuilt() {
        let disk = FaultyDisk::new();
        write(&disk);
        disk.damage(&name(5), 0, |bytes| {
            bytes[8] = 3;
            let crc = crc32c::crc32c(&bytes[..28]).to_le_bytes();
            bytes[28..32].copy_from_slice(&crc);
        });
        let file = disk.open(&name(5)).unwrap();
        assert_eq!(read(&*file, 5, true).unwrap().err(), Some(LATER));
    }
}
