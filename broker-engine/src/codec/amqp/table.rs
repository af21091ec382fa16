//! Field tables: ordered name/value pairs of every type, in RabbitMQ's dialect.
//!
//! Decoding and encoding again gives the same bytes: order, duplicates and the spelling of the
//! type tag (`l` or `L`) are kept. Source: specification 4.2.5.5 and RabbitMQ's errata, where `s`
//! is a 16-bit integer, `l` and `L` are 64-bit integers, and `x` is a byte array.

use super::{Error, Reader, Writer};

/// Nesting of tables and arrays that is followed; deeper input is refused, not recursed into.
pub const TABLE_DEPTH_MAX: usize = 32;

/// One field value with its wire type.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `L`, which RabbitMQ also reads as signed.
    I64Upper(i64),
    /// `f`, as bits, so that a NaN survives unchanged.
    F32(u32),
    /// `d`, as bits, so that a NaN survives unchanged.
    F64(u64),
    /// `D`: scale and unscaled value.
    Decimal(u8, u32),
    /// `S`: text by convention, any bytes in fact.
    LongString(Vec<u8>),
    /// `x`
    Bytes(Vec<u8>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `A`
    Array(Vec<FieldValue>),
    /// `F`
    Table(FieldTable),
    /// `V`
    Void,
}

impl FieldValue {
    /// The text of a long string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::LongString(bytes) = self {
            std::str::from_utf8(bytes).ok()
        } else {
            None
        }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The value of an integer of any width.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I8(value) => Some(i64::from(*value)),
            Self::U8(value) => Some(i64::from(*value)),
            Self::I16(value) => Some(i64::from(*value)),
            Self::U16(value) => Some(i64::from(*value)),
            Self::I32(value) => Some(i64::from(*value)),
            Self::U32(value) => Some(i64::from(*value)),
            Self::I64(value) | Self::I64Upper(value) => Some(*value),
            Self::Bool(_)
            | Self::F32(_)
            | Self::F64(_)
            | Self::Decimal(..)
            | Self::LongString(_)
            | Self::Bytes(_)
            | Self::Timestamp(_)
            | Self::Array(_)
            | Self::Table(_)
            | Self::Void => None,
        }
    }

    fn decode(reader: &mut Reader<'_>, depth: usize) -> Result<Self, Error> {
        let tag = reader.octet()?;
        Ok(match tag {
            b't' => Self::Bool(reader.octet()? != 0),
            b'b' => Self::I8(i8::from_be_bytes([reader.octet()?])),
            b'B' => Self::U8(reader.octet()?),
            b's' => Self::I16(reader.short()?.cast_signed()),
            b'u' => Self::U16(reader.short()?),
            b'I' => Self::I32(reader.long()?.cast_signed()),
            b'i' => Self::U32(reader.long()?),
            b'l' => Self::I64(reader.longlong()?.cast_signed()),
            b'L' => Self::I64Upper(reader.longlong()?.cast_signed()),
            b'f' => Self::F32(reader.long()?),
            b'd' => Self::F64(reader.longlong()?),
            b'D' => Self::Decimal(reader.octet()?, reader.long()?),
            b'S' => Self::LongString(reader.longstr()?.to_vec()),
            b'x' => Self::Bytes(reader.longstr()?.to_vec()),
            b'T' => Self::Timestamp(reader.longlong()?),
            b'A' => {
                let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
                let mut items = Reader::new(reader.longstr()?);
                let mut values = Vec::new();
                while !items.rest().is_empty() {
                    values.push(Self::decode(&mut items, depth)?);
                }
                Self::Array(values)
            }
            b'F' => {
                let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
                Self::Table(FieldTable::decode_nested(reader.longstr()?, depth)?)
            }
            b'V' => Self::Void,
            _ => return Err(Error::FieldType { tag }),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Bool(value) => writer.bytes(&[b't', u8::from(*value)]),
            Self::I8(value) => writer.bytes(&[b'b', value.cast_unsigned()]),
            Self::U8(value) => writer.bytes(&[b'B', *value]),
            Self::I16(value) => tagged(writer, b's', &value.to_be_bytes()),
            Self::U16(value) => tagged(writer, b'u', &value.to_be_bytes()),
            Self::I32(value) => tagged(writer, b'I', &value.to_be_bytes()),
            Self::U32(value) => tagged(writer, b'i', &value.to_be_bytes()),
            Self::I64(value) => tagged(writer, b'l', &value.to_be_bytes()),
            Self::I64Upper(value) => tagged(writer, b'L', &value.to_be_bytes()),
            Self::F32(bits) => tagged(writer, b'f', &bits.to_be_bytes()),
            Self::F64(bits) => tagged(writer, b'd', &bits.to_be_bytes()),
            Self::Timestamp(value) => tagged(writer, b'T', &value.to_be_bytes()),
            Self::Decimal(scale, value) => {
                writer.bytes(&[b'D', *scale]);
                writer.long(*value);
            }
            Self::LongString(bytes) => {
                writer.octet(b'S');
                writer.longstr(bytes);
            }
            Self::Bytes(bytes) => {
                writer.octet(b'x');
                writer.longstr(bytes);
            }
            Self::Array(values) => {
                writer.octet(b'A');
                writer.measured(|writer| values.iter().for_each(|value| value.encode(writer)));
            }
            Self::Table(table) => {
                writer.octet(b'F');
                writer.table(table);
            }
            Self::Void => writer.octet(b'V'),
        }
    }
}

/// Fields up to the end: of a table with their names, of an array without.
fn check_fields(reader: &mut Reader<'_>, depth: usize, is_named: bool) -> Result<(), Error> {
    while !reader.rest().is_empty() {
        if is_named {
            reader.short_bytes()?;
        }
        let tag = reader.octet()?;
        let fixed = match tag {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'L' | b'd' | b'T' => 8,
            b'S' | b'x' | b'A' | b'F' => {
                let content = reader.longstr()?;
                if matches!(tag, b'A' | b'F') {
                    let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
                    check_fields(&mut Reader::new(content), depth, tag == b'F')?;
                }
                0
            }
            _ => return Err(Error::FieldType { tag }),
        };
        reader.take(fixed)?;
    }
    Ok(())
}

fn tagged(writer: &mut Writer<'_>, tag: u8, bytes: &[u8]) {
    writer.octet(tag);
    writer.bytes(bytes);
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::LongString(text.as_bytes().to_vec())
    }
}

/// Name/value pairs in the order of the wire; a later duplicate does not hide an earlier one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldTable(pub Vec<(String, FieldValue)>);

impl FieldTable {
    /// Decodes the content of a table, without its length.
    ///
    /// # Errors
    /// When the bytes end early, hold an unknown type, or nest deeper than [`TABLE_DEPTH_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode_nested(bytes, TABLE_DEPTH_MAX)
    }

    fn decode_nested(bytes: &[u8], depth: usize) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut fields = Vec::new();
        while !reader.rest().is_empty() {
            let name = reader.shortstr()?.to_owned();
            fields.push((name, FieldValue::decode(&mut reader, depth)?));
        }
        Ok(Self(fields))
    }

    /// Walks through the content of a table without taking it apart: every field is of a known type and ends in time.
    /// Names may hold any bytes.
    ///
    /// # Errors
    /// As [`FieldTable::decode`], but for names.
    pub fn check(bytes: &[u8]) -> Result<(), Error> {
        check_fields(&mut Reader::new(bytes), TABLE_DEPTH_MAX, true)
    }

    /// Appends the content of the table, without its length.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        for (name, value) in &self.0 {
            writer.shortstr(name);
            value.encode(writer);
        }
    }

    /// The first field called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The content of a table in wire form, without its length.
#[must_use]
pub fn encode_table(table: &FieldTable) -> Vec<u8> {
    let mut buffer = Vec::new();
    table.encode(&mut Writer::new(&mut buffer));
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(table: &FieldTable) -> Vec<u8> {
        let mut buffer = Vec::new();
        table.encode(&mut Writer::new(&mut buffer));
        buffer
    }

    fn random_value(random: &mut fastrand::Rng, depth: usize) -> FieldValue {
        match random.u8(0..if depth == 0 { 16 } else { 18 }) {
            0 => FieldValue::Bool(random.bool()),
            1 => FieldValue::I8(random.i8(..)),
            2 => FieldValue::U8(random.u8(..)),
            3 => FieldValue::I16(random.i16(..)),
            4 => FieldValue::U16(random.u16(..)),
            5 => FieldValue::I32(random.i32(..)),
            6 => FieldValue::U32(random.u32(..)),
            7 => FieldValue::I64(random.i64(..)),
            8 => FieldValue::I64Upper(random.i64(..)),
            9 => FieldValue::F32(random.u32(..)),
            10 => FieldValue::F64(random.u64(..)),
            11 => FieldValue::Decimal(random.u8(..), random.u32(..)),
            12 => FieldValue::LongString((0..random.usize(0..40)).map(|_| random.u8(..)).collect()),
            13 => FieldValue::Bytes((0..random.usize(0..40)).map(|_| random.u8(..)).collect()),
            14 => FieldValue::Timestamp(random.u64(..)),
            15 => FieldValue::Void,
            16 => FieldValue::Array(
                (0..random.usize(0..4))
                    .map(|_| random_value(random, depth - 1))
                    .collect(),
            ),
            _ => FieldValue::Table(random_table(random, depth - 1)),
        }
    }

    fn random_table(random: &mut fastrand::Rng, depth: usize) -> FieldTable {
        let count = random.usize(0..6);
        let name = |random: &mut fastrand::Rng| {
            (0..random.usize(0..12))
                .map(|_| random.alphanumeric())
                .collect()
        };
        FieldTable(
            (0..count)
                .map(|_| (name(random), random_value(random, depth)))
                .collect(),
        )
    }

    #[test]
    fn any_table_survives_a_round_trip_bit_by_bit() {
        let mut random = fastrand::Rng::with_seed(0x7461_626c);
        for _ in 0..2_000 {
            let bytes = encoded(&random_table(&mut random, 4));
            assert_eq!(FieldTable::check(&bytes), Ok(()));
            let decoded = FieldTable::decode(&bytes).unwrap();
            assert_eq!(encoded(&decoded), bytes);
        }
    }

    #[test]
    fn each_type_has_the_tag_of_the_dialect() {
        let golden: &[(FieldValue, &[u8])] = &[
            (FieldValue::I16(-2), b"s\xff\xfe"),
            (FieldValue::I64(1), b"l\0\0\0\0\0\0\0\x01"),
            (
                FieldValue::I64Upper(-1),
                b"L\xff\xff\xff\xff\xff\xff\xff\xff",
            ),
            (FieldValue::Bytes(vec![0, 255]), b"x\0\0\0\x02\0\xff"),
            (FieldValue::from("hi"), b"S\0\0\0\x02hi"),
            (FieldValue::Bool(true), b"t\x01"),
            (FieldValue::Void, b"V"),
            (
                FieldValue::Array(vec![FieldValue::U8(7)]),
                b"A\0\0\0\x02B\x07",
            ),
        ];
        for (value, bytes) in golden {
            let mut expected = b"\x01k".to_vec();
            expected.extend_from_slice(bytes);
            assert_eq!(
                encoded(&FieldTable(vec![("k".into(), value.clone())])),
                expected
            );
        }
    }

    #[test]
    fn a_table_cut_anywhere_is_an_error_or_a_shorter_table_and_never_a_panic() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..50 {
            let bytes = encoded(&random_table(&mut random, 3));
            for end in 0..bytes.len() {
                let decoded = FieldTable::decode(&bytes[..end]);
                assert_eq!(FieldTable::check(&bytes[..end]).is_ok(), decoded.is_ok());
                if let Ok(table) = decoded {
                    assert_eq!(encoded(&table), bytes[..end]);
                }
            }
        }
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        let mut table = FieldTable::default();
        for _ in 0..=TABLE_DEPTH_MAX {
            table = FieldTable(vec![("t".into(), FieldValue::Table(table))]);
        }
        assert_eq!(FieldTable::decode(&encoded(&table)), Err(Error::TooDeep));
        assert_eq!(FieldTable::check(&encoded(&table)), Err(Error::TooDeep));
    }
}
