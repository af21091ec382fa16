//! Segments: messages that outlived the log files they were written to, copied once, never changed.
//!
//! A segment holds the messages of one queue with many of them, or of many queues with a few each, in (queue, id)
//! order. Frames are copied as they were in the log, checksum included. The index at the end says what lies where; each
//! frame is preceded by the same facts, from which a damaged index can be rebuilt.

use std::{io, sync::Arc};

use super::{
    batch::FRAME_HEAD_LEN,
    disk::{Disk, DiskFile},
    ids::{MessageId, QueueId},
    ledger::Stored,
    wire::{Malformed, Reader, Write},
};

/// Version of the segment files, in their head.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"WARRENSG";
const HEAD_LEN: usize = 32;
const ENTRY_HEAD_LEN: usize = 24;
const INDEX_ENTRY_LEN: usize = 21;
const TRAILER_LEN: usize = 32;
const BUFFER_LEN: usize = 1 << 20;

/// A message in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) queue: QueueId,
    pub(crate) stored: Stored,
}

/// A segment's name.
pub(crate) fn name(number: u32) -> String {
    format!("seg-{number:08x}")
}

/// Writes a segment; nothing in it counts before [`Writer::finish`] returned.
pub(crate) struct Writer {
    number: u32,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    entries: Vec<Entry>,
}

impl Writer {
    pub(crate) fn create(disk: &dyn Disk, number: u32, node: u64) -> io::Result<Self> {
        let file = disk.create(&name(number))?;
        let mut buffer = Vec::with_capacity(BUFFER_LEN);
        buffer.extend_from_slice(MAGIC);
        buffer.put_u32(VERSION);
        buffer.put_u32(number);
        buffer.put_u64(node);
        buffer.resize(HEAD_LEN - 4, 0);
        let crc = crc32c::crc32c(&buffer);
        buffer.put_u32(crc);
        Ok(Self {
            number,
            file,
            buffer,
            written: 0,
            entries: Vec::new(),
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Adds a message with its frame as it is. Returns where the frame lies now.
    pub(crate) fn add(&mut self, queue: QueueId, old: &Stored, frame: &[u8]) -> io::Result<u32> {
        let start = self.buffer.len();
        self.buffer.put_u32(queue.0);
        self.buffer.put_u64(old.id.0);
        self.buffer.put_u32(old.len);
        self.buffer.put_u32(u32::from(old.returns));
        let crc = crc32c::crc32c(&self.buffer[start..]);
        self.buffer.put_u32(crc);
        let too_large = || io::Error::other("a segment exceeds 4 GiB");
        let offset = u32::try_from(self.len()).map_err(|_| too_large())?;
        self.buffer.extend_from_slice(frame);
        let stored = Stored::new(old.id, self.number, offset, old.len, old.returns);
        self.entries.push(Entry { queue, stored });
        if self.buffer.len() >= BUFFER_LEN {
            self.flush()?;
        }
        Ok(offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the index and syncs. The name is durable after the next sync of the directory.
    pub(crate) fn finish(mut self) -> io::Result<(Arc<dyn DiskFile>, Vec<Entry>, u64)> {
        let index_at = self.len();
        let start = self.buffer.len();
        for Entry { queue, stored } in &self.entries {
            self.buffer.put_u32(queue.0);
            self.buffer.put_u64(stored.id.0);
            self.buffer.put_u32(stored.offset);
            self.buffer.put_u32(stored.len);
            self.buffer.put_u8(stored.returns);
        }
        let index_crc = crc32c::crc32c(&self.buffer[start..]);
        let start = self.buffer.len();
        self.buffer.put_u64(index_at);
        self.buffer.put_u64(self.entries.len() as u64);
        self.buffer.put_u32(index_crc);
        let crc = crc32c::crc32c(&self.buffer[start..]);
        self.buffer.put_u32(crc);
        self.buffer.extend_from_slice(MAGIC);
        self.flush()?;
        self.file.sync_data()?;
        Ok((self.file, self.entries, self.written))
    }
}

/// What a segment was found to hold.
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    /// Why the index had to be rebuilt from the frames, if it had.
    pub(crate) rebuilt: Option<Malformed>,
}

/// Reads a segment's index.
pub(crate) fn read(file: &dyn DiskFile, number: u32) -> io::Result<Contents> {
    let len = file.len()?;
    match read_index(file, len, number)? {
        Ok(entries) => Ok(Contents {
            entries,
            rebuilt: None,
        }),
        Err(reason) => Ok(Contents {
            entries: rebuild(file, len, number)?,
            rebuilt: Some(reason),
        }),
    }
}

fn read_index(
    file: &dyn DiskFile,
    len: u64,
    number: u32,
) -> io::Result<Result<Vec<Entry>, Malformed>> {
    if len < (HEAD_LEN + TRAILER_LEN) as u64 {
        return Ok(Err(Malformed("it is too short")));
    }
    let mut trailer = [0; TRAILER_LEN];
    file.read_at(&mut trailer, len - TRAILER_LEN as u64)?;
    let (index_at, count, crc) = match read_trailer(&trailer) {
        Ok(trailer) => trailer,
        Err(reason) => return Ok(Err(reason)),
    };
    let index_len = count.saturating_mul(INDEX_ENTRY_LEN as u64);
    if index_at.saturating_add(index_len) != len - TRAILER_LEN as u64 {
        return Ok(Err(Malformed("its index does not fit its length")));
    }
    let mut index = vec![0; index_len as usize];
    file.read_at(&mut index, index_at)?;
    if crc32c::crc32c(&index) != crc {
        return Ok(Err(Malformed("its index is damaged")));
    }
    Ok(read_entries(&index, number))
}

fn read_trailer(bytes: &[u8; TRAILER_LEN]) -> Result<(u64, u64, u32), Malformed> {
    let mut reader = Reader::new(bytes);
    let (index_at, count, index_crc) = (reader.u64()?, reader.u64()?, reader.u32()?);
    if reader.u32()? != crc32c::crc32c(&bytes[..20]) || reader.take(MAGIC.len())? != MAGIC {
        return Err(Malformed("its end is damaged"));
    }
    Ok((index_at, count, index_crc))
}

fn read_entries(index: &[u8], number: u32) -> Result<Vec<Entry>, Malformed> {
    let mut reader = Reader::new(index);
    let mut entries = Vec::with_capacity(index.len() / INDEX_ENTRY_LEN);
    while !reader.is_empty() {
        let (queue, id) = (QueueId(reader.u32()?), MessageId(reader.u64()?));
        let stored = Stored::new(id, number, reader.u32()?, reader.u32()?, reader.u8()?);
        entries.push(Entry { queue, stored });
    }
    Ok(entries)
}

/// Walks the frames by the facts in front of each, up to the first that is not sound.
fn rebuild(file: &dyn DiskFile, len: u64, number: u32) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = HEAD_LEN as u64;
    let mut head = [0; ENTRY_HEAD_LEN];
    while at + (ENTRY_HEAD_LEN + FRAME_HEAD_LEN) as u64 <= len {
        file.read_at(&mut head, at)?;
        let Some((queue, id, content_len, returns)) = read_entry_head(&head) else {
            break;
        };
        let offset = at + ENTRY_HEAD_LEN as u64;
        let Ok(place) = u32::try_from(offset) else {
            break;
        };
        entries.push(Entry {
            queue,
            stored: Stored::new(id, number, place, content_len, returns),
        });
        at = offset + FRAME_HEAD_LEN as u64 + u64::from(content_len);
    }
    Ok(entries)
}

fn read_entry_head(head: &[u8; ENTRY_HEAD_LEN]) -> Option<(QueueId, MessageId, u32, u8)> {
    let mut reader = Reader::new(head);
    let (queue, id) = (QueueId(reader.u32().ok()?), MessageId(reader.u64().ok()?));
    let (len, returns) = (reader.u32().ok()?, reader.u32().ok()?);
    let is_sound = reader.u32().ok()? == crc32c::crc32c(&head[..ENTRY_HEAD_LEN - 4]);
    is_sound.then_some((queue, id, len, returns as u8))
}

#[cfg(test)]
mod tests {
    use super::{Disk, Writer, name, read};
    use crate::store::{
        disk::FaultyDisk,
        ids::{MessageId, QueueId},
        ledger::Stored,
    };

    #[test]
    fn the_index_and_the_walk_agree() {
        let disk = FaultyDisk::new();
        let mut writer = Writer::create(&disk, 5, 1).unwrap();
        for id in 1..=20u64 {
            let frame = vec![id as u8; 8 + id as usize];
            let old = Stored::new(MessageId(id), 1, 0, id as u32, (id % 3) as u8);
            writer.add(QueueId(2), &old, &frame).unwrap();
        }
        let (file, entries, len) = writer.finish().unwrap();
        let contents = read(&*file, 5).unwrap();
        assert_eq!(
            (contents.entries, contents.rebuilt),
            (entries.clone(), None)
        );
        disk.damage(&name(5), len - 40, |bytes| bytes[0] ^= 1);
        let file = disk.open(&name(5)).unwrap();
        let contents = read(&*file, 5).unwrap();
        assert!(contents.rebuilt.is_some());
        assert_eq!(contents.entries, entries);
    }
}
