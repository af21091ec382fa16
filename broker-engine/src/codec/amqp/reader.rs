//! A cursor over one payload that hands out fields in order; it never reads past the end.

use super::{Error, FieldTable};

/// Reads fields of a method, header or table.
///
/// Consecutive bits share octets (specification 4.2.5.2): reading any other field ends the run.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    bits: u8,
    bits_left: u8,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            bits: 0,
            bits_left: 0,
        }
    }

    /// The bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Succeeds when everything was read.
    ///
    /// # Errors
    /// [`Error::Trailing`] when bytes are left.
    pub fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Trailing {
                count: self.rest.len(),
            })
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        self.bits_left = 0;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.bits_left = 0;
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn bit(&mut self) -> Result<bool, Error> {
        if self.bits_left == 0 {
            let [octet] = self.array::<1>()?;
            self.bits = octet;
            self.bits_left = 8;
        }
        let bit = self.bits & 1 == 1;
        self.bits >>= 1;
        self.bits_left -= 1;
        Ok(bit)
    }

    pub(super) fn octet(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn short(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn longlong(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn shortstr(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| Error::Utf8)
    }

    /// A short string that may hold any bytes.
    pub(super) fn short_bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::from(self.octet()?);
        self.take(length)
    }

    pub(super) fn longstr(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.long()?).map_err(|_| Error::Truncated)?;
        self.take(length)
    }

    pub(super) fn table(&mut self) -> Result<FieldTable, Error> {
        FieldTable::decode(self.longstr()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_bits_take_two_octets_and_another_field_ends_the_run() {
        let mut reader = Reader::new(&[0b1000_0001, 1, 7]);
        assert!(reader.bit().unwrap());
        for _ in 0..6 {
            assert!(!reader.bit().unwrap());
        }
        assert!(reader.bit().unwrap());
        assert!(reader.bit().unwrap());
        assert_eq!(reader.octet().unwrap(), 7);
        reader.finish().unwrap();
    }

    #[test]
    fn a_string_longer_than_the_payload_is_truncated() {
        assert_eq!(Reader::new(&[5, b'a']).shortstr(), Err(Error::Truncated));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]).longstr(),
            Err(Error::Truncated)
        );
    }

    #[test]
    fn a_short_string_must_be_utf8() {
        assert_eq!(Reader::new(&[2, 0xc3, 0x28]).shortstr(), Err(Error::Utf8));
    }
}
