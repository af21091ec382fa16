//! The codec: whatever it writes it reads back bit by bit, and whatever comes in it neither panics nor guesses.
//!
//! The methods' fields are listed here once more, from the specification, and written by an encoder that shares
//! nothing with the codec's: a wrong line in its table of methods cannot agree with itself.

use proptest::{collection::vec, prelude::*};

use super::cases;
use crate::codec::amqp::{
    ContentHeader, Error, FRAME_OVERHEAD, FieldTable, FieldValue, FrameKind, FrameParse,
    HeaderParse, Method, Properties, TABLE_DEPTH_MAX, Writer, encode_content, encode_table,
    parse_frame, parse_protocol_header,
};

/// Class, method, and the fields: o octet, h short, l long, q longlong, s short string, S long string, T table, b bit.
pub(super) const METHODS: &[(u16, u16, &str)] = &[
    (10, 10, "ooTSS"),
    (10, 11, "TsSs"),
    (10, 20, "S"),
    (10, 21, "S"),
    (10, 30, "hlh"),
    (10, 31, "hlh"),
    (10, 40, "ssb"),
    (10, 41, "s"),
    (10, 50, "hshh"),
    (10, 51, ""),
    (10, 60, "s"),
    (10, 61, ""),
    (10, 70, "Ss"),
    (10, 71, ""),
    (20, 10, "s"),
    (20, 11, "S"),
    (20, 20, "b"),
    (20, 21, "b"),
    (20, 40, "hshh"),
    (20, 41, ""),
    (40, 10, "hssbbbbbT"),
    (40, 11, ""),
    (40, 20, "hsbb"),
    (40, 21, ""),
    (40, 30, "hsssbT"),
    (40, 31, ""),
    (40, 40, "hsssbT"),
    (40, 51, ""),
    (50, 10, "hsbbbbbT"),
    (50, 11, "sll"),
    (50, 20, "hsssbT"),
    (50, 21, ""),
    (50, 30, "hsb"),
    (50, 31, "l"),
    (50, 40, "hsbbb"),
    (50, 41, "l"),
    (50, 50, "hsssT"),
    (50, 51, ""),
    (60, 10, "lhb"),
    (60, 11, ""),
    (60, 20, "hssbbbbT"),
    (60, 21, "s"),
    (60, 30, "sb"),
    (60, 31, "s"),
    (60, 40, "hssbb"),
    (60, 50, "hsss"),
    (60, 60, "sqbss"),
    (60, 70, "hsb"),
    (60, 71, "qbssl"),
    (60, 72, "s"),
    (60, 80, "qb"),
    (60, 90, "qb"),
    (60, 100, "b"),
    (60, 110, "b"),
    (60, 111, ""),
    (60, 120, "qbb"),
    (85, 10, "b"),
    (85, 11, ""),
    (90, 10, ""),
    (90, 11, ""),
    (90, 20, ""),
    (90, 21, ""),
    (90, 30, ""),
    (90, 31, ""),
];

/// Bytes for every field of a method.
#[derive(Clone, Debug)]
pub(super) struct Fill {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    pub(super) table: FieldTable,
}

fn fill() -> impl Strategy<Value = Fill> {
    (any::<u64>(), short_text(), vec(any::<u8>(), 0..40), table()).prop_map(
        |(number, text, bytes, table)| Fill {
            number,
            text,
            bytes,
            table,
        },
    )
}

/// At most 255 bytes of UTF-8.
fn short_text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..63).prop_map(|chars| chars.into_iter().collect())
}

fn table() -> impl Strategy<Value = FieldTable> {
    vec((short_text(), value()), 0..5).prop_map(FieldTable)
}

fn value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<i64>().prop_map(FieldValue::I64Upper),
        any::<u32>().prop_map(FieldValue::F32),
        any::<u64>().prop_map(FieldValue::F64),
        any::<(u8, u32)>().prop_map(|(scale, value)| FieldValue::Decimal(scale, value)),
        vec(any::<u8>(), 0..40).prop_map(FieldValue::LongString),
        vec(any::<u8>(), 0..40).prop_map(FieldValue::Bytes),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(FieldValue::Array),
            vec((short_text(), inner), 0..4)
                .prop_map(|fields| FieldValue::Table(FieldTable(fields))),
        ]
    })
}

/// A table by the letter of the specification, sharing nothing with the codec.
fn plain_table(table: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in &table.0 {
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
        plain_value(&mut bytes, value);
    }
    bytes
}

fn plain_value(bytes: &mut Vec<u8>, value: &FieldValue) {
    let (tag, content): (u8, Vec<u8>) = match value {
        FieldValue::Bool(value) => (b't', vec![u8::from(*value)]),
        FieldValue::I8(value) => (b'b', value.to_be_bytes().to_vec()),
        FieldValue::U8(value) => (b'B', vec![*value]),
        FieldValue::I16(value) => (b's', value.to_be_bytes().to_vec()),
        FieldValue::U16(value) => (b'u', value.to_be_bytes().to_vec()),
        FieldValue::I32(value) => (b'I', value.to_be_bytes().to_vec()),
        FieldValue::U32(value) => (b'i', value.to_be_bytes().to_vec()),
        FieldValue::I64(value) => (b'l', value.to_be_bytes().to_vec()),
        FieldValue::I64Upper(value) => (b'L', value.to_be_bytes().to_vec()),
        FieldValue::F32(bits) => (b'f', bits.to_be_bytes().to_vec()),
        FieldValue::F64(bits) => (b'd', bits.to_be_bytes().to_vec()),
        FieldValue::Decimal(scale, value) => (b'D', [&[*scale][..], &value.to_be_bytes()].concat()),
        FieldValue::LongString(text) => (b'S', long(text)),
        FieldValue::Bytes(content) => (b'x', long(content)),
        FieldValue::Timestamp(value) => (b'T', value.to_be_bytes().to_vec()),
        FieldValue::Array(values) => {
            let mut inner = Vec::new();
            values
                .iter()
                .for_each(|value| plain_value(&mut inner, value));
            (b'A', long(&inner))
        }
        FieldValue::Table(table) => (b'F', long(&plain_table(table))),
        FieldValue::Void => (b'V', Vec::new()),
    };
    bytes.push(tag);
    bytes.extend(content);
}

fn long(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}

pub(super) fn plain_method((class, method, fields): (u16, u16, &str), fill: &Fill) -> Vec<u8> {
    let mut bytes = [class.to_be_bytes(), method.to_be_bytes()].concat();
    let mut bits = 0;
    for (at, kind) in fields.chars().enumerate() {
        let number = fill.number.rotate_left(at as u32 * 8);
        if kind == 'b' {
            if bits % 8 == 0 {
                bytes.push(0);
            }
            if let Some(last) = bytes.last_mut() {
                *last |= ((number & 1) as u8) << (bits % 8);
            }
            bits += 1;
            continue;
        }
        bits = 0;
        match kind {
            'o' => bytes.push(number as u8),
            'h' => bytes.extend((number as u16).to_be_bytes()),
            'l' => bytes.extend((number as u32).to_be_bytes()),
            'q' => bytes.extend(number.to_be_bytes()),
            's' => {
                bytes.push(fill.text.len() as u8);
                bytes.extend(fill.text.as_bytes());
            }
            'S' => bytes.extend(long(&fill.bytes)),
            'T' => bytes.extend(long(&plain_table(&fill.table))),
            other => panic!("no field kind {other}"),
        }
    }
    bytes
}

fn encoded(method: &Method<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    method.encode(&mut Writer::new(&mut bytes));
    bytes
}

fn properties_of<'a>(flags: u16, fill: &'a Fill, headers: &'a [u8]) -> Properties<'a> {
    let text = |bit: u32| (flags >> bit & 1 == 1).then_some(fill.text.as_bytes());
    let octet = |bit: u32| (flags >> bit & 1 == 1).then_some(fill.number as u8);
    Properties {
        content_type: text(0),
        content_encoding: text(1),
        headers: (flags >> 2 & 1 == 1).then_some(headers),
        delivery_mode: octet(3),
        priority: octet(4),
        correlation_id: text(5),
        reply_to: text(6),
        expiration: text(7),
        message_id: text(8),
        timestamp: (flags >> 9 & 1 == 1).then_some(fill.number),
        kind: text(10),
        user_id: text(11),
        app_id: text(12),
        cluster_id: text(13),
    }
}

/// A stream of one method and one content, with a frame size.
fn stream() -> impl Strategy<Value = (Vec<u8>, u32)> {
    (vec(any::<u8>(), 0..600), 4096_u32..4200, any::<u16>()).prop_map(|(body, max, channel)| {
        let mut bytes = Vec::new();
        encode_content(&mut bytes, channel, &[0, 0], &body, max);
        (bytes, max)
    })
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn every_method_reads_and_writes_the_bytes_of_the_specification(fill in fill()) {
        for method in METHODS {
            let bytes = plain_method(*method, &fill);
            let decoded = Method::decode(&bytes)
                .map_err(|error| TestCaseError::fail(format!("{method:?}: {error}")))?;
            prop_assert_eq!(decoded.id(), (method.0, method.1));
            prop_assert_eq!(encoded(&decoded), bytes.clone(), "{}", decoded.name());
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Method::decode(&longer), Err(Error::Trailing { count: 1 }));
        }
    }

    #[test]
    fn a_method_cut_anywhere_is_refused(fill in fill(), cut in any::<prop::sample::Index>()) {
        for method in METHODS {
            let bytes = plain_method(*method, &fill);
            prop_assert!(Method::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_table_of_any_fields_has_the_bytes_of_the_specification_both_ways(table in table()) {
        let bytes = plain_table(&table);
        prop_assert_eq!(encode_table(&table), bytes.clone());
        prop_assert_eq!(FieldTable::decode(&bytes), Ok(table));
    }

    #[test]
    fn properties_of_any_flags_survive_both_ways(flags in 0_u16..1 << 14, fill in fill()) {
        let headers = plain_table(&fill.table);
        let properties = properties_of(flags, &fill, &headers);
        let bytes = properties.encode();
        let decoded = Properties::decode(&bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&properties));
        if flags >> 2 & 1 == 1 {
            prop_assert_eq!(properties.headers_table(), Ok(fill.table.clone()));
        }
        if let Some(is_persistent) = Properties::plain_persistence(&bytes) {
            prop_assert_eq!(is_persistent, properties.is_persistent());
        }
        for end in 0..bytes.len() {
            prop_assert!(Properties::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused_and_what_is_read_is_written_the_same(
        bytes in prop_oneof![vec(any::<u8>(), 0..200), vec(0_u8..12, 0..60), vec(prop::sample::select(b"AFSxtlV\0\x01\x02".to_vec()), 0..60)],
    ) {
        if let Ok(method) = Method::decode(&bytes) {
            let again = encoded(&method);
            prop_assert_eq!(Method::decode(&again), Ok(method));
        }
        if let Ok(table) = FieldTable::decode(&bytes) {
            prop_assert_eq!(FieldTable::decode(&encode_table(&table)), Ok(table));
        }
        if let Ok(properties) = Properties::decode(&bytes) {
            let again = properties.encode();
            prop_assert_eq!(Properties::decode(&again), Ok(properties.clone()));
            // Only the absence of a panic is the property.
            let _ = properties.headers_table();
        }
        if let Ok(header) = ContentHeader::decode(&bytes) {
            prop_assert_eq!(header.properties, &bytes[12..]);
        }
        match parse_frame(&bytes, 4096) {
            Ok(FrameParse::Complete { frame, consumed }) => {
                prop_assert_eq!(frame.payload.len() + FRAME_OVERHEAD, consumed);
                prop_assert!(consumed <= bytes.len().min(4096));
            }
            Ok(FrameParse::Incomplete { missing }) => {
                prop_assert!(missing > 0 && bytes.len() + missing <= 4096 + FRAME_OVERHEAD);
            }
            Err(_) => {}
        }
        if parse_protocol_header(&bytes) == HeaderParse::Accepted {
            prop_assert!(bytes.starts_with(b"AMQP\0\0\x09\x01"));
        }
    }

    #[test]
    fn a_stream_in_any_pieces_gives_the_same_frames((bytes, max) in stream(), cut in any::<prop::sample::Index>()) {
        let end = cut.index(bytes.len());
        let frames = |bytes: &[u8]| {
            let (mut at, mut kinds) = (0, Vec::new());
            while let Ok(FrameParse::Complete { frame, consumed }) = parse_frame(&bytes[at..], max) {
                kinds.push((frame.kind, frame.channel, frame.payload.to_vec()));
                at += consumed;
            }
            (kinds, at)
        };
        let (whole, at) = frames(&bytes);
        prop_assert_eq!(at, bytes.len());
        let (mut first, at) = frames(&bytes[..end]);
        if at < end {
            let missing = match parse_frame(&bytes[at..end], max) {
                Ok(FrameParse::Incomplete { missing }) => missing,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert!(missing > 0 && end + missing <= bytes.len());
        }
        first.extend(frames(&bytes[at..]).0);
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(whole[0].0, FrameKind::Header);
    }

    #[test]
    fn nesting_is_followed_to_the_limit_and_refused_beyond(depth in 0..TABLE_DEPTH_MAX * 2, is_array in any::<bool>()) {
        let mut bytes = vec![b'V'];
        for _ in 0..depth {
            let inner = if is_array { bytes } else { [&b"\x01k"[..], &bytes].concat() };
            bytes = [&[if is_array { b'A' } else { b'F' }][..], &long(&inner)].concat();
        }
        let table = FieldTable::decode(&[&b"\x01k"[..], &bytes].concat());
        prop_assert_eq!(table.is_ok(), depth <= TABLE_DEPTH_MAX, "{:?}", table.err());
    }
}
