//! The index at the end of a segment: for each run its queue, ids and place, under a checksum. Its length follows the
//! number of runs, not of messages, so that a start reads little.

use std::io;

use super::{
    super::{
        disk::DiskFile,
        ids::{MessageId, QueueId},
        ops::RUN_MESSAGES,
        run::{Place, Run},
        wire::{Malformed, Reader, Write},
    },
    Contents, HEAD_LEN, QueueRun, TRAILER_LEN, version_one,
};

/// The last bytes of a segment of version 2; one of version 1 ends with the magic of its head.
const MAGIC: &[u8; 8] = b"WARRENS2";

/// Puts index and trailer at the end of `buffer`; the index starts at `index_at` of the file.
pub(super) fn write(runs: &[QueueRun], index_at: u64, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    for (queue, run) in runs {
        buffer.put_u32(queue.0);
        buffer.put_u64(run.first.0);
        buffer.put_u64(run.last.0);
        buffer.put_u32(run.count);
        buffer.put_u32(run.offset);
        buffer.put_u32(run.len);
        buffer.put_u32(run.content);
        buffer.put_block(run.ids_bytes());
    }
    let index_crc = crc32c::crc32c(&buffer[start..]);
    let start = buffer.len();
    buffer.put_u64(index_at);
    buffer.put_u64(runs.len() as u64);
    buffer.put_u32(index_crc);
    // Begun with the magic, so that it does not pass for the head of a message.
    let crc = crc32c::crc32c_append(crc32c::crc32c(MAGIC), &buffer[start..]);
    buffer.put_u32(crc);
    buffer.extend_from_slice(MAGIC);
}

/// Where an index lies.
pub(super) struct Index {
    at: u64,
    len: usize,
    count: u64,
    crc: u32,
    is_version_one: bool,
}

impl Index {
    /// Reads the trailer.
    pub(super) fn find(file: &dyn DiskFile, len: u64) -> io::Result<Result<Self, Malformed>> {
        if len < (HEAD_LEN + TRAILER_LEN) as u64 {
            return Ok(Err(Malformed("it is too short")));
        }
        let end = len - TRAILER_LEN as u64;
        let mut trailer = [0; TRAILER_LEN];
        file.read_at(&mut trailer, end)?;
        Ok(Self::decode(&trailer, end))
    }

    fn decode(trailer: &[u8; TRAILER_LEN], end: u64) -> Result<Self, Malformed> {
        let mut reader = Reader::new(trailer);
        let (at, count, crc) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let trailer_crc = reader.u32()?;
        let magic = reader.take(MAGIC.len())?;
        let is_version_one = magic == super::MAGIC;
        let start = if is_version_one { &[][..] } else { MAGIC };
        let expected = crc32c::crc32c_append(crc32c::crc32c(start), &trailer[..20]);
        if trailer_crc != expected || !(is_version_one || magic == MAGIC) {
            return Err(Malformed("its end is damaged"));
        }
        let len = end
            .checked_sub(at)
            .and_then(|len| usize::try_from(len).ok())
            .ok_or(Malformed("its index does not fit its length"))?;
        Ok(Self {
            at,
            len,
            count,
            crc,
            is_version_one,
        })
    }

    /// Reads what it says.
    pub(super) fn read(
        self,
        file: &dyn DiskFile,
        number: u32,
    ) -> io::Result<Result<Contents, Malformed>> {
        let mut bytes = vec![0; self.len];
        file.read_at(&mut bytes, self.at)?;
        if crc32c::crc32c(&bytes) != self.crc {
            return Ok(Err(Malformed("its index is damaged")));
        }
        Ok(if self.is_version_one {
            version_one::read(&bytes, number)
        } else {
            read_runs(&bytes, number, &self).map(|runs| Contents {
                runs,
                ..Contents::default()
            })
        })
    }
}

fn read_runs(bytes: &[u8], file: u32, index: &Index) -> Result<Vec<QueueRun>, Malformed> {
    const UNFIT: Malformed = Malformed("its index does not make sense");
    let mut reader = Reader::new(bytes);
    let mut runs = Vec::new();
    while !reader.is_empty() {
        let queue = QueueId(reader.u32()?);
        let ids = (MessageId(reader.u64()?), MessageId(reader.u64()?));
        let count = reader.u32()?;
        let place = Place {
            file,
            offset: reader.u32()?,
            len: reader.u32()?,
            content: reader.u32()?,
        };
        let end = u64::from(place.offset) + u64::from(place.len);
        let fits = end <= index.at && place.content <= place.len && count <= RUN_MESSAGES;
        if !fits || ids.1.entry() > MessageId::ENTRY_MAX {
            return Err(UNFIT);
        }
        let run = Run::from_parts(ids, count, reader.block()?, place).ok_or(UNFIT)?;
        runs.push((queue, run));
    }
    (runs.len() as u64 == index.count)
        .then_some(runs)
        .ok_or(UNFIT)
}
