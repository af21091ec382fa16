//! The records of a log file: a fixed head and an entry's body, aligned to 8 bytes, each under a checksum.
//!
//! Since version 2 the checksum of a message entry leaves out the contents of messages, which have checksums of their
//! own: every byte is summed once. A record is sound when all of them fit.
//!
//! The head names the file's number as its epoch: the bytes of an earlier life of a recycled file never pass for
//! records of this one.

use std::ops::Range;

use super::{
    ids::{Lane, MessageId},
    ops,
    wire::{Malformed, Reader, Write},
};

/// Version of the log files, in their head.
pub(crate) const VERSION: u32 = 2;
pub(crate) const HEAD_LEN: usize = 32;
pub(crate) const FILE_HEAD_LEN: usize = 64;

const MAGIC: &[u8; 8] = b"WARRENWL";
const ALIGN: usize = 8;
/// The only kind so far; votes, commit hints, truncations and purges of a replicated log follow.
const KIND_ENTRY: u8 = 1;
/// A single node is a term of its own.
const TERM: u64 = 1;
/// The checksum leaves out the contents of messages.
const FLAG_CONTENTS_APART: u8 = 1;

/// The checksum of an entry's body, computed before the log is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyCrc {
    Whole(u32),
    /// Without the contents of messages.
    ContentsApart(u32),
}

/// How much a record with a body of `len` bytes takes.
pub(crate) fn record_len(len: usize) -> usize {
    (HEAD_LEN + len).next_multiple_of(ALIGN)
}

/// The head of a record.
pub(crate) fn head(
    lane: Lane,
    index: u64,
    epoch: u32,
    body_len: usize,
    body_crc: BodyCrc,
) -> [u8; HEAD_LEN] {
    let (flags, body_crc) = match body_crc {
        BodyCrc::Whole(crc) => (0, crc),
        BodyCrc::ContentsApart(crc) => (FLAG_CONTENTS_APART, crc),
    };
    let mut head = [0; HEAD_LEN];
    head[0..4].copy_from_slice(&(body_len as u32).to_le_bytes());
    head[4..6].copy_from_slice(&lane.number().to_le_bytes());
    (head[6], head[7]) = (KIND_ENTRY, flags);
    head[8..16].copy_from_slice(&TERM.to_le_bytes());
    head[16..24].copy_from_slice(&index.to_le_bytes());
    head[24..28].copy_from_slice(&epoch.to_le_bytes());
    let crc = crc32c::crc32c_append(body_crc, &head[..28]);
    head[28..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// A record found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) lane: Lane,
    pub(crate) index: u64,
    /// Where its body lies in the file.
    pub(crate) body: Range<usize>,
    /// Where the next record starts.
    pub(crate) end: usize,
}

/// The record at `at`, if a whole and sound one of this epoch is there.
pub(crate) fn record_at(bytes: &[u8], at: usize, epoch: u32) -> Option<Record> {
    let head = bytes.get(at..at + HEAD_LEN)?;
    let mut reader = Reader::new(head);
    let len = reader.u32().ok()? as usize;
    let lane = Lane::from_number(reader.u16().ok()?)?;
    let (kind, flags) = (reader.u8().ok()?, reader.u8().ok()?);
    let (_term, index, found) = (reader.u64().ok()?, reader.u64().ok()?, reader.u32().ok()?);
    let is_known = kind == KIND_ENTRY && flags <= FLAG_CONTENTS_APART;
    if !is_known || found != epoch || index > MessageId::ENTRY_MAX {
        return None;
    }
    let start = at + HEAD_LEN;
    let body = bytes.get(start..start.checked_add(len)?)?;
    let body_crc = if flags == FLAG_CONTENTS_APART {
        ops::sound_crc(body)
    } else {
        Some(crc32c::crc32c(body))
    };
    let stated = reader.u32().ok()?;
    let is_sound = body_crc.is_some_and(|crc| crc32c::crc32c_append(crc, &head[..28]) == stated);
    #[cfg(test)]
    let is_sound = is_sound || super::mutation::Mutation::SkipChecksum.is_on();
    is_sound.then_some(Record {
        lane,
        index,
        body: start..start + len,
        end: at + record_len(len),
    })
}

/// What a scan comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record(Record),
    /// Unreadable bytes that records follow.
    Gap(Range<usize>),
    /// Nothing sound from here on.
    End(usize),
}

/// The record at `at`, or how to go on without it.
pub(crate) fn scan(bytes: &[u8], at: usize, epoch: u32) -> Found {
    if let Some(record) = record_at(bytes, at, epoch) {
        return Found::Record(record);
    }
    let mut next = at + ALIGN;
    while next + HEAD_LEN <= bytes.len() {
        if record_at(bytes, next, epoch).is_some() {
            return Found::Gap(at..next);
        }
        next += ALIGN;
    }
    Found::End(at)
}

/// The head of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) number: u32,
    /// The data directory that the file belongs to.
    pub(crate) node: u64,
    /// The log file before it (0 for none) and where that one's records end.
    pub(crate) previous: u32,
    pub(crate) previous_end: u64,
}

impl FileHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEAD_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.put_u32(VERSION);
        bytes.put_u32(self.number);
        bytes.put_u64(self.node);
        bytes.put_u32(self.previous);
        bytes.put_u64(self.previous_end);
        bytes.resize(FILE_HEAD_LEN - 4, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.put_u32(crc);
        bytes
    }

    /// `Ok(None)` when no head of file `number` is there; an error when there is one of a later version.
    pub(crate) fn decode(bytes: &[u8], number: u32) -> Result<Option<Self>, Malformed> {
        let Some(head) = bytes.get(..FILE_HEAD_LEN) else {
            return Ok(None);
        };
        let mut reader = Reader::new(head);
        let magic = reader.take(MAGIC.len())?;
        let version = reader.u32()?;
        let crc = crc32c::crc32c(&head[..FILE_HEAD_LEN - 4]).to_le_bytes();
        if magic != MAGIC || head[FILE_HEAD_LEN - 4..] != crc {
            return Ok(None);
        }
        if version > VERSION {
            return Err(Malformed(
                "a log file is of a later format version than this release reads",
            ));
        }
        let found = reader.u32()?;
        let head = Self {
            number: found,
            node: reader.u64()?,
            previous: reader.u32()?,
            previous_end: reader.u64()?,
        };
        Ok((found == number).then_some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyCrc, FileHead, Found, HEAD_LEN, head, record_at, record_len, scan};
    use crate::store::{
        batch::Batch,
        ids::{Lane, QueueId},
    };

    fn record(index: u64, epoch: u32, body: &[u8]) -> Vec<u8> {
        let crc = BodyCrc::Whole(crc32c::crc32c(body));
        let mut bytes = head(Lane::Definitions, index, epoch, body.len(), crc).to_vec();
        bytes.extend_from_slice(body);
        bytes.resize(record_len(body.len()), 0);
        bytes
    }

    fn messages() -> Vec<u8> {
        let mut batch = Batch::new();
        batch.publish(&[QueueId(1), QueueId(2)], &[b"one"]);
        batch.gone(QueueId(2));
        batch.publish(&[QueueId(1)], &[b"another"]);
        let (mut bytes, _, crc) = batch.into_parts();
        let len = bytes.len() - HEAD_LEN;
        bytes[..HEAD_LEN].copy_from_slice(&head(Lane::Messages, 7, 3, len, crc));
        bytes
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let definitions = record(7, 3, b"body");
        let (messages, len) = (messages(), HEAD_LEN + 4);
        for (bytes, len) in [(definitions, len), (messages.clone(), messages.len())] {
            assert!(record_at(&bytes, 0, 3).is_some());
            for bit in 0..len * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(record_at(&flipped, 0, 3), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn records_of_an_earlier_life_are_not_seen() {
        let mut bytes = record(7, 3, b"new");
        let end = bytes.len();
        bytes.extend(record(5, 2, b"old"));
        assert!(matches!(scan(&bytes, 0, 3), Found::Record(found) if found.end == end));
        assert_eq!(scan(&bytes, end, 3), Found::End(end));
    }

    #[test]
    fn a_gap_ends_where_the_next_record_starts() {
        let first = record(1, 1, b"first body");
        let mut bytes = first.clone();
        bytes.extend(record(2, 1, b"second"));
        bytes[40] ^= 1;
        assert_eq!(scan(&bytes, 0, 1), Found::Gap(0..first.len()));
    }

    #[test]
    fn a_file_head_is_of_one_number() {
        let head = FileHead {
            number: 9,
            node: 1,
            previous: 8,
            previous_end: 640,
        };
        let bytes = head.encode();
        assert_eq!(FileHead::decode(&bytes, 9).unwrap(), Some(head));
        assert_eq!(FileHead::decode(&bytes, 10).unwrap(), None);
        assert_eq!(FileHead::decode(&bytes[1..], 9).unwrap(), None);
    }
}
