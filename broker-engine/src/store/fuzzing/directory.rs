//! A data directory in one input: a list of files, each an octet that says which, an octet of flags, a length of 16 bits
//! (little-endian), and so many bytes.

use super::{
    super::{disk::FaultyDisk, keeper::wal_name, manifest, segment},
    create, seal,
};

/// The sums in it are made to fit.
const SEALED: u8 = 1;

/// Files of one input at most.
const FILES_MAX: usize = 16;

/// What an octet stands for.
enum Kind {
    Wal(u32),
    Segment(u32),
    Manifest(&'static str),
    Other(String),
}

impl Kind {
    fn of(octet: u8) -> Self {
        let number = u32::from(octet >> 2);
        match octet & 3 {
            0 => Self::Wal(number),
            1 => Self::Segment(number),
            2 => Self::Manifest(manifest::NAMES[usize::from(octet >> 2 & 1)]),
            _ if octet == 3 => Self::Other(manifest::TEMPORARY.to_owned()),
            _ => Self::Other(format!("spare-{number:08x}")),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Wal(number) => wal_name(*number),
            Self::Segment(number) => segment::name(*number),
            Self::Manifest(name) => (*name).to_owned(),
            Self::Other(name) => name.clone(),
        }
    }
}

/// The files of an input; of those with one name the first.
pub(crate) fn directory(input: &[u8]) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut names = Vec::new();
    let mut rest = input;
    while let [kind, flags, low, high, following @ ..] = rest
        && names.len() < FILES_MAX
    {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, behind) = following.split_at(following.len().min(len));
        rest = behind;
        let kind = Kind::of(*kind);
        let name = kind.name();
        if names.contains(&name) {
            continue;
        }
        let mut bytes = bytes.to_vec();
        if flags & SEALED != 0 {
            match kind {
                Kind::Wal(_) => seal::wal(&mut bytes),
                Kind::Segment(_) => seal::segment(&mut bytes),
                Kind::Manifest(_) => seal::manifest(&mut bytes),
                Kind::Other(_) => {}
            }
        }
        create(&disk, &name, &bytes);
        names.push(name);
    }
    disk
}

/// The input that stands for the files of a directory, as far as an input can.
#[cfg(test)]
pub(crate) fn describe(disk: &FaultyDisk, flags: u8) -> Vec<u8> {
    use super::super::disk::Disk as _;

    let mut input = Vec::new();
    for name in disk.list().expect("memory has a list") {
        let Some(kind) = (0..=u8::MAX).find(|kind| Kind::of(*kind).name() == name) else {
            continue;
        };
        let bytes = disk.bytes(&name).expect("it is listed");
        // The end of a log file that nothing was written to says nothing.
        let end = bytes.iter().rposition(|byte| *byte != 0);
        let len = end
            .map_or(0, |end| end + 1)
            .next_multiple_of(8)
            .min(bytes.len());
        let Ok(stated) = u16::try_from(len) else {
            continue;
        };
        input.extend([kind, flags]);
        input.extend(stated.to_le_bytes());
        input.extend(&bytes[..len]);
    }
    input
}
