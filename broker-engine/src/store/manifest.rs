//! The manifest: everything the log says up to a point, without the messages themselves. With the segments it names, it
//! stands for all entries up to `applied`; log files below that are not needed any more.
//!
//! Written whole to a temporary file, synced, renamed. A second copy follows in the same way, so that one damaged file
//! does not cost the definitions.

use std::{collections::BTreeMap, io};

use super::{
    disk::Disk,
    hash::IntMap,
    ids::{Lane, MessageId, QueueId},
    wire::{Malformed, Reader, Write},
};

/// Version of the manifest, in its head.
pub(crate) const VERSION: u32 = 2;
pub(crate) const NAMES: [&str; 2] = ["manifest", "manifest.copy"];
pub(crate) const TEMPORARY: &str = "manifest.tmp";

/// A sound manifest that this release cannot read. Opening must stop: nothing is damaged.
pub(crate) const LATER: Malformed =
    Malformed("it is of a later format version than this release reads");

const MAGIC: &[u8; 8] = b"WARRENMF";

/// Files have lower numbers, and there is always a next one.
pub(crate) const FILE_MAX: u32 = u32::MAX / 2;

/// Which messages of a segment the queues still hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    All,
    /// As version 1 told it: where their frames start, ascending.
    Frames(Vec<u32>),
    /// The runs that still have messages, by where they start.
    Runs(Vec<LiveRun>),
}

/// What is gone of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveRun {
    pub(crate) offset: u32,
    /// How many messages in front are gone.
    pub(crate) skip: u32,
    /// A bit for each message that is gone; empty when only the front is.
    pub(crate) gone: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The data directory's identity, made up when it was created.
    pub(crate) node: u64,
    /// File numbers from here on were never used.
    pub(crate) next_file: u32,
    /// Log files below are accounted for as a whole.
    pub(crate) wal_first: u32,
    /// The last entry of each lane that is accounted for.
    pub(crate) applied: [u64; Lane::COUNT],
    pub(crate) definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) gone: IntMap<QueueId, u64>,
    /// Every queue, with the highest message handed out.
    pub(crate) queues: Vec<(QueueId, MessageId)>,
    pub(crate) segments: Vec<(u32, Live)>,
    /// Delivery counts of messages in segments, those that have any.
    pub(crate) returns: Vec<(QueueId, MessageId, u8)>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.put_u32(VERSION);
        bytes.put_u64(self.node);
        bytes.put_u32(self.next_file);
        bytes.put_u32(self.wal_first);
        self.applied.iter().for_each(|index| bytes.put_u64(*index));
        bytes.put_u64(self.definitions.len() as u64);
        for (key, value) in &self.definitions {
            bytes.put_block(key);
            bytes.put_block(value);
        }
        bytes.put_u64(self.gone.len() as u64);
        for (queue, index) in &self.gone {
            bytes.put_u32(queue.0);
            bytes.put_u64(*index);
        }
        bytes.put_u64(self.queues.len() as u64);
        for (queue, handed_out) in &self.queues {
            bytes.put_u32(queue.0);
            bytes.put_u64(handed_out.0);
        }
        bytes.put_u64(self.segments.len() as u64);
        for (number, live) in &self.segments {
            bytes.put_u32(*number);
            match live {
                Live::All => bytes.put_u8(0),
                Live::Frames(offsets) => {
                    bytes.put_u8(1);
                    bytes.put_u64(offsets.len() as u64);
                    let mut last = 0;
                    for offset in offsets {
                        bytes.put_varint(u64::from(offset - last));
                        last = *offset;
                    }
                }
                Live::Runs(runs) => {
                    bytes.put_u8(2);
                    bytes.put_u64(runs.len() as u64);
                    for run in runs {
                        bytes.put_u32(run.offset);
                        bytes.put_varint(u64::from(run.skip));
                        bytes.put_varint(run.gone.len() as u64);
                        run.gone.iter().for_each(|word| bytes.put_u64(*word));
                    }
                }
            }
        }
        bytes.put_u64(self.returns.len() as u64);
        for (queue, id, returns) in &self.returns {
            bytes.put_u32(queue.0);
            bytes.put_u64(id.0);
            bytes.put_u8(*returns);
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.put_u32(crc);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (content, crc) = bytes
            .split_last_chunk::<4>()
            .ok_or(Malformed("it is too short"))?;
        if crc32c::crc32c(content).to_le_bytes() != *crc {
            return Err(Malformed("its checksum does not match"));
        }
        let mut reader = Reader::new(content);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(Malformed("it is no manifest"));
        }
        let version = reader.u32()?;
        if version > VERSION {
            return Err(LATER);
        }
        let mut manifest = Self {
            node: reader.u64()?,
            next_file: reader.u32()?,
            ..Self::default()
        };
        if version > 1 {
            manifest.wal_first = reader.u32()?;
        }
        for index in &mut manifest.applied {
            *index = reader.u64()?;
        }
        let are_in_range = manifest
            .applied
            .iter()
            .all(|index| *index <= MessageId::ENTRY_MAX);
        if !are_in_range || manifest.next_file > FILE_MAX || manifest.wal_first > manifest.next_file
        {
            return Err(Malformed("a number is out of range"));
        }
        for _ in 0..reader.u64()? {
            manifest
                .definitions
                .insert(reader.block()?.to_vec(), reader.block()?.to_vec());
        }
        for _ in 0..reader.u64()? {
            manifest.gone.insert(QueueId(reader.u32()?), reader.u64()?);
        }
        for _ in 0..reader.u64()? {
            manifest
                .queues
                .push((QueueId(reader.u32()?), MessageId(reader.u64()?)));
        }
        for _ in 0..reader.u64()? {
            let number = reader.u32()?;
            let live = match reader.u8()? {
                0 => Live::All,
                1 => Live::Frames(read_offsets(&mut reader)?),
                2 => Live::Runs(read_runs(&mut reader)?),
                _ => return Err(Malformed("what is live in a segment is of an unknown kind")),
            };
            manifest.segments.push((number, live));
        }
        for _ in 0..reader.u64()? {
            manifest.returns.push((
                QueueId(reader.u32()?),
                MessageId(reader.u64()?),
                reader.u8()?,
            ));
        }
        Ok(manifest)
    }

    /// Replaces both copies. When it fails, each copy is still either the old or the new one.
    pub(crate) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = self.encode();
        for name in NAMES {
            if disk.list()?.iter().any(|other| other == TEMPORARY) {
                disk.remove(TEMPORARY)?;
            }
            let file = disk.create(TEMPORARY)?;
            file.write_at(&bytes, 0)?;
            file.sync_data()?;
            disk.rename(TEMPORARY, name)?;
            disk.sync_dir()?;
        }
        Ok(())
    }
}

fn read_offsets(reader: &mut Reader<'_>) -> Result<Vec<u32>, Malformed> {
    let mut offsets = Vec::new();
    let mut last = 0u64;
    for _ in 0..reader.u64()? {
        last = last.saturating_add(reader.varint()?);
        offsets.push(u32::try_from(last).map_err(|_| Malformed("an offset is out of range"))?);
    }
    Ok(offsets)
}

fn read_runs(reader: &mut Reader<'_>) -> Result<Vec<LiveRun>, Malformed> {
    const UNFIT: Malformed = Malformed("a run is out of range");
    let mut runs = Vec::new();
    for _ in 0..reader.u64()? {
        let offset = reader.u32()?;
        let skip = u32::try_from(reader.varint()?).map_err(|_| UNFIT)?;
        let mut gone = Vec::new();
        for _ in 0..reader.varint()? {
            gone.push(reader.u64()?);
        }
        runs.push(LiveRun { offset, skip, gone });
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::{Live, LiveRun, Manifest};
    use crate::store::ids::{MessageId, QueueId};

    fn run(offset: u32, skip: u32, gone: &[u64]) -> LiveRun {
        LiveRun {
            offset,
            skip,
            gone: gone.to_vec(),
        }
    }

    #[test]
    fn comes_back_as_written_and_notices_every_flipped_byte() {
        let manifest = Manifest {
            node: 1,
            next_file: 9,
            wal_first: 7,
            applied: [4, 7],
            definitions: [(b"k".to_vec(), b"v".to_vec())].into(),
            gone: [(QueueId(3), 5)].into_iter().collect(),
            queues: vec![(QueueId(1), MessageId(8))],
            segments: vec![
                (2, Live::All),
                (4, Live::Frames(vec![32, 300, 70_000])),
                (
                    5,
                    Live::Runs(vec![run(32, 7, &[]), run(70_000, 0, &[5, 1 << 63])]),
                ),
            ],
            returns: vec![(QueueId(1), MessageId(8), 2)],
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        // With such a one, what the next start writes would count as accounted for.
        let beyond = Manifest {
            wal_first: 10,
            ..manifest.clone()
        };
        assert!(Manifest::decode(&beyond.encode()).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Manifest::decode(&damaged).is_err(), "byte {at}");
        }
    }
}
