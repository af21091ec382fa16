//! Sums that fit whatever they are of: as if everything had been written by a store that meant it.

use super::super::{
    ops::{PUBLISH, read_publish},
    record::{FILE_HEAD_LEN, HEAD_LEN, record_len},
    segment::MESSAGE_HEAD_LEN,
    wire::Reader,
};

/// Puts the sum of the first part in front of the rest; nothing where there is no room.
fn put(bytes: &mut [u8], at: usize, sum: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*four)).ok()
}

/// The last four bytes become the sum of those before.
pub(super) fn manifest(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(4) {
        put(bytes, end, crc32c::crc32c(&bytes[..end]));
    }
}

/// The head, and every record that follows the one before.
pub(super) fn wal(bytes: &mut [u8]) {
    let Some(head) = bytes.get(..FILE_HEAD_LEN - 4) else {
        return;
    };
    put(bytes, FILE_HEAD_LEN - 4, crc32c::crc32c(head));
    let mut at = FILE_HEAD_LEN;
    while let Some(len) = u32_at(bytes, at) {
        let start = at + HEAD_LEN;
        let Some(body) = bytes.get_mut(start..start.saturating_add(len)) else {
            return;
        };
        let is_apart = entry(body);
        let body_sum = match is_apart {
            Some(sum) if bytes[at + 7] == 1 => sum,
            _ => crc32c::crc32c(&bytes[start..start + len]),
        };
        let sum = crc32c::crc32c_append(body_sum, &bytes[at..at + 28]);
        put(bytes, at + 28, sum);
        at += record_len(len);
    }
}

/// The contents of an entry's messages. Returns the sum of the rest, if all of it is operations.
fn entry(body: &mut [u8]) -> Option<u32> {
    let mut sums = Vec::new();
    let mut reader = Reader::new(body);
    while !reader.is_empty() {
        if reader.u8().ok()? != PUBLISH {
            // Nothing behind it is looked for: contents mostly come first.
            break;
        }
        let content = read_publish(&mut reader).ok()?.content;
        sums.push((content.start - 4, crc32c::crc32c(&body[content])));
    }
    for (at, sum) in sums {
        put(body, at, sum);
    }
    super::ops::sound_crc(body)
}

/// The head, every message with its head, the index and the trailer.
pub(super) fn segment(bytes: &mut [u8]) {
    const HEAD: usize = 32;
    const TRAILER: usize = 32;
    let Some(head) = bytes.get(..HEAD - 4) else {
        return;
    };
    put(bytes, HEAD - 4, crc32c::crc32c(head));
    let end = bytes.len().saturating_sub(TRAILER).max(HEAD);
    let index_at = u32_at(bytes, end).filter(|at| (HEAD..=end).contains(at));
    let mut at = HEAD;
    while at < index_at.unwrap_or(end)
        && let Some(len) = u32_at(bytes, at + 12)
    {
        put(bytes, at + MESSAGE_HEAD_LEN - 4, {
            let head = bytes.get(at..at + MESSAGE_HEAD_LEN - 4);
            head.map_or(0, crc32c::crc32c)
        });
        let frame = at + MESSAGE_HEAD_LEN;
        let Some(content) = bytes.get(frame + 8..(frame + 8).saturating_add(len)) else {
            break;
        };
        let sum = crc32c::crc32c(content);
        put(bytes, frame + 4, sum);
        at = frame + 8 + len;
    }
    if let Some(index_at) = index_at
        && bytes.len() >= HEAD + TRAILER
    {
        put(bytes, end + 16, crc32c::crc32c(&bytes[index_at..end]));
        let is_version_one = bytes.ends_with(b"WARRENSG");
        let start = crc32c::crc32c(if is_version_one { b"" } else { b"WARRENS2" });
        let sum = crc32c::crc32c_append(start, &bytes[end..end + 20]);
        put(bytes, end + 20, sum);
    }
}
