//! The content header: body size and properties, whose bytes are kept as they came.

use super::{CLASS_BASIC, Error, Reader, Writer};

/// A content header that borrows its properties in wire form, flags included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    pub class_id: u16,
    /// Bytes that the following body frames carry together.
    pub body_size: u64,
    /// Property flags and property list (specification 4.2.6.1).
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Decodes a header frame's payload; the properties are not looked at.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the fixed part is incomplete, [`Error::Weight`] when the weight is not zero.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let class_id = reader.short()?;
        let weight = reader.short()?;
        let body_size = reader.longlong()?;
        let properties = reader.rest();
        if properties.len() < 2 {
            return Err(Error::Truncated);
        }
        if weight != 0 {
            return Err(Error::Weight);
        }
        Ok(Self {
            class_id,
            body_size,
            properties,
        })
    }

    /// Appends the payload of a header frame.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        writer.short(CLASS_BASIC);
        writer.short(0);
        writer.longlong(self.body_size);
        writer.bytes(self.properties);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_keep_their_bytes() {
        let bytes = b"\0\x3c\0\0\0\0\0\0\0\0\0\x05\x10\0\x02";
        let header = ContentHeader::decode(bytes).unwrap();
        assert_eq!((header.class_id, header.body_size), (60, 5));
        assert_eq!(header.properties, b"\x10\0\x02");
        let mut again = Vec::new();
        header.encode(&mut Writer::new(&mut again));
        assert_eq!(again, bytes);
        for end in 0..14 {
            assert_eq!(ContentHeader::decode(&bytes[..end]), Err(Error::Truncated));
        }
        let weighty = b"\0\x3c\0\x01\0\0\0\0\0\0\0\x05\0\0";
        assert_eq!(ContentHeader::decode(weighty), Err(Error::Weight));
    }
}
