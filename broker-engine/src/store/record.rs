//! The records of a log file: a fixed head and an entry's body, aligned to 8 bytes, each under a checksum.
//!
//! Since version 2 the checksum of a message entry leaves out the contents of messages, which have checksums of their
//! own: every byte is summed once. A record is sound when all of them fit.
//!
//! The head names the file's number as its epoch: the bytes of an earlier life of a recycled file never pass for
//! records of this one. It also says up to where the log was synced when the record was appended, so that recovery can
//! tell damage from what a power cut left of a write.

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
/// The index of a record that is no entry: it fills a place, or only says how far the log is synced.
pub(crate) const PADDING: u64 = 0;
/// The checksum leaves out the contents of messages.
const FLAG_CONTENTS_APART: u8 = 1;

/// The checksum of an entry's body, computed before the log is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyCrc {
    Whole(u32),
    /// Without the contents of messages.
    ContentsApart(u32),
}

/// How far the log is synced: all files before this one, and this one up to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SyncedEnd {
    pub(crate) file: u32,
    pub(crate) offset: u32,
}

impl SyncedEnd {
    pub(crate) fn new(file: u32, offset: u64) -> Self {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Self { file, offset }
    }

    fn encode(self) -> [u8; 8] {
        (u64::from(self.file) << 32 | u64::from(self.offset)).to_le_bytes()
    }

    /// None where a release wrote that did not tell: it put a 1 here, and no file has the number 0.
    fn decode(number: u64) -> Option<Self> {
        let (file, offset) = ((number >> 32) as u32, number as u32);
        (file > 0).then_some(Self { file, offset })
    }
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
    synced: SyncedEnd,
) -> [u8; HEAD_LEN] {
    let (flags, body_crc) = match body_crc {
        BodyCrc::Whole(crc) => (0, crc),
        BodyCrc::ContentsApart(crc) => (FLAG_CONTENTS_APART, crc),
    };
    let mut head = [0; HEAD_LEN];
    head[0..4].copy_from_slice(&(body_len as u32).to_le_bytes());
    head[4..6].copy_from_slice(&lane.number().to_le_bytes());
    (head[6], head[7]) = (KIND_ENTRY, flags);
    head[8..16].copy_from_slice(&synced.encode());
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
    /// How far the log was synced when it was appended, if that is told.
    pub(crate) synced: Option<SyncedEnd>,
}

/// The record at `at`, if a whole and sound one of this epoch is there.
pub(crate) fn record_at(bytes: &[u8], at: usize, epoch: u32) -> Option<Record> {
    let head = bytes.get(at..at + HEAD_LEN)?;
    let mut reader = Reader::new(head);
    let len = reader.u32().ok()? as usize;
    let lane = Lane::from_number(reader.u16().ok()?)?;
    let (kind, flags) = (reader.u8().ok()?, reader.u8().ok()?);
    let (synced, index, found) = (reader.u64().ok()?, reader.u64().ok()?, reader.u32().ok()?);
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
        synced: SyncedEnd::decode(synced),
    })
}

/// What a record is for that is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// To tell how far the log is synced.
    Tells,
    /// To take the place of what was torn.
    Fills,
}

impl Padding {
    /// Told apart by the lane, in which index 0 is no entry.
    fn lane(self) -> Lane {
        match self {
            Self::Tells => Lane::Definitions,
            Self::Fills => Lane::Messages,
        }
    }
}

/// A record that is no entry, for a place of this many bytes; what lies behind the record's head there stays.
pub(crate) fn padding(
    what_for: Padding,
    place: &[u8],
    epoch: u32,
    synced: SyncedEnd,
) -> [u8; HEAD_LEN] {
    let body = place.get(HEAD_LEN..).unwrap_or_default();
    let crc = BodyCrc::Whole(crc32c::crc32c(body));
    head(what_for.lane(), PADDING, epoch, body.len(), crc, synced)
}

impl Record {
    /// Whether it takes the place of what was torn.
    pub(crate) fn is_filling(&self) -> bool {
        self.index == PADDING && self.lane == Padding::Fills.lane()
    }
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
    use super::{
        BodyCrc, FileHead, Found, HEAD_LEN, PADDING, Padding, SyncedEnd, head, padding, record_at,
        record_len, scan,
    };
    use crate::store::{
        batch::Batch,
        ids::{Lane, QueueId},
    };

    const SYNCED: SyncedEnd = SyncedEnd {
        file: 2,
        offset: 77,
    };

    fn record(index: u64, epoch: u32, body: &[u8]) -> Vec<u8> {
        let crc = BodyCrc::Whole(crc32c::crc32c(body));
        let mut bytes = head(Lane::Definitions, index, epoch, body.len(), crc, SYNCED).to_vec();
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
        bytes[..HEAD_LEN].copy_from_slice(&head(Lane::Messages, 7, 3, len, crc, SYNCED));
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

    #[test]
    fn a_record_says_how_far_the_log_was_synced_and_one_of_an_earlier_release_does_not() {
        let mut bytes = record(7, 3, b"body");
        assert_eq!(record_at(&bytes, 0, 3).unwrap().synced, Some(SYNCED));
        bytes[8..16].copy_from_slice(&1u64.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(b"body"), &bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(record_at(&bytes, 0, 3).unwrap().synced, None);
    }

    #[test]
    fn padding_takes_the_place_of_what_is_not_a_record() {
        let mut bytes = vec![0xa5; 104];
        bytes.extend(record(7, 3, b"body"));
        let head = padding(Padding::Fills, &bytes[..104], 3, SYNCED);
        bytes[..HEAD_LEN].copy_from_slice(&head);
        let Found::Record(found) = scan(&bytes, 0, 3) else {
            panic!("no record")
        };
        assert_eq!((found.index, found.end), (PADDING, 104));
        assert!(found.is_filling());
        assert!(matches!(scan(&bytes, 104, 3), Found::Record(found) if found.index == 7));
    }
}
