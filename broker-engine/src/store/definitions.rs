//! The body of an entry of the definitions lane: keys and values that describe the broker, opaque here.

use super::wire::{Malformed, Reader, Write};

/// A key, and its new value or `None` to remove it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Puts a body of these changes at the end of `bytes`.
pub(crate) fn encode(changes: &[Change], bytes: &mut Vec<u8>) {
    for (key, value) in changes {
        bytes.put_u8(u8::from(value.is_some()));
        bytes.put_block(key);
        if let Some(value) = value {
            bytes.put_block(value);
        }
    }
}

/// Reads the changes of a body, all or none.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Change>, Malformed> {
    let mut reader = Reader::new(body);
    let mut changes = Vec::new();
    while !reader.is_empty() {
        let (key, value) = read_change(&mut reader)?;
        changes.push((key.to_vec(), value.map(<[u8]>::to_vec)));
    }
    Ok(changes)
}

fn read_change<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    let is_set = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed("a definition of an unknown kind")),
    };
    let key = reader.block()?;
    let value = if is_set { Some(reader.block()?) } else { None };
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::{encode, read};

    #[test]
    fn changes_come_back_whole_or_not_at_all() {
        let changes = [
            (b"key".to_vec(), Some(b"value".to_vec())),
            (b"gone".to_vec(), None),
        ];
        let mut body = Vec::new();
        encode(&changes, &mut body);
        assert_eq!(read(&body).unwrap(), changes);
        assert_eq!(read(&[]).unwrap(), []);
        for len in (1..body.len()).filter(|len| *len != body.len() - 9) {
            assert!(read(&body[..len]).is_err(), "{len} bytes");
        }
    }
}
