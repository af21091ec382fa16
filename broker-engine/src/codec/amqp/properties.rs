//! The properties of class basic, read from their wire form only by those who need one.

use super::{Error, FieldTable, Reader, Writer};

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const KIND: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;
const MORE_FLAGS: u16 = 1;

/// The delivery modes there are: of messages that survive a restart, and of those that do not.
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// Properties that borrow from the header; `None` where the flag is absent. Short strings are text by convention, any
/// bytes in fact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties<'a> {
    pub content_type: Option<&'a [u8]>,
    pub content_encoding: Option<&'a [u8]>,
    /// The content of the headers table, undecoded; see [`Properties::headers_table`].
    pub headers: Option<&'a [u8]>,
    /// 2 asks for persistence.
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<&'a [u8]>,
    pub reply_to: Option<&'a [u8]>,
    /// Milliseconds, as text.
    pub expiration: Option<&'a [u8]>,
    pub message_id: Option<&'a [u8]>,
    pub timestamp: Option<u64>,
    pub kind: Option<&'a [u8]>,
    pub user_id: Option<&'a [u8]>,
    pub app_id: Option<&'a [u8]>,
    pub cluster_id: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Decodes flags and property list.
    ///
    /// # Errors
    /// When the list ends early, has bytes too many or properties that class basic does not have.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let flags = reader.short()?;
        if flags & MORE_FLAGS != 0 {
            return Err(Error::UnknownProperties);
        }
        let text = |flag: u16, reader: &mut Reader<'a>| {
            (flags & flag != 0)
                .then(|| reader.short_bytes())
                .transpose()
        };
        let properties = Self {
            content_type: text(CONTENT_TYPE, &mut reader)?,
            content_encoding: text(CONTENT_ENCODING, &mut reader)?,
            headers: (flags & HEADERS != 0)
                .then(|| reader.longstr())
                .transpose()?,
            delivery_mode: (flags & DELIVERY_MODE != 0)
                .then(|| reader.octet())
                .transpose()?,
            priority: (flags & PRIORITY != 0)
                .then(|| reader.octet())
                .transpose()?,
            correlation_id: text(CORRELATION_ID, &mut reader)?,
            reply_to: text(REPLY_TO, &mut reader)?,
            expiration: text(EXPIRATION, &mut reader)?,
            message_id: text(MESSAGE_ID, &mut reader)?,
            timestamp: (flags & TIMESTAMP != 0)
                .then(|| reader.longlong())
                .transpose()?,
            kind: text(KIND, &mut reader)?,
            user_id: text(USER_ID, &mut reader)?,
            app_id: text(APP_ID, &mut reader)?,
            cluster_id: text(CLUSTER_ID, &mut reader)?,
        };
        reader.finish()?;
        Ok(properties)
    }

    /// Flags and property list in wire form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 2];
        let mut writer = Writer::new(&mut bytes);
        let mut flags = 0;
        let mut text = |flag: u16, value: Option<&[u8]>, writer: &mut Writer<'_>| {
            if let Some(value) = value {
                flags |= flag;
                writer.short_bytes(value);
            }
        };
        text(CONTENT_TYPE, self.content_type, &mut writer);
        text(CONTENT_ENCODING, self.content_encoding, &mut writer);
        if let Some(headers) = self.headers {
            writer.longstr(headers);
        }
        for octet in [self.delivery_mode, self.priority].into_iter().flatten() {
            writer.octet(octet);
        }
        text(CORRELATION_ID, self.correlation_id, &mut writer);
        text(REPLY_TO, self.reply_to, &mut writer);
        text(EXPIRATION, self.expiration, &mut writer);
        text(MESSAGE_ID, self.message_id, &mut writer);
        if let Some(timestamp) = self.timestamp {
            writer.longlong(timestamp);
        }
        text(KIND, self.kind, &mut writer);
        text(USER_ID, self.user_id, &mut writer);
        text(APP_ID, self.app_id, &mut writer);
        text(CLUSTER_ID, self.cluster_id, &mut writer);
        let others = [
            (HEADERS, self.headers.is_some()),
            (DELIVERY_MODE, self.delivery_mode.is_some()),
            (PRIORITY, self.priority.is_some()),
            (TIMESTAMP, self.timestamp.is_some()),
        ];
        for (flag, _) in others.iter().filter(|(_, is_set)| *is_set) {
            flags |= flag;
        }
        bytes[..2].copy_from_slice(&flags.to_be_bytes());
        bytes
    }

    /// The decoded headers table; empty when the message has none.
    ///
    /// # Errors
    /// When the table is malformed.
    pub fn headers_table(&self) -> Result<FieldTable, Error> {
        self.headers
            .map_or_else(|| Ok(FieldTable::default()), FieldTable::decode)
    }

    /// Whether the headers are a table, which nobody may have to decode before a consumer gets them.
    ///
    /// # Errors
    /// When the table is malformed.
    pub fn check_headers(&self) -> Result<(), Error> {
        self.headers.map_or(Ok(()), FieldTable::check)
    }

    /// Whether the message asks to survive a restart.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode == Some(PERSISTENT)
    }

    /// Whether the delivery mode is none of those there are.
    #[must_use]
    pub fn unknown_delivery_mode(&self) -> Option<u8> {
        self.delivery_mode
            .filter(|mode| ![TRANSIENT, PERSISTENT].contains(mode))
    }

    /// Whether a message asks to survive a restart, from properties that hold nothing but that, as most do.
    #[must_use]
    pub fn plain_persistence(bytes: &[u8]) -> Option<bool> {
        const MODE_ONLY: [u8; 2] = DELIVERY_MODE.to_be_bytes();
        match *bytes {
            [0, 0] => Some(false),
            [a, b, mode @ (TRANSIENT | PERSISTENT)] if [a, b] == MODE_ONLY => {
                Some(mode == PERSISTENT)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_follows_the_order_of_the_flags() {
        let flags = CONTENT_TYPE | DELIVERY_MODE | USER_ID;
        let mut bytes = flags.to_be_bytes().to_vec();
        bytes.extend_from_slice(b"\x04text\x02\x05alice");
        let properties = Properties::decode(&bytes).unwrap();
        assert_eq!(properties.content_type, Some(b"text".as_slice()));
        assert!(properties.is_persistent());
        assert_eq!(properties.user_id, Some(b"alice".as_slice()));
        for end in 0..bytes.len() {
            assert_eq!(Properties::decode(&bytes[..end]), Err(Error::Truncated));
        }
    }

    #[test]
    fn plain_properties_say_the_same_as_decoded_ones() {
        for mode in [None, Some(1), Some(2)] {
            let properties = Properties {
                delivery_mode: mode,
                ..Properties::default()
            };
            let bytes = properties.encode();
            let plain = Properties::plain_persistence(&bytes);
            assert_eq!(plain, Some(properties.is_persistent()));
            let more = Properties {
                priority: Some(1),
                ..properties
            };
            assert_eq!(Properties::plain_persistence(&more.encode()), None);
        }
        assert_eq!(Properties::plain_persistence(&[0x10, 0]), None);
        assert_eq!(Properties::plain_persistence(&[0x10, 0, 3]), None);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let all = Properties {
            content_type: Some(b"a"),
            content_encoding: Some(b"b"),
            headers: Some(b"\x01kV"),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: Some(b"c"),
            reply_to: Some(b"d"),
            expiration: Some(b"1"),
            message_id: Some(b"e"),
            timestamp: Some(3),
            kind: Some(b"f"),
            user_id: Some(b"g"),
            app_id: Some(b"h"),
            cluster_id: Some(b"i"),
        };
        for properties in [all, Properties::default()] {
            assert_eq!(Properties::decode(&properties.encode()), Ok(properties));
        }
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..48)).map(|_| random.u8(..)).collect();
            if let Ok(properties) = Properties::decode(&bytes) {
                assert_eq!(
                    Properties::decode(&properties.encode()),
                    Ok(properties.clone())
                );
                // Only the absence of a panic is the property.
                let _ = properties.headers_table();
            }
        }
    }
}
