//! Appends fields to a buffer; the mirror image of the reader.

use super::FieldTable;

/// Writes the fields of one payload to the end of a buffer that it borrows.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    bits_used: u8,
}

impl<'b> Writer<'b> {
    /// Appends to `buffer`.
    pub fn new(buffer: &'b mut Vec<u8>) -> Self {
        Self {
            buffer,
            bits_used: 0,
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bits_used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn bit(&mut self, bit: bool) {
        if self.bits_used == 0 || self.bits_used == 8 {
            self.buffer.push(0);
            self.bits_used = 0;
        }
        if let Some(last) = self.buffer.last_mut() {
            *last |= u8::from(bit) << self.bits_used;
        }
        self.bits_used += 1;
    }

    pub(super) fn octet(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn short(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn long(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn longlong(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Texts longer than 255 bytes are cut at a character boundary: only reply texts can be.
    pub(super) fn shortstr(&mut self, value: &str) {
        let end = value.floor_char_boundary(255);
        self.octet(u8::try_from(end).unwrap_or(u8::MAX));
        self.bytes(&value.as_bytes()[..end]);
    }

    /// At most 255 bytes; what is longer is cut.
    pub(super) fn short_bytes(&mut self, value: &[u8]) {
        let len = u8::try_from(value.len()).unwrap_or(u8::MAX);
        self.octet(len);
        self.bytes(&value[..usize::from(len)]);
    }

    /// The 32-bit length cannot overflow: a longer value fits no frame.
    pub(super) fn longstr(&mut self, value: &[u8]) {
        self.long(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.bytes(value);
    }

    pub(super) fn table(&mut self, value: &FieldTable) {
        self.measured(|writer| value.encode(writer));
    }

    /// Writes a 32-bit length in front of whatever `fill` writes.
    pub(super) fn measured(&mut self, fill: impl FnOnce(&mut Writer<'_>)) {
        self.bits_used = 0;
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        fill(&mut Writer::new(self.buffer));
        let length = u32::try_from(self.buffer.len() - at - 4).unwrap_or(u32::MAX);
        self.buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reply_text_is_cut_between_characters() {
        let mut buffer = Vec::new();
        Writer::new(&mut buffer).shortstr(&"é".repeat(200));
        assert_eq!(buffer[0], 254);
        assert_eq!(buffer.len(), 255);
    }
}
