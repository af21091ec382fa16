//! Typed values and tables, as declarations, bindings and message headers carry them. Neutral: codecs convert.

use serde::{Deserialize, Serialize};

/// One value. The variants are the field types in use on the wire, so that a table survives a round trip unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// No value.
    Void,
    /// True or false.
    Bool(bool),
    /// 8 bits, signed.
    I8(i8),
    /// 8 bits.
    U8(u8),
    /// 16 bits, signed.
    I16(i16),
    /// 16 bits.
    U16(u16),
    /// 32 bits, signed.
    I32(i32),
    /// 32 bits.
    U32(u32),
    /// 64 bits, signed.
    I64(i64),
    /// 32 bits, floating.
    F32(#[serde(with = "f32_bits")] f32),
    /// 64 bits, floating.
    F64(#[serde(with = "f64_bits")] f64),
    /// A value and how many of its decimal digits are after the point.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// Text by convention; any bytes in fact.
    String(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Seconds since 1970.
    Timestamp(u64),
    /// Values in order.
    Array(Vec<Value>),
    /// Named values.
    Table(Table),
}

impl Value {
    /// The value as text, if it is a string of UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(bytes) = self {
            std::str::from_utf8(bytes).ok()
        } else {
            None
        }
    }

    /// The value as an integer, if it is one of any width.
    pub fn as_i64(&self) -> Option<i64> {
        Some(match self {
            Self::I8(value) => i64::from(*value),
            Self::U8(value) => i64::from(*value),
            Self::I16(value) => i64::from(*value),
            Self::U16(value) => i64::from(*value),
            Self::I32(value) => i64::from(*value),
            Self::U32(value) => i64::from(*value),
            Self::I64(value) => *value,
            Self::Void
            | Self::Bool(_)
            | Self::F32(_)
            | Self::F64(_)
            | Self::Decimal { .. }
            | Self::String(_)
            | Self::Bytes(_)
            | Self::Timestamp(_)
            | Self::Array(_)
            | Self::Table(_) => return None,
        })
    }

    /// The type's name in RabbitMQ's error texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::String(_) => "longstr",
            Self::Bytes(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
        }
    }

    /// Whether a redeclaration may say it so: numbers of a kind compare by value, whatever their width.
    pub(crate) fn is_equivalent(&self, other: &Self) -> bool {
        match (self.as_i64(), other.as_i64()) {
            (Some(left), Some(right)) => left == right,
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(left), Some(right)) => left == right,
                _ => self == other,
            },
        }
    }

    /// Whether a header of this value satisfies a binding that asks for `wanted`: only the values count, and a number
    /// with a fraction is none without.
    pub(crate) fn satisfies(&self, wanted: &Self) -> bool {
        let number = |value: &Self| {
            if let Self::Timestamp(seconds) = value {
                i64::try_from(*seconds).ok()
            } else {
                value.as_i64()
            }
        };
        match (number(self), number(wanted)) {
            (Some(left), Some(right)) => return left == right,
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return false,
        }
        match (self, wanted) {
            (Self::String(left) | Self::Bytes(left), Self::String(right) | Self::Bytes(right)) => {
                left == right
            }
            _ => self.is_equivalent(wanted),
        }
    }

    /// The value as a number with a fraction, if it is one of any width.
    fn as_f64(&self) -> Option<f64> {
        if let Self::F32(value) = self {
            Some(f64::from(*value))
        } else if let Self::F64(value) = self {
            Some(*value)
        } else {
            None
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::U32(value) | Self::Decimal { value, .. } => value.fmt(f),
            Self::Timestamp(value) => value.fmt(f),
            Self::String(bytes) | Self::Bytes(bytes) => String::from_utf8_lossy(bytes).fmt(f),
            Self::I8(_)
            | Self::U8(_)
            | Self::I16(_)
            | Self::U16(_)
            | Self::I32(_)
            | Self::I64(_) => self.as_i64().unwrap_or_default().fmt(f),
            Self::Void | Self::Array(_) | Self::Table(_) => self.type_name().fmt(f),
        }
    }
}

/// Named values in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table(pub Vec<(String, Value)>);

impl Table {
    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }

    /// Gives a name this value alone, where it was or at the end.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same names with equal values, in any order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl FromIterator<(String, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Floating-point numbers by their bits: text has no form for a NaN's payload.
mod f32_bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        u32::deserialize(deserializer).map(f32::from_bits)
    }
}

mod f64_bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}
